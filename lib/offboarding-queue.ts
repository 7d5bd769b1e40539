import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';

/** One group for all: SQS hands out one message of a group at a time, so exactly one worker spends the tenant's rate limit. */
export const MESSAGE_GROUP = 'tenant';

/** The ARN of the queue at `url` (`https://sqs.{region}.amazonaws.com/{account}/{name}`). */
export function queueArn(url: string): string {
  const [name, account] = url.split('/').reverse();
  return `arn:aws:sqs:${process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'}:${account}:${name}`;
}

/** The offboarding queue, as the worker uses it beside being handed its messages. */
export function createOffboardingQueue(url: string, client: SQSClient) {
  async function send(queue: string, body: string, messageId: string, delayMs: number, reason?: string): Promise<void> {
    // Two sends for one delivery of a message are one message. Only a FIFO queue knows that, and only the other kind a delay.
    const delivery = queue.endsWith('.fifo')
      ? { MessageGroupId: MESSAGE_GROUP, MessageDeduplicationId: messageId }
      : { DelaySeconds: Math.min(Math.ceil(delayMs / 1000), 900) };
    const attributes = reason && { reason: { DataType: 'String', StringValue: reason.slice(0, 500) } };
    await client.send(
      new SendMessageCommand({
        QueueUrl: queue,
        MessageBody: body,
        ...delivery,
        ...(attributes && { MessageAttributes: attributes }),
      }),
    );
  }

  return {
    /** Sends a message to the end of the queue in place of the one delivered as `messageId`; its receives begin anew. */
    sendAgain: (message: object, messageId: string, delayMs: number) =>
      send(url, JSON.stringify(message), messageId, delayMs),

    /**
     * Sends `body` at once, with its reason as an attribute, to the dead-letter queue that the queue's own redrive policy
     * names. Throws when there is none; SQS then moves the message by itself after its last receive.
     */
    async deadLetter(body: string, reason: string, messageId: string): Promise<void> {
      const query = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['RedrivePolicy'] });
      const { Attributes } = await client.send(query);
      const arn: string = JSON.parse(Attributes?.RedrivePolicy ?? '{}').deadLetterTargetArn ?? '';
      const name = arn.split(':').at(-1);
      if (!name) throw new Error('The queue has no dead-letter queue');
      await send(url.slice(0, url.lastIndexOf('/') + 1) + name, body, messageId, 0, reason);
    },

    /** Keeps a delivered message, and its group with it, out of hands for `ms`. */
    async hold(receiptHandle: string, ms: number): Promise<void> {
      const VisibilityTimeout = Math.max(0, Math.min(Math.ceil(ms / 1000), 43_200));
      await client.send(
        new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle: receiptHandle, VisibilityTimeout }),
      );
    },
  };
}

export type OffboardingQueue = ReturnType<typeof createOffboardingQueue>;
