import type { Association, Calls, ManagementApi } from './management-api.ts';
import type { OffboardingRequest, Outcome } from './offboarding.ts';
import { type Delivery, isPassing, Unfinished, Unworkable } from './offboarding-delivery.ts';
import { asProblem, type Problem, type ProblemCode } from './problem.ts';

/** A write is begun only when this much time is left, milliseconds. */
const TIME_FOR_A_WRITE = 3000;

/** A connection that a piece of work is about. */
export interface Target {
  id: string;
  /** As Auth0 has it now; undefined when the organization has no such connection. */
  association: Association | undefined;
}

/** A connection's outcome as it is told, with what Auth0 knows of the connection or without. */
export function outcomeOf(
  { id, association }: Target,
  outcome: Outcome['outcome'],
  error: { code: ProblemCode | 'enabled_meanwhile'; message: string } | null = null,
): Outcome {
  const { connection_id: _, connection, ...before } = association ?? { connection_id: id, is_enabled: false };
  return {
    connection_id: id,
    name: connection?.name ?? null,
    strategy: connection?.strategy ?? null,
    outcome,
    before: association ? before : null,
    error,
  };
}

/** What is known of `ids`, with one listing of the organization. */
export function targetsAmong(ids: Iterable<string>, associations: Association[]): Target[] {
  const known = new Map(associations.map((association) => [association.connection_id, association]));
  return [...new Set(ids)].map((id) => ({ id, association: known.get(id) }));
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

/** The connections that a request means, and those of `also`. Throws `Unworkable` when Auth0 does not know the organization. */
export async function targetsOf(
  managementApi: ManagementApi,
  request: OffboardingRequest,
  { calls, done }: Delivery,
  also: string[] = [],
): Promise<Target[]> {
  const associations = await managementApi.list(request.organization_id, calls).catch((error: unknown) => {
    const problem = asProblem(error);
    if (isPassing(problem)) throw problem;
    throw new Unworkable(problem.code === 'not_found' ? 'unknown_organization' : problem.code, problem.message);
  });
  // What an earlier delivery removed is not listed any more and belongs to the outcome all the same.
  const all = [...done.keys(), ...associations.map(({ connection_id }) => connection_id)];
  return targetsAmong([...(request.connection_ids ?? all), ...also], associations);
}

/** Whether something is left to do for a connection to be as it is `wanted`. */
export const isLeft = ({ association }: Target, wanted: 'disabled' | 'removed') =>
  association !== undefined && (wanted === 'removed' || association.is_enabled);

/**
 * Disables or removes each target that is not yet so, one after the other at the tenant's pace, and notes in `delivery.done`
 * what became of it. A connection's final failure does not stop the others, nor does a first passing one; a second passing
 * one means that it is not the connection. Throws what shall be tried again later.
 */
export async function carryOut(
  managementApi: ManagementApi,
  wanted: 'disabled' | 'removed',
  { organization_id, requested_by, reason }: { organization_id: string; requested_by: string; reason: string },
  targets: Target[],
  { calls, log, done, left }: Delivery,
): Promise<void> {
  // Should everything after this line be lost, it tells how each connection was, so that it can be put back by hand.
  log.info('offboarding_planned', {
    wanted,
    requested_by,
    reason,
    connections: targets.map((target) => outcomeOf(target, 'unchanged')),
  });
  const work = targets.filter((target) => !done.has(target.id) && isLeft(target, wanted));
  for (const target of work) left.set(target.id, outcomeOf(target, 'failed'));
  let passing: Problem | undefined;
  for (const target of work) {
    if (calls.deadline - Date.now() < TIME_FOR_A_WRITE) throw new Unfinished("The function's time is used up", 0);
    try {
      await managementApi[wanted === 'removed' ? 'remove' : 'disable'](organization_id, target.id, calls);
      done.set(target.id, outcomeOf(target, wanted));
    } catch (error) {
      const problem = asProblem(error);
      if (isPassing(problem)) {
        if (passing || problem.code !== 'auth0_unavailable') throw problem;
        passing = problem;
        continue;
      }
      const { code, message, upstream } = problem;
      done.set(target.id, outcomeOf(target, 'failed', { code, message: upstream?.message ?? message }));
    }
    left.delete(target.id);
    log.info('connection_worked_off', { ...done.get(target.id) });
  }
  if (passing) throw passing;
}
