// The table as it is read and written: the real client against DynamoDB's stand-in.
import '../own-modules.ts';
import { randomUUID } from 'node:crypto';
import { marshall } from '@aws-sdk/util-dynamodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type LocalEnvironment, TABLE } from '../../infra/local/environment.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

let local: LocalEnvironment;
let table: typeof import('../../lib/aws/table.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
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
  test('when its key is free, it is written as new; when it is not, only upon the version that is expected', async () => {
    const item = await put({ ...key(), x: 1, none: undefined, deep: { none: undefined, list: [{ a: 1 }] } });
    const written = { ...key(item.offboarding_id), x: 1, version: '1', deep: { list: [{ a: 1 }] } };
    expect(await table.getItem(item)).toEqual(written);
    expect(await table.putItem({ ...item, version: '2', x: 2 }, undefined)).toBe(false);
    expect(await table.putItem({ ...item, version: '2', x: 2 }, '0')).toBe(false);
    expect(await table.getItem(item)).toEqual(written);
    expect(await table.putItem({ ...item, version: '2', x: 2 }, '1')).toBe(true);
    expect(await table.getItem(item)).toMatchObject({ x: 2, version: '2' });
    expect(await table.putItem({ ...key('gone'), version: 'x' }, 'never')).toBe(false);
    expect(await table.getItem(key())).toBeUndefined();
  });

  test('when the answer of its write is lost, the repetition of the SDK is refused, and the item tells whose it is', async () => {
    const item = key();
    local.aws.addFaults({ operation: 'PutItem', resetAfter: true });
    expect(await table.putItem({ ...item, version: 'mine' }, undefined)).toBe(false);
    expect(await table.getItem(item)).toMatchObject({ version: 'mine' });
  });

  test('when the table cannot be reached, each operation fails with a problem that may pass', async () => {
    const operations = ['GetItem', 'PutItem', 'PutItem', 'BatchGetItem', 'Query', 'Query', 'Query', 'UpdateItem'];
    local.aws.addFaults(...operations.map((operation) => ({ operation, error: 'AccessDeniedException' })));
    const problem = { ...unavailable, isTransient: true, cause: { name: 'AccessDeniedException' } };
    await expect(table.getItem(key())).rejects.toMatchObject(problem);
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toMatchObject(problem);
    await expect(table.putProjection({ ...key(), revision: 1 })).rejects.toMatchObject(problem);
    await expect(table.getItems([key()])).rejects.toMatchObject(problem);
    await expect(read({}, {})).rejects.toMatchObject(problem);
    await expect(partition('org_1')).rejects.toMatchObject(problem);
    await expect(table.readIndexPage(DUE, 1)).rejects.toMatchObject(problem);
    await expect(table.setNotice(key(), '', 0)).rejects.toMatchObject(problem);
  });

  test.each([
    'ProvisionedThroughputExceededException',
    'ThrottlingException',
    'RequestLimitExceeded',
    'ResourceNotFoundException',
    'AccessDeniedException',
    'UnrecognizedClientException',
    'LimitExceededException',
  ])('when DynamoDB refuses a write with %s, it is certainly not written', async (error) => {
    local.aws.addFaults({ operation: 'PutItem', error, times: 9 });
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toMatchObject({
      ...unavailable,
      mayBeDone: false,
    });
  });

  test.each([
    ['fails inside DynamoDB', { error: 'InternalServerError', status: 500 }],
    ['loses its connection', { resetAfter: true }],
  ])('when a write %s, it may be written', async (_how, fault) => {
    local.aws.addFaults({ operation: 'PutItem', times: 9, ...fault });
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toMatchObject({
      ...unavailable,
      mayBeDone: true,
    });
  });

  test('when an item is larger than the table takes, or malformed, it is rejected for good', async () => {
    const large = { ...key(), version: '1', state: 'x'.repeat(410_000) };
    const rejected = {
      name: 'ItemRejected',
      message: 'The table will never take this item',
      cause: { name: 'ValidationException' },
    };
    await expect(table.putItem(large, undefined)).rejects.toMatchObject(rejected);
    await expect(table.putProjection({ ...large, revision: 1 })).rejects.toBeInstanceOf(table.ItemRejected);
    await expect(table.putItem({ ...key(''), version: '1' }, undefined)).rejects.toMatchObject(rejected);
    local.aws.addFaults({ operation: 'PutItem', error: 'ItemCollectionSizeLimitExceededException' });
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toBeInstanceOf(table.ItemRejected);
    local.aws.addFaults({ operation: 'PutItem', error: 'NoValidationAtAllException', times: 9 });
    await expect(table.putItem({ ...key(), version: '1' }, undefined)).rejects.toMatchObject(unavailable);
  });
});

describe('a projection', () => {
  test('when it was made of a later revision or of the same, it replaces what is there; when of an earlier one, it does not', async () => {
    const record = (revision: number, x: string) => ({ ...item, revision, x });
    const item = key();
    expect(await table.putProjection(record(5, 'first'))).toBe(true);
    expect(await table.putProjection(record(4, 'late'))).toBe(false);
    expect(await table.getItem(item)).toMatchObject({ revision: 5, x: 'first' });
    expect(await table.putProjection(record(5, 'again'))).toBe(true);
    expect(await table.putProjection(record(10, 'later'))).toBe(true);
    expect(await table.getItem(item)).toMatchObject({ revision: 10, x: 'later' });
  });
});

const DUE = { index: 'by_due', attribute: 'due_shard', value: 'due 0', position: 'due_at' };

describe('a notice', () => {
  test('when the item is still due at that time, its notice is set and its version stays', async () => {
    const item = await put({ ...key(), due_at: '2026-11-01T00:00:00.000Z' });
    await table.setNotice(item, '2026-11-01T00:00:00.000Z', 7);
    expect(await table.getItem(item)).toEqual({ ...item, notice_at: 7 });
    await table.setNotice(item, '2026-11-02T00:00:00.000Z', 8);
    expect(await table.getItem(item)).toEqual({ ...item, notice_at: 7 });
    await table.setNotice(key(), '2026-11-01T00:00:00.000Z', 7);
  });
});

const partition = async (id: string) => {
  const found: unknown[] = [];
  for await (const { offboarding_id } of table.readPartition(id)) found.push(offboarding_id);
  return found;
};

describe("an organization's items", () => {
  test('when they take several pages, all are read, the greatest key first, and as they are now', async () => {
    const id = `org_${randomUUID()}`;
    await local.aws.dynamoDb.staleReads({ operations: 100 });
    try {
      for (const one of ['1', '2', '3', '4', '5'])
        await put({ ...key(one, id), position: one, state: 'x'.repeat(300_000) });
      await put({ ...key('6', `${id}x`), position: '6' });
      const calls = local.aws.calls.length;
      expect(await partition(id)).toEqual(['5', '4', '3', '2', '1']);
      expect(local.aws.calls.length - calls, 'a page is a megabyte').toBeGreaterThan(1);
      expect(await partition('org_none')).toEqual([]);
    } finally {
      await local.aws.dynamoDb.staleReads();
    }
  });
});

const left = (...keys: ReturnType<typeof key>[]) => ({
  Responses: { [TABLE]: [] as unknown[] },
  UnprocessedKeys: {
    [TABLE]: { Keys: keys.map(({ organization_id, offboarding_id }) => marshall({ organization_id, offboarding_id })) },
  },
});

test('when a replica is behind, what was written just now is read all the same, one item and several', async () => {
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
  test('when some of them are not there, the others come in the order of their keys', async () => {
    const [a, b] = [await put(key()), await put(key())];
    expect(await table.getItems([b, key(), a])).toEqual([b, a]);
    const calls = local.aws.calls.length;
    expect(await table.getItems([])).toEqual([]);
    expect(local.aws.calls.length, 'DynamoDB takes no empty read').toBe(calls);
    const same = await put({ ...key(a.offboarding_id, 'org_2'), x: 1 });
    expect(await table.getItems([same, a])).toEqual([same, a]);
  });
  test('when a read leaves some over, they are asked for again, and none is taken for missing', async () => {
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
    index: 'by_batch',
    attribute: 'batch_id',
    value: 'batch_i',
    position: 'position',
    ...part,
  };
  const found: unknown[] = [];
  for await (const item of table.readIndex(range, options)) if (found.push(item.position) === most) break;
  return found;
}

describe('an index', () => {
  test('when it is read, whole or between two positions, both are included, whatever the pages and from either end', async () => {
    const value = randomUUID();
    for (const position of ['2', '1', '4', '3', '5']) await put({ ...key(), batch_id: value, position });
    await put({ ...key(), batch_id: 'other', position: '3' });
    expect(await read({ value }, {})).toEqual(['1', '2', '3', '4', '5']);
    expect(await read({ value }, { limit: 2 })).toEqual(['1', '2', '3', '4', '5']);
    expect(await read({ value }, { limit: 2, descending: true })).toEqual(['5', '4', '3', '2', '1']);
    expect(await read({ value, above: '2', below: '4' }, {})).toEqual(['2', '3', '4']);
    const calls = local.aws.calls.length;
    expect(await read({ value }, { limit: 2 }, 2)).toEqual(['1', '2']);
    expect(local.aws.calls.length - calls, 'a reader who has enough asks for no more').toBe(1);
  });
  test('when it is read page by page, the cursor of one leads to the next, and the last has none', async () => {
    const part = { ...DUE, value: `due ${randomUUID()}`, below: '2026-11-03' };
    for (const day of ['1', '2', '3', '4']) await put({ ...key(), due_shard: part.value, due_at: `2026-11-0${day}` });
    const found: unknown[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await table.readIndexPage(part, 2, cursor);
      found.push(...page.items.map(({ due_at }) => due_at));
      ({ cursor } = page);
      pages += 1;
    } while (cursor);
    expect(found).toEqual(['2026-11-01', '2026-11-02', '2026-11-03']);
    expect(pages).toBe(2);
    expect((await table.readIndexPage({ ...part, above: '2026-11-02' }, 9)).items.length).toBe(2);
  });
  test('when a thousand ids are spread over its shards, each shard has its part, and an id is always in the same', () => {
    const counts = table.SHARDS.map(() => 0);
    for (let i = 0; i < 1000; i++) counts[table.shardOf(`org_${i}`)] = (counts[table.shardOf(`org_${i}`)] ?? 0) + 1;
    expect(counts.length).toBe(4);
    for (const count of counts) expect(count).toBeGreaterThan(150);
    // What is written is found by another release, too.
    expect(['org_bCE84ZIRjtX58FeO', 'org_1', 'a', ''].map(table.shardOf)).toEqual([0, 0, 1, 0]);
  });
});

test('when items are left over again and again, that is a problem that may pass, and none is missing', async () => {
  const a = key();
  local.aws.addFaults({ operation: 'BatchGetItem', times: 8, answer: left(a) });
  await expect(table.getItems([a])).rejects.toMatchObject({
    ...unavailable,
    cause: { message: expect.stringContaining('left over') },
  });
  local.aws.addFaults({ operation: 'BatchGetItem', times: 7, answer: left(a) });
  expect(await table.getItems([a])).toEqual([]);
});
