import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { type CallContext, createCallContext, workFields, workMetrics } from '../../auth0/call-context.ts';
import { createPacer, HEADROOM } from '../../auth0/rate-limit.ts';
import { receiveCountOf } from '../../aws/queue.ts';
import { deterministicUuid, fingerprintOf, sha256 } from '../../digest.ts';
import { describeIssues, parseJson } from '../../json.ts';
import { createLog, describeError } from '../../log.ts';
import { type AcceptedEvent, acceptEvent } from '../intake/accept-event.ts';
import { acceptCancellationEvent } from '../intake/cancel.ts';
import type { Core } from '../model/effects.ts';
import type { CancellationMessage, RequestMessage } from '../model/messages.ts';
import { CANCELLATION_REQUESTED, OffboardingMessage, REQUESTED, timeOf } from '../model/messages.ts';
import type { Failure, Priority } from '../model/organization.ts';
import { auth0Effects } from '../store/auth0-shell.ts';
import { sendDeadLetter } from '../store/dead-letter-queue.ts';
import * as queue from '../store/offboarding-queue.ts';
import { run, writerUntil } from '../store/shell.ts';
import { TABLE_EFFECTS } from '../store/table-shell.ts';
import { workerEffects } from '../store/worker-shell.ts';
import { NOT_FOUND, removingText } from '../views/cancellation.ts';
import { readableDetail } from '../views/rejected-event.ts';
import { visit } from './visit.ts';
import type { VisitEnd } from './visit-state.ts';

/** The longest wait for the tenant's limit that is worth a running function, milliseconds. */
const LONGEST_WAIT_MS = 20_000;
/** How long a message is hidden after an error; then it goes to the end of its group, and others have their turn. */
const WAIT_MS = 5000;
/** What waits for nothing but its time holds up its group for a tenth of it, at least for this long, and goes to the end. */
const SHORTEST_WAIT_MS = 1000;
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

/** Messages of which this container has made dead letters, and whose failure it could not publish yet: they come back until it can. */
const SET_ASIDE = new Set<string>();

type Work = { message: SQSRecord; raw: unknown; priority: Priority; context: CallContext };

/**
 * Processes one message of the offboarding queue until `deadline` (Unix time in milliseconds). True when that is done, or the
 * message was requeued; false when SQS is to deliver it again. Never rejects.
 */
export async function deliver(message: SQSRecord, deadline: number, request_id: string | undefined): Promise<boolean> {
  const priority = queue.groupOf(message);
  const raw = parseJson(message.body);
  const work: Work = { message, raw, priority, context: contextOf(message, raw, priority, deadline, request_id) };
  const { log } = work.context;
  let isDone = false;
  try {
    // Where the queue takes nothing, it is worked on where it is: its group would stand still behind it.
    const isSent =
      isToRequeue(work) &&
      (await queue.requeue(message).then(
        () => true,
        (cause) => warn(work, cause),
      ));
    isDone = isSent === true || (await decide(await processMessage(work), work));
  } catch (error) {
    // The message comes back when its visibility timeout is over.
    warn(work, error);
  }
  const waited_ms = work.context.started - Number(message.attributes?.SentTimestamp ?? work.context.started);
  const fields = { priority, waited_ms, done: isDone, ...workFields(work.context) };
  log.metrics('offboarding_delivery_ended', workMetrics(work.context), fields);
  return isDone;
}

const warn = ({ context }: Work, cause: unknown) =>
  context.log.error('offboarding_wait_failed', { error: describeError(cause) });

function contextOf(
  message: SQSRecord,
  raw: unknown,
  priority: Priority,
  deadline: number,
  request_id: string | undefined,
): CallContext {
  const { detail, id } = Object(raw);
  const { organization_id, correlation_id, offboarding_id = id } = Object(detail);
  const log = createLog({ request_id, message_id: message.messageId, organization_id, correlation_id, offboarding_id });
  // The core decides what is tried again, and when.
  return createCallContext({
    deadline,
    log,
    pacer: GROUPS[priority].pacer,
    longestWait: LONGEST_WAIT_MS,
    maxAttempts: 1,
  });
}

/** Whether a message has waited where it is: others of its group have their turn. */
function isToRequeue({ message, priority }: Work): boolean {
  const waits = GROUPS[priority].rateLimited === message.messageId;
  return receiveCountOf(message) > (waits ? MAX_RATE_LIMIT_WAITS : 1);
}

/** What becomes of a message: its organization was visited, or it was accepted, refused, or is to come back. */
type Processed = VisitEnd | Exclude<AcceptedEvent, { is: 'visit' }>;

async function processMessage(work: Work): Promise<Processed> {
  const { raw, context } = work;
  const parsed = v.safeParse(OffboardingMessage, raw);
  if (!parsed.success) {
    const wrong = raw === undefined ? 'The message is not JSON' : describeIssues(parsed.issues, 'message');
    return { is: 'refused', failure: { code: 'invalid_message', message: wrong } };
  }
  const message = parsed.output;
  if (message['detail-type'] === CANCELLATION_REQUESTED) return acceptCancellation(message, work);
  if (message['detail-type'] === REQUESTED) {
    const accepted = await acceptRequest(message, work);
    if (accepted.is !== 'visit') return accepted;
    if (context.deadline <= Date.now()) return { is: 'later', wait_ms: 0 };
  }
  return visitOf(message.detail.organization_id, work);
}

const runCore = <R>(core: Core<R>, { context }: Work): Promise<R> =>
  run(core, [TABLE_EFFECTS, queue.DUE_EFFECTS, workerEffects(context.log), auth0Effects(context)], context.log);

function visitOf(organization_id: string, work: Work): Promise<VisitEnd> {
  const { context, message, priority } = work;
  const hadErrors = GROUPS[priority].errors > 0 || receiveCountOf(message) > 1;
  // Half-open: after an error one attempt shows whether it is over.
  const about = {
    organization_id,
    mode: 'work',
    waitMs: waitAfterError(priority),
    retries: hadErrors ? 0 : 1,
  } as const;
  return runCore(visit({ ...about, ...writerUntil(context.deadline) }, Date.now()), work);
}

function waitAfterError(priority: Priority): number {
  if (priority === 'watch') return CHECK_WAIT_MS;
  return GROUPS[priority].errors < OUTAGE_AFTER ? WAIT_MS : OUTAGE_WAIT_MS;
}

function acceptRequest(message: RequestMessage, work: Work): Promise<AcceptedEvent> {
  const { idempotency_key, organization_id, correlation_id: _, ...parameters } = message.detail;
  const offboarding_id = idempotency_key
    ? deterministicUuid(message.account, message.source, organization_id, idempotency_key)
    : message.id;
  const about = { message, offboarding_id, fingerprint: fingerprintOf(parameters) };
  return runCore(acceptEvent({ ...about, ...writerUntil(work.context.deadline) }, Date.now()), work);
}

/** Accepts a cancellation by event. Once it is accepted its message has nothing more to say: the organization has work. */
async function acceptCancellation(message: CancellationMessage, work: Work): Promise<Processed> {
  const { organization_id, requested_by, reason } = message.detail;
  const about = readableDetail(work.raw);
  const at = timeOf(message.time, Date.now());
  const input = { organization_id, act: { caller: about.caller, requested_by, reason }, at };
  const core = acceptCancellationEvent({ ...input, ...writerUntil(work.context.deadline) }, Date.now());
  const result = await runCore(core, work);
  if (result.is !== 'done') return { is: 'later', error: result.error };
  const { value } = result;
  if (value.is === 'found') return { is: 'done' };
  const error =
    value.is === 'removing'
      ? { code: 'conflict', message: removingText(value) }
      : { code: 'not_found', message: NOT_FOUND };
  await publish(work, 'cancellation_failed', { ...about, error });
  return { is: 'done' };
}

/** An event that can never be carried out: its failure is published, and it is left where it can be found. */
async function giveUp(work: Work, error: Failure): Promise<void> {
  const { raw, context } = work;
  // Out of a replay it was given up before (EventBridge marks what it replays).
  if (Object(raw)['replay-name'] !== undefined) return context.log.warn('replayed_event_ignored', { error });
  // It may come back and be accepted then: before the failure is published, it is where it can be found.
  const digest = sha256(work.message.body);
  if (!SET_ASIDE.has(digest)) await setAside(work, error);
  SET_ASIDE.add(digest);
  await publish(work, 'failed', { ...readableDetail(raw), error });
  SET_ASIDE.delete(digest);
  context.log.error('offboarding_dead_lettered', { error });
}

/** An event about what is in no item. */
const publish = ({ context }: Work, event: string, detail: Record<string, unknown>) =>
  workerEffects(context.log).publish({ do: 'publish', events: [{ event, detail }] });

const setAside = ({ message, priority }: Work, { code, message: why }: Failure) =>
  sendDeadLetter(message.body, priority, `${code}: ${why}`);

/** Decides about the message: true where it is done, false where it comes back. */
async function decide(end: Processed, work: Work): Promise<boolean> {
  const { priority, context } = work;
  if (end.is === 'refused') await giveUp(work, end.failure);
  if (end.is === 'nothing') context.log.info('request_ignored', { time: Object(work.raw).time });
  if (end.is === 'later') return waitOrEnd(end, work);
  GROUPS[priority].errors = 0;
  return true;
}

/** After an error that will never pass, the message is somebody's to look at, and no other waits for it. */
async function waitOrEnd(end: Extract<Processed, { is: 'later' }>, work: Work): Promise<boolean> {
  const { priority, message, context } = work;
  const { error, wait_ms = waitAfterError(priority) } = end;
  if (error && !error.is_transient) {
    context.log.metrics('offboarding_failed', { Offboardings: 1 }, { error }, ['outcome', 'failed'], 'ERROR');
    await setAside(work, error);
    return true;
  }
  const isRateLimit = error?.code === 'rate_limited';
  if (error && !isRateLimit) GROUPS[priority].errors += 1;
  GROUPS[priority].rateLimited = isRateLimit ? message.messageId : '';
  context.log.warn('offboarding_waits', { wait_ms: Math.round(wait_ms), error });
  const hidden_ms = error ? wait_ms : Math.min(wait_ms, Math.max(wait_ms / 10, SHORTEST_WAIT_MS), WAIT_MS);
  await queue.changeVisibility(message, hidden_ms).catch((cause) => warn(work, cause));
  return false;
}
