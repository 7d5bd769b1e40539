import { randomUUID } from 'node:crypto';
import type { SQSRecord } from 'aws-lambda';
import * as sqs from './sqs.ts';

// What both queues have in common. Which queue it is, and when a message comes back, is its owner's.

export const receiveCountOf = ({ attributes }: SQSRecord) => Number(attributes?.ApproximateReceiveCount ?? 1);

/** Hides a delivered message for `seconds` from now on. */
export async function changeVisibility(QueueUrl: string, message: SQSRecord, seconds: number): Promise<void> {
  const change = { QueueUrl, ReceiptHandle: message.receiptHandle, VisibilityTimeout: seconds };
  await sqs.changeMessageVisibility(change);
}

/** Sends a message to the end of its group; `reason` becomes an attribute of it. */
export async function sendMessage(QueueUrl: string, MessageBody: string, MessageGroupId: string, reason?: string) {
  // No message equals another: what is sent again within five minutes would be accepted and never delivered (SQS FIFO).
  const fifo = { MessageGroupId, MessageDeduplicationId: randomUUID() };
  const MessageAttributes = reason ? { reason: { DataType: 'String', StringValue: reason.slice(0, 500) } } : undefined;
  await sqs.sendMessage({ QueueUrl, MessageBody, MessageAttributes, ...fifo });
}
