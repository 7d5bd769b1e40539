// The events that a replay of the archive has put into a queue. They are read, and stay there for the next run.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ChangeMessageVisibilityBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { Place } from './place.ts';

export interface Replayed {
  /** JSON texts, one an event, in no order. */
  bodies: string[];
  /** Messages that somebody else has received, about: they are not in `bodies`. */
  inFlight: number;
  /** Undefined when what was received can be received again at once; else why it cannot. */
  notReleased: string | undefined;
}

/** A message that was received is not handed out again for so long, unless it is released. */
export const HIDDEN_S = 600;
const READS_WITHOUT_ANY = 3;
const MOST_AT_ONCE = 10;

/** Reads what the queue has now and releases it again. Rejects with SQS's error where the queue cannot be read. */
export async function replayedEvents({ client }: Place, QueueName: string): Promise<Replayed> {
  const sqs = new SQSClient({ ...client, useQueueUrlAsEndpoint: false });
  const { QueueUrl = '' } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
  const inFlight = await inFlightOf(sqs, QueueUrl);
  const received: Message[] = [];
  let notReleased: string | undefined;
  try {
    await receiveAll(sqs, QueueUrl, received);
  } finally {
    notReleased = await release(sqs, QueueUrl, received).catch((error: Error) => error.message || error.name);
  }
  const last = new Map(received.map(({ MessageId = '', Body = '' }) => [MessageId, Body]));
  return { bodies: [...last.values()], inFlight, notReleased };
}

async function inFlightOf(sqs: SQSClient, QueueUrl: string): Promise<number> {
  const query = { QueueUrl, AttributeNames: ['ApproximateNumberOfMessagesNotVisible' as const] };
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand(query));
  return Number(Attributes?.ApproximateNumberOfMessagesNotVisible ?? 0);
}

/** Adds to `received` while it reads, so that a read that fails leaves what is to be released. */
async function receiveAll(sqs: SQSClient, QueueUrl: string, received: Message[]): Promise<void> {
  // After that the first come again.
  const end = Date.now() + HIDDEN_S * 1000;
  for (let empty = 0; empty < READS_WITHOUT_ANY && Date.now() < end; ) {
    const query = { QueueUrl, MaxNumberOfMessages: MOST_AT_ONCE, VisibilityTimeout: HIDDEN_S, WaitTimeSeconds: 1 };
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(query));
    empty = Messages.length > 0 ? 0 : empty + 1;
    if (Messages.length === 0) await sleep(200);
    received.push(...Messages);
  }
}

async function release(sqs: SQSClient, QueueUrl: string, received: Message[]): Promise<string | undefined> {
  let why: string | undefined;
  for (let from = 0; from < received.length; from += MOST_AT_ONCE) {
    const Entries = received
      .slice(from, from + MOST_AT_ONCE)
      .map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle, VisibilityTimeout: 0 }));
    const { Failed = [] } = await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
    why ??= Failed[0]?.Message ?? Failed[0]?.Code;
  }
  return why;
}
