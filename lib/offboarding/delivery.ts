import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { type CallContext, createCallContext, workFields, workMetrics } from '../auth0/call-context.ts';
import { createPacer, HEADROOM } from '../auth0/rate-limit.ts';
import { receiveCountOf } from '../aws/queue.ts';
import { describeIssues, parseJson } from '../json.ts';
import { createLog, describeError } from '../log.ts';
import { asProblem, isFinal, type Problem, RetryLater } from '../problem.ts';
import { sendSessionsDue } from '../sessions/queue.ts';
import { acceptCancellationEvent, acceptRequest } from './acceptance.ts';
import { DUE, OffboardingMessage, REQUESTED, readableDetail } from './messages.ts';
import type { Failure, Offboarding, Priority } from './offboarding.ts';
import { getOrganization } from './organization.ts';
import { publishOutcome } from './outcome.ts';
import * as queue from './queue.ts';
import { getRecord } from './record.ts';
import { scheduleRemoval } from './removal-schedule.ts';
import { workOn } from './work.ts';

/** The longest wait for the tenant's limit that is worth a running function, milliseconds. */
const LONGEST_WAIT_MS = 20_000;
/** How often a call is made in one delivery: one that stalls is not to hold up the others of its group for long. */
const MAX_ATTEMPTS = 2;
/** How long a message is hidden after an error; then it goes to the end of its group, and others have their turn. */
const WAIT_MS = 5000;
/** After this many errors in a row in a group it is not the message: everybody waits for this long. */
const OUTAGE_AFTER = 3;
const OUTAGE_WAIT_MS = 30_000;
/** A drift check comes back much later: in an outage it is not to ask Auth0, too. */
const CHECK_WAIT_MS = 300_000;
/** A message that waits for the rate limit stays where it is, as all others wait for the same; this often, for its receives are bounded. */
const MAX_RATE_LIMIT_WAITS = 5;

/** What a container knows of a message group: its pace, its errors in a row, and who waits for the rate limit. */
const group = (priority: Priority) => ({ pacer: createPacer(HEADROOM[priority]), errors: 0, rateLimited: '' });
const GROUPS = { single: group('single'), batch: group('batch'), watch: group('watch') };

/**
 * Processes one message of the offboarding queue until `deadline` (Unix time in milliseconds). True when that is done, or the
 * message was requeued; false when SQS is to deliver it again. Never rejects.
 */
export async function deliver(message: SQSRecord, deadline: number, request_id: string | undefined): Promise<boolean> {
  const priority = queue.priorityOf(message);
  const raw = parseJson(message.body);
  const context = contextOf(message, raw, deadline, request_id);
  let isDone = true;
  const failed = (cause: unknown) => context.log.error('offboarding_wait_failed', { error: describeError(cause) });
  try {
    // Where the queue takes nothing, it is worked on where it is: its group would stand still behind it.
    const isSent = isRequeued(message) && (await queue.requeue(message).then(() => true, failed));
    if (isSent !== true) {
      await processMessage(message, raw, context);
      GROUPS[priority].errors = 0;
    }
  } catch (error) {
    isDone = false;
    // Else it comes back when its visibility timeout is over.
    await hide(message, error, context).catch(failed);
  }
  const waited_ms = context.started - Number(message.attributes?.SentTimestamp ?? context.started);
  const fields = { priority, waited_ms, done: isDone, ...workFields(context) };
  context.log.metrics('offboarding_delivery_ended', workMetrics(context), fields);
  return isDone;
}

function contextOf(message: SQSRecord, raw: unknown, deadline: number, request_id: string | undefined): CallContext {
  const { detail, id } = Object(raw);
  const { organization_id, correlation_id, offboarding_id = id } = Object(detail);
  const log = createLog({ request_id, message_id: message.messageId, organization_id, correlation_id, offboarding_id });
  const { pacer, errors } = GROUPS[queue.priorityOf(message)];
  // Half-open: after an error one call shows whether it is over.
  const maxAttempts = errors > 0 || receiveCountOf(message) > 1 ? 1 : MAX_ATTEMPTS;
  return createCallContext({ deadline, log, pacer, longestWait: LONGEST_WAIT_MS, maxAttempts });
}

/** Whether a message has waited where it is: others of its group have their turn. */
function isRequeued(message: SQSRecord): boolean {
  const count = receiveCountOf(message);
  const waits = GROUPS[queue.priorityOf(message)].rateLimited === message.messageId;
  return count > (waits ? MAX_RATE_LIMIT_WAITS : 1);
}

async function processMessage(message: SQSRecord, raw: unknown, context: CallContext): Promise<void> {
  const parsed = v.safeParse(OffboardingMessage, raw);
  if (!parsed.success) {
    const wrong = raw === undefined ? 'The message is not JSON' : describeIssues(parsed.issues, 'message');
    return giveUp(message, raw, { code: 'invalid_message', message: wrong }, context);
  }
  const task = parsed.output;
  const { organization_id } = task.detail;
  if (task['detail-type'] === REQUESTED) {
    const record = await acceptRequest(task, context).catch((error) => {
      if (!isFinal(error)) throw error;
      return giveUp(message, task, error.failure, context);
    });
    if (!record) return;
  } else if (task['detail-type'] === DUE) {
    // Most of what is said twice costs one read.
    const { due_at = '~' } = await getOrganization(organization_id);
    const { asked, offboarding_id } = task.detail;
    if (due_at > new Date().toISOString() && !asked) return scheduleAgain(organization_id, offboarding_id);
  } else if (!(await acceptCancellationEvent(task, context))) return;
  await workOn(organization_id, context, {
    schedule: scheduleRemoval,
    endSessions: process.env.SESSION_QUEUE_URL ? sendSessionsDue : undefined,
    onFailed: (record, reason) => deadLetter(message, record, reason, context),
    waitAfter: (error) => waitAfter(error, queue.priorityOf(message)),
  });
}

/** A schedule that fired ahead of its time is gone; the date stands. */
async function scheduleAgain(organization_id: string, offboarding_id?: string): Promise<void> {
  const record = offboarding_id && (await getRecord(organization_id, offboarding_id));
  if (record && record.status === 'scheduled') await scheduleRemoval(record);
}

/** An event that can never be carried out: told, and left where it can be found. */
async function giveUp(message: SQSRecord, raw: unknown, error: Failure, context: CallContext): Promise<void> {
  // Out of a replay it was given up before (EventBridge marks what it replays).
  if (Object(raw)['replay-name'] !== undefined) return context.log.warn('replayed_event_ignored', { error });
  await publishOutcome('failed', { ...readableDetail(raw), error }, context.log);
  await leave(message.body, queue.priorityOf(message), error, context);
}

/** Only an event has a dead letter: who asked over HTTP has the record, and a dry run changes nothing. */
async function deadLetter(
  message: SQSRecord,
  record: Offboarding,
  reason: Failure,
  context: CallContext,
): Promise<void> {
  const { request, dry_run, organization_id, action, requested_by, reason: why } = record;
  if (request.source === 'org-connections' || dry_run) return;
  const isIts = Object(parseJson(message.body)).id === request.id;
  const detail = { organization_id, action, requested_by, reason: why };
  const body = isIts ? message.body : JSON.stringify({ ...request, 'detail-type': REQUESTED, detail });
  await leave(body, queue.priorityOf(message), reason, context);
}

async function leave(body: string, priority: Priority, reason: Failure, { log }: CallContext): Promise<void> {
  log.error('offboarding_dead_lettered', { reason });
  await queue.sendToDeadLetterQueue(body, priority, `${reason.code}: ${reason.message}`);
}

/** How long a message waits after an error: for the rate limit, for its turn, or for the end of the error. */
function waitAfter(error: unknown, priority: Priority): { ms: number; problem?: Problem } {
  if (error instanceof RetryLater) return { ms: error.waitMs };
  const problem = asProblem(error);
  if (problem.code === 'rate_limited') return { ms: (problem.retryAfter ?? 1) * 1000, problem };
  if (priority === 'watch') return { ms: CHECK_WAIT_MS, problem };
  return { ms: GROUPS[priority].errors < OUTAGE_AFTER ? WAIT_MS : OUTAGE_WAIT_MS, problem };
}

/** Keeps the message where it is, hidden; after the wait it is delivered again. */
async function hide(message: SQSRecord, error: unknown, context: CallContext): Promise<void> {
  const priority = queue.priorityOf(message);
  const { ms, problem } = waitAfter(error, priority);
  const isRateLimit = problem?.code === 'rate_limited';
  if (problem && !isRateLimit) GROUPS[priority].errors += 1;
  GROUPS[priority].rateLimited = isRateLimit ? message.messageId : '';
  context.log.warn('offboarding_waits', { wait_ms: Math.round(ms), error: describeError(error) });
  await queue.changeVisibility(message, ms);
}
