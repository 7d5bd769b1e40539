// What the table has under one key, an organization's id or a batch's, as tests read it and change it behind the service's back.
import { ConditionalCheckFailedException, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { type LocalEnvironment, TABLE } from '../infra/local/environment.ts';
import type { Item } from '../lib/aws/table.ts';

type Table = Pick<LocalEnvironment, 'dynamoDb'>;

export async function readItems({ dynamoDb }: Table, key: string): Promise<Item[]> {
  const ExpressionAttributeValues = marshall({ ':id': key });
  const where = { KeyConditionExpression: 'organization_id = :id', ExpressionAttributeValues };
  const { Items = [] } = await dynamoDb.send(new QueryCommand({ TableName: TABLE, ConsistentRead: true, ...where }));
  return Items.map((item) => unmarshall(item) as Item);
}

/** Writes an item; where a `version` is given, only upon that one. True where it is written. */
export async function putItem({ dynamoDb }: Table, item: object, version?: string): Promise<boolean> {
  const isStill = {
    ConditionExpression: 'version = :version',
    ExpressionAttributeValues: marshall({ ':version': version ?? '' }),
  };
  // What an item does not have is left out of the table.
  const Item = marshall(JSON.parse(JSON.stringify(item)));
  const command = new PutItemCommand({ TableName: TABLE, Item, ...(version !== undefined && isStill) });
  return dynamoDb.send(command).then(
    () => true,
    (error) => {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    },
  );
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
