import { type Association, type Calls, disable, enable, list, remove, unlessNotFound } from './management-api.ts';
import { type ConnectionRecord, type Offboarding, progress } from './offboarding-record.ts';
import { asProblem, Problem, RetryLater } from './problem.ts';

/** A worker, which can go on in its next delivery, begins a write only when this much time is left, milliseconds. */
const TIME_FOR_A_WRITE = 3000;
/** The call of the Management API that brings a connection to each goal. */
const CALL = { disabled: disable, removed: remove, enabled: enable };
type Goal = keyof typeof CALL;
type Result = Partial<ConnectionRecord> | Problem;
const ENABLED_MEANWHILE = {
  code: 'enabled_meanwhile',
  message: 'Somebody enabled the connection again; it was left alone',
};

/** What the record's status allows to be done to its connections. */
function goalOf({ status, action }: Offboarding): Goal {
  if (status === 'cancelling') return 'enabled';
  return status === 'removing' || action === 'remove' ? 'removed' : 'disabled';
}

/** Whether Auth0 has to be asked for a connection to reach `goal`, as far as this offboarding may. */
function isLeft(goal: Goal, association: Association | undefined, disabledByOffboarding: boolean): boolean {
  if (!association) return false;
  if (goal === 'enabled') return disabledByOffboarding && association.is_enabled === false;
  return goal === 'removed' || association.is_enabled !== false;
}

/** The connections that a request is about, as they are before anything is done to them; of a dry run with what would be done. */
export function plannedConnections(record: Offboarding, associations: Association[]): ConnectionRecord[] {
  const goal = goalOf(record);
  const listed = byId(associations);
  return [...new Set(record.connection_ids ?? listed.keys())].map((connection_id) => {
    const association = listed.get(connection_id);
    const { name = null, strategy = null } = association?.connection ?? {};
    const before = association ? settingsOf(association) : null;
    const would = isLeft(goal, association, false) ? goal : ('unchanged' as const);
    const fresh = { error: null, attempted: false, disabled_by_offboarding: false };
    return { connection_id, name, strategy, before, outcome: record.dry_run ? would : null, ...fresh };
  });
}

/** What Auth0 keeps of an association beside its names. */
export const settingsOf = ({ connection_id: _, connection: __, ...settings }: Association) => settings;

/** An organization's associations; none when Auth0 does not know it any more. */
export const associationsLeft = async (organizationId: string, calls: Calls): Promise<Association[]> =>
  (await list(organizationId, calls).catch(unlessNotFound)) ?? [];

/**
 * Brings each connection of `found` that has no outcome yet to what its status allows, one after the other at the tenant's
 * pace. Before each call its record says what is about to be done, after it what was done. A connection's final failure is its
 * outcome and stops no other; nor does a first transient one, while a second means that it is not the connection. What is gone
 * in Auth0 has no access any more; what somebody has enabled is not removed.
 * Returns the record; throws what shall be tried again later.
 */
export async function applyToConnections(found: Offboarding, associations: Association[], calls: Calls) {
  const goal = goalOf(found);
  const listed = byId(associations);
  const connections = [...found.connections];
  let record = found;
  let transient: Problem | undefined;
  for (const [index, connection] of connections.entries()) {
    if (connection.outcome !== null) continue;
    const association = listed.get(connection.connection_id);
    const enabledMeanwhile = found.status === 'removing' && association && association.is_enabled !== false;
    if (enabledMeanwhile || !isLeft(goal, association, connection.disabled_by_offboarding)) {
      const outcome = connection.attempted && !enabledMeanwhile ? goal : 'unchanged';
      connections[index] = { ...connection, outcome, error: enabledMeanwhile ? ENABLED_MEANWHILE : null };
      continue;
    }
    const timeIsUp = goal !== 'enabled' && calls.deadline - Date.now() < TIME_FOR_A_WRITE;
    const disables = goal === 'disabled' && association?.is_enabled === true;
    const disabled_by_offboarding = disables || connection.disabled_by_offboarding;
    if (!timeIsUp) connections[index] = { ...connection, attempted: true, disabled_by_offboarding };
    record = await progress(record, connections);
    if (timeIsUp) throw new RetryLater("The function's time is used up", 0);
    const result = await callAuth0(record, goal, connection.connection_id, calls);
    if (!(result instanceof Problem)) {
      connections[index] = { ...(connections[index] as ConnectionRecord), ...result };
      calls.log.info('connection_processed', { goal, ...connections[index] });
    } else if (transient || result.code !== 'auth0_unavailable') {
      throw result;
    } else {
      transient = result;
    }
  }
  record = await progress(record, connections);
  if (transient) throw transient;
  return record;
}

/** What one call made of a connection, or the transient problem that kept it from being made. */
export async function callAuth0(record: Offboarding, goal: Goal, connectionId: string, calls: Calls): Promise<Result> {
  try {
    await CALL[goal](record.organization_id, connectionId, calls);
    return { outcome: goal };
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.isTransient) return problem;
    // Gone since it was listed: its access has ended, and there is nothing to enable.
    if (problem.code === 'not_found')
      return { outcome: goal === 'removed' ? 'removed' : 'unchanged', disabled_by_offboarding: false };
    const error = { code: problem.code, message: problem.upstream?.message ?? problem.message };
    return { outcome: 'failed', error, disabled_by_offboarding: goal === 'enabled' };
  }
}

const byId = (associations: Association[]) =>
  new Map(associations.map((association) => [association.connection_id, association]));
