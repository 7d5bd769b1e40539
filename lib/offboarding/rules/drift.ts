import type { ListedConnection } from '../model/effects.ts';
import type { Drift, Failure, LedgerEntry, OpenRequest, Organization } from '../model/organization.ts';
import { entryOf, keyOf, requestOf, withEntry, withRequest } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import {
  type Change,
  currentOf,
  LIST_IS_OLD_MS,
  type Listing,
  levelToSet,
  openEntry,
  settingsOf,
} from './connections.ts';
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

/** What we disabled a moment before the list was made: the list may not show it yet. */
export const isTooNew = (item: Organization, kind: LedgerEntry['kind'], id: string, { at }: Listing): boolean => {
  const changed = entryOf(item, keyOf({ kind, id }))?.changed;
  return changed?.goal === 'disabled' && changed.at > at - LIST_IS_OLD_MS;
};

type Found = { kind: LedgerEntry['kind']; id: string; request: OpenRequest };

/** What is enabled although an offboarding that is watched covers it, and the newest of these offboardings. */
function enabledOf(item: Organization, listing: Listing): Found[] {
  const watched = watchedOf(item);
  const covers = ({ parameters }: OpenRequest, id: string) => parameters.connection_ids?.includes(id) ?? true;
  const connections = listing.connections
    .filter((one) => one.is_enabled === true && !isTooNew(item, 'connection', one.connection_id, listing))
    .map(({ connection_id }) => connection_id);
  // What failed decides nothing for those before it.
  const newestOf = (covering: OpenRequest[]) => covering.find(({ status }) => status !== 'failed') ?? covering[0];
  const machines = newestOf(watched.filter(({ parameters }) => parameters.end_machine_access));
  const listed = machines ? (listing.grants ?? []).map(({ id }) => id) : [];
  const grants = listed.filter((id) => !isTooNew(item, 'client_grant', id, listing));
  return [
    ...connections.flatMap((id): Found[] => {
      const request = newestOf(watched.filter((one) => covers(one, id)));
      return request ? [{ kind: 'connection', id, request }] : [];
    }),
    ...grants.flatMap((id): Found[] => (machines ? [{ kind: 'client_grant', id, request: machines }] : [])),
  ];
}

export type DriftStep =
  | { is: 'changed'; item: Organization }
  | { is: 'call'; item: Organization; change: Change; request: OpenRequest };

/** The next step of a drift check; undefined when everything is as it was left, or is in the outbox. `tried` are those that this visit tried. */
export function nextDriftStep(
  item: Organization,
  listing: Listing,
  now: number,
  tried: readonly string[],
): DriftStep | undefined {
  const found = enabledOf(item, listing);
  const rested = item.ledger.find(
    (entry) => entry.drifted_at && !isEnabledIn(found, entry) && !isTooNew(item, entry.kind, entry.id, listing),
  );
  if (rested) return { is: 'changed', item: afterRest(item, rested, now) };
  // What was new once and is gone makes room: it is in the events, and an item has its limit.
  const isGone = (entry: LedgerEntry) =>
    entry.added && !entry.drifted_at && !entry.disabled_by_us && !currentOf(entry, listing);
  const ledger = item.ledger.filter((entry) => !isGone(entry));
  if (ledger.length < item.ledger.length) return { is: 'changed', item: { ...item, ledger } };
  for (const { kind, id, request } of found) {
    const entry = openDriftEntry(item, { kind, id, request }, listing);
    const isAgain =
      request.parameters.on_reenable === 'disable_again' && (!entry.drifted_at || entry.intent !== undefined);
    if (entry.drifted_at && !isAgain) continue;
    if (tried.includes(keyOf(entry))) continue;
    const drifted = entry.drifted_at ? entry : withReenabling(entry, now);
    const isFight = !entry.drifted_at && (drifted.reenabled_at ?? []).length >= FIGHTING;
    if (!isAgain || isFight)
      return {
        is: 'changed',
        item: reportDrift(
          withEntry(item, drifted),
          drifted,
          request,
          'unchanged',
          isFight ? FIGHT : null,
          now,
          listing,
        ),
      };
    const level = levelToSet(currentOf(entry, listing));
    const about = { goal: 'disabled' as const, offboarding_id: request.offboarding_id, level };
    const { is_uncertain, is_reported } = entry.intent ?? {};
    const intent = { ...about, ...(is_uncertain && { is_uncertain }), ...(is_reported && { is_reported }) };
    const change = { entry: { ...drifted, intent }, goal: 'disabled' as const, level };
    return { is: 'call', item: withEntry(item, { ...drifted, intent }), change, request };
  }
  return undefined;
}

const isEnabledIn = (found: Found[], entry: LedgerEntry) =>
  found.some(({ kind, id }) => kind === entry.kind && id === entry.id);

/** A connection that was enabled is not any more: disabled by a call whose end nobody knew, or by somebody else. */
function afterRest(item: Organization, entry: LedgerEntry, now: number): Organization {
  const { intent, ...rest } = entry;
  const quiet = withEntry(item, { ...rest, drifted_at: undefined });
  const request = intent?.is_uncertain ? requestOf(item, intent.offboarding_id) : undefined;
  return request ? reportDrift(quiet, { ...rest, drifted_at: undefined }, request, 'disabled', null, now) : quiet;
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

/** The organization with a `drifted` event in the outbox. */
function reportDrift(
  item: Organization,
  entry: LedgerEntry,
  request: OpenRequest,
  outcome: Drift['outcome'],
  error: Failure | null,
  now: number,
  listing?: Listing,
): Organization {
  const current = listing && currentOf(entry, listing);
  const isFirst = (entry.reenabled_at ?? []).length <= 1;
  const by = item.changed_by?.findLast(({ connection_id = entry.id }) => connection_id === entry.id);
  const drift: Drift = {
    key: keyOf(entry),
    drift: entry.added && isFirst ? 'added' : 'reenabled',
    outcome,
    error,
    now: current && entry.kind === 'connection' ? settingsOf(current.listed as ListedConnection) : null,
    ...(by && { changed_by: by.name }),
  };
  const own = requestOf(item, request.offboarding_id) ?? request;
  const counted = {
    ...own,
    drift_count: (own.drift_count ?? 0) + 1,
    updated_at: iso(now),
    is_unrecorded: true as const,
  };
  const next = withRequest(item, counted);
  return {
    ...next,
    outbox: [...next.outbox, { event: 'drifted', offboarding_id: request.offboarding_id, at: iso(now), drift }],
  };
}

/** What a call of a drift check made of the organization. An error that may pass is reported once and tried again. */
export function afterDriftCall(
  item: Organization,
  key: string,
  request: OpenRequest,
  error: Failure | undefined,
  isFinal: boolean,
  now: number,
): Organization {
  const entry = entryOf(item, key);
  if (!entry) return item;
  if (!error) {
    const changed = { goal: 'disabled' as const, at: now };
    const disabled = {
      ...entry,
      changed,
      intent: undefined,
      drifted_at: undefined,
      disabled_by_us: isPending(request) || entry.disabled_by_us,
    };
    return reportDrift(withEntry(item, disabled), disabled, request, 'disabled', null, now);
  }
  const isReported = item.outbox.some(({ drift }) => drift?.key === key) || entry.intent?.is_reported === true;
  const intent = isFinal ? undefined : entry.intent && { ...entry.intent, is_reported: true as const };
  const next = withEntry(item, { ...entry, intent });
  return isReported ? next : reportDrift(next, { ...entry, intent }, request, 'unchanged', error, now);
}
