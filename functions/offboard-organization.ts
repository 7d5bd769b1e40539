import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { eventBridge, scheduler, sqs } from '../lib/aws.ts';
import { removalSchedulePlace, required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { createLog, describeError } from '../lib/log.ts';
import { managementApiOfEnvironment } from '../lib/management-api.ts';
import {
  dueAt,
  type OffboardingRequest,
  type Outcome,
  outcomeDetail,
  type PendingRemoval,
  type RequestOrigin,
} from '../lib/offboarding.ts';
import { createOffboardingDelivery, type Delivery, report, Unfinished } from '../lib/offboarding-delivery.ts';
import { createOffboardingQueue } from '../lib/offboarding-queue.ts';
import { associationsLeft, carryOut, isLeft, outcomeOf, targetsAmong, targetsOf } from '../lib/offboarding-work.ts';
import { createPacer } from '../lib/rate-limit.ts';
import { createRemovalSchedule } from '../lib/removal-schedule.ts';

const managementApi = managementApiOfEnvironment();
const eventBus = createEventBus(required('EVENT_BUS_NAME'), eventBridge());
const removals = createRemovalSchedule(removalSchedulePlace(), scheduler());

/** What it takes to send the rest of the work back to the queue and to write the log, as a share of the function's time. */
const MARGIN = 0.1;
/** Somebody else holds the organization's record for about this long, milliseconds. */
const WAIT_FOR_LOCK = 1000;

const deliver = createOffboardingDelivery({
  queue: createOffboardingQueue(required('OFFBOARDING_QUEUE_URL'), sqs()),
  eventBus,
  pacer: createPacer(),
  jobs: { offboard, removeWhatIsDue },
});

/**
 * Works off the offboarding queue (SQS with partial batch responses): requests from the bus, and removals that have fallen
 * due. Each message ends in an outcome event, in the dead-letter queue with a `failed` event, or in the queue again.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const remaining = context.getRemainingTimeInMillis?.() ?? 60_000;
  const deadline = Date.now() + remaining * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const record of event.Records) {
    const dealtWith = await deliver(record, deadline, context.awsRequestId).catch((error: unknown) => {
      // Neither the work nor the sending of its rest was possible: SQS delivers the message again by itself.
      const log = createLog({ request_id: context.awsRequestId, message_id: record.messageId });
      log.error('offboarding_delivery_failed', { error: describeError(error) });
      return false;
    });
    if (!dealtWith) batchItemFailures.push({ itemIdentifier: record.messageId });
  }
  return { batchItemFailures };
}

interface Requested extends RequestOrigin {
  detail: OffboardingRequest;
}

/** A request: all of the organization's connections, or those that it names, are disabled or removed. */
async function offboard({ id, source, time, detail: request }: Requested, delivery: Delivery): Promise<void> {
  const { organization_id, action, dry_run } = request;
  const origin = { id, source, time };
  if (action === 'disable_then_remove' && !dry_run) {
    return tell(await exclusively(organization_id, () => disableThenSchedule(request, origin, delivery)), delivery);
  }
  const targets = await targetsOf(managementApi, request, delivery);
  const wanted = action === 'remove' ? 'removed' : 'disabled';
  if (!dry_run) await carryOut(managementApi, wanted, request, targets, delivery);
  const outcomes = targets.map(
    (target) => delivery.done.get(target.id) ?? outcomeOf(target, isLeft(target, wanted) ? wanted : 'unchanged'),
  );
  const scheduled = action === 'disable_then_remove';
  const detail = { ...outcomeDetail(request, origin, scheduled ? dueAt(request) : undefined), dry_run };
  await tell({ outcome: scheduled ? 'scheduled' : 'completed', detail, connections: outcomes }, delivery);
}

/** Disables now, and leaves a schedule for the removal. Runs while nobody else changes the organization's record. */
async function disableThenSchedule(
  request: OffboardingRequest,
  origin: RequestOrigin,
  delivery: Delivery,
): Promise<Told | undefined> {
  const { organization_id } = request;
  const found = await removals.read(organization_id);
  if (found?.cancelled_ids.includes(origin.id)) {
    delivery.log.info('offboarding_was_cancelled');
    return;
  }
  const pending = found?.status === 'cancelled' ? undefined : found;
  if (pending?.status === 'pending' && pending.request_ids.includes(origin.id)) {
    // A duplicate: nothing changes, and its outcome is told once more, as the first telling may have been cut off.
    const outcomes = pending.connections.map(({ disabled_by_offboarding, ...connection }) => ({
      ...connection,
      outcome: disabled_by_offboarding ? ('disabled' as const) : ('unchanged' as const),
      error: null,
    }));
    const detail = outcomeDetail(request, origin, pending.removal_due_at);
    return { outcome: 'scheduled', detail, connections: outcomes };
  }

  const resumed = pending?.request.id === origin.id;
  const connections = new Map(pending?.connections.map((connection) => [connection.connection_id, connection]));
  // What an earlier request has not finished disabling is finished with this one.
  const unfinished = pending?.status === 'disabling' ? [...connections.keys()] : [];
  const targets = await targetsOf(managementApi, request, delivery, unfinished);
  for (const target of targets) {
    const { id, association } = target;
    if (!association || (!association.is_enabled && connections.has(id))) continue;
    const { name, strategy, before } = outcomeOf(target, 'unchanged');
    connections.set(id, { connection_id: id, name, strategy, before, disabled_by_offboarding: association.is_enabled });
  }
  const record = (status: PendingRemoval['status']): PendingRemoval => ({
    ...outcomeDetail(request, origin),
    status,
    removal_due_at: resumed ? pending.removal_due_at : dueAt(request),
    request_ids: [...new Set([...(pending?.request_ids ?? []), origin.id])].slice(-50),
    cancelled_ids: found?.cancelled_ids ?? [],
    connections: [...connections.values()],
  });
  // Written before the first connection is disabled: whatever happens from here on, it is known what this offboarding did.
  if (connections.size > 0) await removals.write(record('disabling'), delivery.calls.deadline);
  await carryOut(managementApi, 'disabled', request, targets, delivery);

  const outcomes = targets.map((target): Outcome => {
    const known = connections.get(target.id);
    const earlier = known?.disabled_by_offboarding && resumed && target.association?.is_enabled === false;
    return (
      delivery.done.get(target.id) ?? {
        ...outcomeOf(target, 'unchanged'),
        ...(earlier && { outcome: 'disabled', before: known.before }),
      }
    );
  });
  for (const { connection_id, outcome } of outcomes) if (outcome === 'failed') connections.delete(connection_id);
  if (connections.size === 0) {
    if (found) await removals.delete(organization_id);
    return { outcome: 'completed', detail: outcomeDetail(request, origin), connections: outcomes };
  }
  const scheduled = record('pending');
  await removals.write(scheduled, delivery.calls.deadline);
  const detail = outcomeDetail(request, origin, scheduled.removal_due_at);
  return { outcome: 'scheduled', detail, connections: outcomes };
}

/** A removal whose grace period is over: only what is still disabled goes. */
async function removeWhatIsDue({ detail }: { detail: PendingRemoval }, delivery: Delivery): Promise<void> {
  const { organization_id, removal_due_at, request } = detail;
  // What is left of a cancelled removal is kept for a while and then ends here.
  if (detail.status === 'cancelled') return;
  const told = await exclusively(organization_id, async (): Promise<Told | undefined> => {
    const record = await removals.read(organization_id);
    // The schedule is gone once it has fired. One of a later request has the last word, and so has a cancelling; one that a
    // duplicate of this removal's own request has made in between has not.
    const replaced =
      record?.removal_due_at !== removal_due_at && !detail.request_ids.includes(record?.request.id ?? '');
    if (record && (record.status === 'cancelled' || replaced)) {
      delivery.log.info('removal_not_due_any_more', { status: record.status });
      return;
    }
    const associations = await associationsLeft(managementApi, organization_id, delivery.calls);
    const ids = detail.connections.map(({ connection_id }) => connection_id);
    const targets = targetsAmong(ids, associations);
    const disabled = targets.filter(({ association }) => association?.is_enabled === false);
    await carryOut(managementApi, 'removed', detail, disabled, delivery);
    const enabled = {
      code: 'enabled_meanwhile',
      message: 'Somebody enabled the connection again; it was left alone',
    } as const;
    const outcomes = targets.map((target, index) => {
      const untouched = outcomeOf(target, 'unchanged', target.association?.is_enabled ? enabled : null);
      // The settings that count are those from before this offboarding.
      const { disabled_by_offboarding: _, ...known } = detail.connections[
        index
      ] as PendingRemoval['connections'][number];
      return { ...(delivery.done.get(target.id) ?? untouched), ...known };
    });
    if (record) await removals.delete(organization_id);
    return { outcome: 'completed', detail: outcomeDetail(detail, request, removal_due_at), connections: outcomes };
  });
  await tell(told, delivery);
}

async function exclusively<T>(organizationId: string, work: () => Promise<T>): Promise<T> {
  const locked = await removals.locked(organizationId, work);
  if (!locked) throw new Unfinished("The organization's pending removal is being changed", WAIT_FOR_LOCK);
  return locked.value;
}

/** An outcome that is to be told. */
interface Told {
  outcome: 'completed' | 'scheduled';
  detail: ReturnType<typeof outcomeDetail>;
  connections: Outcome[];
}

/** Tells the outcome, as `failed` where a connection is not as it was wanted. */
async function tell(told: Told | undefined, { log }: Delivery): Promise<void> {
  if (!told) return;
  const { outcome, detail, connections } = told;
  const failed = connections.some((connection) => connection.outcome === 'failed');
  await report(eventBus, failed ? 'failed' : outcome, { ...detail, connections }, log);
}
