// SQS: standard and FIFO queues, as its developer guide and API reference have them.
import { createHash, randomUUID } from 'node:crypto';
import { createMessages, type Message, messageIdOf } from './queue.ts';
import type { Statement } from './queue-policy.ts';
import { ACCOUNT, type Agenda, AwsError, arnOf, type Json } from './wire.ts';

export interface QueueOptions {
  /** Milliseconds. */
  visibilityTimeout?: number;
  retention?: number;
  contentBasedDeduplication?: boolean;
  /** How many messages of a FIFO queue are looked through for groups, where it is not as many as SQS has it. */
  lookedThrough?: number;
  redrive?: { deadLetterQueue: string; maxReceiveCount: number } | undefined;
  /** Who may send, beside its own account; anybody where this is left out. */
  policy?: Statement[];
}

/** A message attribute, as it is sent. */
export interface Attribute {
  DataType: string;
  StringValue?: string;
  BinaryValue?: string;
}

const DEDUPLICATION_MS = 300_000;
/** A message is hidden for so long at most, counted from its receive. */
const LONGEST_HIDDEN_S = 43_200;
export const MAX_BYTES = 1_048_576;
const RETENTION_MS = 4 * 86_400_000;

const sha256 = (body: string) => createHash('sha256').update(body).digest('hex');
export const invalid = (message: string) => new AwsError('com.amazonaws.sqs#InvalidParameterValue', message);

/** What counts against the size of a message: its body, and each attribute's name, type and value. */
export function sizeOf(body: string, attributes: Record<string, Attribute> = {}): number {
  const sizes = Object.entries(attributes).map(([name, { DataType, StringValue = '', BinaryValue = '' }]) => {
    const value = StringValue ? Buffer.byteLength(StringValue) : Buffer.from(BinaryValue, 'base64').length;
    return Buffer.byteLength(name) + Buffer.byteLength(DataType) + value;
  });
  return sizes.reduce((sum, size) => sum + size, Buffer.byteLength(body));
}

function createQueue(name: string, url: string, options: QueueOptions) {
  const fifo = name.endsWith('.fifo');
  const { visibilityTimeout = 30_000, retention = RETENTION_MS, contentBasedDeduplication = false } = options;
  return {
    name,
    url,
    arn: arnOf('sqs', name),
    fifo,
    visibilityTimeout,
    contentBasedDeduplication,
    redrive: options.redrive,
    policy: options.policy,
    messages: createMessages(fifo, retention, options.lookedThrough),
    /** Deduplication ids, until when they are known and which message they stand for. */
    known: new Map<string, { until: number; sent: Sent }>(),
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
  attributes?: Record<string, Attribute> | undefined;
  trace?: string | undefined;
}

/** What a send answers; a sequence number of FIFO queues alone. */
export interface Sent {
  id: string;
  sequence: string | undefined;
}

export function createSqs(agenda: Agenda) {
  const queues = new Map<string, Queue>();
  let sequences = 0;

  function queueNamed(name: string): Queue {
    const queue = queues.get(name);
    if (!queue) throw new AwsError('com.amazonaws.sqs#QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }
  const withArn = (arn: unknown) => [...queues.values()].find((queue) => queue.arn === arn);

  function wake(queue: Queue): void {
    agenda.tick();
    for (const poller of [...queue.waiting]) poller();
  }

  /** The message with this id that was sent within five minutes: another is accepted and never delivered, also when that one is deleted. */
  function duplicateOf(queue: Queue, id: string): Sent | undefined {
    const { known } = queue;
    if (known.size > queue.sweepAt) {
      for (const [key, { until }] of known) if (until <= Date.now()) known.delete(key);
      queue.sweepAt = Math.max(1000, known.size * 2);
    }
    const found = known.get(id);
    return found && found.until > Date.now() ? found.sent : undefined;
  }

  function deduplicationIdOf(queue: Queue, body: string, { group, deduplicationId }: Sending): string {
    if (!group) throw new AwsError('MissingParameter', 'The request must contain the parameter MessageGroupId.');
    const id = deduplicationId ?? (queue.contentBasedDeduplication ? sha256(body) : undefined);
    if (id === undefined)
      throw invalid(
        'The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly',
      );
    return id;
  }

  function send(queue: Queue, body: string, sending: Sending = {}): Sent {
    const { group, attributes = {}, trace } = sending;
    if (sizeOf(body, attributes) > MAX_BYTES)
      throw invalid('One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.');
    const deduplicationId = queue.fifo ? deduplicationIdOf(queue, body, sending) : undefined;
    const first = deduplicationId === undefined ? undefined : duplicateOf(queue, deduplicationId);
    if (first) return first;
    const sequence = queue.fifo ? String(++sequences).padStart(20, '1000000000000000000') : undefined;
    const sent = { id: randomUUID(), sequence };
    if (deduplicationId !== undefined) queue.known.set(deduplicationId, { until: Date.now() + DEDUPLICATION_MS, sent });
    const names = { group, attributes, trace, deduplicationId, sequence };
    queue.messages.add({ id: sent.id, body, ...names, visibleAt: 0, sentAt: Date.now() });
    wake(queue);
    return sent;
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

  /** The message of a receipt; undefined where it is deleted. Of a FIFO queue only the newest receipt counts. */
  function messageOf(queue: Queue, receipt: string): Message | undefined {
    const id = messageIdOf(receipt);
    if (id === undefined)
      throw new AwsError('com.amazonaws.sqs#ReceiptHandleIsInvalid', 'The receipt handle is not valid.');
    const message = queue.messages.withId(id);
    if (message && queue.fifo && message.receipt !== receipt) throw expired(receipt);
    return message;
  }
  const expired = (receipt: string) =>
    invalid(`Value ${receipt} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.`);

  /** Of a standard queue, a receipt that is not the newest deletes nothing, and nobody is told. */
  function remove(queue: Queue, receipt: string): void {
    const message = messageOf(queue, receipt);
    if (message && queue.fifo && message.visibleAt <= Date.now()) throw expired(receipt);
    if (message?.receipt === receipt) queue.messages.remove(message);
    wake(queue);
  }

  function changeVisibility(queue: Queue, receipt: string, seconds: number): void {
    const message = messageOf(queue, receipt);
    if (!message)
      throw invalid(`Value ${receipt} for parameter ReceiptHandle is invalid. Reason: Message does not exist.`);
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

  return {
    queueNamed,
    withArn,
    all: () => [...queues.values()],
    send,
    receive,
    remove,
    changeVisibility,
    wake,
    /** Deletes all messages, also those in flight (SQS API reference, PurgeQueue). */
    purge(name: string): void {
      const { messages } = queueNamed(name);
      for (const message of messages.list()) messages.remove(message);
    },
    create(name: string, endpoint: string, options: QueueOptions): Queue {
      const queue = createQueue(name, `${endpoint}/${ACCOUNT}/${name}`, options);
      queues.set(name, queue);
      return queue;
    },
    wakeAll() {
      for (const queue of queues.values()) wake(queue);
    },
  };
}
export type Sqs = ReturnType<typeof createSqs>;
