// SQS: standard and FIFO queues, as its developer guide and API reference have them.
import { createHash, randomUUID } from 'node:crypto';
import { createMessages, type Message } from './queue.ts';
import { ACCOUNT, type Agenda, AwsError, arnOf, type Call, type Json, type Operation, text } from './wire.ts';

export interface Statement {
  Effect: string;
  Principal?: unknown;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

export interface QueueOptions {
  /** Milliseconds. */
  visibilityTimeout?: number;
  retention?: number;
  contentBasedDeduplication?: boolean;
  redrive?: { deadLetterQueue: string; maxReceiveCount: number } | undefined;
  /** Who may send, beside its own account; anybody where this is left out. */
  policy?: Statement[];
}

const DEDUPLICATION_MS = 300_000;
/** A message is hidden for so long at most, counted from its receive. */
const LONGEST_HIDDEN_S = 43_200;
const MAX_BYTES = 1_048_576;
const RETENTION_MS = 4 * 86_400_000;

const md5 = (body: string) => createHash('md5').update(body).digest('hex');
const sha256 = (body: string) => createHash('sha256').update(body).digest('hex');
const invalid = (message: string) => new AwsError('com.amazonaws.sqs#InvalidParameterValue', message);

function createQueue(name: string, url: string, options: QueueOptions) {
  const fifo = name.endsWith('.fifo');
  const { visibilityTimeout = 30_000, retention = RETENTION_MS, contentBasedDeduplication = fifo } = options;
  return {
    name,
    url,
    arn: arnOf('sqs', name),
    fifo,
    visibilityTimeout,
    contentBasedDeduplication,
    redrive: options.redrive,
    policy: options.policy,
    messages: createMessages(fifo, retention),
    /** Deduplication ids, until when they are known and which message they stand for. */
    known: new Map<string, { until: number; id: string }>(),
    sweepAt: 1000,
    /** Pollers that wait for the next message. */
    waiting: new Set<() => void>(),
    moveTask: undefined as Json | undefined,
  };
}
export type Queue = ReturnType<typeof createQueue>;

interface Sending {
  group?: string | undefined;
  deduplicationId?: string | undefined;
  attributes?: Json | undefined;
  trace?: string | undefined;
}

export function createSqs(agenda: Agenda) {
  const queues = new Map<string, Queue>();

  function queueNamed(name: string): Queue {
    const queue = queues.get(name);
    if (!queue) throw new AwsError('com.amazonaws.sqs#QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }
  const queueOf = (input: Json) => queueNamed(text(input, 'QueueUrl').split('/').at(-1) ?? '');
  const withArn = (arn: unknown) => [...queues.values()].find((queue) => queue.arn === arn);

  function wake(queue: Queue): void {
    agenda.tick();
    for (const poller of [...queue.waiting]) poller();
  }

  /** The message with this id that was sent within five minutes: another is accepted and never delivered, also when that one is deleted. */
  function duplicateOf(queue: Queue, id: string): string | undefined {
    const { known } = queue;
    if (known.size > queue.sweepAt) {
      for (const [key, { until }] of known) if (until <= Date.now()) known.delete(key);
      queue.sweepAt = Math.max(1000, known.size * 2);
    }
    const found = known.get(id);
    return found && found.until > Date.now() ? found.id : undefined;
  }

  function send(queue: Queue, body: string, { group, deduplicationId, attributes = {}, trace }: Sending = {}): string {
    if (Buffer.byteLength(body) > MAX_BYTES)
      throw invalid('One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.');
    const id = randomUUID();
    if (queue.fifo) {
      if (!group) throw new AwsError('MissingParameter', 'The request must contain the parameter MessageGroupId.');
      const key = deduplicationId ?? (queue.contentBasedDeduplication ? sha256(body) : undefined);
      if (key === undefined)
        throw invalid(
          'The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly',
        );
      const first = duplicateOf(queue, key);
      if (first) return first;
      queue.known.set(key, { until: Date.now() + DEDUPLICATION_MS, id });
    }
    queue.messages.add({ id, body, group, attributes, trace, visibleAt: 0, sentAt: Date.now() });
    wake(queue);
    return id;
  }

  /** To the dead-letter queue: of a FIFO queue the time of its send is new, of a standard queue it is the first one. */
  function bury(queue: Queue, target: Queue, message: Message): void {
    target.messages.add({ ...message, visibleAt: 0, sentAt: queue.fifo ? Date.now() : message.sentAt });
    wake(target);
  }

  function receive(queue: Queue, most: number, visibilityTimeout = queue.visibilityTimeout): Message[] {
    const { redrive } = queue;
    return queue.messages.receive(most, visibilityTimeout, (message) => {
      if (!redrive || message.receiveCount < redrive.maxReceiveCount) return false;
      bury(queue, queueNamed(redrive.deadLetterQueue), message);
      return true;
    });
  }

  function inFlight(queue: Queue, receipt: string): Message {
    const message = queue.messages.withReceipt(receipt);
    if (!message) throw new AwsError('com.amazonaws.sqs#ReceiptHandleIsInvalid', 'The receipt handle is not valid.');
    return message;
  }

  function remove(queue: Queue, receipt: string): void {
    const message = queue.messages.withReceipt(receipt);
    if (message && queue.fifo && message.visibleAt <= Date.now())
      throw invalid(`Value ${receipt} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.`);
    if (message) queue.messages.remove(message);
    wake(queue);
  }

  function changeVisibility(queue: Queue, receipt: string, seconds: number): void {
    const message = inFlight(queue, receipt);
    if (!(seconds >= 0 && seconds <= LONGEST_HIDDEN_S))
      throw invalid(`Value ${seconds} for parameter VisibilityTimeout is invalid.`);
    if (message.visibleAt <= Date.now())
      throw new AwsError('com.amazonaws.sqs#MessageNotInflight', 'The message is not in flight.');
    const hidden = (Date.now() - message.receivedAt) / 1000;
    if (hidden + seconds > LONGEST_HIDDEN_S)
      throw invalid(`Total VisibilityTimeout for the message is beyond the limit [${LONGEST_HIDDEN_S} seconds]`);
    message.visibleAt = Date.now() + seconds * 1000;
    wake(queue);
  }

  function create(name: string, endpoint: string, options: QueueOptions): Queue {
    const queue = createQueue(name, `${endpoint}/${ACCOUNT}/${name}`, options);
    queues.set(name, queue);
    return queue;
  }

  /** Deletes all messages, also those in flight (SQS API reference, PurgeQueue). */
  function purge(name: string): void {
    const { messages } = queueNamed(name);
    for (const message of messages.list()) messages.remove(message);
  }

  const systemAttributes = (message: Message) => ({
    ApproximateReceiveCount: String(message.receiveCount),
    SentTimestamp: String(message.sentAt),
    ...(message.group && { MessageGroupId: message.group }),
    ...(message.trace && { AWSTraceHeader: message.trace }),
  });

  function sendMessage(queue: Queue, input: Json, call: Call): Json {
    if (queue.fifo && input.DelaySeconds) throw invalid('DelaySeconds is not taken by a FIFO queue.');
    const body = text(input, 'MessageBody');
    const { AWSTraceHeader } = Object(input.MessageSystemAttributes);
    const id = send(queue, body, {
      group: input.MessageGroupId as string | undefined,
      deduplicationId: input.MessageDeduplicationId as string | undefined,
      attributes: input.MessageAttributes as Json | undefined,
      trace: AWSTraceHeader?.StringValue ?? call.trace,
    });
    return { MessageId: id, MD5OfMessageBody: md5(body) };
  }

  /** Runs a batch's entries one by one: each succeeds or fails for itself. */
  function batch(input: Json, { fault }: Call, run: (entry: Json) => Json): Json {
    const [Successful, Failed]: [Json[], Json[]] = [[], []];
    (input.Entries as Json[]).forEach((entry, index) => {
      const { Id } = entry;
      try {
        if (fault?.entries?.includes(index))
          throw new AwsError(fault.error ?? 'InternalError', 'Failed on purpose.', 500);
        Successful.push({ Id, ...run(entry) });
      } catch (error) {
        if (!(error instanceof AwsError)) throw error;
        Failed.push({
          Id,
          Code: error.type.split('#').at(-1),
          Message: error.message,
          SenderFault: error.status < 500,
        });
      }
    });
    return { Successful, Failed };
  }

  /** Messages of a dead-letter queue go back, or to another queue of its kind; one task at a time. */
  function startMove(input: Json): Json {
    const source = withArn(text(input, 'SourceArn'));
    const origins = [...queues.values()].filter(({ redrive }) => redrive?.deadLetterQueue === source?.name);
    const target = input.DestinationArn ? withArn(input.DestinationArn) : origins[0];
    if (!source || !target)
      throw new AwsError('com.amazonaws.sqs#ResourceNotFoundException', 'The queue does not exist.');
    if (origins.length === 0)
      throw invalid('Source queue must be configured as a dead-letter queue of another SQS queue.');
    if (source.fifo !== target.fifo) throw invalid('The source and the destination must be queues of one type.');
    if (source.moveTask?.Status === 'RUNNING')
      throw new AwsError(
        'com.amazonaws.sqs#UnsupportedOperation',
        'There is already a task running. Only one active task is allowed for a source queue arn at a given time.',
      );
    const task: Json = {
      TaskHandle: randomUUID(),
      Status: 'RUNNING',
      SourceArn: source.arn,
      ApproximateNumberOfMessagesMoved: 0,
    };
    source.moveTask = task;
    agenda.at(Date.now() + 100, () => {
      const messages = source.messages.list();
      for (const message of messages) {
        source.messages.remove(message);
        target.messages.add({ ...message, visibleAt: 0, sentAt: Date.now() });
      }
      Object.assign(task, { Status: 'COMPLETED', ApproximateNumberOfMessagesMoved: messages.length });
      wake(target);
    });
    return { TaskHandle: task.TaskHandle };
  }

  const operations: Record<string, Operation> = {
    GetQueueUrl: (input) => ({ QueueUrl: queueNamed(text(input, 'QueueName')).url }),
    GetQueueAttributes(input) {
      const { arn, messages, redrive, fifo, contentBasedDeduplication } = queueOf(input);
      const { visible, hidden } = messages.counts();
      return {
        Attributes: {
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
        },
      };
    },
    SendMessage: (input, call) => sendMessage(queueOf(input), input, call),
    SendMessageBatch(input, call) {
      const queue = queueOf(input);
      const entries = input.Entries as Json[];
      if (entries.length > 10)
        throw new AwsError(
          'com.amazonaws.sqs#TooManyEntriesInBatchRequest',
          'Maximum number of entries per request are 10.',
        );
      const bytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(text(entry, 'MessageBody')), 0);
      if (bytes > MAX_BYTES)
        throw new AwsError(
          'com.amazonaws.sqs#BatchRequestTooLong',
          'Batch requests cannot be longer than 1048576 bytes.',
        );
      return batch(input, call, (entry) => sendMessage(queue, entry, call));
    },
    ReceiveMessage(input) {
      const queue = queueOf(input);
      const timeout = input.VisibilityTimeout === undefined ? undefined : Number(input.VisibilityTimeout) * 1000;
      const messages = receive(queue, Number(input.MaxNumberOfMessages ?? 1), timeout);
      const Messages = messages.map((message) => ({
        MessageId: message.id,
        ReceiptHandle: message.receipt,
        Body: message.body,
        MD5OfBody: md5(message.body),
        Attributes: systemAttributes(message),
        MessageAttributes: message.attributes,
      }));
      return Messages.length ? { Messages } : {};
    },
    DeleteMessage(input) {
      remove(queueOf(input), text(input, 'ReceiptHandle'));
      return {};
    },
    DeleteMessageBatch(input, call) {
      const queue = queueOf(input);
      return batch(input, call, (entry) => {
        remove(queue, text(entry, 'ReceiptHandle'));
        return {};
      });
    },
    ChangeMessageVisibility(input) {
      changeVisibility(queueOf(input), text(input, 'ReceiptHandle'), Number(input.VisibilityTimeout));
      return {};
    },
    CreateQueue: (input, call) => ({ QueueUrl: create(text(input, 'QueueName'), String(call.endpoint), {}).url }),
    SetQueueAttributes(input) {
      const { Policy } = input.Attributes as { Policy?: string };
      if (Policy) queueOf(input).policy = JSON.parse(Policy).Statement;
      return {};
    },
    PurgeQueue(input) {
      purge(queueOf(input).name);
      return {};
    },
    StartMessageMoveTask: startMove,
    ListMessageMoveTasks(input) {
      const task = withArn(text(input, 'SourceArn'))?.moveTask;
      return { Results: task ? [task] : [] };
    },
  };

  return {
    operations,
    queueNamed,
    withArn,
    send,
    receive,
    remove,
    purge,
    wake,
    /** What an event source mapping makes of a message (Lambda developer guide, "Example FIFO queue message event"). */
    asRecord: (queue: Queue, message: Message) => ({
      messageId: message.id,
      receiptHandle: message.receipt,
      body: message.body,
      attributes: systemAttributes(message),
      messageAttributes: {},
      md5OfBody: md5(message.body),
      eventSource: 'aws:sqs',
      eventSourceARN: queue.arn,
      awsRegion: arnOf('', '').split(':')[3],
    }),
    create,
    wakeAll() {
      for (const queue of queues.values()) wake(queue);
    },
  };
}
export type Sqs = ReturnType<typeof createSqs>;

const names = (given: string | string[], wanted: string) => [given].flat().includes(wanted);

/** Whether a role's statements let it send to the queue. */
export const sendsTo = (statements: Statement[], { arn }: Queue) =>
  statements.some(
    ({ Effect, Action, Resource }) => Effect === 'Allow' && names(Action, 'sqs:SendMessage') && names(Resource, arn),
  );

/** Whether a queue's policy lets `service` send on behalf of `sourceArn`. */
export function maySend(queue: Queue, service: string, sourceArn: string): boolean {
  const forIt = queue.policy?.filter(({ Principal, Condition = {} }) => {
    const sources = [Condition.ArnEquals, Condition.ArnLike].flatMap((one) => one?.['aws:SourceArn'] ?? []);
    const isNamed = sources.length === 0 || sources.includes(sourceArn);
    return isNamed && [Object(Principal).Service].flat().includes(service);
  });
  return !forIt || sendsTo(forIt, queue);
}
