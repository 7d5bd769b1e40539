import type { ListedConnection } from '../model/effects.ts';
import type { Drift, Failure, LedgerEntry, OpenRequest, Organization, PlannedEntry } from '../model/organization.ts';
import { entryOf, keyOf, requestOf, withEntry } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import type { Listing } from './connections.ts';
import { currentOf, LIST_IS_OLD_MS, levelToSet, openEntry, settingsOf, withIntent } from './connections.ts';
import { acceptedOf, isPending } from './requests.ts';

const DAY_MS = 86_400_000;
/** Notifications within so long are about one moment, milliseconds: of a flood not each is written. */
export const NOTIFICATIONS_COUNT_AS_ONE_MS = 1000;

/** Enabled again this often within a day, a connection is left as it is: somebody's tool works against us. */
export const FIGHTING = 3;
export const FIGHT: Failure = {
  code: 'reenabled_repeatedly',
  message: 'Enabled again three times within a day; it is left as it is until somebody stops what enables it',
};

/** The offboardings that are watched, the newest first. */
export const watchedOf = (item: Organization): OpenRequest[] =>
  acceptedOf(item)
    .filter(({ watch }) => watch === 'on')
    .reverse();

/** Whether we disabled it a moment before the list was made: the list may not show it yet. */
export const isTooNew = (entry: LedgerEntry | undefined, { at }: Listing): boolean =>
  entry?.changed?.goal === 'disabled' && entry.changed.at > at - LIST_IS_OLD_MS;

type Found = Pick<LedgerEntry, 'kind' | 'id'> & { request: OpenRequest };

/** What is enabled although an offboarding that is watched covers it, and the newest of these offboardings. */
function enabledOf(item: Organization, listing: Listing): Found[] {
  const watched = watchedOf(item);
  const connections = listing.connections
    .filter(({ is_enabled }) => is_enabled === true)
    .map(({ connection_id }) => ({ kind: 'connection' as const, id: connection_id }));
  const grants = (listing.grants ?? []).map(({ id }) => ({ kind: 'client_grant' as const, id }));
  return [...connections, ...grants].flatMap(({ kind, id }) => {
    const covering = watched.filter(({ parameters }) =>
      kind === 'client_grant' ? parameters.end_machine_access : (parameters.connection_ids?.includes(id) ?? true),
    );
    // What failed decides nothing for those before it.
    const request = covering.find(({ status }) => status !== 'failed') ?? covering[0];
    return request && !isTooNew(entryOf(item, keyOf({ kind, id })), listing) ? [{ kind, id, request }] : [];
  });
}

/** The item changes, or a call of Auth0 is to be made. */
export type DriftStep = { do: 'change'; item: Organization } | { do: 'call'; item: Organization; entry: PlannedEntry };

/** The next step of a drift check; undefined when everything is as it was left, or is in the outbox. `tried` are those that this visit tried. */
export function nextDriftStep(
  item: Organization,
  listing: Listing,
  now: number,
  tried: readonly string[],
): DriftStep | undefined {
  const found = enabledOf(item, listing);
  const isEnabled = (entry: LedgerEntry) => found.some(({ kind, id }) => kind === entry.kind && id === entry.id);
  const rested = item.ledger.find((entry) => entry.drifted_at && !isEnabled(entry) && !isTooNew(entry, listing));
  if (rested) return { do: 'change', item: afterRest(item, rested, now) };
  // What was new once and is gone makes room: it is in the events, and an item has its limit.
  const isGone = (entry: LedgerEntry) =>
    entry.added && !entry.drifted_at && !entry.disabled_by_us && !currentOf(entry, listing);
  const ledger = item.ledger.filter((entry) => !isGone(entry));
  if (ledger.length < item.ledger.length) return { do: 'change', item: { ...item, ledger } };
  for (const one of found) {
    const step = stepOf(one, item, listing, now, tried);
    if (step) return step;
  }
  return undefined;
}

/** What a drift check does about one that is enabled: it reports it once, and disables it again where that was asked for. */
function stepOf(
  found: Found,
  item: Organization,
  listing: Listing,
  now: number,
  tried: readonly string[],
): DriftStep | undefined {
  const { request } = found;
  const entry = openDriftEntry(item, found, listing);
  const isKnown = entry.drifted_at !== undefined;
  const isAgain = request.parameters.on_reenable === 'disable_again' && (!isKnown || entry.intent !== undefined);
  if ((isKnown && !isAgain) || tried.includes(keyOf(entry))) return undefined;
  const drifted = isKnown ? entry : withReenabling(entry, now);
  const isFight = !isKnown && (drifted.reenabled_at ?? []).length >= FIGHTING;
  const current = currentOf(entry, listing);
  if (!isAgain || isFight) {
    const settings = current && entry.kind === 'connection' ? settingsOf(current.listed as ListedConnection) : null;
    const result = { outcome: 'unchanged' as const, error: isFight ? FIGHT : null, now: settings };
    return { do: 'change', item: reportDrift(item, drifted, request, result, now) };
  }
  const { offboarding_id } = request;
  const planned = withIntent(drifted, { goal: 'disabled', offboarding_id, level: levelToSet(current) });
  return { do: 'call', item: withEntry(item, planned), entry: planned };
}

/** A connection that was enabled is not any more: disabled by a call whose end nobody knew, or by somebody else. */
function afterRest(item: Organization, { intent, ...rest }: LedgerEntry, now: number): Organization {
  const quiet = { ...rest, drifted_at: undefined };
  const request = intent?.is_uncertain ? requestOf(item, intent.offboarding_id) : undefined;
  return request ? reportDrift(item, quiet, request, DISABLED, now) : withEntry(item, quiet);
}

function openDriftEntry(item: Organization, { kind, id, request }: Found, listing: Listing): LedgerEntry {
  const known = entryOf(item, keyOf({ kind, id }));
  if (known)
    return known.claims.includes(request.offboarding_id)
      ? known
      : { ...known, claims: [...known.claims, request.offboarding_id] };
  const isNew = request.parameters.connection_ids === undefined && !item.known.includes(id);
  return {
    ...openEntry(item, kind, id, listing),
    claims: [request.offboarding_id],
    ...(isNew && { added: true as const }),
  };
}

function withReenabling(entry: LedgerEntry, now: number): LedgerEntry {
  const recent = (entry.reenabled_at ?? []).filter((time) => Date.parse(time) > now - DAY_MS);
  return { ...entry, drifted_at: iso(now), reenabled_at: [...recent, iso(now)].slice(-FIGHTING) };
}

type Result = Pick<Drift, 'outcome' | 'error' | 'now'>;
const DISABLED: Result = { outcome: 'disabled', error: null, now: null };

/** The organization with a `drifted` event about this entry in the outbox. */
function reportDrift(
  item: Organization,
  entry: LedgerEntry,
  { offboarding_id }: OpenRequest,
  result: Result,
  now: number,
): Organization {
  const next = withEntry(item, entry);
  const isFirst = (entry.reenabled_at ?? []).length <= 1;
  const by = item.changed_by?.findLast(({ connection_id = entry.id }) => connection_id === entry.id);
  const drift: Drift = {
    key: keyOf(entry),
    drift: entry.added && isFirst ? 'added' : 'reenabled',
    ...result,
    ...(by && { changed_by: by.name }),
  };
  const at = iso(now);
  const requests = next.requests.map((one) =>
    one.offboarding_id === offboarding_id
      ? { ...one, drift_count: (one.drift_count ?? 0) + 1, updated_at: at, is_unrecorded: true as const }
      : one,
  );
  return { ...next, requests, outbox: [...next.outbox, { event: 'drifted', offboarding_id, at, drift }] };
}

/** What a call of a drift check made of the organization. An error that may pass is reported once and tried again. */
export function afterDriftCall(
  item: Organization,
  entry: LedgerEntry,
  request: OpenRequest,
  error: Failure | undefined,
  isFinal: boolean,
  now: number,
): Organization {
  if (!error) {
    const changed = { goal: 'disabled' as const, at: now };
    const disabled_by_us = isPending(request) || entry.disabled_by_us;
    const disabled = { ...entry, changed, intent: undefined, drifted_at: undefined, disabled_by_us };
    return reportDrift(item, disabled, request, DISABLED, now);
  }
  const isReported = item.outbox.some(({ drift }) => drift?.key === keyOf(entry)) || entry.intent?.is_reported === true;
  const intent = isFinal ? undefined : entry.intent && { ...entry.intent, is_reported: true as const };
  const next = { ...entry, intent };
  return isReported
    ? withEntry(item, next)
    : reportDrift(item, next, request, { outcome: 'unchanged', error, now: null }, now);
}
