import type { OrganizationConnection } from '../auth0/management-api.ts';
import {
  type CallResult,
  callFor,
  type Listed,
  type Step,
  settingsOf,
  untouched,
  withConnection,
} from './connections.ts';
import { type ConnectionRecord, type Drift, hasEndedIt, type Offboarding } from './offboarding.ts';

const DAY_MS = 86_400_000;
/** So many that were new once are kept in a record. */
const MOST_ADDED = 50;
/** Enabled again this often within a day, a connection is left as it is: somebody's tool is fighting. */
const FIGHTING = 3;
export const FIGHT = {
  code: 'reenabled_repeatedly',
  message: 'Enabled again three times within a day; it is left as it is until somebody stops what enables it',
};

/**
 * What a drift check does next: compares the organization's connections, as Auth0 lists them, with the offboardings that are
 * watched, the newest first. Of several offboardings that ended a connection the newest decides; what is new since an
 * offboarding of the whole organization is that one's business. Undefined when all is as it was, or is on record.
 */
export function driftOf(watched: Offboarding[], listed: OrganizationConnection[], now: Date): Step | undefined {
  const enabled = new Map(listed.filter((one) => one.is_enabled === true).map((one) => [one.connection_id, one]));
  const decided = new Set<string>();
  for (const record of watched) {
    for (const connection of record.connections.filter((one) => hasEndedIt(one) || one.added)) {
      if (decided.has(connection.connection_id)) continue;
      decided.add(connection.connection_id);
      const step = checked(record, connection, enabled.get(connection.connection_id), now);
      if (step) return step;
    }
  }
  const named = new Set(watched.flatMap(({ connections }) => connections.map(({ connection_id }) => connection_id)));
  const added = [...enabled.values()].find(({ connection_id }) => !named.has(connection_id));
  const whole = added && watched.find(({ connection_ids }) => connection_ids === undefined);
  if (!whole) return undefined;
  // What was new once and is gone makes room: it is in the events, and an item has its limit.
  const isGone = (one: ConnectionRecord) =>
    one.added && !one.untold && !one.disabling_again && !listed.some((now) => now.connection_id === one.connection_id);
  const isFull = whole.connections.filter((one) => one.added).length >= MOST_ADDED;
  const others = isFull ? whole.connections.filter((one) => !isGone(one)) : whole.connections;
  const found = { ...untouched(added.connection_id, added), outcome: 'unchanged' as const, added: true as const };
  return { do: 'write', record: { ...whole, connections: [...others, found] } };
}

/** What one connection is now, `enabled` or not, against its record. */
function checked(record: Offboarding, connection: ConnectionRecord, enabled: Listed, now: Date): Step | undefined {
  const { drifted_at, reenabled_at = [], disabling_again, added } = connection;
  // Enabled, as Auth0 lists it now: nobody has taken it from anybody.
  const own = added && enabled ? { ...connection, disabled_by_offboarding: false } : connection;
  const write = (changed: ConnectionRecord): Step => ({ do: 'write', record: withConnection(record, changed) });
  if (!enabled && !disabling_again) return drifted_at ? write({ ...connection, drifted_at: undefined }) : undefined;
  if (drifted_at && !disabling_again) return undefined;

  const drift = added && reenabled_at.length <= (disabling_again ? 1 : 0) ? 'added' : 'reenabled';
  const recent = reenabled_at.filter((time) => Date.parse(time) > now.getTime() - DAY_MS);
  // One that was cut off while it was disabled is known already.
  const times = disabling_again ? recent : [...recent, now.toISOString()].slice(-FIGHTING);
  const fighting = times.length >= FIGHTING && !disabling_again;
  const drifted = { ...own, drifted_at: drifted_at ?? now.toISOString(), reenabled_at: times };
  const told = (outcome: Drift['outcome'], error: Drift['error'] = null): ConnectionRecord => ({
    ...drifted,
    disabling_again: undefined,
    untold: { drift, outcome, error, now: enabled ? settingsOf(enabled) : null },
    ...(outcome === 'disabled' && { drifted_at: undefined }),
    // What is new is on record as what was done to it.
    ...(outcome === 'disabled' && added && { outcome, disabled_by_offboarding: true }),
  });
  // Cut off half-way, and it is not enabled any more: it was carried out.
  if (!enabled) return write(told('disabled'));
  if (record.on_reenable !== 'disable_again' || fighting) return write(told('unchanged', fighting ? FIGHT : null));
  const after = (result: CallResult): ConnectionRecord => {
    if (result.is === 'transient') return result.mayBeDone ? attempt : connection;
    return result.is === 'rejected' ? told('unchanged', result.error) : told('disabled');
  };
  const attempt = { ...drifted, disabling_again: true as const, ...(added && { disabled_by_offboarding: true }) };
  return callFor('disabled', record, attempt, enabled, after);
}
