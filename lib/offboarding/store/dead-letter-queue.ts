import { sendMessage } from '../../aws/queue.ts';
import { getQueueAttributes } from '../../aws/sqs.ts';
import { required } from '../../environment.ts';
import type { Priority } from '../model/organization.ts';

const QueueUrl = required('OFFBOARDING_QUEUE_URL');

/** The dead-letter queue that the queue's own redrive policy names. Throws when there is none. */
export async function deadLetterQueueUrl(): Promise<string> {
  const { Attributes } = await getQueueAttributes({ QueueUrl, AttributeNames: ['RedrivePolicy'] });
  const arn: string = JSON.parse(Attributes?.RedrivePolicy ?? '{}').deadLetterTargetArn ?? '';
  const name = arn.split(':').at(-1);
  if (!name) throw new Error('The queue has no dead-letter queue');
  return QueueUrl.slice(0, QueueUrl.lastIndexOf('/') + 1) + name;
}

/** Sends a message to the dead-letter queue, at once and with its reason as an attribute. */
export const sendDeadLetter = async (body: string, group: Priority, reason: string): Promise<void> =>
  sendMessage(await deadLetterQueueUrl(), body, group, reason);
