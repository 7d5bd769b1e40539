// The stand-ins of the benchmark, in a process of their own; sends the functions' environment and then what was called.
import { randomUUID } from 'node:crypto';
import { DeleteItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { startEnvironment, TABLE } from '../../infra/local/environment.ts';
import { emptyOrganization, type LedgerEntry, type OpenRequest } from '../../lib/offboarding/model/organization.ts';
import { CON, ORG } from './event.ts';

const local = await startEnvironment({ connected: false });
Object.assign(process.env, local.environment);
const { putOrganization } = await import('./organization-items.ts');

/** A scheduled offboarding that has disabled the organization's connection. */
function scheduled() {
  const [offboarding_id, time] = [randomUUID(), new Date().toISOString()];
  const options = { dry_run: false, on_reenable: 'report', end_sessions: false, end_machine_access: false } as const;
  const parameters = { action: 'disable_then_remove', requested_by: 'bench', reason: 'bench', ...options } as const;
  const request: OpenRequest = {
    offboarding_id,
    requested_at: time,
    accepted_at: time,
    parameters,
    request: { id: offboarding_id, source: 'org-connections', time },
    caller: 'bench',
    status: 'scheduled',
    updated_at: time,
    removal_due_at: new Date(Date.now() + 30 * 86_400_000).toISOString(),
    attempts: 0,
    outcomes: { [CON]: { outcome: 'disabled' } },
  };
  const entry: LedgerEntry = {
    ...{ kind: 'connection', id: CON, name: null, strategy: null },
    before: { is_enabled: true },
    claims: [offboarding_id],
    disabled_by_us: true,
  };
  const about = { revision: 1, last_requested_at: time };
  return { ...emptyOrganization(ORG), ...about, requests: [request], ledger: [entry] };
}

/** Deletes all that the table has of the organization: what one way wrote is nothing that another is to read. */
async function forget(): Promise<void> {
  const where = {
    KeyConditionExpression: 'organization_id = :id',
    ExpressionAttributeValues: marshall({ ':id': ORG }),
  };
  const { Items = [] } = await local.dynamoDb.send(new QueryCommand({ TableName: TABLE, ...where }));
  for (const { organization_id = { S: '' }, offboarding_id = { S: '' } } of Items) {
    const Key = { organization_id, offboarding_id };
    await local.dynamoDb.send(new DeleteItemCommand({ TableName: TABLE, Key }));
  }
}

/** What each function finds: a connection that is enabled, or a scheduled offboarding that has disabled it. */
async function reset(name: string): Promise<void> {
  const isCancelled = name === 'cancel-offboarding';
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, is_enabled: !isCancelled }] });
  await forget();
  if (!isCancelled) return;
  await putOrganization(local, scheduled());
}
local.worker.kill();
local.rotation.kill();
process.send?.(local.environment);
process.on('message', async (what: { reset: string } | 'count') => {
  if (what !== 'count') {
    await reset(what.reset);
    process.send?.('ready');
    return;
  }
  const calls = local.tenant.calls();
  const secrets = local.aws.calls.filter((operation) => operation === 'GetSecretValue').length;
  process.send?.({
    management: calls.filter(({ path }) => path.startsWith('/api')).length,
    tokens: calls.filter(({ path }) => path === '/oauth/token').length,
    secrets,
  });
  local.tenant.clearCalls();
  local.aws.calls.length = 0;
});
process.on('disconnect', () => process.exit(0));
