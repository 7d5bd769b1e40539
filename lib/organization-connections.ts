import type { Association, Calls, ManagementApi } from './management-api.ts';
import type { ConnectionRecord } from './offboarding-record.ts';
import { asProblem, type Problem } from './problem.ts';
import { isTransient, RetryLater } from './transient.ts';

/** A worker, which can go on in its next delivery, begins a write only when this much time is left, milliseconds. */
const TIME_FOR_A_WRITE = 3000;

/** What connections are to become. */
export type Goal = 'disabled' | 'removed' | 'enabled';

/** The connections `ids`, or all of the organization's, as they are before anything is done to them. */
export function connectionsOf(ids: string[] | undefined, associations: Association[]): ConnectionRecord[] {
  const listed = byId(associations);
  return [...new Set(ids ?? listed.keys())].map((connection_id) => {
    const association = listed.get(connection_id);
    return {
      connection_id,
      name: association?.connection?.name ?? null,
      strategy: association?.connection?.strategy ?? null,
      before: association ? settingsOf(association) : null,
      outcome: null,
      error: null,
      attempted: false,
      disabled_by_offboarding: false,
    };
  });
}

/** What Auth0 keeps of an association beside its names. */
export function settingsOf({ connection_id: _, connection: __, ...settings }: Association): Record<string, unknown> {
  return settings;
}

/** An organization's associations; none when Auth0 does not know it any more. */
export async function associationsLeft(
  managementApi: ManagementApi,
  organizationId: string,
  calls: Calls,
): Promise<Association[]> {
  return managementApi.list(organizationId, calls).catch((error: unknown) => {
    if (asProblem(error).code === 'not_found') return [];
    throw error;
  });
}

/** Whether Auth0 has to be asked for a connection to reach `goal`, as far as this offboarding may. */
export function isLeft(goal: Goal, connection: ConnectionRecord, association: Association | undefined): boolean {
  if (!association) return false;
  if (goal === 'disabled') return association.is_enabled !== false;
  return goal === 'removed' || (connection.disabled_by_offboarding && association.is_enabled === false);
}

interface Work {
  organizationId: string;
  goal: Goal;
  connections: ConnectionRecord[];
  associations: Association[];
  /** For removals that are due: what somebody has enabled since is left alone. */
  onlyDisabled?: boolean;
  /** Puts the connections on record: before each call what it is about to do, after it what it did. */
  save: (connections: ConnectionRecord[]) => Promise<void>;
}

/**
 * Brings each connection that has no outcome yet to `goal`, one after the other at the tenant's pace. A connection's final
 * failure is its outcome and stops no other; nor does a first transient one, while a second means that it is not the
 * connection. What is gone in Auth0 has no access any more. Throws what shall be tried again later; what was done is saved.
 */
export async function applyToConnections(managementApi: ManagementApi, work: Work, calls: Calls): Promise<void> {
  const { organizationId, goal, onlyDisabled = false, save } = work;
  const listed = byId(work.associations);
  const connections = [...work.connections];
  let transient: Problem | undefined;
  for (const [index, connection] of connections.entries()) {
    if (connection.outcome !== null) continue;
    const association = listed.get(connection.connection_id);
    const enabledMeanwhile = onlyDisabled && association !== undefined && association.is_enabled !== false;
    if (enabledMeanwhile || !isLeft(goal, connection, association)) {
      const outcome = connection.attempted && !enabledMeanwhile ? goal : 'unchanged';
      connections[index] = { ...connection, outcome, error: enabledMeanwhile ? ENABLED_MEANWHILE : null };
      continue;
    }
    if (calls.pacer && calls.deadline - Date.now() < TIME_FOR_A_WRITE) {
      await save(connections);
      throw new RetryLater("The function's time is used up", 0);
    }
    const attempted = { ...connection, attempted: true };
    if (goal === 'disabled' && association?.is_enabled) attempted.disabled_by_offboarding = true;
    connections[index] = attempted;
    await save(connections);
    const result = await attempt(managementApi, organizationId, goal, attempted, calls);
    if ('outcome' in result) {
      connections[index] = { ...attempted, ...result };
      calls.log.info('connection_processed', { goal, ...connections[index] });
    } else if (transient || result.code !== 'auth0_unavailable') {
      throw result;
    } else {
      transient = result;
    }
  }
  await save(connections);
  if (transient) throw transient;
}

const ENABLED_MEANWHILE = {
  code: 'enabled_meanwhile',
  message: 'Somebody enabled the connection again; it was left alone',
};
const METHODS = { disabled: 'disable', removed: 'remove', enabled: 'enable' } as const;

/** What one call made of a connection, or the transient problem that kept it from being made. */
async function attempt(
  managementApi: ManagementApi,
  organizationId: string,
  goal: Goal,
  { connection_id, disabled_by_offboarding }: ConnectionRecord,
  calls: Calls,
): Promise<Pick<ConnectionRecord, 'outcome' | 'error' | 'disabled_by_offboarding'> | Problem> {
  try {
    await managementApi[METHODS[goal]](organizationId, connection_id, calls);
    return { outcome: goal, error: null, disabled_by_offboarding };
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (isTransient(problem)) return problem;
    // Gone since it was listed: its access has ended, and there is nothing to enable.
    if (problem.code === 'not_found')
      return { outcome: goal === 'removed' ? 'removed' : 'unchanged', error: null, disabled_by_offboarding: false };
    const error = { code: problem.code, message: problem.upstream?.message ?? problem.message };
    return { outcome: 'failed', error, disabled_by_offboarding: goal === 'enabled' };
  }
}

const byId = (associations: Association[]) =>
  new Map(associations.map((association) => [association.connection_id, association]));
