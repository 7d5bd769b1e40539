import * as sqs from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import * as queue from '../../aws/queue.ts';
import { required } from '../../environment.ts';
import { OrganizationId } from '../../ids.ts';
import { parseJson } from '../../json.ts';
import { OffboardingMessage } from '../model/messages.ts';
import { deadLetterQueueUrl } from './dead-letter-queue.ts';

const QueueUrl = required('OFFBOARDING_QUEUE_URL');
/** The other queues of the stage that hold what could not be delivered to the offboarding queue. */
const UNDELIVERED = (process.env.UNDELIVERED_QUEUE_URLS ?? '').split(',').filter((url) => url !== '');

const Redrive = v.union([v.literal('all'), v.strictObject({ organization_id: OrganizationId })]);

/** How many messages of the dead-letter queues went back to the offboarding queue, and how many stayed where they are. */
export type Redriven = { redriven: number; left: number };

/**
 * Moves dead letters back to the offboarding queue until `deadline` (Unix ms): `"all"` of them, or those of one organization. Only
 * what the worker can read is moved; what is malformed stays. Throws when `what` is neither.
 */
export async function redrive(what: unknown, deadline: number): Promise<Redriven> {
  const parsed = v.safeParse(Redrive, what);
  if (!parsed.success) throw new Error('redrive: must be "all" or {"organization_id": "org_…"}');
  const wanted = parsed.output;
  const total = { redriven: 0, left: 0 };
  for (const url of [await deadLetterQueueUrl(), ...UNDELIVERED]) {
    const seen = new Set<string>();
    while (Date.now() < deadline) {
      const { Messages = [] } = await queue.client.send(
        new sqs.ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 30 }),
      );
      const fresh = Messages.filter(({ MessageId = '' }) => !seen.has(MessageId));
      if (fresh.length === 0) break;
      for (const message of fresh) {
        seen.add(message.MessageId ?? '');
        const isMoved = await moveBack(url, message, wanted);
        total[isMoved ? 'redriven' : 'left'] += 1;
      }
    }
  }
  return total;
}

async function moveBack(
  url: string,
  { Body = '', ReceiptHandle }: sqs.Message,
  wanted: v.InferOutput<typeof Redrive>,
): Promise<boolean> {
  const parsed = v.safeParse(OffboardingMessage, parseJson(Body));
  const isWanted =
    parsed.success && (wanted === 'all' || parsed.output.detail.organization_id === wanted.organization_id);
  if (!isWanted) return false;
  await queue.sendMessage(QueueUrl, Body, 'single');
  await queue.client.send(new sqs.DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
  return true;
}
