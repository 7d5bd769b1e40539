// What DynamoDB delays, leaves over and throttles, by its developer guide.
import {
  BatchGetItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Services, startServices } from './services.ts';

const TableName = 'records';
const keys = (hash: string, range: string) => [
  { AttributeName: hash, KeyType: 'HASH' },
  { AttributeName: range, KeyType: 'RANGE' },
];
let services: Services;
beforeEach(async () => {
  services = await startServices();
  await services.aws.dynamoDb.create({
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['id', 'part', 'status', 'due'].map((AttributeName) => ({
      AttributeName,
      AttributeType: 'S',
    })),
    KeySchema: keys('id', 'part'),
    GlobalSecondaryIndexes: [
      { IndexName: 'by_status', KeySchema: keys('status', 'due'), Projection: { ProjectionType: 'KEYS_ONLY' } },
    ],
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await services.aws.close();
});

const put = (id: string, more: object = {}, condition: object = {}) =>
  services.dynamoDb.send(
    new PutItemCommand({
      TableName,
      Item: marshall({ id, part: 'a', status: 'requested', due: '1', ...more }),
      ...condition,
    }),
  );
const statusOf = async (id: string, ConsistentRead: boolean) =>
  (await services.dynamoDb.send(new GetItemCommand({ TableName, Key: marshall({ id, part: 'a' }), ConsistentRead })))
    .Item?.status?.S;
async function withStatus(status: string) {
  const values = marshall({ ':status': status });
  const names = { '#status': 'status' };
  const query = {
    TableName,
    IndexName: 'by_status',
    KeyConditionExpression: '#status = :status',
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  };
  const { Items = [] } = await services.dynamoDb.send(new QueryCommand(query));
  return Items.map(({ id }) => id?.S).sort();
}

test('an index, and a read that does not ask for consistency, tell what was so many writes ago', async () => {
  await put('one');
  await services.aws.dynamoDb.staleReads({ operations: 1 });
  await put('one', { status: 'working' });
  expect([await statusOf('one', true), await statusOf('one', false)]).toEqual(['working', 'requested']);
  expect([await withStatus('requested'), await withStatus('working')]).toEqual([['one'], []]);
  await put('two');
  expect([await statusOf('one', false), await withStatus('requested'), await withStatus('working')]).toEqual([
    'working',
    [],
    ['one'],
  ]);
  await services.aws.dynamoDb.staleReads();
  expect(await withStatus('requested')).toEqual(['two']);
});

test('keys of a batch are left over, again and again', async () => {
  for (const id of ['one', 'two', 'three']) await put(id);
  services.aws.addFaults({ operation: 'BatchGetItem', leftOver: 2 }, { operation: 'BatchGetItem', leftOver: 3 });
  const read = async (RequestItems: object) => {
    const answer = await services.dynamoDb.send(new BatchGetItemCommand({ RequestItems: RequestItems as never }));
    return { count: answer.Responses?.[TableName]?.length ?? 0, left: answer.UnprocessedKeys ?? {} };
  };
  const first = await read({
    [TableName]: { Keys: ['one', 'two', 'three'].map((id) => marshall({ id, part: 'a' })), ConsistentRead: true },
  });
  expect([first.count, first.left[TableName]?.Keys?.length, first.left[TableName]?.ConsistentRead]).toEqual([
    1,
    2,
    true,
  ]);
  const second = await read(first.left);
  expect([second.count, second.left[TableName]?.Keys?.length]).toEqual([0, 2]);
  expect(await read(second.left)).toEqual({ count: 2, left: {} });
});

test('a write whose answer is lost is refused for its own success when it is repeated', async () => {
  const once = { ConditionExpression: 'attribute_not_exists(id)' };
  services.aws.addFaults({ operation: 'PutItem', resetAfter: true });
  await expect(put('one', {}, once)).rejects.toThrow();
  await expect(put('one', {}, once)).rejects.toThrow(/conditional/);
  expect(await statusOf('one', true)).toBe('requested');
});

test('what has expired still shows', async () => {
  await put('old', { expires_at: Math.floor(Date.now() / 1000) - 86_400 });
  expect(await withStatus('requested')).toEqual(['old']);
});

describe('the writes of a partition in a second', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });

  test('of an index that has one key for all: it throttles the table, until the second is over', async () => {
    services.aws.dynamoDb.limitWrites(3);
    for (const id of ['1', '2', '3']) await put(id);
    await expect(put('4')).rejects.toMatchObject({ name: 'ProvisionedThroughputExceededException' });
    expect(await statusOf('4', true)).toBeUndefined();
    expect(services.aws.dynamoDb.partitions.get('by_status/"requested"')).toMatchObject({ most: 3, throttled: 1 });
    // Another key of the index is another partition.
    await put('4', { status: 'working' });
    vi.setSystemTime(Date.now() + 1000);
    await put('5');
  });

  test('a change of the key costs the entry that goes and the one that comes, and an item costs its size', async () => {
    services.aws.dynamoDb.limitWrites(1000);
    await put('1', { note: 'x'.repeat(3000) });
    const update = {
      UpdateExpression: 'SET #s = :s',
      ExpressionAttributeNames: { '#s': 'status' },
      ExpressionAttributeValues: marshall({ ':s': 'done' }),
    };
    await services.dynamoDb.send(
      new UpdateItemCommand({ TableName, Key: marshall({ id: '1', part: 'a' }), ...update }),
    );
    const all = (partition: string) => services.aws.dynamoDb.partitions.get(partition)?.all;
    expect([all('by_status/"requested"'), all('by_status/"done"'), all('records/"1"')]).toEqual([2, 1, 8]);
  });
});
