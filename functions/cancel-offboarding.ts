import { dynamoDb, eventBridge } from '../lib/aws.ts';
import { sleep } from '../lib/deadline.ts';
import { required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { type Calls, managementApiOfEnvironment } from '../lib/management-api.ts';
import { createOutcomePublisher, outcomeDetail, outcomesOf } from '../lib/offboarding-outcome.ts';
import {
  anew,
  createOffboardingQueries,
  createOffboardingRecords,
  type Offboarding,
  RecordChanged,
} from '../lib/offboarding-record.ts';
import { applyToConnections, associationsLeft } from '../lib/organization-connections.ts';
import { isDisablingAgain, watchedOf } from '../lib/organization-watch.ts';
import { Problem } from '../lib/problem.ts';

const managementApi = managementApiOfEnvironment();
const [table, client] = [required('OFFBOARDINGS_TABLE'), dynamoDb()];
const records = { ...createOffboardingRecords(table, client), ...createOffboardingQueries(table, client) };
const outcomes = createOutcomePublisher(createEventBus(required('EVENT_BUS_NAME'), eventBridge()), records);

/** How long a caller waits for a worker that is at the organization, and between two looks, milliseconds. */
const WAIT_FOR_WORKER_MS = 13_000;
const LOOK_AGAIN_MS = 500;
/** Seconds after which a caller that found a worker at the organization may try again. */
const RETRY_AFTER_S = 10;

export const handler = httpApi(cancelOffboarding, { organization: true });

/**
 * `DELETE /organizations/{organization_id}/offboarding`: 200, nothing of this organization is pending any more, and what its
 * offboarding had disabled, and is still disabled, is enabled again; of one that is completed the watch ends. Throws
 * `not_found` where there is neither, and `conflict` while a worker is at the organization. Cut off, asking again goes on.
 */
async function cancelOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const done = new Map<string, Offboarding>();
  for (const end = Date.now() + WAIT_FOR_WORKER_MS; ; ) {
    // Who was quicker has changed a record: the next look shows what there is to do.
    const left = await step(await records.ofOrganization(organizationId), done, calls).catch(unlessChanged);
    if (left === 'nothing') break;
    if (left === 'more' && Date.now() < calls.deadline) continue;
    if (Date.now() + LOOK_AGAIN_MS > Math.min(end, calls.deadline)) {
      throw new Problem('conflict', 'Connections of this organization are being changed right now; try again', {
        retryAfter: RETRY_AFTER_S,
      });
    }
    await sleep(LOOK_AGAIN_MS);
  }
  const ended = [...done.values()];
  const cancelled = ended.filter(({ status }) => status !== 'completed');
  const last = cancelled.at(-1) ?? ended.at(-1);
  if (!last) throw new Problem('not_found', 'No offboarding of this organization is pending or watched');
  return {
    status: 200,
    body: {
      organization_id: organizationId,
      offboarding_id: last.offboarding_id,
      status: last.status,
      watch: ended.length > cancelled.length ? 'ended' : null,
      cancelled_removal_due_at: cancelled.at(-1)?.removal_due_at ?? null,
      connections: cancelled.flatMap(outcomesOf),
    },
  };
}

/**
 * What there is to do, as the records are now, one thing after the other: first of all nothing is removed any more, for good;
 * then a look that is disabling something is waited for; then connections are enabled. Says what is left: `more`, `nothing`,
 * or a worker to be waited for.
 */
async function step(
  all: Offboarding[],
  done: Map<string, Offboarding>,
  calls: Calls,
): Promise<'more' | 'nothing' | 'worker'> {
  const keep = (record: Offboarding) => done.set(record.offboarding_id, record);
  const pending = all.filter(({ status }) => status === 'requested' || status === 'scheduled');
  for (const record of pending) await records.startCancelling(record);
  if (pending.length > 0) return 'more';
  if (all.some(isDisablingAgain)) return 'worker';
  for (const record of all.filter(isCancelling))
    if (!done.has(record.offboarding_id)) keep(await cancel(record, calls));
  if (all.some(({ status }) => status === 'working' || status === 'removing')) return 'worker';
  // Whoever cancels has the customer back: nothing that is completed is watched any more, either.
  const watched = watchedOf(all).reverse();
  for (const record of watched) keep(await records.endWatch(record));
  // A look that was disabling something when the watch ended shows in the next turn.
  return watched.length > 0 ? 'more' : 'nothing';
}

/** What is being cancelled, or was cancelled without a word of it on the bus. */
const isCancelling = ({ status, unpublished }: Offboarding) =>
  status === 'cancelling' || (status === 'cancelled' && unpublished);

/** cancelling → cancelled: enables what this offboarding had disabled, and publishes it. */
async function cancel(found: Offboarding, calls: Calls): Promise<Offboarding> {
  let record = found;
  const save = async (connections: Offboarding['connections']) => {
    record = await records.progress(record, connections);
  };
  if (record.status === 'cancelling') {
    const { organization_id: organizationId } = record;
    const disabled = record.connections.some((connection) => connection.disabled_by_offboarding);
    const associations = disabled ? await associationsLeft(managementApi, organizationId, calls) : [];
    const connections = record.connections.map((one) => (one.outcome === 'failed' ? anew(one) : one));
    const work = { organizationId, goal: 'enabled' as const, connections, associations, save };
    await applyToConnections(managementApi, work, calls);
    if (record.connections.some(({ outcome }) => outcome === 'failed')) {
      // It stays `cancelling`: asking again tries those again.
      await outcomes.publish('failed', outcomeDetail(record), calls.log);
      return record;
    }
    record = await records.finishCancelling(record);
  }
  await outcomes.publishStatus(record, calls.log);
  return record;
}

function unlessChanged(error: unknown): 'more' {
  if (error instanceof RecordChanged) return 'more';
  throw error;
}
