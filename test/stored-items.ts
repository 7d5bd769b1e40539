// What the table has under one key, an organization's id or a batch's, as tests read it and change it behind the service's back.
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { type LocalEnvironment, TABLE } from '../infra/local/environment.ts';
import type { Item } from '../lib/aws/table.ts';

type Table = Pick<LocalEnvironment, 'aws'>;
type Marshalled = Parameters<typeof unmarshall>[0];

/** A call of the stand-in itself: it meets no fault that a test has made for the service, and takes no socket. */
async function call({ aws }: Table, operation: string, input: object) {
  const { status, body } = await aws.dynamoDb.run(operation, JSON.stringify({ TableName: TABLE, ...input }));
  const answer: { __type?: string; Items?: Marshalled[] } = JSON.parse(body);
  if (status !== 200 && !answer.__type?.endsWith('#ConditionalCheckFailedException'))
    throw new Error(`${operation}: ${body}`);
  return { isDone: status === 200, items: (answer.Items ?? []).map((item) => unmarshall(item) as Item) };
}

export async function readItems(table: Table, key: string): Promise<Item[]> {
  const ExpressionAttributeValues = marshall({ ':id': key });
  const where = { KeyConditionExpression: 'organization_id = :id', ExpressionAttributeValues };
  return (await call(table, 'Query', { ConsistentRead: true, ...where })).items;
}

/** Writes an item; where a `version` is given, only upon that one. True where it is written. */
export async function putItem(table: Table, item: object, version?: string): Promise<boolean> {
  const isStill = {
    ConditionExpression: 'version = :version',
    ExpressionAttributeValues: marshall({ ':version': version ?? '' }),
  };
  // What an item does not have is left out of the table.
  const Item = marshall(JSON.parse(JSON.stringify(item)));
  return (await call(table, 'PutItem', { Item, ...(version !== undefined && isStill) })).isDone;
}

/**
 * Writes what `change` makes of an item under a key, upon the version that it was made of: where somebody has written that meanwhile,
 * it is made anew of what is there now. Nothing is written where `change` returns undefined.
 */
export async function changeItem(
  table: Table,
  key: string,
  change: (found: Item[]) => { item: object; version: string | undefined } | undefined,
): Promise<void> {
  for (;;) {
    const next = change(await readItems(table, key));
    if (!next || (await putItem(table, next.item, next.version))) return;
  }
}

/** Deletes all items under a key. */
export async function deleteItems(table: Table, key: string): Promise<void> {
  for (const { organization_id, offboarding_id } of await readItems(table, key))
    await call(table, 'DeleteItem', { Key: marshall({ organization_id, offboarding_id }) });
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g;
/** No number of an item is larger that is not a Unix time in milliseconds. */
const LARGEST_COUNT = 1e12;

/** A value of the table with each time in it `ms` earlier: in text, or in Unix milliseconds. */
export function earlier(value: unknown, ms: number): unknown {
  const shift = (time: string) => {
    const shifted = new Date(Date.parse(time) - ms).toISOString();
    return time.includes('.') ? shifted : shifted.replace(/\.\d{3}Z/, 'Z');
  };
  if (typeof value === 'string') return value.replace(TIME, shift);
  if (typeof value === 'number') return value > LARGEST_COUNT ? value - ms : value;
  if (Array.isArray(value)) return value.map((one) => earlier(one, ms));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, earlier(one, ms)]));
}
