import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { dynamoDb, eventBridge, scheduler, sqs } from '../lib/aws.ts';
import { removalScheduleConfig, required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { describeIssues, parseJson } from '../lib/json.ts';
import { createLog, isColdStart, type Log } from '../lib/log.ts';
import { type Association, type Calls, managementApiOfEnvironment } from '../lib/management-api.ts';
import { auth0Metrics } from '../lib/metrics.ts';
import { detailOfMalformed, LOOK, OffboardingMessage } from '../lib/offboarding-message.ts';
import { createOutcomePublisher } from '../lib/offboarding-outcome.ts';
import { createOffboardingQueue, laneOf, receivesOf, type Wait } from '../lib/offboarding-queue.ts';
import {
  createOffboardingQueries,
  createOffboardingRecords,
  hasEnded,
  type Offboarding,
  RecordChanged,
} from '../lib/offboarding-record.ts';
import { addDuration, dueAt, REQUESTED } from '../lib/offboarding-request.ts';
import { takeOver } from '../lib/offboarding-takeover.ts';
import {
  applyToConnections,
  associationsLeft,
  connectionsOf,
  type Goal,
  isLeft,
} from '../lib/organization-connections.ts';
import { lookAtOrganization } from '../lib/organization-watch.ts';
import { asProblem } from '../lib/problem.ts';
import { createPacer, LANES, type Lane, type Pacer } from '../lib/rate-limit.ts';
import { createRemovalSchedule } from '../lib/removal-schedule.ts';
import { isTransient, NonRetryableError, RetryLater } from '../lib/transient.ts';

const managementApi = managementApiOfEnvironment();
const [table, client] = [required('OFFBOARDINGS_TABLE'), dynamoDb()];
const records = { ...createOffboardingRecords(table, client), ...createOffboardingQueries(table, client) };
const outcomes = createOutcomePublisher(createEventBus(required('EVENT_BUS_NAME'), eventBridge()), records);
const removals = createRemovalSchedule(removalScheduleConfig(), scheduler());
const queue = createOffboardingQueue(required('OFFBOARDING_QUEUE_URL'), sqs());
const pacers = Object.fromEntries(LANES.map((lane) => [lane, createPacer(lane)])) as Record<Lane, Pacer>;

/** What it takes to write the record and the log at the end, as a share of the function's time. */
const MARGIN = 0.1;
/** The longest wait for the tenant's limit that is worth a running function, milliseconds. */
const LONGEST_WAIT_MS = 20_000;
/** A removal this much ahead of its time is due: clocks differ. */
const CLOCK_TOLERANCE_MS = 2000;

/** Scheduler is at most a day late ("Retry policy", 24 hours); a removal that is overdue for longer was forgotten. */
const FORGOTTEN_MS = 25 * 3_600_000;

/** Whether the last delivery ended in a fault: the next one is a probe, and makes each call once. */
let probing = false;

/** A message and what its work needs; `record` is the offboarding that it is about, once that is known. */
interface Delivery {
  message: SQSRecord;
  calls: Calls;
  log: Log;
  record?: Offboarding;
  /** The organization's connections, if this delivery has listed them already, and when (Unix time in milliseconds). */
  associations?: Association[];
  listedAt?: number;
}

/**
 * Processes the offboarding queue (SQS with partial batch responses): requests from the bus, and removals that have fallen
 * due. What is done and what is left is on the record; a message is the same each time that it is delivered.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const remaining = context.getRemainingTimeInMillis?.() ?? 60_000;
  const deadline = Date.now() + remaining * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const message of event.Records) {
    const delivery = startDelivery(message, deadline, context.awsRequestId);
    const started = Date.now();
    const work = async () => {
      await processMessage(delivery);
      probing = false;
    };
    const processed = await queue.deliver(message, delivery.log, work, (wait) => noteWait(delivery, wait));
    if (!processed) batchItemFailures.push({ itemIdentifier: message.messageId });
    delivery.log.metrics(
      'offboarding_delivery_ended',
      {
        Deliveries: [1, 'Count'],
        Latency: [Date.now() - started, 'Milliseconds'],
        Waited: [started - Number(message.attributes?.SentTimestamp ?? started), 'Milliseconds'],
        ColdStarts: [isColdStart() ? 1 : 0, 'Count'],
        ...auth0Metrics(delivery.calls),
      },
      { auth0_statuses: delivery.calls.statuses },
      ['lane', laneOf(message)],
    );
  }
  return { batchItemFailures };
}

function startDelivery(message: SQSRecord, deadline: number, requestId: string | undefined): Delivery {
  const { detail = {}, id } = Object(parseJson(message.body));
  const { organization_id, correlation_id, offboarding_id = id } = Object(detail);
  const ids = { organization_id, correlation_id, offboarding_id };
  const texts = Object.entries(ids).filter(([, value]) => typeof value === 'string');
  const fields = Object.fromEntries(texts.map(([name, value]) => [name, value.slice(0, 128)]));
  const log = createLog({ request_id: requestId, message_id: message.messageId, ...fields });
  const maxTries = probing || receivesOf(message) > 1 ? { maxTries: 1 } : {};
  const pacer = pacers[laneOf(message)];
  const calls = { deadline, log, pacer, longestWait: LONGEST_WAIT_MS, ...maxTries, statuses: [], auth0Ms: 0 };
  return { message, calls, log };
}

async function processMessage(delivery: Delivery): Promise<void> {
  const { message, log } = delivery;
  const raw = parseJson(message.body);
  const parsed = v.safeParse(OffboardingMessage, raw);
  if (!parsed.success) {
    const problem = raw === undefined ? 'The message is not JSON' : describeIssues(parsed.issues, 'message');
    const error = { code: 'invalid_message', message: problem };
    log.error('offboarding_dead_lettered', { reason: error });
    await outcomes.publish('failed', { ...detailOfMalformed(raw), error }, log);
    return queue.moveToDeadLetterQueue(message, `${error.code}: ${error.message}`);
  }
  try {
    const task = parsed.output;
    if (task['detail-type'] === REQUESTED) await offboard(task, delivery);
    else if (task['detail-type'] === LOOK) await look(task.detail, delivery);
    else await removeWhatIsDue(task.detail, delivery);
  } catch (error) {
    const reason = reasonToGiveUp(delivery.record, error);
    if (!reason) throw error;
    await giveUp(delivery, reason);
  }
}

/** A request: all of the organization's connections, or those that it names, are disabled or removed. */
async function offboard(message: Extract<OffboardingMessage, { id: string }>, delivery: Delivery): Promise<void> {
  const { id, source, time, detail } = message;
  // A request over HTTP is on record before its event is; any other gets its record here.
  const own = source === 'org-connections' ? detail : {};
  const { offboarding_id = id, batch_id } = own as Partial<typeof detail>;
  const found = await records.get(detail.organization_id, offboarding_id);
  const request = { id: offboarding_id, source, time };
  delivery.record = found ?? (await records.create({ ...detail, offboarding_id, batch_id, request })).record;
  if (delivery.record.status === 'requested') await begin(delivery);
  if (delivery.record.status === 'working') await disableOrRemove(delivery);
  await publishEnd(delivery);
}

/** requested → working: asks Auth0 for the connections, and puts on record what this is about. */
async function begin(delivery: Delivery): Promise<void> {
  const { calls } = delivery;
  const record = recordOf(delivery);
  assertNotGivenUp(delivery);
  delivery.listedAt = Date.now();
  const associations = await managementApi.list(record.organization_id, calls);
  const listed = new Map(associations.map((association) => [association.connection_id, association]));
  const connections = connectionsOf(record.connection_ids, associations).map((connection) => {
    const left = isLeft(goalOf(record), connection, listed.get(connection.connection_id));
    return record.dry_run ? { ...connection, outcome: left ? goalOf(record) : ('unchanged' as const) } : connection;
  });
  const removable = record.action === 'disable_then_remove' && connections.some(({ before }) => before !== null);
  delivery.record = await records.begin(record, connections, removable ? dueAt(record) : undefined);
  delivery.associations = associations;
}

/** working → completed, failed or scheduled: goes on from where the record says that an earlier delivery ended. */
async function disableOrRemove(delivery: Delivery): Promise<void> {
  if (recordOf(delivery).dry_run) return finish(delivery);
  assertNotGivenUp(delivery);
  const { record, listAgain } = await takeOver(records, recordOf(delivery), delivery.listedAt ?? 0);
  delivery.record = record;
  if (listAgain) delete delivery.associations;
  await apply(delivery, goalOf(record));
  const { removal_due_at, connections } = recordOf(delivery);
  if (removal_due_at === undefined || connections.every(({ outcome }) => outcome === 'failed')) return finish(delivery);
  await removals.create(recordOf(delivery));
  delivery.record = await records.schedule(recordOf(delivery));
}

/** A removal whose grace period is over: only what is still disabled is removed. Scheduler says when to look, the record decides. */
async function removeWhatIsDue(
  { organization_id, offboarding_id }: { organization_id: string; offboarding_id: string },
  delivery: Delivery,
): Promise<void> {
  const record = await records.get(organization_id, offboarding_id);
  if (!record) return delivery.log.warn('removal_without_record');
  delivery.record = record;
  if (record.status === 'scheduled') {
    if (Date.parse(record.removal_due_at ?? '') > Date.now() + CLOCK_TOLERANCE_MS) return removals.create(record);
    delivery.record = await records.startRemoving(record);
  }
  if (delivery.record.status === 'removing') {
    assertNotGivenUp(delivery);
    await apply(delivery, 'removed');
    await finish(delivery);
  } else if (!delivery.record.unpublished) {
    delivery.log.info('removal_not_due_any_more', { status: record.status });
  }
  await publishEnd(delivery);
}

/** A look at what is offboarded; a removal that Scheduler should have said is due, and did not, is done by the way. */
async function look(detail: { organization_id: string; look_at: string }, delivery: Delivery): Promise<void> {
  const all = await records.ofOrganization(detail.organization_id);
  const forgotten = all.find(
    ({ status, removal_due_at = '' }) =>
      status === 'scheduled' && Date.parse(removal_due_at) < Date.now() - FORGOTTEN_MS,
  );
  if (forgotten) return removeWhatIsDue(forgotten, delivery);
  await lookAtOrganization({ records, managementApi, outcomes }, all, detail.look_at, delivery.calls);
}

async function apply(delivery: Delivery, goal: Goal): Promise<void> {
  const { calls } = delivery;
  const { organization_id: organizationId, status, connections } = recordOf(delivery);
  const associations = delivery.associations ?? (await associationsLeft(managementApi, organizationId, calls));
  const save = async (changed: Offboarding['connections']) => {
    delivery.record = await records.progress(recordOf(delivery), changed);
  };
  const work = { organizationId, goal, connections, associations, onlyDisabled: status === 'removing', save };
  await applyToConnections(managementApi, work, calls);
}

async function finish(delivery: Delivery): Promise<void> {
  delivery.record = await records.finish(recordOf(delivery));
}

/** The outcome of a status that was reached, by this delivery or by one that was cut off, and a dead letter where nothing could be done. */
async function publishEnd(delivery: Delivery): Promise<void> {
  const { message, log } = delivery;
  const record = recordOf(delivery);
  if (record.unpublished && record.error) {
    log.error('offboarding_dead_lettered', { reason: record.error });
    await queue.moveToDeadLetterQueue(message, `${record.error.code}: ${record.error.message}`);
  }
  await outcomes.publishStatus(record, log);
}

/** Only a final answer of Auth0 about the organization, or a record's age, ends an offboarding that is not done. */
function reasonToGiveUp(record: Offboarding | undefined, error: unknown): Offboarding['error'] {
  if (!record || hasEnded(record.status) || error instanceof RetryLater || error instanceof RecordChanged) return;
  if (error instanceof NonRetryableError) return { code: error.code, message: error.message };
  const problem = asProblem(error);
  const { code, message } = problem;
  if (code === 'not_found') return { code: 'unknown_organization', message };
  return !isTransient(problem) || (code !== 'rate_limited' && isTooOld(record)) ? { code, message } : undefined;
}

const WORKER_ENDED = { code: 'worker_ended', message: 'Its worker ended before it could answer' };

/** Throws when a record is too old and its last delivery has ended without a word: its worker was killed. */
function assertNotGivenUp(delivery: Delivery): void {
  const record = recordOf(delivery);
  const { code, message } = record.last_error ?? WORKER_ENDED;
  if (receivesOf(delivery.message) > 1 && code !== 'rate_limited' && isTooOld(record))
    throw new NonRetryableError(code, message);
}

function isTooOld({ status, created_at, removal_due_at }: Offboarding): boolean {
  const since = new Date((status === 'removing' && removal_due_at) || created_at);
  const end = addDuration(since, process.env.GIVE_UP_AFTER || 'P7D');
  if (!end) throw new Error('Environment variable GIVE_UP_AFTER is not an ISO 8601 duration');
  return end.getTime() < Date.now();
}

async function giveUp(delivery: Delivery, reason: { code: string; message: string }): Promise<void> {
  const record = recordOf(delivery);
  const begun = record.status === 'requested' ? await records.begin(record, []) : record;
  delivery.record = await records.finish(begun, reason);
  await publishEnd(delivery);
}

/** A request that waits says so in its record; that it waits for its turn is no fault. */
async function noteWait(delivery: Delivery, { ms, problem }: Wait): Promise<void> {
  probing = problem !== undefined && problem.code !== 'rate_limited';
  const { record } = delivery;
  if (!record || !problem || hasEnded(record.status)) return;
  const { code, message } = problem;
  delivery.record = await records.waiting(record, { code, message }, new Date(Date.now() + ms));
}

const goalOf = ({ action }: Offboarding): Goal => (action === 'remove' ? 'removed' : 'disabled');

function recordOf({ record }: Delivery): Offboarding {
  if (!record) throw new Error('The delivery has no record yet');
  return record;
}
