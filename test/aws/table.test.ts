// The table as it is read and written: the real client against DynamoDB's stand-in.
import { randomUUID } from 'node:crypto';
import { marshall } from '@aws-sdk/util-dynamodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment, TABLE } from '../../infra/local/environment.ts';

let local: LocalEnvironment;
let table: typeof import('../../lib/aws/table.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  table = await import('../../lib/aws/table.ts');
});
afterAll(() => local.close());
afterEach(() => local.aws.clearFaults());

const key = (offboarding_id: string = randomUUID(), organization_id = 'org_1') => ({ organization_id, offboarding_id });
const put = async (item: ReturnType<typeof key> & Record<string, unknown>, version = '1') => {
  expect(await table.putItem({ ...item, version }, undefined)).toBe(true);
  return { ...item, version };
};
const unavailable = {
  code: 'record_unavailable',
  status: 503,
  retryAfter: 5,
  message: expect.stringContaining('record'),
};

describe('an item', () => {
  test('is written as a new one or upon the version that is expected, and else not at all', async () => {
    const item = await put({ ...key(), x: 1, none: undefined });
    expect(await table.getItem(item)).toEqual({ ...key(item.offboarding_id), x: 1, version: '1' });
    expect(await table.putItem({ ...item, version: '2', x: 2 }, undefined)).toBe(false);
    expect(await table.putItem({ ...item, version: '2', x: 2 }, '0')).toBe(false);
    expect(await table.getItem(item)).toMatchObject({ x: 1 });
    expect(await table.putItem({ ...item, version: '2', x: 2 }, '1')).toBe(true);
    expect(await table.getItem(item)).toMatchObject({ x: 2, version: '2' });
    expect(await table.getItem(key())).toBeUndefined();
  });
  test('whose write was carried out and its answer lost is written; one that somebody else wrote is not', async () => {
    const item = key();
    local.aws.addFaults({ operation: 'PutItem', resetAfter: true });
    expect(await table.putItem({ ...item, version: 'mine' }, undefined)).toBe(true);
    expect(await table.putItem({ ...item, version: 'other' }, undefined)).toBe(false);
    expect(await table.putItem({ ...key('gone'), version: 'x' }, 'never')).toBe(false);
  });
  test('that can not be reached is a problem that passes', async () => {
    const fault = (operation: string) => ({ operation, error: 'AccessDeniedException' });
    local.aws.addFaults(fault('GetItem'), fault('PutItem'), fault('BatchGetItem'), fault('Query'));
    const cause = { cause: { name: 'AccessDeniedException' } };
    await expect(table.getItem(key())).rejects.toMatchObject({ ...unavailable, ...cause });
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toMatchObject({
      ...unavailable,
      ...cause,
    });
    await expect(table.getItems([key()])).rejects.toMatchObject({ ...unavailable, ...cause });
    await expect(read({}, {})).rejects.toMatchObject({ ...unavailable, ...cause });
  });
});

const left = (...keys: ReturnType<typeof key>[]) => ({
  Responses: { [TABLE]: [] as unknown[] },
  UnprocessedKeys: {
    [TABLE]: { Keys: keys.map(({ organization_id, offboarding_id }) => marshall({ organization_id, offboarding_id })) },
  },
});

test('what was written just now is read, one and several, also where a replica is behind', async () => {
  await local.aws.dynamoDb.staleReads({ operations: 100 });
  try {
    const item = await put(key());
    expect(await table.getItem(item)).toEqual(item);
    expect(await table.getItems([item])).toEqual([item]);
  } finally {
    await local.aws.dynamoDb.staleReads();
  }
});

describe('several items', () => {
  test('come in the order of their keys, what is not there left out', async () => {
    const [a, b] = [await put(key()), await put(key())];
    expect(await table.getItems([b, key(), a])).toEqual([b, a]);
    const calls = local.aws.calls.length;
    expect(await table.getItems([])).toEqual([]);
    expect(local.aws.calls.length, 'DynamoDB takes no empty read').toBe(calls);
    const same = await put({ ...key(a.offboarding_id, 'org_2'), x: 1 });
    expect(await table.getItems([same, a])).toEqual([same, a]);
  });
  test('that a read left over are asked for again: none is taken for missing', async () => {
    const [a, b] = [await put(key()), await put(key())];
    const answer = { ...left(b), Responses: { [TABLE]: [marshall(a)] } };
    local.aws.addFaults({ operation: 'BatchGetItem', answer }, { operation: 'BatchGetItem', answer: left(b) });
    const calls = local.aws.calls.length;
    expect(await table.getItems([a, b])).toEqual([a, b]);
    expect(local.aws.calls.slice(calls)).toEqual(['BatchGetItem', 'BatchGetItem', 'BatchGetItem']);
  });
});

async function read(part: object, options: object, most = 100) {
  const range = {
    index: 'by_organization',
    attribute: 'organization_id',
    value: 'org_i',
    position: 'position',
    ...part,
  };
  const found: unknown[] = [];
  for await (const item of table.readIndex(range, options)) if (found.push(item.position) === most) break;
  return found;
}

describe('an index', () => {
  test('is read whole, whatever the pages, from either end and between two positions, both included', async () => {
    const value = `org_${randomUUID()}`;
    for (const position of ['2', '1', '4', '3', '5']) await put({ ...key(randomUUID(), value), position });
    await put({ ...key(randomUUID(), 'org_other'), position: '3' });
    expect(await read({ value }, {})).toEqual(['1', '2', '3', '4', '5']);
    expect(await read({ value }, { limit: 2 })).toEqual(['1', '2', '3', '4', '5']);
    expect(await read({ value }, { limit: 2, descending: true })).toEqual(['5', '4', '3', '2', '1']);
    expect(await read({ value, above: '2', below: '4' }, {})).toEqual(['2', '3', '4']);
    const calls = local.aws.calls.length;
    expect(await read({ value }, { limit: 2 }, 2)).toEqual(['1', '2']);
    expect(local.aws.calls.length - calls, 'a reader who has enough asks for no more').toBe(1);
  });
  test('is spread over its shards evenly, and an id is always in the same', () => {
    const counts = table.SHARDS.map(() => 0);
    for (let i = 0; i < 1000; i++) counts[table.shardOf(`org_${i}`)] = (counts[table.shardOf(`org_${i}`)] ?? 0) + 1;
    expect(counts.length).toBe(4);
    for (const count of counts) expect(count).toBeGreaterThan(150);
    // What is written is found by another release, too.
    expect(['org_bCE84ZIRjtX58FeO', 'org_1', 'a', ''].map(table.shardOf)).toEqual([0, 0, 1, 0]);
  });
});

test('items that are left over again and again are a problem that passes, and no missing ones', async () => {
  const a = key();
  local.aws.addFaults({ operation: 'BatchGetItem', times: 8, answer: left(a) });
  await expect(table.getItems([a])).rejects.toMatchObject({
    ...unavailable,
    cause: { message: expect.stringContaining('left over') },
  });
  local.aws.addFaults({ operation: 'BatchGetItem', times: 7, answer: left(a) });
  expect(await table.getItems([a])).toEqual([]);
});
