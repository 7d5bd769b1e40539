import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import type { EventBus, OutcomeDetail } from './event-bus.ts';
import { describeIssues, parseJson } from './json.ts';
import { createLog, describeError, isColdStart, type Log } from './log.ts';
import type { Calls } from './management-api.ts';
import { auth0Metrics } from './metrics.ts';
import { type Carried, LOCK_EXPIRED, OffboardingMessage, type Outcome, REMOVAL_DUE, REQUESTED } from './offboarding.ts';
import type { OffboardingQueue } from './offboarding-queue.ts';
import { asProblem, type Problem, type ProblemCode } from './problem.ts';
import { backoff, type Pacer } from './rate-limit.ts';

/** Deliveries in a row that end in a passing fault, with 15 s to 4 min between them, before a message is given up. */
const MAX_TRIES = 6;
/** A message that is waiting for the rate limit is held in place this often; after that a copy of it with fresh receives takes its place. */
const MAX_HOLDS = 3;
/** A message that has ended its worker this often will do so again. */
const MAX_RECEIVES = 8;
/** The longest wait for the tenant's limit that is worth a running function. */
const LONGEST_WAIT_MS = 20_000;
/** A message that is not due yet holds its neighbours up for this long at most, then goes to the end of the queue. */
const STAND_ASIDE_MS = 5000;

/** Faults that pass by themselves, or once somebody has mended them: the work is tried again. All others are final. */
const PASSING: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'rate_limited',
  'auth0_unavailable',
  'auth0_timeout',
  'management_token_unavailable',
  'management_token_rejected',
  'management_token_scope_missing',
  'internal_error',
]);

export const isPassing = (problem: Problem) => PASSING.has(problem.code);

/** Ends a delivery whose message can never be carried out; `code` is for alarms and searches. */
export class Unworkable extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Ends a delivery whose work is not finished: the rest is for a later one, after `waitMs`. */
export class Unfinished extends Error {
  readonly waitMs: number;
  constructor(message: string, waitMs: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** One delivery of one message: what its job needs, and what it leaves for the next delivery. */
export interface Delivery {
  calls: Calls;
  log: Log;
  /** What was done to each connection, by this delivery and by those before it. */
  done: Map<string, Outcome>;
  /** The connections whose turn has not come yet, for the report should the message be given up. */
  left: Map<string, Outcome>;
}

type Message<Type extends string> = Extract<OffboardingMessage, { 'detail-type': Type }>;

/** What a worker does with the two kinds of messages; a job throws `Unworkable`, `Unfinished` or a `Problem`. */
export interface Jobs {
  offboard(message: Message<typeof REQUESTED>, delivery: Delivery): Promise<void>;
  removeWhatIsDue(message: Message<typeof REMOVAL_DUE>, delivery: Delivery): Promise<void>;
}

interface Surroundings {
  queue: OffboardingQueue;
  eventBus: EventBus;
  pacer: Pacer;
  jobs: Jobs;
}

/**
 * What becomes of a message of the offboarding queue. `deliver` resolves to true when it is dealt with (done, given up with
 * a `failed` event and in the dead-letter queue, or sent again), to false when SQS is to deliver it again.
 */
export function createOffboardingDelivery({ queue, eventBus, pacer, jobs }: Surroundings) {
  /** Reports and sends to the dead-letter queue what can not be carried out; where that fails, SQS does it after the last receive. */
  async function giveUp(
    record: SQSRecord,
    raw: unknown,
    reason: { code: string; message: string },
    { log, done, left }: Pick<Delivery, 'log' | 'done' | 'left'>,
  ): Promise<boolean> {
    const error = { code: reason.code, message: reason.message };
    const failed = [...left.values()].map((one) => ({ ...one, outcome: 'failed' as const, error }));
    const detail = { ...salvage(raw), error, connections: [...done.values(), ...failed] };
    await report(eventBus, 'failed', detail, log);
    const body = asNew(record.body, raw, done);
    try {
      await queue.deadLetter(body, `${reason.code}: ${reason.message}`, record.messageId);
      log.error('offboarding_dead_lettered', { reason: error });
      return true;
    } catch (cause) {
      log.error('offboarding_left_to_redrive', { reason: error, error: describeError(cause) });
      return false;
    }
  }

  /** A fault counts against the message's tries, unless this delivery got something done; waiting for the limit, for time or for a lock never does. */
  async function goOnLater(
    record: SQSRecord,
    raw: object,
    carried: Carried,
    delivery: Delivery,
    error: unknown,
  ): Promise<boolean> {
    const progressed = delivery.done.size > carried.done.length;
    const problem = asProblem(error);
    const limited = problem.code === 'rate_limited';
    const fault = !(error instanceof Unfinished || limited);
    const tries = fault ? (progressed ? 0 : carried.tries) + 1 : carried.tries;
    const pause = limited ? (problem.retryAfter ?? 1) * 1000 : backoff(tries, 15_000, 240_000);
    const waitMs = error instanceof Unfinished ? error.waitMs : pause;
    delivery.log.warn('offboarding_goes_on_later', { tries, wait_ms: Math.round(waitMs), error: describeError(error) });
    if (tries >= MAX_TRIES) return giveUp(record, raw, problem, delivery);
    // All of the tenant's work waits for the same limit: held in place, the message holds the others, too.
    if (!fault && !progressed && waitMs > 0 && receives(record) <= MAX_HOLDS) {
      await queue.hold(record.receiptHandle, waitMs);
      return false;
    }
    const next: Carried = { tries, not_before: Date.now() + waitMs, done: [...delivery.done.values()] };
    await queue.sendAgain({ ...raw, 'org-connections': next }, record.messageId, waitMs);
    return true;
  }

  async function standAside(record: SQSRecord, raw: object, dueInMs: number): Promise<boolean> {
    if (receives(record) > 1) {
      await queue.sendAgain(raw, record.messageId, dueInMs);
      return true;
    }
    await queue.hold(record.receiptHandle, Math.min(dueInMs, STAND_ASIDE_MS));
    return false;
  }

  return async function deliver(
    record: SQSRecord,
    deadline: number,
    awsRequestId: string | undefined,
  ): Promise<boolean> {
    const started = Date.now();
    const raw = parseJson(record.body);
    const parsed = v.safeParse(OffboardingMessage, raw);
    const log = createLog({
      request_id: awsRequestId,
      message_id: record.messageId,
      ...logFields(parsed.success && parsed.output),
    });
    if (!parsed.success) {
      return giveUp(record, raw, malformed(raw, parsed.issues), { log, done: new Map(), left: new Map() });
    }
    const message = parsed.output;
    const carried = message['org-connections'] ?? { tries: 0, not_before: 0, done: [] };
    if (carried.not_before > started) return standAside(record, raw as object, carried.not_before - started);
    const delivery: Delivery = {
      calls: { deadline, log, pacer, longestWait: LONGEST_WAIT_MS, statuses: [], auth0Ms: 0 },
      log,
      done: new Map(carried.done.map((one) => [one.connection_id, one])),
      left: new Map(),
    };
    try {
      if (receives(record) > MAX_RECEIVES)
        throw new Unworkable('worker_ended', 'Its worker ended before it could answer, several times');
      if (message['detail-type'] === REQUESTED) await jobs.offboard(message, delivery);
      if (message['detail-type'] === REMOVAL_DUE) await jobs.removeWhatIsDue(message, delivery);
      return true;
    } catch (error) {
      if (error instanceof Unworkable) return await giveUp(record, raw, error, delivery);
      return await goOnLater(record, raw as object, carried, delivery, error);
    } finally {
      const { calls } = delivery;
      log.metrics(
        'offboarding_delivery_ended',
        {
          Deliveries: [1, 'Count'],
          Latency: [Date.now() - started, 'Milliseconds'],
          ColdStarts: [isColdStart() ? 1 : 0, 'Count'],
          ...auth0Metrics(calls),
        },
        { auth0_statuses: calls.statuses },
      );
    }
  };
}

/** Logs an outcome, counts it and puts its event on the bus: the log line and the event say the same. */
export async function report(
  eventBus: EventBus,
  outcome: 'completed' | 'scheduled' | 'cancelled' | 'failed',
  detail: OutcomeDetail,
  log: Log,
): Promise<void> {
  log.metrics(`offboarding_${outcome}`, { Offboardings: [1, 'Count'] }, { detail }, ['outcome', outcome]);
  await eventBus.announce(outcome, detail);
}

/** A message as it is to be when it is sent in again by hand: its tries begin anew, what is done stays done. */
function asNew(text: string, raw: unknown, outcomes: Delivery['done']): string {
  const done = [...outcomes.values()].filter(({ outcome }) => outcome !== 'failed');
  const { 'org-connections': carried, ...rest } = Object(raw) as { 'org-connections'?: Carried };
  if (done.length > 0) return JSON.stringify({ ...rest, 'org-connections': { tries: 0, not_before: 0, done } });
  return carried === undefined ? text : JSON.stringify(rest);
}

const receives = (record: SQSRecord) => Number(record.attributes?.ApproximateReceiveCount ?? 1);

function logFields(message: OffboardingMessage | false) {
  if (!message || message['detail-type'] === LOCK_EXPIRED) return {};
  const { organization_id, correlation_id } = message.detail;
  return { organization_id, correlation_id, offboarding_id: message.id };
}

function malformed(raw: unknown, issues: v.BaseIssue<unknown>[]) {
  if (raw === undefined) return { code: 'invalid_message', message: 'The message is not JSON' };
  return { code: 'invalid_message', message: describeIssues(issues, 'message') };
}

/** What a message that may be malformed says of itself, for the report of its failure. */
function salvage(raw: unknown): Omit<OutcomeDetail, 'connections'> {
  const member = (of: unknown, name: string): unknown =>
    typeof of === 'object' && of !== null && Object.hasOwn(of, name)
      ? (of as Record<string, unknown>)[name]
      : undefined;
  const text = (of: unknown, name: string) => {
    const value = member(of, name);
    return typeof value === 'string' ? value.slice(0, 1000) : null;
  };
  const detail = member(raw, 'detail');
  const [id, due, correlation] = [text(raw, 'id'), text(detail, 'removal_due_at'), text(detail, 'correlation_id')];
  return {
    organization_id: text(detail, 'organization_id'),
    action: text(detail, 'action') ?? (due && 'disable_then_remove'),
    requested_by: text(detail, 'requested_by'),
    reason: text(detail, 'reason'),
    request: id === null ? null : { id, source: text(raw, 'source') ?? '', time: text(raw, 'time') ?? '' },
    dry_run: member(detail, 'dry_run') === true,
    ...(due && { removal_due_at: due }),
    ...(correlation && { correlation_id: correlation }),
  };
}
