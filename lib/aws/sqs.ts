import * as sqs from '@aws-sdk/client-sqs';
import { AwsJson1_0Protocol } from '@aws-sdk/core/protocols';
import { createClient } from './client.ts';

const protocol = new AwsJson1_0Protocol({
  defaultNamespace: 'com.amazonaws.sqs',
  serviceTarget: 'AmazonSQS',
  awsQueryCompatible: true,
});
/** A queue is called where its URL says. */
const originOf = ({ QueueUrl = '' }: { QueueUrl?: string | undefined }) => new URL(QueueUrl).origin;
const call = createClient({ name: 'sqs', protocol }, originOf);

// The calls of SQS that are made, each as the SDK's command of its name.
export const sendMessage = /* @__PURE__ */ call<typeof sqs.SendMessageCommand>(sqs.SendMessage$);
export const sendMessageBatch = /* @__PURE__ */ call<typeof sqs.SendMessageBatchCommand>(sqs.SendMessageBatch$);
export const receiveMessage = /* @__PURE__ */ call<typeof sqs.ReceiveMessageCommand>(sqs.ReceiveMessage$);
export const deleteMessage = /* @__PURE__ */ call<typeof sqs.DeleteMessageCommand>(sqs.DeleteMessage$);
export const changeMessageVisibility = /* @__PURE__ */ call<typeof sqs.ChangeMessageVisibilityCommand>(
  sqs.ChangeMessageVisibility$,
);
export const getQueueAttributes = /* @__PURE__ */ call<typeof sqs.GetQueueAttributesCommand>(sqs.GetQueueAttributes$);
