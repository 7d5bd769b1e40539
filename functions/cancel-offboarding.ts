import { dynamoDb, eventBridge } from '../lib/aws.ts';
import { sleep } from '../lib/deadline.ts';
import { required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { type Calls, managementApiOfEnvironment } from '../lib/management-api.ts';
import { createOutcomePublisher, outcomeDetail, outcomesOf } from '../lib/offboarding-outcome.ts';
import { anew, createOffboardingRecords, type Offboarding, RecordChanged } from '../lib/offboarding-record.ts';
import { applyToConnections, associationsLeft } from '../lib/organization-connections.ts';
import { Problem } from '../lib/problem.ts';

const managementApi = managementApiOfEnvironment();
const records = createOffboardingRecords(required('OFFBOARDINGS_TABLE'), dynamoDb());
const outcomes = createOutcomePublisher(createEventBus(required('EVENT_BUS_NAME'), eventBridge()), records);

/** How long a caller waits for a worker that is at the organization, and between two looks, milliseconds. */
const WAIT_FOR_WORKER_MS = 8000;
const LOOK_AGAIN_MS = 500;
/** Seconds after which a caller that found a worker at the organization may try again. */
const RETRY_AFTER_S = 10;

export const handler = httpApi(cancelOffboarding, { organization: true });

/**
 * `DELETE /organizations/{organization_id}/offboarding`: 200, nothing of this organization is pending any more, and what its
 * offboarding had disabled, and is still disabled, is enabled again. Throws `not_found` when nothing is pending, and `conflict`
 * while a worker is at the organization. Where it is cut off, asking again goes on.
 */
async function cancelOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const cancelled = new Map<string, Offboarding>();
  for (const end = Date.now() + WAIT_FOR_WORKER_MS; ; await sleep(LOOK_AGAIN_MS)) {
    const all = await records.ofOrganization(organizationId);
    for (const record of all.filter(isCancellable)) {
      // Who was quicker has changed the record: the next look shows what there is to do.
      const result = await cancel(record, calls).catch(unlessChanged);
      if (result) cancelled.set(result.offboarding_id, result);
    }
    const changed = all.filter(isCancellable).some(({ offboarding_id }) => !cancelled.has(offboarding_id));
    if (!changed && !all.some(({ status }) => status === 'working' || status === 'removing')) break;
    if (Date.now() + LOOK_AGAIN_MS > Math.min(end, calls.deadline)) {
      throw new Problem(
        'conflict',
        'Connections of this organization are being disabled or removed right now; try again',
        {
          retryAfter: RETRY_AFTER_S,
        },
      );
    }
  }
  const last = [...cancelled.values()].at(-1);
  if (!last) throw new Problem('not_found', 'No offboarding of this organization is pending');
  const connections = [...cancelled.values()].flatMap(outcomesOf);
  return {
    status: 200,
    body: {
      organization_id: organizationId,
      offboarding_id: last.offboarding_id,
      status: last.status,
      cancelled_removal_due_at: last.removal_due_at ?? null,
      connections,
    },
  };
}

/** What can be cancelled, is being cancelled, or was cancelled without a word of it on the bus. */
const isCancellable = ({ status, unpublished }: Offboarding) =>
  status === 'requested' ||
  status === 'scheduled' ||
  status === 'cancelling' ||
  (status === 'cancelled' && unpublished);

async function cancel(found: Offboarding, calls: Calls): Promise<Offboarding> {
  let record = found;
  const save = async (connections: Offboarding['connections']) => {
    record = await records.progress(record, connections);
  };
  if (record.status !== 'cancelled') {
    // First of all the removal is off, for good: whatever fails from here on, nothing is removed any more.
    if (record.status !== 'cancelling') record = await records.startCancelling(record);
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

function unlessChanged(error: unknown): undefined {
  if (!(error instanceof RecordChanged)) throw error;
}
