import { eventBridge, scheduler } from '../lib/aws.ts';
import { sleep } from '../lib/deadline.ts';
import { removalSchedulePlace, required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { describeError } from '../lib/log.ts';
import { type Calls, managementApiOfEnvironment } from '../lib/management-api.ts';
import { type Outcome, outcomeDetail, type PendingRemoval } from '../lib/offboarding.ts';
import { report } from '../lib/offboarding-delivery.ts';
import { associationsLeft, outcomeOf, type Target, targetsAmong } from '../lib/offboarding-work.ts';
import { asProblem, Problem } from '../lib/problem.ts';
import { createRemovalSchedule } from '../lib/removal-schedule.ts';

const managementApi = managementApiOfEnvironment();
const eventBus = createEventBus(required('EVENT_BUS_NAME'), eventBridge());
const removals = createRemovalSchedule(removalSchedulePlace(), scheduler());

/** How long a caller waits for a worker that is changing the same record, and between two looks, milliseconds. */
const WAIT_FOR_LOCK = 8000;
const LOOK_AGAIN = 500;
/** Seconds after which a caller that found the record held may try again. */
const RETRY_AFTER = 10;
/** Past a request's deadline there is so much time left for a last word to the record, milliseconds. */
const TIME_FOR_RECORD = 300;

export const handler = httpApi(cancelOffboarding);

/**
 * `DELETE /organizations/{organization_id}/offboarding`: 200, the pending removal is called off and what this offboarding had
 * disabled, and is still disabled, is enabled again. Throws `not_found` when nothing is pending and `conflict` while a worker
 * is at this organization. When a connection can not be enabled, asking again goes on where this ended.
 */
async function cancelOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  for (const end = Date.now() + WAIT_FOR_LOCK; ; await sleep(LOOK_AGAIN)) {
    const locked = await removals.locked(organizationId, () => cancel(organizationId, calls));
    if (locked) return { status: 200, body: locked.value };
    if (Date.now() + LOOK_AGAIN > Math.min(end, calls.deadline)) {
      throw new Problem('conflict', 'The offboarding of this organization is being worked on right now; try again', {
        retryAfter: RETRY_AFTER,
      });
    }
  }
}

async function cancel(organizationId: string, calls: Calls) {
  const found = await removals.read(organizationId);
  if (!found || found.announced) throw new Problem('not_found', 'No removal is pending for this organization');
  const ids = [...new Set([...found.cancelled_ids, ...found.request_ids])];
  const record: PendingRemoval = { ...found, status: 'cancelled', cancelled_ids: ids };
  // First of all the removal is off, for good: whatever fails from here on, nothing is removed any more.
  if (found.status !== 'cancelled') await removals.write(record, calls.deadline);

  const associations = await associationsLeft(managementApi, organizationId, calls);
  const targets = targetsAmong(
    record.connections.map(({ connection_id }) => connection_id),
    associations,
  );
  const connections: Outcome[] = [];
  try {
    for (const [index, target] of targets.entries()) {
      const known = record.connections[index] as PendingRemoval['connections'][number];
      const outcome = await enableAgain(organizationId, target, known.disabled_by_offboarding, calls);
      // Enabled once is enough: should somebody disable it again, the repetition of a cut-off cancelling leaves it so.
      if (outcome.outcome !== 'failed') known.disabled_by_offboarding = false;
      connections.push({ ...outcome, name: known.name, strategy: known.strategy });
    }
  } catch (error) {
    // What was done so far; it is the caller's answer that must not be late.
    await removals.write(record, calls.deadline + TIME_FOR_RECORD).catch((cause: unknown) => {
      calls.log.error('cancelling_not_recorded', { error: describeError(cause) });
    });
    throw error;
  }
  const detail = outcomeDetail(record, record.request, record.removal_due_at);
  const failed = connections.find(({ outcome }) => outcome === 'failed');
  await report(eventBus, failed ? 'failed' : 'cancelled', { ...detail, connections }, calls.log);
  await removals.write({ ...record, announced: failed === undefined }, calls.deadline);
  const { organization_id, removal_due_at, request } = detail;
  return { organization_id, offboarding_id: request.id, cancelled_removal_due_at: removal_due_at, connections };
}

/** Enables a connection if it is this offboarding's own doing that it is disabled. A passing fault is the caller's answer; a final one the connection's outcome. */
async function enableAgain(organizationId: string, target: Target, mine: boolean, calls: Calls): Promise<Outcome> {
  if (!mine || target.association?.is_enabled !== false) return outcomeOf(target, 'unchanged');
  try {
    await managementApi.enable(organizationId, target.id, calls);
    return outcomeOf(target, 'enabled');
  } catch (error) {
    const problem = asProblem(error);
    // Deleted between the listing and now.
    if (problem.code === 'not_found') return outcomeOf(target, 'unchanged');
    if (!['rejected_by_auth0', 'conflict', 'forbidden_by_auth0'].includes(problem.code)) throw problem;
    return outcomeOf(target, 'failed', { code: problem.code, message: problem.upstream?.message ?? problem.message });
  }
}
