// The stand-ins of the benchmark, in a process of their own; prints the functions' environment and then what was called.
import { randomUUID } from 'node:crypto';
import { startEnvironment } from '../../infra/local/environment.ts';
import { CON, ORG } from './event.ts';

const local = await startEnvironment({ connected: false });
Object.assign(process.env, local.environment);
const { createRecord, put } = await import('../../lib/offboarding/record.ts');
const { admit } = await import('../../lib/offboarding/organization.ts');
const { begin, finish } = await import('../../lib/offboarding/transitions.ts');

/** What each function finds: a connection that is enabled, or a scheduled offboarding that has disabled it. */
async function reset(name: string): Promise<void> {
  const cancelling = name === 'cancel-offboarding';
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, is_enabled: !cancelling }] });
  if (!cancelling) return;
  const order = { action: 'disable_then_remove', requested_by: 'bench', reason: 'bench', dry_run: false } as const;
  const asked = { ...order, organization_id: ORG, on_reenable: 'report', end_sessions: false } as const;
  const { record } = await createRecord({ ...asked, offboarding_id: randomUUID(), caller: 'bench' });
  const connection = { connection_id: CON, name: null, strategy: null, before: {}, error: null, attempted: false };
  const disabled = { ...connection, outcome: 'disabled', disabled_by_offboarding: true } as const;
  await admit(record);
  await put({ ...finish(begin(record, [disabled]), 'scheduled'), unpublished: undefined });
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
