import * as dynamodb from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { backoff, sleep } from '../deadline.ts';
import { AWS_CLIENT, required } from '../environment.ts';
import { Problem } from '../problem.ts';

// The one table: items that are read as they are now, and written upon the version that their writer expects.

const TableName = required('OFFBOARDINGS_TABLE');
const client = new dynamodb.DynamoDBClient(AWS_CLIENT);
const UNAVAILABLE_RETRY_S = 5;
/** How often the keys that a batch read left over are asked for again. */
const MAX_ATTEMPTS = 8;

export type Key = { organization_id: string; offboarding_id: string };
export type Item = Key & { version?: string | undefined } & Record<string, unknown>;

/** For `catch`: what DynamoDB throws, but for a rejected condition, as the problem `record_unavailable`. */
function unavailable(cause: unknown): never {
  if (cause instanceof dynamodb.ConditionalCheckFailedException) throw cause;
  const options = { retryAfter: UNAVAILABLE_RETRY_S, cause };
  throw new Problem('record_unavailable', 'The record of offboardings can not be reached', options);
}

const keyOf = ({ organization_id, offboarding_id }: Key) => marshall({ organization_id, offboarding_id });

/** The item as it is now; a strongly consistent read. Throws `record_unavailable`, as everything here does. */
export async function getItem(key: Key): Promise<Item | undefined> {
  const get = new dynamodb.GetItemCommand({ TableName, Key: keyOf(key), ConsistentRead: true });
  const { Item } = await client.send(get).catch(unavailable);
  return Item && (unmarshall(Item) as Item);
}

/** The items of these keys as they are now, in the same order; what is not there is left out. At most 100. */
export async function getItems(keys: Key[]): Promise<Item[]> {
  const found = new Map<string, Item>();
  const nameOf = ({ organization_id, offboarding_id }: Key) => `${organization_id} ${offboarding_id}`;
  let Keys = keys.map(keyOf);
  for (let attempts = 1; Keys.length > 0; attempts++) {
    const RequestItems = { [TableName]: { Keys, ConsistentRead: true } };
    const response = await client.send(new dynamodb.BatchGetItemCommand({ RequestItems })).catch(unavailable);
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
 * Writes an item with its new `version`. Condition: the item has the version `expected`, or, where there is none, nothing of its key is there;
 * so a decision never rests on what a read returned. False when that is rejected. (DynamoDB: "Condition expressions".)
 */
export async function putItem(item: Item, expected: string | undefined): Promise<boolean> {
  const condition = expected
    ? { ConditionExpression: 'version = :expected', ExpressionAttributeValues: marshall({ ':expected': expected }) }
    : { ConditionExpression: 'attribute_not_exists(offboarding_id)' };
  // As JSON has it: what is undefined in it, at any depth, is left out and not null.
  const Item = marshall(JSON.parse(JSON.stringify(item)));
  try {
    await client.send(new dynamodb.PutItemCommand({ TableName, Item, ...condition })).catch(unavailable);
    return true;
  } catch (error) {
    if (!(error instanceof dynamodb.ConditionalCheckFailedException)) throw error;
    // The SDK sends a write again when its response was lost, and is then rejected for its own first success.
    return (await getItem(item))?.version === item.version;
  }
}

/** What part of an index is read: the items whose `attribute` is `value`, from `above` to `below` of `position`, both included. */
export interface Part {
  index: string;
  attribute: string;
  value: string;
  position: string;
  above?: string | undefined;
  below?: string | undefined;
}

/** The items of an index, which may be late, in pages of `limit`; as many as the reader takes. */
export async function* readIndex(part: Part, options: { descending?: boolean; limit?: number } = {}) {
  const { index: IndexName, attribute, value, position, above = ' ', below = '\uffff' } = part;
  let ExclusiveStartKey: dynamodb.QueryCommandInput['ExclusiveStartKey'];
  do {
    const query = new dynamodb.QueryCommand({
      TableName,
      IndexName,
      KeyConditionExpression: '#key = :value AND #position BETWEEN :above AND :below',
      ExpressionAttributeNames: { '#key': attribute, '#position': position },
      ExpressionAttributeValues: marshall({ ':value': value, ':above': above, ':below': below }),
      ScanIndexForward: !options.descending,
      Limit: options.limit,
      ExclusiveStartKey,
    });
    const { Items = [], LastEvaluatedKey } = await client.send(query).catch(unavailable);
    yield* Items.map((item) => unmarshall(item) as Item);
    ExclusiveStartKey = LastEvaluatedKey;
  } while (ExclusiveStartKey);
}

/** An index whose key many items share is spread over this many partitions: one takes 1,000 writes a second (DynamoDB: "Using write sharding"). */
export const SHARDS = [0, 1, 2, 3];

/** The shard of an item; the same each time. */
export function shardOf(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  return sum % SHARDS.length;
}
