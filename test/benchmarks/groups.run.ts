// A batch, and urgent single organizations beside it, in a process whose clock runs faster (scaled-clock.mjs):
// `groups.run.ts PLAN ORGANIZATIONS SINGLES CHECKS`. Ten connections an organization; the singles come one after the other, and
// CHECKS organizations that were offboarded before are checked meanwhile. Prints figures as JSON.
import { randomUUID } from 'node:crypto';
import { setTimeout as realSleep } from 'node:timers/promises';
import { PLANS, type Plan } from '../../infra/local/auth0-tenant.ts';
import { QUEUE, startEnvironment } from '../../infra/local/environment.ts';
import { answerOf, gatewayEvent } from '../service.ts';

const [plan, batch, singles, checks] = [process.argv[2] as Plan, ...process.argv.slice(3).map(Number)] as [
  Plan,
  number,
  number,
  number,
];
const { CLOCK_SPEED = '1', CLOCK_BASE = '0' } = process.env;
const local = await startEnvironment({
  plan: 'unlimited',
  visibilityTimeout: 65_000,
  environment: { CLOCK_SPEED, CLOCK_BASE },
  functions: { execArgv: ['--import', new URL('../scaled-clock.mjs', import.meta.url).href], timeout: 600_000 },
});
Object.assign(process.env, local.environment);
const { putOrganization, readOrganization } = await import('./organization-items.ts');
const { tenant, aws } = local;
const ten = Array.from({ length: 10 }, (_, n) => ({ connection_id: `con_${n}` }));
const named = (kind: string, i: number) => `org_${kind}${String(i).padStart(15, '0')}`;
function ask(organization_id: string) {
  tenant.setOrganizations({ [organization_id]: ten });
  const id = randomUUID();
  const detail = { organization_id, action: 'disable', requested_by: 'bench', reason: 'bench' };
  const envelope = { version: '0', id, source: 'bench', account: '', region: '', resources: [] };
  const time = new Date().toISOString();
  aws.publish({ ...envelope, time, 'detail-type': 'organization.offboarding.requested', detail });
  return id;
}
const isDone = (id: string) => aws.events.some(({ detail }) => detail.offboarding_id === id && detail.connections);

// Organizations that are watched, and due for a check.
const watched = Array.from({ length: checks }, (_, i) => named('w', i));
for (const organization of watched) ask(organization);
while (aws.messages(QUEUE).length > 0) await realSleep(5);
const next_drift_check_at = new Date(Date.now() - 1000).toISOString();
for (const id of watched) {
  const item = await readOrganization(local, id);
  if (item) await putOrganization(local, { ...item, next_drift_check_at, notice_at: undefined });
}

const organization_ids = Array.from({ length: batch }, (_, i) => named('b', i));
for (const id of organization_ids) tenant.setOrganizations({ [id]: ten });
const body = { organization_ids, action: 'disable', reason: 'bench' };
const { status } = answerOf(
  await local.functionNamed('request-offboardings').invoke(gatewayEvent('request-offboardings', { body })),
);
if (status !== 202) throw new Error(`The batch was answered ${status}`);
tenant.clearCalls();
tenant.setPlan(plan);
const started = Date.now();
if (checks > 0) await local.checkByClock();
const latencies: number[] = [];
const inBatch = () => aws.messages(QUEUE).filter(({ group }) => group === 'batch').length;
for (let i = 0; i < singles; i++) {
  // Scaled like every other time of this process: once in a minute and a half.
  await new Promise((resolve) => setTimeout(resolve, 90_000));
  const at = Date.now();
  const id = ask(named('s', i));
  while (!isDone(id)) await realSleep(1);
  latencies.push(Date.now() - at);
}
// A short batch is seen to its end; of a long one, what the singles had beside them.
while (batch <= 100 && inBatch() > 0) await realSleep(2);
const minutes = ((tenant.calls().at(-1)?.at ?? started) - started) / 60_000;
const calls = tenant.calls().filter(({ path }) => path.startsWith('/api/v2'));
const limit = (PLANS[plan] as Record<string, { burst: number; perMinute: number }>).write ?? { burst: 0, perMinute: 0 };
const writes = calls.filter(({ method, status }) => method === 'PATCH' && status === 200).length;
console.log(
  JSON.stringify({
    plan,
    organizations: batch,
    minutes,
    ofLimit: writes / (limit.burst + limit.perMinute * minutes),
    limited: calls.filter(({ status }) => status === 429).length / calls.length,
    singles: latencies.map((ms) => Math.round(ms / 100) / 10),
    checked: calls.filter(({ method, path }) => method === 'GET' && path.includes('org_w')).length,
    left: Object.values(tenant.state().organizations)
      .flat()
      .filter(({ is_enabled }) => is_enabled).length,
  }),
);
await local.close();
process.exit(0);
