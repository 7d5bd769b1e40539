import type { OrganizationConnection } from '../auth0/management-api.ts';
import { type ConnectionRecord, type Failure, hasEndedIt, type Offboarding, type Status } from './offboarding.ts';
import { finish } from './transitions.ts';

/** What is to be done next; whoever does it asks again afterwards. A record in a step is written as it is there. */
export type Step =
  /**
   * `schedule`: first the date becomes known to Scheduler; `end sessions`: first a message says that they are due. `start
   * removing`: from here on nobody can cancel; refused where something was accepted meanwhile. `postpone`: what is left failed
   * just now, and is tried again later.
   */
  | { do: 'write' | 'schedule' | 'end sessions' | 'start removing' | 'postpone'; record: Offboarding }
  /** Auth0 is asked for the organization's connections; `about` is what fails where the organization is unknown. */
  | { do: 'list'; about?: Offboarding | undefined }
  | Call
  | { do: 'publish'; record: Offboarding; connection?: ConnectionRecord | undefined }
  /** `checked`: the drift check is made. */
  | { do: 'end removing' | 'checked' | 'nothing' };

/** `record` is written, Auth0 is called, and `after` is what is known then. */
export interface Call {
  do: 'call';
  goal: Goal;
  record: Offboarding;
  connection: ConnectionRecord;
  level: string | undefined;
  after: (result: CallResult) => Offboarding;
}

/** A connection as Auth0 lists it now, where it does. */
export type Listed = OrganizationConnection | undefined;

/** What a connection is brought to. */
export type Goal = 'disabled' | 'removed' | 'enabled';

/** What a call of Auth0 made of a connection. */
export type CallResult =
  | { is: 'done' }
  /** Auth0 does not know it: its access has ended, and there is nothing to enable. */
  | { is: 'gone' }
  /** For good, and definitely: nothing was changed. */
  | { is: 'rejected'; error: Failure }
  /** To be tried again; whether it was carried out all the same may be unknown. */
  | { is: 'transient'; mayBeDone: boolean };

const ENABLED_MEANWHILE = {
  code: 'enabled_meanwhile',
  message: 'Somebody enabled the connection again; it was left alone',
};

/** What the record's status allows to be done to its connections. */
export function goalOf({ status, action }: Offboarding): Goal {
  if (status === 'cancelling') return 'enabled';
  return status === 'removing' || action === 'remove' ? 'removed' : 'disabled';
}

/** What Auth0 keeps of an organization connection beside its names. */
export const settingsOf = ({ connection_id: _, connection: __, ...settings }: OrganizationConnection) => settings;

/** The levels at which a customer's own administrators may enable a connection (My Organization API). */
const customerMayEnable = (level: unknown) => level === 'limited' || level === 'full';

/** The access level that goes with a call: disabling takes from the customer what enables again, enabling gives it back. */
export function levelFor(goal: Goal, { before }: ConnectionRecord, listed: OrganizationConnection): string | undefined {
  const [level, level_before] = [listed.organization_access_level, before?.organization_access_level];
  if (goal === 'disabled') return customerMayEnable(level) ? 'readonly' : undefined;
  const isGivenBack = goal === 'enabled' && level === 'readonly' && customerMayEnable(level_before);
  return isGivenBack ? String(level_before) : undefined;
}

/** The connections that a request is about, as they are before anything is done to them; of a dry run with what would be done. */
export function plannedConnections(record: Offboarding, listed: OrganizationConnection[], others: Offboarding[]) {
  const goal = goalOf(record);
  const byId = new Map(listed.map((one) => [one.connection_id, one]));
  const watched = others.filter(({ watch }) => watch === 'on').flatMap(({ connections }) => connections);
  const ended = new Set(watched.filter(hasEndedIt).map(({ connection_id }) => connection_id));
  return [...new Set(record.connection_ids ?? byId.keys())].map((connection_id): ConnectionRecord => {
    const current = byId.get(connection_id);
    const isLeft = current && (goal === 'removed' || current.is_enabled !== false);
    const outcome = record.dry_run ? (isLeft ? goal : 'unchanged') : null;
    const ended_earlier = ended.has(connection_id) || undefined;
    return { ...untouched(connection_id, current), outcome, ended_earlier };
  });
}

/** A connection, as Auth0 lists it now, to which nothing is done yet. */
export const untouched = (connection_id: string, listed: Listed): ConnectionRecord => ({
  connection_id,
  name: listed?.connection?.name ?? null,
  strategy: listed?.connection?.strategy ?? null,
  before: listed ? settingsOf(listed) : null,
  outcome: null,
  error: null,
  attempted: false,
  disabled_by_offboarding: false,
});

type Known = Partial<ConnectionRecord> | undefined;

/** What a connection is when nothing is left to be done to it; undefined when Auth0 has to be asked. */
function outcomeWithoutCall(one: ConnectionRecord, goal: Goal, status: Status, current: Listed): Known {
  const { attempted, disabled_by_offboarding: held, added, reenabled_at = [] } = one;
  if (goal === 'enabled') {
    if (held && current?.is_enabled === false) return undefined;
    return { outcome: attempted && current ? 'enabled' : 'unchanged', disabled_by_offboarding: false };
  }
  if (status === 'removing') {
    if (added) return { outcome: 'unchanged' };
    // What was enabled meanwhile stays out, whatever happened to it afterwards.
    const enabled = current && (current.is_enabled !== false || reenabled_at.length > 0);
    if (enabled) return { outcome: 'unchanged', error: ENABLED_MEANWHILE };
  }
  if (!current)
    return { outcome: goal === 'removed' && attempted ? 'removed' : 'unchanged', disabled_by_offboarding: false };
  if (goal === 'removed' || current.is_enabled !== false) return undefined;
  return { outcome: attempted ? 'disabled' : 'unchanged' };
}

type Settled = { known: Offboarding; step: Step | false };

/**
 * The record with what is known without a call, and the call that brings the next connection to what its status allows. What
 * is about to be done is on record before it is done. One that Auth0 failed for just now is left for later (`postponed`).
 */
export function settled(found: Offboarding, listed: OrganizationConnection[], postponed: ReadonlySet<string>): Settled {
  const goal = goalOf(found);
  const currentOf = (id: string) => listed.find(({ connection_id }) => connection_id === id);
  const connections = found.connections.map((one) => {
    if (one.outcome !== null) return one;
    return { ...one, ...outcomeWithoutCall(one, goal, found.status, currentOf(one.connection_id)) };
  });
  const known = { ...found, connections };
  const left = connections.filter(({ outcome }) => outcome === null);
  const connection = left.find(({ connection_id }) => !postponed.has(connection_id));
  const current = connection && currentOf(connection.connection_id);
  if (!connection || !current) return { known, step: left.length > 0 && { do: 'postpone', record: found } };
  // Enabled, as Auth0 lists it now: whatever was asked before was not carried out, and never will be.
  const disables = goal === 'disabled' && current.is_enabled === true;
  const before = disables ? { ...connection, attempted: false, disabled_by_offboarding: false } : connection;
  const held = disables || before.disabled_by_offboarding;
  const attempt = { ...before, attempted: true, disabled_by_offboarding: held };
  // Held once Auth0 confirmed the disabling, or nobody knows; after a definite refusal it is as before.
  const after = (result: CallResult): ConnectionRecord => {
    if (result.is === 'transient') return result.mayBeDone ? attempt : before;
    if (result.is === 'rejected') return { ...before, outcome: 'failed', error: result.error };
    const outcome = result.is === 'done' || goal === 'removed' ? goal : 'unchanged';
    const isHeld = held && goal === 'disabled' && result.is === 'done';
    return { ...attempt, outcome, attempted: false, disabled_by_offboarding: isHeld };
  };
  return { known, step: callFor(goal, known, attempt, current, after) };
}

/** The call that brings a connection of the record to `goal`. */
export const callFor = (
  goal: Goal,
  record: Offboarding,
  connection: ConnectionRecord,
  listed: OrganizationConnection,
  after: (result: CallResult) => ConnectionRecord,
): Call => ({
  ...{ do: 'call', goal, connection, level: levelFor(goal, connection, listed) },
  record: withConnection(record, connection),
  after: (result) => withConnection(record, after(result)),
});

/** The record with one of its connections changed. */
export const withConnection = (record: Offboarding, changed: ConnectionRecord): Offboarding => ({
  ...record,
  connections: record.connections.map((one) => (one.connection_id === changed.connection_id ? changed : one)),
});

/** The record after the last of its connections: scheduled where all is disabled that is to be removed later, else at its end. */
export function finished(record: Offboarding): Offboarding {
  const { status, dry_run, removal_due_at, connections } = record;
  if (status === 'cancelling') return finish(record, 'cancelled');
  const isDisabled = status === 'working' && removal_due_at !== undefined && !dry_run;
  const someAre = connections.some(({ outcome }) => outcome !== 'failed');
  return finish(record, isDisabled && someAre ? 'scheduled' : 'completed');
}
