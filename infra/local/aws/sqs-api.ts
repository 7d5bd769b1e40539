// SQS's operations (API reference), and what an event source mapping makes of a message.
import { createHash, randomUUID } from 'node:crypto';
import type { Message } from './queue.ts';
import { type Attribute, invalid, MAX_BYTES, type Queue, type QueueOptions, type Sqs, sizeOf } from './sqs.ts';
import { type Agenda, AwsError, type Call, type Json, type Operation, REGION, text } from './wire.ts';

/** A batch has at most so many entries, and a receive so many messages. */
const MOST_AT_ONCE = 10;
const MOVE_TAKES_MS = 100;

const md5 = (body: string) => createHash('md5').update(body).digest('hex');
const failure = (type: string, message: string) => new AwsError(`com.amazonaws.sqs#${type}`, message);
const attributesOf = (input: Json) => input.MessageAttributes as Record<string, Attribute> | undefined;

const systemAttributes = (message: Message) => ({
  ApproximateReceiveCount: String(message.receiveCount),
  ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
  SentTimestamp: String(message.sentAt),
  SenderId: 'AROALOCAL:local',
  ...(message.group && { MessageGroupId: message.group }),
  ...(message.deduplicationId && { MessageDeduplicationId: message.deduplicationId }),
  ...(message.sequence && { SequenceNumber: message.sequence }),
  ...(message.trace && { AWSTraceHeader: message.trace }),
});

const asLambdaAttribute = ({ DataType, StringValue, BinaryValue }: Attribute) => ({
  ...(StringValue !== undefined && { stringValue: StringValue }),
  ...(BinaryValue !== undefined && { binaryValue: BinaryValue }),
  stringListValues: [],
  binaryListValues: [],
  dataType: DataType,
});

/** What an event source mapping makes of a message (Lambda developer guide, "Example FIFO queue message event"). */
export const asRecord = (queue: Queue, message: Message) => ({
  messageId: message.id,
  receiptHandle: message.receipt,
  body: message.body,
  attributes: systemAttributes(message),
  messageAttributes: Object.fromEntries(
    Object.entries(message.attributes as Record<string, Attribute>).map(([name, one]) => [
      name,
      asLambdaAttribute(one),
    ]),
  ),
  md5OfBody: md5(message.body),
  eventSource: 'aws:sqs',
  eventSourceARN: queue.arn,
  awsRegion: REGION,
});

/** Runs a batch's entries one by one: each succeeds or fails for itself. */
function batch(input: Json, { fault }: Call, run: (entry: Json) => Json): Json {
  const [Successful, Failed]: [Json[], Json[]] = [[], []];
  entriesOf(input).forEach((entry, index) => {
    const { Id } = entry;
    try {
      if (fault?.entries?.includes(index))
        throw new AwsError(fault.error ?? 'InternalError', 'Failed on purpose.', 500);
      Successful.push({ Id, ...run(entry) });
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const Code = error.type.split('#').at(-1);
      Failed.push({ Id, Code, Message: error.message, SenderFault: error.status < 500 });
    }
  });
  return { Successful, Failed };
}

function entriesOf(input: Json): Json[] {
  const entries = (input.Entries ?? []) as Json[];
  if (entries.length === 0) throw failure('EmptyBatchRequest', 'There should be at least one entry in the request.');
  if (entries.length > MOST_AT_ONCE)
    throw failure('TooManyEntriesInBatchRequest', `Maximum number of entries per request are ${MOST_AT_ONCE}.`);
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length)
    throw failure('BatchEntryIdsNotDistinct', 'Two or more batch entries have the same Id.');
  return entries;
}

/** A queue's options by the attributes that it is made with. A name that ends in .fifo needs the attribute, too. */
function optionsOf(name: string, attributes: Record<string, string> = {}): QueueOptions {
  if (name.endsWith('.fifo') !== (attributes.FifoQueue === 'true'))
    throw invalid('The name of a FIFO queue ends with .fifo, and its attribute FifoQueue is true.');
  const { VisibilityTimeout, MessageRetentionPeriod, ContentBasedDeduplication, Policy, RedrivePolicy } = attributes;
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(RedrivePolicy ?? '{}');
  return {
    ...(VisibilityTimeout && { visibilityTimeout: Number(VisibilityTimeout) * 1000 }),
    ...(MessageRetentionPeriod && { retention: Number(MessageRetentionPeriod) * 1000 }),
    contentBasedDeduplication: ContentBasedDeduplication === 'true',
    ...(Policy && { policy: JSON.parse(Policy).Statement }),
    redrive: deadLetterTargetArn && { deadLetterQueue: deadLetterTargetArn.split(':').at(-1), maxReceiveCount },
  };
}

export function createSqsApi(sqs: Sqs, agenda: Agenda): Record<string, Operation> {
  const { queueNamed, withArn } = sqs;
  const queueOf = (input: Json) => queueNamed(text(input, 'QueueUrl').split('/').at(-1) ?? '');

  function sendMessage(queue: Queue, input: Json, call: Call): Json {
    if (queue.fifo && input.DelaySeconds) throw invalid('DelaySeconds is not taken by a FIFO queue.');
    if (input.DelaySeconds) throw invalid('DelaySeconds is not played here.');
    const body = text(input, 'MessageBody');
    const { AWSTraceHeader } = Object(input.MessageSystemAttributes);
    const { id, sequence } = sqs.send(queue, body, {
      group: input.MessageGroupId as string | undefined,
      deduplicationId: input.MessageDeduplicationId as string | undefined,
      attributes: attributesOf(input),
      trace: AWSTraceHeader?.StringValue ?? call.trace,
    });
    return { MessageId: id, MD5OfMessageBody: md5(body), ...(sequence && { SequenceNumber: sequence }) };
  }

  function sendBatch(input: Json, call: Call): Json {
    const queue = queueOf(input);
    const bytes = entriesOf(input).reduce(
      (sum, entry) => sum + sizeOf(text(entry, 'MessageBody'), attributesOf(entry)),
      0,
    );
    if (bytes > MAX_BYTES)
      throw failure('BatchRequestTooLong', `Batch requests cannot be longer than ${MAX_BYTES} bytes.`);
    return batch(input, call, (entry) => sendMessage(queue, entry, call));
  }

  function receiveMessage(input: Json): Json {
    const queue = queueOf(input);
    const most = Number(input.MaxNumberOfMessages ?? 1);
    if (!(most >= 1 && most <= MOST_AT_ONCE))
      throw invalid(`Value ${most} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10.`);
    const timeout = input.VisibilityTimeout === undefined ? undefined : Number(input.VisibilityTimeout) * 1000;
    const Messages = sqs.receive(queue, most, timeout).map((message) => ({
      MessageId: message.id,
      ReceiptHandle: message.receipt,
      Body: message.body,
      MD5OfBody: md5(message.body),
      Attributes: systemAttributes(message),
      MessageAttributes: message.attributes,
    }));
    return Messages.length ? { Messages } : {};
  }

  function queueAttributes({ arn, messages, redrive, fifo, contentBasedDeduplication }: Queue): Json {
    const { visible, hidden } = messages.counts();
    return {
      QueueArn: arn,
      ApproximateNumberOfMessages: String(visible),
      ApproximateNumberOfMessagesNotVisible: String(hidden),
      ...(fifo && { FifoQueue: 'true', ContentBasedDeduplication: String(contentBasedDeduplication) }),
      ...(redrive && {
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: queueNamed(redrive.deadLetterQueue).arn,
          maxReceiveCount: redrive.maxReceiveCount,
        }),
      }),
    };
  }

  /** Messages of a dead-letter queue go back, or to another queue of its kind; one task at a time. */
  function startMove(input: Json): Json {
    const source = withArn(text(input, 'SourceArn'));
    const origins = sqs.all().filter(({ redrive }) => redrive?.deadLetterQueue === source?.name);
    const target = input.DestinationArn ? withArn(input.DestinationArn) : origins[0];
    if (!source || !target) throw failure('ResourceNotFoundException', 'The queue does not exist.');
    if (origins.length === 0)
      throw invalid('Source queue must be configured as a dead-letter queue of another SQS queue.');
    if (source.fifo !== target.fifo) throw invalid('The source and the destination must be queues of one type.');
    if (source.moveTask?.Status === 'RUNNING')
      throw failure('UnsupportedOperation', 'A task is running; only one is allowed for a source queue at a time.');
    const task = { TaskHandle: randomUUID(), Status: 'RUNNING', SourceArn: source.arn };
    source.moveTask = { ...task, ApproximateNumberOfMessagesMoved: 0 };
    agenda.at(Date.now() + MOVE_TAKES_MS, () => move(source, target));
    return { TaskHandle: task.TaskHandle };
  }

  function move(source: Queue, target: Queue): void {
    const messages = source.messages.list();
    for (const message of messages) {
      source.messages.remove(message);
      target.messages.add({ ...message, visibleAt: 0, sentAt: Date.now() });
    }
    Object.assign(source.moveTask ?? {}, { Status: 'COMPLETED', ApproximateNumberOfMessagesMoved: messages.length });
    sqs.wake(target);
  }

  return {
    GetQueueUrl: (input) => ({ QueueUrl: queueNamed(text(input, 'QueueName')).url }),
    GetQueueAttributes: (input) => ({ Attributes: queueAttributes(queueOf(input)) }),
    SendMessage: (input, call) => sendMessage(queueOf(input), input, call),
    SendMessageBatch: sendBatch,
    ReceiveMessage: receiveMessage,
    DeleteMessage(input) {
      sqs.remove(queueOf(input), text(input, 'ReceiptHandle'));
      return {};
    },
    DeleteMessageBatch(input, call) {
      const queue = queueOf(input);
      return batch(input, call, (entry) => {
        sqs.remove(queue, text(entry, 'ReceiptHandle'));
        return {};
      });
    },
    ChangeMessageVisibility(input) {
      sqs.changeVisibility(queueOf(input), text(input, 'ReceiptHandle'), Number(input.VisibilityTimeout));
      return {};
    },
    ChangeMessageVisibilityBatch(input, call) {
      const queue = queueOf(input);
      return batch(input, call, ({ ReceiptHandle, VisibilityTimeout }) => {
        sqs.changeVisibility(queue, String(ReceiptHandle), Number(VisibilityTimeout));
        return {};
      });
    },
    CreateQueue(input, call) {
      const name = text(input, 'QueueName');
      const options = optionsOf(name, input.Attributes as Record<string, string> | undefined);
      return { QueueUrl: sqs.create(name, String(call.endpoint), options).url };
    },
    SetQueueAttributes(input) {
      const { Policy, ...others } = Object(input.Attributes);
      const [other] = Object.keys(others);
      if (other) throw invalid(`Setting ${other} is not played here.`);
      if (Policy) queueOf(input).policy = JSON.parse(Policy).Statement;
      return {};
    },
    PurgeQueue(input) {
      sqs.purge(queueOf(input).name);
      return {};
    },
    StartMessageMoveTask: startMove,
    ListMessageMoveTasks(input) {
      const task = withArn(text(input, 'SourceArn'))?.moveTask;
      return { Results: task ? [task] : [] };
    },
  };
}
