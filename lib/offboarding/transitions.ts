import type { Act, ConnectionRecord, Failure, Offboarding, Status } from './offboarding.ts';
import { hasEndedIt, TRANSITIONS } from './offboarding.ts';
import { dueAt } from './request.ts';

// What a record becomes: pure functions of one record each. Throws for what may not follow its status, which is a mistake here
// and never a lost race.

/** The record in its next status; what was waited for belongs to the status before. */
export function to(record: Offboarding, status: Status, changes: Partial<Offboarding> = {}): Offboarding {
  const allowed: readonly Status[] = TRANSITIONS[record.status];
  if (!allowed.includes(status)) throw new Error(`An offboarding that is ${record.status} can not become ${status}`);
  return { ...record, attempts: 0, last_error: undefined, next_try_at: undefined, ...changes, status };
}

/** A connection as it is at the beginning of a status in which something is done to it. */
const fresh = (one: ConnectionRecord) => ({ ...one, outcome: null, error: null, attempted: false });

/** requested → working: the connections that this is about are on record, nothing is done yet. */
export function begin(record: Offboarding, connections: ConnectionRecord[]): Offboarding {
  const isThere = connections.some(({ before }) => before !== null);
  const removal_due_at = record.action === 'disable_then_remove' && isThere ? dueAt(record) : undefined;
  return to(record, 'working', { connections, removal_due_at });
}

/** scheduled → removing. What could not be disabled is not removed. */
export function removing(record: Offboarding): Offboarding {
  const connections = record.connections.map((one) => (one.outcome === 'failed' ? one : fresh(one)));
  return to(record, 'removing', { connections });
}

const kept = ({ at, caller, requested_by = null, reason = null }: Act): Act => ({ at, caller, requested_by, reason });

/** requested, working, scheduled or failed → cancelling: from here on nothing is removed, and only here anything is enabled. */
export function cancelling(record: Offboarding, by: Act): Offboarding {
  // What is gone stays told as gone.
  const connections = record.connections.map((one) => (one.outcome === 'removed' ? one : fresh(one)));
  const over = { error: undefined, superseded_by: undefined, ended_at: undefined, expires_at: undefined };
  return to(record, 'cancelling', { ...over, watch: undefined, cancelled: kept(by), connections });
}

/** working, removing or cancelling → its end: failed where a connection is not as it was to be, or for `error`. */
export function finish(record: Offboarding, status: 'completed' | 'cancelled' | 'scheduled', error?: Failure) {
  const connections = record.connections.map((connection) =>
    connection.outcome === null && error ? { ...connection, outcome: 'failed' as const, error } : connection,
  );
  const someFailed = connections.some(({ outcome }) => outcome === 'failed');
  const failed = error !== undefined || (someFailed && status !== 'scheduled');
  // It is on while connections are disabled or removed and nobody has undone that.
  const isWatched = status !== 'cancelled' && !record.dry_run && (!failed || connections.some(hasEndedIt));
  const watch = isWatched ? ('on' as const) : undefined;
  return to(record, failed ? 'failed' : status, { connections, error, watch, unpublished: 'status' });
}

/** What cannot be carried out any more, for `error`. */
export const fail = (record: Offboarding, error: Failure): Offboarding =>
  finish(record, record.status === 'cancelling' ? 'cancelled' : 'completed', error);

/** The same of what may not have begun. */
export const end = (record: Offboarding, error: Failure): Offboarding =>
  fail(record.status === 'requested' ? begin(record, []) : record, error);

/** scheduled → superseded: `later` holds what this one had disabled. */
export const superseded = (record: Offboarding, { offboarding_id }: Offboarding): Offboarding =>
  to(record, 'superseded', { superseded_by: offboarding_id, watch: undefined });

/** working → superseded: the same of one that is worked off after `later`; it is told that it is scheduled, for that one's date. */
export function handedOver(record: Offboarding, later: Offboarding): Offboarding {
  return { ...superseded(record, later), removal_due_at: later.removal_due_at, unpublished: 'status' };
}

/** The record with what another had disabled, with the settings from before that. */
export function withHeld(record: Offboarding, held: ConnectionRecord[]): Offboarding {
  const connections = new Map(record.connections.map((connection) => [connection.connection_id, connection]));
  for (const { connection_id, name, strategy, before } of held) {
    const own = connections.get(connection_id) ?? { outcome: 'unchanged' as const, error: null, attempted: false };
    const from = { connection_id, name, strategy, before, disabled_by_offboarding: true };
    connections.set(connection_id, { ...own, ...from });
  }
  return { ...record, connections: [...connections.values()] };
}

/** The watch of what has ended is over, by `watch_ended`. */
export function withoutWatch(record: Offboarding, by: Act): Offboarding {
  return { ...record, watch: 'ended', watch_ended: kept(by), unpublished: 'watch_ended' };
}

/** A delivery ended in an error; the next is at `nextTryAt`. */
export function waiting(record: Offboarding, { code, message }: Failure, nextTryAt: Date): Offboarding {
  const next_try_at = nextTryAt.toISOString();
  return { ...record, last_error: { code, message }, attempts: record.attempts + 1, next_try_at };
}
