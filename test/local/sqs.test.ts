// What SQS stops, drops and refuses, by its developer guide: the stand-in must do so, too, or no other test would notice.
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ListMessageMoveTasksCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  StartMessageMoveTaskCommand,
} from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LOOKED_THROUGH } from '../../infra/local/aws/queue.ts';
import { type Services, startServices } from './services.ts';

const HOUR = 3_600_000;
const QUEUE = 'groups.fifo';
const LETTERS = 'letters.fifo';
let services: Services;
let QueueUrl: string;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  services = await startServices();
  services.aws.createQueue(LETTERS);
  QueueUrl = services.aws.createQueue(QUEUE, {
    visibilityTimeout: 65_000,
    retention: 14 * 24 * HOUR,
    contentBasedDeduplication: true,
    redrive: { deadLetterQueue: LETTERS, maxReceiveCount: 3 },
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await services.aws.close();
});

const send = (MessageBody: string, MessageGroupId = 'single', more: object = {}) =>
  services.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, MessageGroupId, ...more }));
async function receive(most = 1, url = QueueUrl) {
  const input = { QueueUrl: url, MaxNumberOfMessages: most, MessageSystemAttributeNames: ['All' as const] };
  return (await services.sqs.send(new ReceiveMessageCommand(input))).Messages ?? [];
}
const bodies = async (most = 10) => (await receive(most)).map(({ Body }) => Body);
const remove = (ReceiptHandle = '') => services.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
const hide = (ReceiptHandle = '', seconds = 0) =>
  services.sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: seconds }));
const later = (ms: number) => services.later(ms, QUEUE);

describe('deduplication', () => {
  test('the same body within five minutes is accepted and never delivered, also when the first is deleted', async () => {
    await send('notice');
    const [first] = await receive();
    await remove(first?.ReceiptHandle);
    expect((await send('notice')).MessageId).toBe(first?.MessageId);
    expect(await bodies()).toEqual([]);
    later(300_000);
    await send('notice');
    expect(await bodies()).toEqual(['notice']);
  });

  test('by id where there is one, and not at all where neither is there', async () => {
    await send('one', 'single', { MessageDeduplicationId: 'a' });
    await send('two', 'single', { MessageDeduplicationId: 'a' });
    await send('one', 'single', { MessageDeduplicationId: 'b' });
    expect(await bodies()).toEqual(['one', 'one']);
    QueueUrl = services.aws.createQueue('plain.fifo', { contentBasedDeduplication: false });
    await expect(send('one')).rejects.toThrow(/ContentBasedDeduplication/);
  });
});

describe('a message group', () => {
  test('is blocked while one of it is in flight or hidden, and no other group is', async () => {
    for (const body of ['1', '2']) await send(body);
    await send('other', 'batch');
    const [first] = await receive();
    expect(await bodies()).toEqual(['other']);
    await hide(first?.ReceiptHandle, 600);
    later(599_000);
    expect(await bodies()).toEqual(['other']);
    later(1000);
    expect((await receive())[0]?.Body).toBe('1');
  });

  test('is blocked by any message of it in flight, not by its first alone', async () => {
    for (const body of ['1', '2', '3']) await send(body);
    const [first] = await receive(2);
    await hide(first?.ReceiptHandle, 0);
    expect(await bodies()).toEqual([]);
  });

  test('no single message of it is delayed', async () => {
    await expect(send('1', 'single', { DelaySeconds: 5 })).rejects.toThrow(/DelaySeconds/);
  });

  test('is not found behind as many others as SQS looks through, 120,000; here it is a tenth of them', async () => {
    expect(LOOKED_THROUGH).toBe(120_000);
    services.aws.createQueue(QUEUE, { contentBasedDeduplication: true, lookedThrough: 12_000 });
    for (let i = 0; i < 12_500; i++) services.aws.send(QUEUE, String(i), 'batch');
    services.aws.send(QUEUE, 'urgent', 'single');
    const handle = (await receive())[0]?.ReceiptHandle;
    expect(await bodies()).toEqual([]);
    await hide(handle, 0);
    // When so much of the backlog is done that the urgent one is among the first, it is.
    let done = 0;
    let doneBefore: number | undefined;
    const work = async (event: unknown) => {
      const [{ body }] = (event as { Records: [{ body: string }] }).Records;
      if (body === 'urgent') doneBefore = done;
      if (doneBefore !== undefined) throw new Error('enough');
      done += 1;
    };
    services.aws.connect(QUEUE, [work, work]);
    await expect.poll(() => doneBefore, { timeout: 60_000 }).toBeDefined();
    expect(Math.abs((doneBefore ?? 0) - 501)).toBeLessThan(10);
  });
});

describe('visibility', () => {
  test('of twelve hours at most, counted from the receive: more than what is left is an error', async () => {
    await send('1');
    const handle = (await receive())[0]?.ReceiptHandle;
    await hide(handle, 7200);
    later(HOUR);
    await expect(hide(handle, 43_200)).rejects.toThrow(/beyond the limit/);
    await hide(handle, 39_600);
    later(11 * HOUR);
    const [again] = await receive();
    expect(again?.Attributes?.ApproximateReceiveCount).toBe('2');
    await hide(again?.ReceiptHandle, 43_200);
  });

  test('that has lapsed: neither deleted nor hidden', async () => {
    await send('1');
    const handle = (await receive())[0]?.ReceiptHandle;
    later(65_000);
    await expect(remove(handle)).rejects.toThrow(/expired/);
    await expect(hide(handle, 10)).rejects.toThrow(/in flight/);
    expect(await bodies()).toEqual(['1']);
  });
});

describe('retention', () => {
  test('counts from the send, and what is sent again is new', async () => {
    await send('old');
    later(13 * 24 * HOUR);
    const [old] = await receive();
    await send(old?.Body ?? '', 'batch');
    later(24 * HOUR);
    const [fresh, ...more] = await receive(10);
    expect(more).toEqual([]);
    expect(fresh?.Attributes).toMatchObject({ MessageGroupId: 'batch', ApproximateReceiveCount: '1' });
    expect(Number(fresh?.Attributes?.SentTimestamp)).toBeGreaterThan(Number(old?.Attributes?.SentTimestamp));
    expect(services.aws.counts(QUEUE).expired).toBe(1);
  });
});

describe('dead letters', () => {
  async function bury(body: string) {
    await send(body);
    for (let receives = 0; receives < 3; receives++) {
      expect(await bodies()).toEqual([body]);
      later(65_000);
    }
    expect(await bodies()).toEqual([]);
  }
  const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;

  test('after the last receive, with a new time of sending; one task at a time moves them back', async () => {
    await bury('poison');
    expect(services.aws.messages(LETTERS).map(({ sentAt }) => sentAt)).toEqual([Date.now()]);
    const move = () => services.sqs.send(new StartMessageMoveTaskCommand({ SourceArn: arn(LETTERS) }));
    await move();
    await expect(move()).rejects.toThrow(/A task is running/);
    later(1000);
    const { Results } = await services.sqs.send(new ListMessageMoveTasksCommand({ SourceArn: arn(LETTERS) }));
    expect(Results).toMatchObject([{ Status: 'COMPLETED', ApproximateNumberOfMessagesMoved: 1 }]);
    const [back] = await receive();
    expect([back?.Body, back?.Attributes?.ApproximateReceiveCount]).toEqual(['poison', '1']);
  });

  test('only from a dead-letter queue of SQS, and only to a queue of its kind', async () => {
    services.aws.createQueue('undelivered');
    const move = (SourceArn: string, DestinationArn: string) =>
      services.sqs.send(new StartMessageMoveTaskCommand({ SourceArn, DestinationArn }));
    await expect(move(arn('undelivered'), arn(QUEUE))).rejects.toThrow(/dead-letter queue of another SQS queue/);
    await expect(move(arn(LETTERS), arn('undelivered'))).rejects.toThrow(/one type/);
  });
});

test('of a batch, entries fail one by one', async () => {
  services.aws.addFaults({ operation: 'SendMessageBatch', entries: [1], error: 'InternalError' });
  const Entries = ['a', 'b'].map((Id) => ({ Id, MessageBody: Id, MessageGroupId: 'watch' }));
  const { Successful, Failed } = await services.sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  expect(Successful).toMatchObject([{ Id: 'a' }]);
  expect(Failed).toMatchObject([{ Id: 'b', Code: 'InternalError', SenderFault: false }]);
  expect(await bodies()).toEqual(['a']);
});

test('a send whose answer is lost was made all the same', async () => {
  services.aws.addFaults({ operation: 'SendMessage', resetAfter: true });
  await expect(send('1')).rejects.toThrow();
  await send('1');
  expect(await bodies()).toEqual(['1']);
});

describe('receipts', () => {
  test('when a FIFO message was received again, its older receipt neither deletes nor hides it', async () => {
    await send('1');
    const older = (await receive())[0]?.ReceiptHandle;
    later(65_000);
    const newer = (await receive())[0]?.ReceiptHandle;
    await expect(remove(older)).rejects.toThrow(/expired/);
    await expect(hide(older, 10)).rejects.toThrow(/expired/);
    await remove(newer);
    await remove(newer);
    later(65_000);
    expect(await bodies()).toEqual([]);
  });

  test('when a message of a standard queue was received again, its older receipt deletes nothing without a word', async () => {
    QueueUrl = services.aws.createQueue('plain', { visibilityTimeout: 1000 });
    await services.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: '1' }));
    const older = (await receive())[0]?.ReceiptHandle;
    services.later(1000, 'plain');
    const newer = (await receive())[0]?.ReceiptHandle;
    await remove(older);
    services.later(1000, 'plain');
    expect(await bodies()).toEqual(['1']);
    await remove(newer);
    services.later(1000, 'plain');
    expect(await bodies()).toEqual(['1']);
  });

  test('when a text is no receipt, it is refused', async () => {
    await expect(remove('made-up')).rejects.toMatchObject({ name: 'ReceiptHandleIsInvalid' });
  });

  test('when a batch of deletions has an older receipt in it, the others are deleted', async () => {
    for (const group of ['a', 'b']) await send(group, group);
    const [first] = await receive(10);
    await hide(first?.ReceiptHandle, 0);
    const newer = await receive(10);
    const [a, b] = [first, newer[0]];
    later(1);
    const Entries = [a, b].map((one, n) => ({ Id: String(n), ReceiptHandle: one?.ReceiptHandle ?? '' }));
    const { Successful, Failed } = await services.sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    expect([Successful?.map(({ Id }) => Id), Failed?.map(({ Id }) => Id)]).toEqual([['1'], ['0']]);
  });
});

test.each([0, 11])('when %i messages are asked for at once, the receive is refused', async (most) => {
  await expect(receive(most)).rejects.toThrow(/between 1 and 10/);
});

describe('the size of a message', () => {
  const attribute = (length: number) => ({ note: { DataType: 'String', StringValue: 'x'.repeat(length) } });

  test('when body and attributes together are above the limit, the message is refused', async () => {
    const room = 1_048_576 - 'note'.length - 'String'.length - 1000;
    await send('x'.repeat(room), 'single', { MessageAttributes: attribute(1000) });
    await expect(send('x'.repeat(room), 'other', { MessageAttributes: attribute(1001) })).rejects.toThrow(/shorter/);
  });

  test('when a batch is above it by its attributes, the whole batch is refused', async () => {
    const half = 'x'.repeat(524_288);
    const entry = (Id: string) => ({ Id, MessageBody: half, MessageGroupId: Id, MessageAttributes: attribute(1) });
    const batch = new SendMessageBatchCommand({ QueueUrl, Entries: [entry('a'), entry('b')] });
    await expect(services.sqs.send(batch)).rejects.toMatchObject({ name: 'BatchRequestTooLong' });
    expect(await bodies()).toEqual([]);
  });
});

describe('a FIFO message', () => {
  test('when it is sent and received, both tell its sequence number, and the receive its deduplication id', async () => {
    const first = await send('1', 'single', { MessageDeduplicationId: 'one' });
    const second = await send('2');
    const [one, two] = await receive(10);
    expect(first.SequenceNumber).toMatch(/^\d{20}$/);
    expect(String(second.SequenceNumber) > String(first.SequenceNumber)).toBe(true);
    expect(one?.Attributes).toMatchObject({ SequenceNumber: first.SequenceNumber, MessageDeduplicationId: 'one' });
    expect(two?.Attributes?.MessageDeduplicationId).toMatch(/^[0-9a-f]{64}$/);
    const again = await send('1', 'single', { MessageDeduplicationId: 'one' });
    expect([again.MessageId, again.SequenceNumber]).toEqual([first.MessageId, first.SequenceNumber]);
  });

  test('when a function gets it, its record has the same attributes', async () => {
    const { SequenceNumber } = await send('1', 'single', {
      MessageDeduplicationId: 'one',
      MessageAttributes: { kind: { DataType: 'String', StringValue: 'notice' } },
    });
    const records: unknown[] = [];
    services.aws.connect(QUEUE, [async (event) => void records.push(...(event as { Records: unknown[] }).Records)]);
    await expect.poll(() => records.length).toBe(1);
    expect(records[0]).toMatchObject({
      attributes: {
        SequenceNumber,
        MessageDeduplicationId: 'one',
        MessageGroupId: 'single',
        SenderId: expect.any(String),
        ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
      },
      messageAttributes: { kind: { stringValue: 'notice', dataType: 'String' } },
    });
  });
});

test('when a FIFO queue is made without saying so, it has no deduplication by content, and a message needs an id', async () => {
  const made = await services.sqs.send(
    new CreateQueueCommand({ QueueName: 'new.fifo', Attributes: { FifoQueue: 'true' } }),
  );
  QueueUrl = made.QueueUrl ?? '';
  const read = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] });
  expect((await services.sqs.send(read)).Attributes).toMatchObject({ ContentBasedDeduplication: 'false' });
  await expect(send('1')).rejects.toThrow(/ContentBasedDeduplication/);
  await send('1', 'single', { MessageDeduplicationId: 'a' });
  expect(await bodies()).toEqual(['1']);
  const named = new CreateQueueCommand({ QueueName: 'other.fifo' });
  await expect(services.sqs.send(named)).rejects.toThrow(/FifoQueue/);
});
