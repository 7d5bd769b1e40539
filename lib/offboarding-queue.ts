import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import pMap from 'p-map';
import * as v from 'valibot';
import { AWS_CLIENT, required } from './environment.ts';
import { OrganizationId } from './ids.ts';
import { chunksOf } from './json.ts';
import type { Log } from './log.ts';
import { OffboardingRequest, REQUESTED } from './offboarding-request.ts';
import { asProblem, type Problem, RetryLater } from './problem.ts';
import { type Lane, RESERVES } from './rate-limit.ts';

const QueueUrl = required('OFFBOARDING_QUEUE_URL');
const client = new SQSClient(AWS_CLIENT);

/** How long a message is kept where it is after each fault in a row, milliseconds; after the last it goes to the end of the queue. */
const FAULT_WAITS_MS = [10_000, 20_000, 40_000];
/** A message that waits for the rate limit stays where it is, as all others wait for the same; this often, for its receives are bounded. */
const MAX_RATE_LIMIT_HOLDS = 50;
/** A drift check comes back much later: in an outage it is not to ask Auth0, too. */
const WATCH_FAULT_WAIT_MS = 300_000;
/** The longest visibility timeout that SQS takes, seconds. */
const LONGEST_HOLD_S = 43_200;
/** What SendMessageBatch takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

export const REMOVAL_DUE = 'organization.offboarding.removal_due';
export const CHECK_DUE = 'organization.offboarding.check_due';

const Id = v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'), v.maxLength(128, 'is too long'));
const ENVELOPE = { id: Id, source: v.string('must be text'), time: v.string('must be text') };

/** A message of the offboarding queue: a whole EventBridge event with a request, Scheduler's notice that a removal is due, or a drift check. */
export const OffboardingMessage = v.variant(
  'detail-type',
  [
    v.object({ ...ENVELOPE, 'detail-type': v.literal(REQUESTED), detail: OffboardingRequest }),
    v.object({
      'detail-type': v.literal(REMOVAL_DUE),
      detail: v.object({ organization_id: OrganizationId, offboarding_id: Id }),
    }),
    v.object({
      'detail-type': v.literal(CHECK_DUE),
      detail: v.object({ organization_id: OrganizationId, check_at: v.string() }),
    }),
  ],
  'is not one that this queue takes',
);
export type OffboardingMessage = v.InferOutput<typeof OffboardingMessage>;

/** What a message that may be malformed says of itself, as the detail of its `failed` event: a best-effort parse. */
export function describeMessage(raw: unknown) {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 1000) : null);
  const { id, source, time, detail } = Object(raw);
  const { organization_id, action, requested_by, reason, correlation_id, dry_run } = Object(detail);
  const offboarding_id = text(id);
  return {
    offboarding_id,
    organization_id: text(organization_id),
    action: text(action),
    requested_by: text(requested_by),
    reason: text(reason),
    correlation_id: text(correlation_id) ?? undefined,
    request:
      offboarding_id === null ? null : { id: offboarding_id, source: text(source) ?? '', time: text(time) ?? '' },
    dry_run: dry_run === true,
    connections: [],
  };
}

/** The ARN of the queue at `url` (`https://sqs.{region}.amazonaws.com/{account}/{name}`). */
export function queueArn(url: string): string {
  const [name, account] = url.split('/').reverse();
  return `arn:aws:sqs:${process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'}:${account}:${name}`;
}

/** A lane is a message group: SQS hands out one message of a group at a time, so one worker at a time works in each lane. */
export const laneOf = ({ attributes }: SQSRecord): Lane =>
  Object.hasOwn(RESERVES, attributes?.MessageGroupId ?? '') ? (attributes.MessageGroupId as Lane) : 'single';

export const receivesOf = ({ attributes }: SQSRecord) => Number(attributes?.ApproximateReceiveCount ?? 1);

/** What a delivery that is not finished waits for: the rate limit, its turn (no problem), or the end of a fault. */
type Wait = { ms: number; problem?: Problem };

export function waitAfter(error: unknown, message: SQSRecord): Wait {
  if (error instanceof RetryLater) return { ms: error.waitMs };
  const problem = asProblem(error);
  if (problem.code === 'rate_limited') return { ms: (problem.retryAfter ?? 1) * 1000, problem };
  if (laneOf(message) === 'watch') return { ms: WATCH_FAULT_WAIT_MS, problem };
  return { ms: FAULT_WAITS_MS[receivesOf(message) - 1] ?? (FAULT_WAITS_MS.at(-1) as number), problem };
}

let heldForRateLimit: string | undefined;

/** Keeps a delivered message, and its lane with it, hidden. */
export async function hold({ messageId, receiptHandle }: SQSRecord, { ms, problem }: Wait): Promise<void> {
  heldForRateLimit = problem?.code === 'rate_limited' ? messageId : undefined;
  const VisibilityTimeout = Math.max(0, Math.min(Math.ceil(ms / 1000), LONGEST_HOLD_S));
  await client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: receiptHandle, VisibilityTimeout }));
}

/** Sends a message that has waited long enough where it is to the end of the queue, as it is; false when it has not. */
export async function deferred(message: SQSRecord, log: Log): Promise<boolean> {
  const receives = receivesOf(message);
  const held = heldForRateLimit === message.messageId && receives <= MAX_RATE_LIMIT_HOLDS;
  if (held || receives <= FAULT_WAITS_MS.length) return false;
  log.info('offboarding_deferred', { receives });
  await send(QueueUrl, message);
  return true;
}

async function send(to: string, message: SQSRecord, reason?: string): Promise<void> {
  // Two sends for one delivery of a message are one message. Only a FIFO queue knows that.
  const fifo = { MessageGroupId: laneOf(message), MessageDeduplicationId: message.messageId };
  const attributes = reason && { reason: { DataType: 'String', StringValue: reason.slice(0, 500) } };
  const options = { ...(to.endsWith('.fifo') && fifo), ...(attributes && { MessageAttributes: attributes }) };
  await client.send(new SendMessageCommand({ QueueUrl: to, MessageBody: message.body, ...options }));
}

/**
 * Moves a message to the dead-letter queue that the queue's own redrive policy names, at once and with its reason as an
 * attribute. Throws when there is none.
 */
export async function moveToDeadLetterQueue(message: SQSRecord, reason: string): Promise<void> {
  const query = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['RedrivePolicy'] });
  const { Attributes } = await client.send(query);
  const arn: string = JSON.parse(Attributes?.RedrivePolicy ?? '{}').deadLetterTargetArn ?? '';
  const name = arn.split(':').at(-1);
  if (!name) throw new Error('The queue has no dead-letter queue');
  await send(QueueUrl.slice(0, QueueUrl.lastIndexOf('/') + 1) + name, message, reason);
}

/** Asks for drift checks of organizations, in the watch lane. Until a check is made, all that ask for it within five minutes are one message. */
export async function sendChecks(checks: { organization_id: string; check_at: string }[]): Promise<void> {
  const sendChunk = async (chunk: typeof checks) => {
    const Entries = chunk.map((detail, index) => ({
      Id: String(index),
      MessageBody: JSON.stringify({ 'detail-type': CHECK_DUE, detail }),
      MessageGroupId: 'watch' satisfies Lane,
      MessageDeduplicationId: `check/${detail.organization_id}/${detail.check_at}`,
    }));
    const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    if (Failed.length > 0) throw new Error(`The queue refused messages: ${Failed[0]?.Code}`);
  };
  await pMap(chunksOf(checks, MAX_ENTRIES), sendChunk, { concurrency: CALLS_AT_ONCE });
}
