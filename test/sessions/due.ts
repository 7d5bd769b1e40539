import { randomUUID } from 'node:crypto';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { type LocalEnvironment, TABLE } from '../../infra/local/environment.ts';
import { emptyOrganization, type OpenRequest, type Organization } from '../../lib/offboarding/model/organization.ts';

/** Puts an organization's item whose offboarding has disabled its connections, and whose members' sessions are due. */
export async function putDue(
  { dynamoDb }: Pick<LocalEnvironment, 'dynamoDb'>,
  organization_id: string,
  { status = 'completed' as OpenRequest['status'], dry_run = false } = {},
) {
  // What reads the table's name at its start is loaded where it is set.
  const { toOrganizationItem } = await import('../../lib/offboarding/store/items.ts');
  const offboarding_id = randomUUID();
  const time = new Date().toISOString();
  const request: OpenRequest = {
    offboarding_id,
    requested_at: time,
    accepted_at: time,
    parameters: {
      action: status === 'scheduled' ? 'disable_then_remove' : 'disable',
      reason: 'test',
      requested_by: 'test',
      dry_run,
      on_reenable: 'report',
      end_sessions: true,
      end_machine_access: false,
    },
    request: { id: offboarding_id, source: 'org-connections', time },
    caller: 'test',
    status,
    updated_at: time,
    attempts: 0,
    outcomes: {},
    watch: 'on',
    sessions: {
      status: 'due',
      members: 0,
      revocations_requested: 0,
      skipped: 0,
      failed: 0,
      sent_at: time,
      updated_at: time,
    },
  };
  const item: Organization = {
    ...emptyOrganization(organization_id),
    version: '1',
    revision: 1,
    requests: [request],
    last_requested_at: time,
  };
  const Item = marshall(JSON.parse(JSON.stringify(toOrganizationItem(item, Date.now()))));
  await dynamoDb.send(new PutItemCommand({ TableName: TABLE, Item }));
  return { organization_id, offboarding_id };
}
