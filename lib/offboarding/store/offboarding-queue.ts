import { randomUUID } from 'node:crypto';
import type { SQSRecord } from 'aws-lambda';
import pMap from 'p-map';
import * as queue from '../../aws/queue.ts';
import * as sqs from '../../aws/sqs.ts';
import { required } from '../../environment.ts';
import { chunksOf } from '../../json.ts';
import type { DueNotice } from '../model/effects.ts';
import { DUE } from '../model/messages.ts';
import type { Priority } from '../model/organization.ts';
import type { Performer } from './shell.ts';

const QueueUrl = required('OFFBOARDING_QUEUE_URL');

/** The longest that a message may be hidden, counted from its receive (SQS: "Visibility timeout"); a minute less, for it was received before. */
const LONGEST_HIDDEN_S = 12 * 3600 - 60;
/** What SendMessageBatch takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

/** A priority is a message group: SQS hands out one message of a group at a time, so one worker at a time works in each. */
export const groupOf = ({ attributes }: SQSRecord): Priority =>
  (['batch', 'watch'] as const).find((group) => group === attributes?.MessageGroupId) ?? 'single';

/** Hides a delivered message, and its group with it, for `ms` more. */
export const changeVisibility = (message: SQSRecord, ms: number) =>
  queue.changeVisibility(QueueUrl, message, Math.max(0, Math.min(Math.ceil(ms / 1000), LONGEST_HIDDEN_S)));

/** Sends a message to the end of its group, as it is. */
export const requeue = (message: SQSRecord) => queue.sendMessage(QueueUrl, message.body, groupOf(message));

/** For priming: a batch without a message, which SQS refuses (API reference, SendMessageBatch: `EmptyBatchRequest`). */
export const primeQueue = (): Promise<unknown> => sqs.sendMessageBatch({ QueueUrl, Entries: [] });

/** Sends a due notice for each of these organizations, in the message group of its priority. Throws when the queue does not take all of them. */
async function sendDue({ notices }: { notices: DueNotice[] }): Promise<void> {
  const sendChunk = async (chunk: DueNotice[]) => {
    const Entries = chunk.map(({ organization_id, priority }, index) => ({
      Id: String(index),
      MessageBody: JSON.stringify({ 'detail-type': DUE, detail: { organization_id } }),
      MessageGroupId: priority,
      MessageDeduplicationId: randomUUID(),
    }));
    const { Failed = [] } = await sqs.sendMessageBatch({ QueueUrl, Entries });
    if (Failed.length > 0) throw new Error(`The queue rejected messages: ${Failed[0]?.Code}`);
  };
  await pMap(chunksOf(notices, MAX_ENTRIES), sendChunk, { concurrency: CALLS_AT_ONCE });
}

/** Performs the one effect of the offboarding queue that many functions ask for. */
export const DUE_EFFECTS = { sendDue } satisfies Performer;
