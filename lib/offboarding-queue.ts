import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { describeError, type Log } from './log.ts';
import { RecordChanged } from './offboarding-record.ts';
import { asProblem, type Problem } from './problem.ts';
import { RetryLater } from './transient.ts';

/**
 * The message groups of the queue. SQS hands out one message of a group at a time, so a lane is one worker: single requests,
 * and beside them, giving way to them, batches and removals that are due.
 */
export type Lane = 'single' | 'batch';

/** How long a message is kept where it is after each fault in a row, milliseconds; after the last it goes to the end of the queue. */
const FAULT_WAITS_MS = [10_000, 20_000, 40_000];
/** A message that waits for the rate limit stays where it is, as all others wait for the same; this often, for its receives are bounded. */
const MAX_RATE_LIMIT_HOLDS = 50;
/** Somebody else has just changed the record, milliseconds. */
const RECORD_CHANGED_WAIT_MS = 1000;

/** The ARN of the queue at `url` (`https://sqs.{region}.amazonaws.com/{account}/{name}`). */
export function queueArn(url: string): string {
  const [name, account] = url.split('/').reverse();
  return `arn:aws:sqs:${process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'}:${account}:${name}`;
}

export const laneOf = ({ attributes }: SQSRecord): Lane =>
  attributes?.MessageGroupId === 'batch' ? 'batch' : 'single';

export const receivesOf = ({ attributes }: SQSRecord) => Number(attributes?.ApproximateReceiveCount ?? 1);

/** What a delivery that is not finished waits for: the rate limit, its turn, or the end of a fault. */
export interface Wait {
  ms: number;
  /** Undefined when it is no fault. */
  problem: Problem | undefined;
}

function waitAfter(error: unknown, receives: number): Wait {
  if (error instanceof RetryLater) return { ms: error.waitMs, problem: undefined };
  if (error instanceof RecordChanged) return { ms: RECORD_CHANGED_WAIT_MS, problem: undefined };
  const problem = asProblem(error);
  if (problem.code === 'rate_limited') return { ms: (problem.retryAfter ?? 1) * 1000, problem };
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
          await send(url, record.body, record.attributes?.MessageGroupId ?? 'single', record.messageId);
          return true;
        }
        await work();
        return true;
      } catch (error) {
        const wait = waitAfter(error, receives);
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
      const group = record.attributes?.MessageGroupId ?? 'single';
      await send(url.slice(0, url.lastIndexOf('/') + 1) + name, record.body, group, record.messageId, reason);
    },
  };
}
