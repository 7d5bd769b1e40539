import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { chunksOf, inParallel } from './concurrency.ts';
import { describeError, type Log } from './log.ts';
import { RecordChanged } from './offboarding-record.ts';
import { asProblem, type Problem } from './problem.ts';
import { LANES, type Lane } from './rate-limit.ts';
import { RetryLater } from './transient.ts';

/** How long a message is kept where it is after each fault in a row, milliseconds; after the last it goes to the end of the queue. */
const FAULT_WAITS_MS = [10_000, 20_000, 40_000];
/** A message that waits for the rate limit stays where it is, as all others wait for the same; this often, for its receives are bounded. */
const MAX_RATE_LIMIT_HOLDS = 50;
/** What only looks comes back much later: in an outage it is not to ask Auth0, too. */
const WATCH_FAULT_WAIT_MS = 300_000;
/** Somebody else has just changed the record, milliseconds. */
const RECORD_CHANGED_WAIT_MS = 1000;
/** What SendMessageBatch takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

/** The ARN of the queue at `url` (`https://sqs.{region}.amazonaws.com/{account}/{name}`). */
export function queueArn(url: string): string {
  const [name, account] = url.split('/').reverse();
  return `arn:aws:sqs:${process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'}:${account}:${name}`;
}

/** A lane is a message group: SQS hands out one message of a group at a time, so one worker at a time works in each lane. */
export const laneOf = ({ attributes }: SQSRecord): Lane =>
  LANES.find((lane) => lane === attributes?.MessageGroupId) ?? 'single';

export const receivesOf = ({ attributes }: SQSRecord) => Number(attributes?.ApproximateReceiveCount ?? 1);

/** What a delivery that is not finished waits for: the rate limit, its turn, or the end of a fault. */
export interface Wait {
  ms: number;
  /** Undefined when it is no fault. */
  problem: Problem | undefined;
}

function waitAfter(error: unknown, receives: number, lane: Lane): Wait {
  if (error instanceof RetryLater) return { ms: error.waitMs, problem: undefined };
  if (error instanceof RecordChanged) return { ms: RECORD_CHANGED_WAIT_MS, problem: undefined };
  const problem = asProblem(error);
  if (problem.code === 'rate_limited') return { ms: (problem.retryAfter ?? 1) * 1000, problem };
  if (lane === 'watch') return { ms: WATCH_FAULT_WAIT_MS, problem };
  return { ms: FAULT_WAITS_MS[Math.min(receives, FAULT_WAITS_MS.length) - 1] as number, problem };
}

/** The offboarding queue and its waiting: what becomes of a delivered message, whatever its work is. */
export function createOffboardingQueue(url: string, client: SQSClient) {
  let heldForRateLimit: string | undefined;

  async function send(queue: string, body: string, group: string, id: string, reason?: string): Promise<void> {
    const attributes = reason && { reason: { DataType: 'String', StringValue: reason.slice(0, 500) } };
    await client.send(
      new SendMessageCommand({
        QueueUrl: queue,
        MessageBody: body,
        // Two sends for one delivery of a message are one message. Only a FIFO queue knows that.
        ...(queue.endsWith('.fifo') && { MessageGroupId: group, MessageDeduplicationId: id }),
        ...(attributes && { MessageAttributes: attributes }),
      }),
    );
  }

  /** Keeps a delivered message, and its group with it, hidden for `ms`. */
  async function hold({ receiptHandle }: SQSRecord, ms: number): Promise<void> {
    const VisibilityTimeout = Math.max(0, Math.min(Math.ceil(ms / 1000), 43_200));
    const change = { QueueUrl: url, ReceiptHandle: receiptHandle, VisibilityTimeout };
    await client.send(new ChangeMessageVisibilityCommand(change));
  }

  return {
    /**
     * Runs `work` for a delivered message. Resolves to true when the message is processed, or was sent to the end of the
     * queue as it is; to false when SQS is to deliver it again, for which `onWait` is told why and when. Never rejects: what
     * could not even wait comes back when its visibility timeout is over.
     */
    async deliver(
      record: SQSRecord,
      log: Log,
      work: () => Promise<void>,
      onWait: (wait: Wait) => Promise<void>,
    ): Promise<boolean> {
      const receives = receivesOf(record);
      const held = heldForRateLimit === record.messageId && receives <= MAX_RATE_LIMIT_HOLDS;
      try {
        if (receives > FAULT_WAITS_MS.length && !held) {
          log.info('offboarding_deferred', { receives });
          await send(url, record.body, laneOf(record), record.messageId);
          return true;
        }
        await work();
        return true;
      } catch (error) {
        const wait = waitAfter(error, receives, laneOf(record));
        heldForRateLimit = wait.problem?.code === 'rate_limited' ? record.messageId : undefined;
        log.warn('offboarding_waits', { receives, wait_ms: Math.round(wait.ms), error: describeError(error) });
        const failed = (cause: unknown) => log.error('offboarding_wait_failed', { error: describeError(cause) });
        await onWait(wait).catch(failed);
        await hold(record, wait.ms).catch(failed);
        return false;
      }
    },

    /**
     * Moves a message to the dead-letter queue that the queue's own redrive policy names, at once and with its reason as an
     * attribute. Throws when there is none.
     */
    async moveToDeadLetterQueue(record: SQSRecord, reason: string): Promise<void> {
      const query = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['RedrivePolicy'] });
      const { Attributes } = await client.send(query);
      const arn: string = JSON.parse(Attributes?.RedrivePolicy ?? '{}').deadLetterTargetArn ?? '';
      const name = arn.split(':').at(-1);
      if (!name) throw new Error('The queue has no dead-letter queue');
      await send(url.slice(0, url.lastIndexOf('/') + 1) + name, record.body, laneOf(record), record.messageId, reason);
    },
  };
}

/** Sends to the offboarding queue of those that do no more than ask for looks. */
export function createLookSender(url: string, client: SQSClient) {
  return {
    /** Sends messages at once, in the watch lane; those with the same `id` within five minutes are one. */
    async sendLooks(looks: { id: string; message: object }[]): Promise<void> {
      await inParallel(chunksOf(looks, MAX_ENTRIES), CALLS_AT_ONCE, async (chunk) => {
        const Entries = chunk.map(({ id, message }, index) => ({
          Id: String(index),
          MessageBody: JSON.stringify(message),
          MessageGroupId: 'watch' satisfies Lane,
          MessageDeduplicationId: id,
        }));
        const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }));
        if (Failed.length > 0) throw new Error(`The queue refused messages: ${Failed[0]?.Code}`);
      });
    },
  };
}
