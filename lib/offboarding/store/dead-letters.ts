import { randomUUID } from 'node:crypto';
import type { Message, QueueAttributeName } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { sendMessage } from '../../aws/queue.ts';
import * as sqs from '../../aws/sqs.ts';
import { required } from '../../environment.ts';
import { OrganizationId } from '../../ids.ts';
import { parseAs, parseJson } from '../../json.ts';
import { OffboardingMessage } from '../model/messages.ts';
import { deadLetterQueueUrl } from './dead-letter-queue.ts';

const QueueUrl = required('OFFBOARDING_QUEUE_URL');
/** The other queues of the stage that hold what could not be delivered to the offboarding queue. */
const UNDELIVERED = (process.env.UNDELIVERED_QUEUE_URLS ?? '').split(',').filter((url) => url !== '');

const Wanted = v.union([v.literal('all'), v.strictObject({ organization_id: OrganizationId })]);
type Wanted = v.InferOutput<typeof Wanted>;

/** What one receive takes. */
const MOST_AT_ONCE = 10;

/** How many messages of the dead-letter queues went back to the offboarding queue, and how many stayed where they are. */
export type Redriven = { redriven: number; left: number };

/**
 * Moves dead letters back to the offboarding queue until `deadline` (Unix ms): `"all"` of them, or those of one organization. Only
 * what the worker can read is moved; what is malformed stays. Throws when `what` is neither.
 */
export async function redrive(what: unknown, deadline: number): Promise<Redriven> {
  const wanted = parseAs(Wanted, what);
  if (!wanted) throw new Error('redrive: must be "all" or {"organization_id": "org_…"}');
  const urls = [await deadLetterQueueUrl(), ...UNDELIVERED];
  const rounds = await Promise.allSettled(urls.map((url) => redriveFrom(url, wanted, deadline)));
  const total = { redriven: 0, left: 0 };
  for (const round of rounds) {
    // Only now: a round that goes on after the function's end would be frozen with it.
    if (round.status === 'rejected') throw round.reason;
    total.redriven += round.value.redriven;
    total.left += round.value.left;
  }
  return total;
}

/** One queue that is gone through once: what of it stays is held in flight until the end, so that it is seen once. */
interface Round {
  url: string;
  deadline: number;
  /** When it began (Unix ms): what is sent since then is not one of its letters, and may be one that it moved and that came back. */
  began: number;
  held: Message[];
  /** Ids of the letters that this round has put behind their group. */
  copies: Set<string | undefined>;
}

/**
 * Goes through one queue. A letter in flight blocks its group (SQS FIFO): what stays of a full receive is put behind its group, and
 * the round is done when only such copies come. What stays of the last receive keeps its place.
 */
async function redriveFrom(url: string, wanted: Wanted, deadline: number): Promise<Redriven> {
  const round: Round = { url, deadline, began: Date.now(), held: [], copies: new Set() };
  const total = { redriven: 0, left: 0 };
  let isDone = false;
  try {
    while (Date.now() < deadline && !isDone) isDone = await receiveSome(round, wanted, total);
  } finally {
    await release(round);
  }
  // What nobody has looked at stays as well.
  return isDone ? total : { ...total, left: Math.max(total.left, await countOf(url)) };
}

/** Whether a message is one of a round's letters: it was there when the round began, and is no copy that the round made. */
const isLetterOf = ({ began, copies }: Round, { Attributes, MessageId }: Message): boolean =>
  Number(Attributes?.SentTimestamp ?? 0) <= began && !copies.has(MessageId);

/** One receive of a round; true once it is done. */
async function receiveSome(round: Round, wanted: Wanted, total: Redriven): Promise<boolean> {
  const messages = await receive(round);
  const staying: Message[] = [];
  for (const message of messages.filter((one) => isLetterOf(round, one))) {
    const isMoved = await moveBack(round.url, message, wanted);
    total[isMoved ? 'redriven' : 'left'] += 1;
    if (!isMoved) staying.push(message);
  }
  round.held.push(...messages.filter((one) => !isLetterOf(round, one)));
  if (messages.length === MOST_AT_ONCE) await putBehind(round, staying);
  else round.held.push(...staying);
  return messages.length === 0 && !(await goesOn(round));
}

async function receive({ url, deadline }: Round): Promise<Message[]> {
  const seconds = Math.ceil((deadline - Date.now()) / 1000);
  const { Messages = [] } = await sqs.receiveMessage({
    QueueUrl: url,
    MaxNumberOfMessages: MOST_AT_ONCE,
    // Until the round is over, nothing comes twice.
    VisibilityTimeout: Math.min(seconds, 900) + 10,
    // Only a receive that waits asks all of SQS's servers.
    WaitTimeSeconds: Math.min(seconds, 2),
    MessageAttributeNames: ['All'],
    MessageSystemAttributeNames: ['MessageGroupId', 'SentTimestamp'],
  });
  return Messages;
}

/** Where nothing more comes although something is there, groups are blocked by what is held: whether that was put behind them. */
async function goesOn(round: Round): Promise<boolean> {
  const staying = round.held.filter((one) => isLetterOf(round, one));
  if (staying.length === 0 || !round.url.endsWith('.fifo') || (await countOf(round.url, VISIBLE)) === 0) return false;
  round.held = round.held.filter((one) => !staying.includes(one));
  await putBehind(round, staying);
  return true;
}

/** Puts letters at the end of their group: first a copy is sent, then the letter is deleted. */
async function putBehind(round: Round, letters: Message[]): Promise<void> {
  if (!round.url.endsWith('.fifo')) return void round.held.push(...letters);
  for (const { Body: MessageBody, ReceiptHandle, Attributes, MessageAttributes } of letters) {
    // No message equals another: SQS would accept a second one and never deliver it.
    const fifo = { MessageGroupId: Attributes?.MessageGroupId, MessageDeduplicationId: randomUUID() };
    const copy = { QueueUrl: round.url, MessageBody, MessageAttributes, ...fifo };
    const { MessageId } = await sqs.sendMessage(copy);
    round.copies.add(MessageId);
    await sqs.deleteMessage({ QueueUrl: round.url, ReceiptHandle });
  }
}

/** Lets everybody see what is held. What fails here is seen again when its visibility timeout is over. */
const release = ({ url, held }: Round) =>
  Promise.allSettled(
    held.map(({ ReceiptHandle }) =>
      sqs.changeMessageVisibility({ QueueUrl: url, ReceiptHandle, VisibilityTimeout: 0 }),
    ),
  );

const VISIBLE = ['ApproximateNumberOfMessages'] as const;
const ALL = [...VISIBLE, 'ApproximateNumberOfMessagesNotVisible'] as const;

/** About how many messages a queue has: those that nobody holds, or all. */
async function countOf(QueueUrl: string, names: readonly QueueAttributeName[] = ALL): Promise<number> {
  const { Attributes = {} } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: [...names] });
  return names.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0);
}

async function moveBack(url: string, { Body = '', ReceiptHandle }: Message, wanted: Wanted): Promise<boolean> {
  const message = parseAs(OffboardingMessage, parseJson(Body));
  if (!message || (wanted !== 'all' && message.detail.organization_id !== wanted.organization_id)) return false;
  await sendMessage(QueueUrl, Body, 'single');
  await sqs.deleteMessage({ QueueUrl: url, ReceiptHandle });
  return true;
}
