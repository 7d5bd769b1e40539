import { randomUUID } from 'node:crypto';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { type LocalEnvironment, TABLE } from '../../infra/local/environment.ts';

/** An offboarding on record whose connections are done, and whose sessions are due. */
export async function putDue(
  { dynamoDb }: Pick<LocalEnvironment, 'dynamoDb'>,
  organization_id: string,
  { status = 'completed', dry_run = false } = {},
) {
  const offboarding_id = randomUUID();
  const time = new Date().toISOString();
  const record = {
    organization_id,
    offboarding_id,
    status,
    dry_run,
    action: status === 'scheduled' ? 'disable_then_remove' : 'disable',
    requested_by: 'test',
    reason: 'test',
    caller: 'test',
    on_reenable: 'report',
    request: { id: offboarding_id, source: 'org-connections', time },
    revision: '1',
    version: '1',
    created_at: time,
    updated_at: time,
    asked_at: time,
    connections: '[]',
    watch: 'on',
    sessions: { status: 'due', members: 0, asked: 0, skipped: 0, failed: 0, updated_at: time },
  };
  await dynamoDb.send(new PutItemCommand({ TableName: TABLE, Item: marshall(record) }));
  return { organization_id, offboarding_id };
}
