import type { PutItemCommandInput, QueryCommandInput } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { backoff, sleep } from '../deadline.ts';
import { required } from '../environment.ts';
import { Problem } from '../problem.ts';
import * as dynamodb from './dynamodb.ts';

// The one table: items that are read as they are now, and written upon the version that their writer expects.

const TableName = required('OFFBOARDINGS_TABLE');
/** How often the keys that a batch read left over are asked for again. */
const MAX_ATTEMPTS = 8;

export type Key = { organization_id: string; offboarding_id: string };
export type Item = Key & { version?: string | undefined } & Record<string, unknown>;

/** Errors after which DynamoDB has certainly not written anything ("Error handling with DynamoDB"). */
const NOT_WRITTEN =
  /^(ProvisionedThroughputExceeded|Throttling|RequestLimitExceeded|ResourceNotFound|AccessDenied|Validation|ItemCollectionSizeLimitExceeded|UnrecognizedClient|LimitExceeded)/;
/** Of these the same will never be taken. */
const NEVER_TAKEN = /^(Validation|ItemCollectionSizeLimitExceeded)/;

/** An item that the table will never take: it is too large, or malformed. */
export class ItemRejected extends Error {
  override readonly name = 'ItemRejected';
}

/** For `catch`: what DynamoDB throws as the problem `record_unavailable`. */
function unavailable(cause: unknown): never {
  const { name = '' } = Object(cause);
  if (NEVER_TAKEN.test(name)) throw new ItemRejected('The table will never take this item', { cause });
  const options = { mayBeDone: !NOT_WRITTEN.test(name), cause };
  throw new Problem('record_unavailable', 'The record of offboardings cannot be reached', options);
}

/** For `catch` of a write: false where its condition is refused; throws all else as `unavailable` does. */
const refused = (error: unknown): false =>
  Object(error).name === 'ConditionalCheckFailedException' ? false : unavailable(error);

const keyOf = ({ organization_id, offboarding_id }: Key) => marshall({ organization_id, offboarding_id });

/** The item as it is now; a strongly consistent read. Throws `record_unavailable`, as everything here does. */
export async function getItem(key: Key): Promise<Item | undefined> {
  const { Item } = await dynamodb.getItem({ TableName, Key: keyOf(key), ConsistentRead: true }).catch(unavailable);
  return Item && (unmarshall(Item) as Item);
}

/** No organization has this id: a read of it opens a connection and reads nothing. */
const NOBODY = 'none';
/** For priming: one read of the table. */
export const primeTable = (): Promise<unknown> => getItem({ organization_id: NOBODY, offboarding_id: NOBODY });
/** For priming a function that lists. */
export const primeQuery = (): Promise<unknown> => readPartition(NOBODY).next();

/** The items of these keys as they are now, in the same order; what is not there is left out. At most 100. */
export async function getItems(keys: Key[]): Promise<Item[]> {
  const found = new Map<string, Item>();
  const nameOf = ({ organization_id, offboarding_id }: Key) => `${organization_id} ${offboarding_id}`;
  let Keys = keys.map(keyOf);
  for (let attempts = 1; Keys.length > 0; attempts++) {
    const RequestItems = { [TableName]: { Keys, ConsistentRead: true } };
    const response = await dynamodb.batchGetItem({ RequestItems }).catch(unavailable);
    const items = (response.Responses?.[TableName] ?? []).map((item) => unmarshall(item) as Item);
    for (const item of items) found.set(nameOf(item), item);
    Keys = response.UnprocessedKeys?.[TableName]?.Keys ?? [];
    // DynamoDB leaves keys out when it is asked for too much, and wants a pause then (API reference, BatchGetItem).
    if (Keys.length > 0 && attempts >= MAX_ATTEMPTS) unavailable(new Error('Keys of a batch read are left over'));
    if (Keys.length > 0) await sleep(backoff(attempts, 50, 1000));
  }
  return keys.flatMap((key) => found.get(nameOf(key)) ?? []);
}

/**
 * Writes an item with its new `version`. Condition: the item has the version `expected`, or, where there is none, nothing of its
 * key is there; so a decision never rests on what a read returned. False where that is refused, which may be for this write's own
 * first success: the SDK sends it again when its answer was lost. Throws `record_unavailable` (`mayBeDone` says whether it may be
 * written) and `ItemRejected`. (DynamoDB: "Condition expressions".)
 */
export const putItem = (item: Item, expected: string | undefined): Promise<boolean> =>
  put(
    item,
    expected
      ? { ConditionExpression: 'version = :expected', ExpressionAttributeValues: marshall({ ':expected': expected }) }
      : IS_NEW,
  );

const IS_NEW = { ConditionExpression: 'attribute_not_exists(offboarding_id)' };

/** Writes a projection. Condition: what is there was not made of a later `revision`. False where it was. Throws as `putItem`. */
export const putProjection = (item: Item & { revision: number }): Promise<boolean> =>
  put(item, {
    ConditionExpression: 'attribute_not_exists(offboarding_id) OR revision <= :revision',
    ExpressionAttributeValues: marshall({ ':revision': item.revision }),
  });

async function put(
  item: Item,
  condition: Pick<PutItemCommandInput, 'ConditionExpression' | 'ExpressionAttributeValues'>,
) {
  // As JSON has it: what is undefined in it, at any depth, is left out and not null.
  const Item = marshall(JSON.parse(JSON.stringify(item)));
  return (await dynamodb.putItem({ TableName, Item, ...condition }).catch(refused)) !== false;
}

/** Sets `notice_at` (Unix ms) of an item whose `due_at` is still this one; its version stays. */
export async function setNotice(key: Key, due_at: string, notice_at: number): Promise<void> {
  const update = {
    TableName,
    Key: keyOf(key),
    UpdateExpression: 'SET notice_at = :notice',
    ConditionExpression: 'due_at = :due',
    ExpressionAttributeValues: marshall({ ':notice': notice_at, ':due': due_at }),
  };
  await dynamodb.updateItem(update).catch(refused);
}

/** The items that a query finds, page after page; as many as the reader takes. */
async function* itemsOf(query: QueryCommandInput): AsyncGenerator<Item> {
  let ExclusiveStartKey: QueryCommandInput['ExclusiveStartKey'];
  do {
    const { Items = [], LastEvaluatedKey } = await dynamodb.query({ ...query, ExclusiveStartKey }).catch(unavailable);
    yield* Items.map((item) => unmarshall(item) as Item);
    ExclusiveStartKey = LastEvaluatedKey;
  } while (ExclusiveStartKey);
}

/** The items of an organization as they are now, the greatest key first; strongly consistent. */
export const readPartition = (organization_id: string): AsyncGenerator<Item> =>
  itemsOf({
    TableName,
    KeyConditionExpression: 'organization_id = :id',
    ExpressionAttributeValues: marshall({ ':id': organization_id }),
    ConsistentRead: true,
    ScanIndexForward: false,
  });

/** What part of an index is read: the items whose `attribute` is `value`, from `above` to `below` of `position`, both included. */
export interface Part {
  index: string;
  attribute: string;
  value: string;
  position: string;
  above?: string | undefined;
  below?: string | undefined;
}

const queryOf = ({ index, attribute, value, position, above = ' ', below = '\uffff' }: Part) => ({
  TableName,
  IndexName: index,
  KeyConditionExpression: '#key = :value AND #position BETWEEN :above AND :below',
  ExpressionAttributeNames: { '#key': attribute, '#position': position },
  ExpressionAttributeValues: marshall({ ':value': value, ':above': above, ':below': below }),
});

/** A page of at most `limit` items of an index, which may be late, and the cursor of the next; undefined where it is the last. */
export async function readIndexPage(part: Part, limit: number, cursor?: string) {
  const after = cursor && { ExclusiveStartKey: marshall(JSON.parse(cursor)) };
  const query = { ...queryOf(part), Limit: limit, ...after };
  const { Items = [], LastEvaluatedKey } = await dynamodb.query(query).catch(unavailable);
  const next = LastEvaluatedKey && JSON.stringify(unmarshall(LastEvaluatedKey));
  return { items: Items.map((item) => unmarshall(item) as Item), cursor: next };
}

/** The items of an index, which may be late, in pages of `limit`; as many as the reader takes. */
export const readIndex = (part: Part, { descending = false, limit }: { descending?: boolean; limit?: number } = {}) =>
  itemsOf({ ...queryOf(part), ScanIndexForward: !descending, Limit: limit });

/** An index whose key many items share is spread over this many partitions: one takes 1,000 writes a second (DynamoDB: "Using write sharding"). */
export const SHARDS = [0, 1, 2, 3];

/** The shard of an item; the same each time. */
export function shardOf(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  return sum % SHARDS.length;
}
