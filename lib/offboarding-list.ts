import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type AttributeValue, BatchGetItemCommand, type DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { parseJson } from './json.ts';
import {
  fromItem,
  type Offboarding,
  type OffboardingRecords,
  STATUSES,
  type Status,
  unavailable,
} from './offboarding-record.ts';
import { Problem } from './problem.ts';

/** What a list is asked by, with the index that serves it and what each is sorted by. */
const INDEXES = {
  organization_id: { name: 'by_organization', range: 'created_at', newestFirst: true },
  batch_id: { name: 'by_batch', range: 'created_at', newestFirst: true },
  /** What is due, or has waited longest, first. */
  status: { name: 'by_status', range: 'due_at', newestFirst: false },
} as const;
export type ListedBy = keyof typeof INDEXES;

type Key = Record<string, string>;
type Item = Record<string, AttributeValue>;

/**
 * Lists of offboardings. An index says which there are, some moments late, and holds keys alone; what is shown is read from
 * the table itself, as it is now. Memory and cost are those of one page, however many records the table has.
 */
export function createOffboardingList(TableName: string, client: DynamoDBClient, records: OffboardingRecords) {
  /** A page of keys of an index, and where the next begins. */
  async function keysOf(by: ListedBy, value: string, Limit: number, start: Key | undefined) {
    const { name: IndexName, newestFirst } = INDEXES[by];
    const query = new QueryCommand({
      TableName,
      IndexName,
      KeyConditionExpression: '#by = :value',
      ExpressionAttributeNames: { '#by': by },
      ExpressionAttributeValues: marshall({ ':value': value }),
      ScanIndexForward: !newestFirst,
      Limit,
      ...(start && { ExclusiveStartKey: marshall(start) }),
    });
    const { Items = [], LastEvaluatedKey } = await client.send(query).catch(unavailable);
    return {
      items: Items.map((item) => unmarshall(item)),
      last: LastEvaluatedKey && (unmarshall(LastEvaluatedKey) as Key),
    };
  }

  async function read(keys: Key[]): Promise<Offboarding[]> {
    const found = new Map<string, Offboarding>();
    let Keys: Item[] = keys.map(({ organization_id, offboarding_id }) => marshall({ organization_id, offboarding_id }));
    while (Keys.length > 0) {
      const get = new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } });
      const { Responses, UnprocessedKeys } = await client.send(get).catch(unavailable);
      for (const record of (Responses?.[TableName] ?? []).map(fromItem)) found.set(record.offboarding_id, record);
      Keys = UnprocessedKeys?.[TableName]?.Keys ?? [];
    }
    return keys.flatMap(({ offboarding_id = '' }) => found.get(offboarding_id) ?? []);
  }

  let signing: Promise<Buffer> | undefined;
  /** The table has the key, so that every container takes the cursors of every other; the first that needs one makes it. */
  const sign = async (text: string) => {
    signing ??= records.signingKey(randomBytes(32).toString('base64url')).then((key) => Buffer.from(key, 'base64url'));
    signing.catch(() => {
      signing = undefined;
    });
    return createHmac('sha256', await signing)
      .update(text)
      .digest('base64url');
  };

  return {
    /** A page of offboardings and the cursor of the next; null when this is the last. Throws `invalid_query` for a cursor that is not this list's. */
    async page(by: ListedBy, value: string, limit: number, cursor: string | undefined) {
      const list = JSON.stringify([by, value]);
      let start: Key | undefined;
      if (cursor !== undefined) {
        const [encoded = '', signature = ''] = cursor.split('.');
        const expected = Buffer.from(await sign(list + encoded));
        const given = Buffer.from(signature);
        if (given.length !== expected.length || !timingSafeEqual(given, expected))
          throw new Problem('invalid_query', 'cursor: must be the one that a page of this list came with');
        start = parseJson(Buffer.from(encoded, 'base64url').toString()) as Key;
      }
      const { items, last } = await keysOf(by, value, limit, start);
      const all = await read(items as Key[]);
      const encoded = last && Buffer.from(JSON.stringify(last)).toString('base64url');
      return {
        // The index may be late: what has another status by now is not one of these.
        offboardings: all.filter((record) => record[by] === value),
        cursor: encoded ? `${encoded}.${await sign(list + encoded)}` : null,
      };
    },

    /** How many offboardings of a batch have each status. */
    async countsOf(batchId: string): Promise<Record<Status, number>> {
      const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
      for (let start: Key | undefined, more = true; more; more = start !== undefined) {
        const { items, last } = await keysOf('batch_id', batchId, 1000, start);
        for (const { status } of items) counts[status as Status] += 1;
        start = last;
      }
      return counts;
    },
  };
}
