import type { ListedConnection, ListedGrant } from '../model/effects.ts';
import type {
  Goal,
  Intent,
  LedgerEntry,
  OpenRequest,
  Organization,
  Outcome,
  PlannedEntry,
} from '../model/organization.ts';
import { entryOf, keyOf, withEntry, withRequest } from '../model/organization.ts';
import { boundedGrant, boundedSettings } from './bounds.ts';
import { claimantsOf } from './requests.ts';

/** What Auth0 listed of an organization, and when it was asked (Unix ms). Grants are undefined where nobody asked, null where the token may not. */
export interface Listing {
  at: number;
  connections: ListedConnection[];
  grants?: ListedGrant[] | null | undefined;
}

/** A connection or grant as it is now, as far as is known. */
export type Current = { is_enabled: boolean; level: unknown; listed: ListedConnection | ListedGrant } | undefined;

const ENABLED_MEANWHILE = {
  code: 'enabled_meanwhile',
  message: 'Somebody enabled the connection again; it was left alone',
};
export const UNKNOWN_CONNECTION = {
  code: 'unknown_connection',
  message: 'The organization has no connection with this id',
};

/** What the request's status allows to be done to its connections. */
export function goalOf({ status, parameters }: OpenRequest): Goal {
  if (status === 'cancelling') return 'enabled';
  return status === 'removing' || parameters.action === 'remove' ? 'removed' : 'disabled';
}

/** What Auth0 keeps of an organization's connection beside its names. */
export const settingsOf = ({
  connection_id: _,
  connection: __,
  ...settings
}: ListedConnection): Record<string, unknown> => boundedSettings(settings);

/** The levels at which a customer's own administrators may enable a connection (My Organization API). */
export const customerMayEnable = (level: unknown): boolean => level === 'limited' || level === 'full';

/** The level that a disabling sets: with the present one the customer may enable it; undefined where that stays. */
export const levelToSet = (current: Current): string | undefined =>
  customerMayEnable(current?.level) ? 'readonly' : undefined;

/** A removal is based on a list that is not older than this, milliseconds. */
export const FRESH_LIST_MS = 5000;

/** A list that Auth0 answers may be this old, milliseconds. */
export const LIST_IS_OLD_MS = 6000;

/** A connection or grant as it is now: as the listing has it, or as we changed it ourselves a moment before. */
export function currentOf(entry: Pick<LedgerEntry, 'kind' | 'id' | 'changed'>, listing: Listing): Current {
  const current = listedOf(entry, listing);
  const { changed } = entry;
  if (!changed || changed.at < listing.at - LIST_IS_OLD_MS) return current;
  if (changed.goal === 'removed' || (entry.kind === 'client_grant' && changed.goal === 'disabled')) return undefined;
  return current && { ...current, is_enabled: changed.goal === 'enabled' };
}

function listedOf({ kind, id }: Pick<LedgerEntry, 'kind' | 'id'>, listing: Listing): Current {
  if (kind === 'client_grant') {
    const grant = listing.grants?.find((one) => one.id === id);
    return grant && { is_enabled: true, level: undefined, listed: grant };
  }
  const listed = listing.connections.find(({ connection_id }) => connection_id === id);
  return listed && { is_enabled: listed.is_enabled !== false, level: listed.organization_access_level, listed };
}

function freshEntry(item: Organization, kind: LedgerEntry['kind'], id: string, current: Current): LedgerEntry {
  const state = { kind, id, claims: [], disabled_by_us: false };
  if (!current) return { ...state, name: null, strategy: null, before: null };
  if (kind === 'client_grant') {
    const { client_id, audience, scope } = current.listed as ListedGrant;
    return { ...state, name: null, strategy: null, before: boundedGrant(item, { client_id, audience, scope }) };
  }
  const listed = current.listed as ListedConnection;
  const { name = null, strategy = null } = (listed.connection ?? {}) as { name?: string; strategy?: string };
  return { ...state, name, strategy, before: settingsOf(listed) };
}

/** Whether what Auth0 lists now may be what we made of it. */
const isStillOurs = ({ disabled_by_us, intent }: LedgerEntry) => disabled_by_us || intent !== undefined;

/** The ledger entry of what a request begins with. The settings are those from before the first pending offboarding. */
export function openEntry(item: Organization, kind: LedgerEntry['kind'], id: string, listing: Listing): LedgerEntry {
  const key = keyOf({ kind, id });
  const fresh = freshEntry(item, kind, id, currentOf({ kind, id }, listing));
  const known = entryOf(item, key);
  if (!known) return fresh;
  const isOurs = isStillOurs(known);
  const { name, strategy, before } = isOurs && known.before ? known : fresh;
  return {
    ...known,
    lowered_level: isOurs ? known.lowered_level : undefined,
    name: name ?? known.name,
    strategy: strategy ?? known.strategy,
    before,
  };
}

/** The organization with what `request` is about on its ledger, before anything is done to it. */
export function beginRequest(item: Organization, request: OpenRequest, listing: Listing): Organization {
  const { parameters, offboarding_id } = request;
  const connections = parameters.connection_ids ?? listing.connections.map(({ connection_id }) => connection_id);
  const grants = parameters.end_machine_access ? (listing.grants ?? []).map(({ id }) => id) : [];
  const targets = [
    ...[...new Set(connections)].map((id) => ({ kind: 'connection' as const, id })),
    ...grants.map((id) => ({ kind: 'client_grant' as const, id })),
  ];
  let next = item;
  const outcomes: Record<string, Outcome> = {};
  for (const { kind, id } of targets) {
    const isKnown = item.known.includes(id) || entryOf(item, keyOf({ kind, id }));
    if (!isKnown && !currentOf({ kind, id }, listing)) {
      outcomes[id] = { outcome: 'failed', error: UNKNOWN_CONNECTION };
      continue;
    }
    // A dry run looks, and changes nothing of what is known.
    const known = parameters.dry_run ? entryOf(next, keyOf({ kind, id })) : undefined;
    const entry = known ?? openEntry(next, kind, id, listing);
    next = withEntry(next, {
      ...entry,
      // New once, and now offboarded like the others.
      ...(parameters.action === 'disable_then_remove' && !parameters.dry_run && { added: undefined }),
      claims: [...entry.claims.filter((one) => one !== offboarding_id), offboarding_id],
    });
  }
  return withRequest(next, { ...request, outcomes });
}

/** The ledger entries that a request is about and that it has no outcome for yet, connections first. */
export const unfinishedOf = (item: Organization, { offboarding_id, outcomes }: OpenRequest): LedgerEntry[] =>
  item.ledger
    .filter((entry) => entry.claims.includes(offboarding_id) && outcomes[keyOf(entry)] === undefined)
    .sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'connection' ? -1 : 1));

/** `call`: a call of Auth0 brings it to its goal. `wait`: a newer list tells. */
export type ConnectionStep =
  | { is: 'known'; outcome: Outcome; is_given_back: boolean }
  | { is: 'call'; goal: Goal; level: string | undefined }
  | { is: 'wait' };

const known = (
  outcome: Outcome['outcome'],
  options: { error?: Outcome['error']; is_given_back?: boolean } = {},
): ConnectionStep => ({
  is: 'known',
  outcome: { outcome, ...(options.error && { error: options.error }) },
  is_given_back: options.is_given_back ?? false,
});

/** The next decision about one connection or grant of a request: its outcome, or the call that it takes; a dry run makes none (dry-run.ts). */
export function nextConnectionStep(
  item: Organization,
  request: OpenRequest,
  entry: LedgerEntry,
  listing: Listing,
): ConnectionStep {
  const current = currentOf(entry, listing);
  const goal = goalOf(request);
  if (goal === 'enabled') return stepToEnabled(item, request, entry, listing);
  if (entry.kind === 'client_grant') return stepOfGrant(request, entry, current, Boolean(listing.grants));
  // A list from before our own change says nothing of what came after it.
  const isOlder = entry.changed !== undefined && entry.changed.at >= listing.at;
  const listed = isOlder ? current : listedOf(entry, listing);
  return goal === 'removed' ? stepToRemoved(request, entry, current, listed) : stepToDisabled(entry, current, listed);
}

/**
 * A connection that is listed as enabled although we disabled or removed it a moment ago: the list is old, or somebody was quick.
 * Access ends either way. Whether a cancellation may enable it again, only a newer list tells, where the last disabling was final.
 */
function stepToDisabled(entry: LedgerEntry, current: Current, listed: Current): ConnectionStep {
  if (listed?.is_enabled && !current?.is_enabled) {
    if (entry.changed?.goal === 'disabled' && !entry.disabled_by_us) return { is: 'wait' };
    return { is: 'call', goal: 'disabled', level: levelToSet(listed) };
  }
  if (!current) return known('unchanged', { is_given_back: true });
  if (!current.is_enabled) return known(isUncertain(entry) ? 'disabled' : 'unchanged');
  return { is: 'call', goal: 'disabled', level: levelToSet(current) };
}

function stepToRemoved(request: OpenRequest, entry: LedgerEntry, current: Current, listed: Current): ConnectionStep {
  if (!listed) return known(isUncertain(entry) ? 'removed' : 'unchanged', { is_given_back: true });
  if (request.status === 'removing') {
    if (entry.added) return known('unchanged');
    // Whatever we did ourselves: what Auth0's own answer shows as enabled is not removed.
    if (listed.is_enabled || current?.is_enabled)
      return known('unchanged', { error: ENABLED_MEANWHILE, is_given_back: true });
  }
  return { is: 'call', goal: 'removed', level: undefined };
}

/**
 * A client grant is removed when a connection is disabled or removed, and stays so at the removal of the connections. Where nobody
 * knows whether it is there, the call tells at first, and it stays as it is at the removal.
 */
function stepOfGrant(request: OpenRequest, entry: LedgerEntry, current: Current, isListed: boolean): ConnectionStep {
  const isRemoving = request.status === 'removing';
  if (isListed ? !current : isRemoving)
    return known(isUncertain(entry) || entry.disabled_by_us ? 'disabled' : 'unchanged');
  if (isRemoving) return known('unchanged', { error: ENABLED_MEANWHILE, is_given_back: true });
  return { is: 'call', goal: 'disabled', level: undefined };
}

/** What we disabled is enabled whatever a listing says, which may be some seconds old; unless another offboarding wants it disabled. */
function stepToEnabled(item: Organization, request: OpenRequest, entry: LedgerEntry, listing: Listing): ConnectionStep {
  if (!entry.disabled_by_us || claimantsOf(item, entry, request).length > 0) return known('unchanged');
  const { lowered_level } = entry;
  // A level that somebody has set since is nobody's mistake: only the one that we set is changed back.
  // What a list does not have is ours, too: it may be some seconds old.
  const current = currentOf(entry, listing);
  const isOurs = !current || ['readonly', lowered_level].includes(String(current.level));
  return { is: 'call', goal: 'enabled', level: isOurs ? lowered_level : undefined };
}

/** Whether Auth0 may have carried out a call for this entry that nobody knows the outcome of. */
export const isUncertain = ({ intent }: LedgerEntry): boolean => intent?.is_uncertain === true;

/** A ledger entry with the intent of a call. An attempt of unknown end stays one, and what was reported stays so. */
export function withIntent(entry: LedgerEntry, { goal, offboarding_id, level }: Intent): PlannedEntry {
  const { intent } = entry;
  if (intent?.goal === goal && intent.offboarding_id === offboarding_id && intent.level === level)
    return entry as PlannedEntry;
  const { is_uncertain, is_reported } = intent ?? {};
  const kept = { ...(is_uncertain && { is_uncertain }), ...(is_reported && { is_reported }) };
  return { ...entry, intent: { goal, offboarding_id, level, ...kept } };
}
