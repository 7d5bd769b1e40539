import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { checkForDrift } from '../lib/drift-detection.ts';
import { addStageDuration } from '../lib/duration.ts';
import { describeIssues, parseJson } from '../lib/json.ts';
import { createLog, describeError, workMetrics } from '../lib/log.ts';
import { type Association, type Calls, list } from '../lib/management-api.ts';
import { publishOutcome, publishStatus } from '../lib/offboarding-outcome.ts';
import * as queue from '../lib/offboarding-queue.ts';
import type { Fault, Offboarding } from '../lib/offboarding-record.ts';
import * as records from '../lib/offboarding-record.ts';
import { dueAt, REQUESTED } from '../lib/offboarding-request.ts';
import { takeOver } from '../lib/offboarding-takeover.ts';
import { applyToConnections, associationsLeft, plannedConnections } from '../lib/organization-connections.ts';
import type { Problem } from '../lib/problem.ts';
import { createPacer, RESERVES } from '../lib/rate-limit.ts';
import { scheduleRemoval } from '../lib/removal-schedule.ts';

/** What it takes to write the record and the log at the end, as a share of the function's time. */
const MARGIN = 0.1;
/** The longest wait for the tenant's limit that is worth a running function, milliseconds. */
const LONGEST_WAIT_MS = 20_000;
/** A removal this much ahead of its time is due: clocks differ. */
const CLOCK_TOLERANCE_MS = 2000;
const WORKER_ENDED = { code: 'worker_ended', message: 'Its worker ended before it could answer' };

const pacers = { single: createPacer(), batch: createPacer(RESERVES.batch), watch: createPacer(RESERVES.watch) };
/** Whether the last delivery ended in a fault: the next one is a probe, and makes each call once. */
let probing = false;

/** A message, what the calls for it share, and the offboarding that it is about, once that is known. */
type Delivery = { message: SQSRecord; calls: Calls; about?: { organization_id: string; offboarding_id: string } };

/**
 * Processes the offboarding queue (SQS with partial batch responses): requests from the bus, removals that have fallen due,
 * and drift checks. What is done and what is left is on the record; a message is the same each time that it is delivered.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? 60_000) * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const message of event.Records) {
    const calls = startCalls(message, deadline, context.awsRequestId);
    if (!(await deliver({ message, calls }))) batchItemFailures.push({ itemIdentifier: message.messageId });
    const Waited = calls.started - Number(message.attributes?.SentTimestamp ?? calls.started);
    const metrics = { Deliveries: 1, Waited, ...workMetrics(calls) };
    const fields = { auth0_statuses: calls.statuses };
    calls.log.metrics('offboarding_delivery_ended', metrics, fields, ['lane', queue.laneOf(message)]);
  }
  return { batchItemFailures };
}

function startCalls(message: SQSRecord, deadline: number, request_id: string | undefined): Calls {
  const { detail, id } = Object(parseJson(message.body));
  const { organization_id, correlation_id, offboarding_id = id } = Object(detail);
  const ids = Object.entries({ organization_id, correlation_id, offboarding_id });
  const texts = ids.filter(([, value]) => typeof value === 'string').map(([name, text]) => [name, text.slice(0, 128)]);
  const log = createLog({ request_id, message_id: message.messageId, ...Object.fromEntries(texts) });
  const probe = (probing || queue.receivesOf(message) > 1) && { maxTries: 1 };
  const limits = { deadline, longestWait: LONGEST_WAIT_MS, ...probe };
  return { started: Date.now(), log, pacer: pacers[queue.laneOf(message)], ...limits, statuses: [], auth0Ms: 0 };
}

/** True when the message is processed, or was sent to the end of the queue; false when SQS is to deliver it again. Never rejects. */
async function deliver(delivery: Delivery): Promise<boolean> {
  try {
    if (await queue.deferred(delivery.message, delivery.calls.log)) return true;
    await processMessage(delivery);
    probing = false;
    return true;
  } catch (error) {
    return endInFault(delivery, error);
  }
}

/** After a fault the record says what the message waits for, or the offboarding fails for good. What could not even be held comes back when its visibility timeout is over. */
async function endInFault({ message, calls, about }: Delivery, error: unknown): Promise<boolean> {
  const wait = queue.waitAfter(error, message);
  probing = wait.problem !== undefined && wait.problem.code !== 'rate_limited';
  calls.log.warn('offboarding_waits', { wait_ms: Math.round(wait.ms), error: describeError(error) });
  const failed = (cause: unknown) => calls.log.error('offboarding_wait_failed', { error: describeError(cause) });
  try {
    const record = wait.problem && about && (await records.getRecord(about.organization_id, about.offboarding_id));
    if (wait.problem && record && !records.hasEnded(record)) {
      const reason = finalReason(wait.problem);
      if (reason) {
        await failOffboarding(record, reason, { message, calls });
        return true;
      }
      const { code, message: text } = wait.problem;
      await records.waiting(record, { code, message: text }, new Date(Date.now() + wait.ms));
    }
  } catch (cause) {
    failed(cause);
  }
  await queue.hold(message, wait).catch(failed);
  return false;
}

async function processMessage(delivery: Delivery): Promise<void> {
  const { message, calls } = delivery;
  const raw = parseJson(message.body);
  const parsed = v.safeParse(queue.OffboardingMessage, raw);
  if (!parsed.success) {
    const problem = raw === undefined ? 'The message is not JSON' : describeIssues(parsed.issues, 'message');
    const error = { code: 'invalid_message', message: problem };
    await publishOutcome('failed', { ...queue.describeMessage(raw), error }, calls.log);
    return deadLetter(delivery, error);
  }
  const task = parsed.output;
  if (task['detail-type'] === REQUESTED) await offboard(task, delivery);
  else if (task['detail-type'] === queue.REMOVAL_DUE) await removeWhatIsDue(task.detail, delivery);
  else await checkForDrift(task.detail, calls);
}

/** A request: all of the organization's connections, or those that it names, are disabled or removed. */
async function offboard(message: Extract<queue.OffboardingMessage, { id: string }>, delivery: Delivery): Promise<void> {
  const { id, source, time, detail } = message;
  const { organization_id } = detail;
  // A request over HTTP is on record before its event is; any other gets its record here.
  const own: Partial<typeof detail> = source === 'org-connections' ? detail : {};
  const { offboarding_id = id, batch_id } = own;
  delivery.about = { organization_id, offboarding_id };
  const request = { ...detail, offboarding_id, batch_id, request: { id: offboarding_id, source, time } };
  let record = (await records.getRecord(organization_id, offboarding_id)) ?? (await records.createRecord(request));
  if (isOverdue(record, delivery)) return failOffboarding(record, record.last_error ?? WORKER_ENDED, delivery);
  let listed: Listing | undefined;
  if (record.status === 'requested') {
    listed = { at: Date.now(), associations: await list(organization_id, delivery.calls) };
    const connections = plannedConnections(record, listed.associations);
    const removable = record.action === 'disable_then_remove' && connections.some(({ before }) => before !== null);
    record = await records.begin(record, connections, removable ? dueAt(record) : undefined);
  }
  if (record.status === 'working') record = await disableOrRemove(record, delivery.calls, listed);
  await publishEnd(record, delivery);
}

/** The organization's connections, and when they were listed (Unix time in milliseconds). */
type Listing = { at: number; associations: Association[] };

/** working → completed, failed or scheduled: goes on from where the record says that an earlier delivery ended. */
async function disableOrRemove(begun: Offboarding, calls: Calls, listed: Listing | undefined): Promise<Offboarding> {
  if (begun.dry_run) return records.finish(begun);
  const { record, listAgain } = await takeOver(begun, listed?.at ?? 0);
  const associations =
    !listed || listAgain ? await associationsLeft(record.organization_id, calls) : listed.associations;
  const applied = await applyToConnections(record, associations, calls);
  const { removal_due_at, connections } = applied;
  if (removal_due_at === undefined || connections.every(({ outcome }) => outcome === 'failed'))
    return records.finish(applied);
  await scheduleRemoval(applied);
  return records.schedule(applied);
}

/** A removal whose grace period is over: only what is still disabled is removed. Scheduler says when, the record decides. */
async function removeWhatIsDue(about: NonNullable<Delivery['about']>, delivery: Delivery): Promise<void> {
  const { calls } = delivery;
  delivery.about = about;
  let record = await records.getRecord(about.organization_id, about.offboarding_id);
  if (!record) return calls.log.warn('removal_without_record');
  if (record.status === 'scheduled') {
    if (Date.parse(record.removal_due_at ?? '') > Date.now() + CLOCK_TOLERANCE_MS) return scheduleRemoval(record);
    record = await records.startRemoving(record);
  }
  if (record.status === 'removing') {
    if (isOverdue(record, delivery)) return failOffboarding(record, record.last_error ?? WORKER_ENDED, delivery);
    const associations = await associationsLeft(record.organization_id, calls);
    record = await records.finish(await applyToConnections(record, associations, calls));
  }
  if (!record.unpublished) calls.log.info('removal_not_due_any_more', { status: record.status });
  await publishEnd(record, delivery);
}

/** The outcome of a status that was reached, by this delivery or by one that was cut off, and a dead letter where nothing could be done. */
async function publishEnd(record: Offboarding, delivery: Delivery): Promise<void> {
  if (record.unpublished && record.error) await deadLetter(delivery, record.error);
  await publishStatus(record, delivery.calls.log);
}

async function deadLetter({ message, calls }: Delivery, reason: Fault): Promise<void> {
  calls.log.error('offboarding_dead_lettered', { reason });
  await queue.moveToDeadLetterQueue(message, `${reason.code}: ${reason.message}`);
}

/** Why an offboarding ends at once: a final answer of Auth0 about the organization. What is transient waits. */
function finalReason({ code, message, isTransient }: Problem): Fault | undefined {
  if (isTransient) return undefined;
  return { code: code === 'not_found' ? 'unknown_organization' : code, message };
}

/** Whether a record that is not done is too old to be tried again, after its last delivery ended in a fault or did not end at all. */
function isOverdue({ status, created_at, removal_due_at, last_error }: Offboarding, { message }: Delivery): boolean {
  if (!['requested', 'working', 'removing'].includes(status)) return false;
  if (queue.receivesOf(message) === 1 || last_error?.code === 'rate_limited') return false;
  const since = (status === 'removing' && removal_due_at) || created_at;
  return addStageDuration(new Date(since), 'GIVE_UP_AFTER').getTime() < Date.now();
}

async function failOffboarding(record: Offboarding, reason: Fault, delivery: Delivery): Promise<void> {
  const begun = record.status === 'requested' ? await records.begin(record, []) : record;
  await publishEnd(await records.finish(begun, reason), delivery);
}
