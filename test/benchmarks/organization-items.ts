// Organizations' items as the benchmarks read them and change them, behind the service's back.
import { randomUUID } from 'node:crypto';
import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { type LocalEnvironment, TABLE } from '../../infra/local/environment.ts';
import type { Item } from '../../lib/aws/table.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import { fromOrganizationItem, organizationKey, toOrganizationItem } from '../../lib/offboarding/store/items.ts';
import { putItem } from '../stored-items.ts';

type Table = Pick<LocalEnvironment, 'aws' | 'dynamoDb'>;

export async function readOrganization({ dynamoDb }: Table, id: string): Promise<Organization | undefined> {
  const get = new GetItemCommand({ TableName: TABLE, Key: marshall(organizationKey(id)), ConsistentRead: true });
  const { Item } = await dynamoDb.send(get);
  return Item && fromOrganizationItem(unmarshall(Item) as Item);
}

/** Writes the item with a version of its own. */
export async function putOrganization(table: Table, organization: Organization): Promise<void> {
  await putItem(table, toOrganizationItem({ ...organization, version: randomUUID() }, Date.now()));
}
