// One bulk offboarding in a process whose clock runs faster (scaled-clock.mjs): `bulk.run.ts PLAN ORGANIZATIONS ours|conventional`.
// Ten connections an organization, one request in ten sent twice. Prints figures as JSON.
import { setTimeout as realSleep } from 'node:timers/promises';
import { ManagementClient } from 'auth0';
import { PLANS, type Plan } from '../../infra/local/auth0-tenant.ts';
import { QUEUE, SCOPES, startEnvironment } from '../../infra/local/environment.ts';

const [plan, count, way] = [process.argv[2] as Plan, Number(process.argv[3]), process.argv[4]];
const { CLOCK_SPEED = '1', CLOCK_BASE = '0' } = process.env;
const local = await startEnvironment({
  plan,
  connected: way === 'ours',
  visibilityTimeout: 65_000,
  environment: { CLOCK_SPEED, CLOCK_BASE },
  functions: {
    execArgv: ['--import', new URL('../scaled-clock.mjs', import.meta.url).href],
    // A cold start takes its real time, however fast the clock runs.
    timeout: 60_000 * Math.max(1, Number(CLOCK_SPEED) / 60),
  },
});
const { tenant, aws } = local;
tenant.clearCalls();
tenant.setPlan(plan);
const ids = Array.from({ length: count }, (_, i) => `org_${String(i).padStart(16, '0')}`);
for (const id of ids) {
  tenant.setOrganizations({ [id]: Array.from({ length: 10 }, (_, n) => ({ connection_id: `con_${n}` })) });
}

const started = Date.now();
if (way === 'ours') {
  ids.forEach((organization_id, i) => {
    const event = {
      version: '0',
      id: `event-${i}`,
      source: 'bench',
      account: '',
      region: '',
      time: new Date().toISOString(),
      'detail-type': 'organization.offboarding.requested',
      detail: { organization_id, action: 'disable', requested_by: 'bench', reason: 'bench' },
    };
    aws.publish({ ...event, resources: [] });
    if (i % 10 === 0) aws.publish({ ...event, resources: ['again'] });
  });
  while (aws.messages(QUEUE).length > 0) await realSleep(2);
} else {
  const management = new ManagementClient({
    domain: new URL(tenant.url).host,
    token: tenant.issueToken(SCOPES),
    fetch: ((url: string, init: RequestInit) => fetch(url.replace('https:', 'http:'), init)) as typeof fetch,
  });
  await Promise.allSettled(
    ids.map(async (id) => {
      const { data } = await management.organizations.connections.list(id, { per_page: 50 } as never);
      const all = data as unknown as { connection_id: string }[];
      const body = { is_enabled: false } as never;
      await Promise.allSettled(
        all.map(({ connection_id }) => management.organizations.connections.update(id, connection_id, body)),
      );
    }),
  );
}
const minutes = (tenant.calls().at(-1)?.at ?? started) - started;
const calls = tenant.calls().filter(({ path }) => path.startsWith('/api/v2'));
const limit: { burst: number; perMinute: number } = Object.assign(
  { burst: 0, perMinute: 0 },
  (PLANS[plan] as Record<string, object>).write ?? (PLANS[plan] as Record<string, object>).whole,
);
const writes = calls.filter(({ method, status }) => method === 'PATCH' && status === 200).length;
// Where reads and writes share one bucket, what the reads took was not there for writes.
const reads =
  'write' in PLANS[plan] ? 0 : calls.filter(({ method, status }) => method === 'GET' && status === 200).length;
const allowed = limit.burst + (limit.perMinute * minutes) / 60_000 - reads;
console.log(
  JSON.stringify({
    plan,
    way,
    organizations: count,
    writes,
    needed: count * 10,
    minutes: minutes / 60_000,
    ofLimit: writes / allowed,
    limited: calls.filter(({ status }) => status === 429).length / calls.length,
    calls: calls.length,
    left: Object.values(tenant.state().organizations)
      .flat()
      .filter(({ is_enabled }) => is_enabled).length,
  }),
);
await local.close();
process.exit(0);
