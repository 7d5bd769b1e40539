// The sessions of an organization's members ended, in a process whose clock runs faster (scaled-clock.mjs):
// `sessions.run.ts PLAN MEMBERS only_here|all SHARE`. One member in ten belongs elsewhere, too. Prints figures as JSON.
import { setTimeout as realSleep } from 'node:timers/promises';
import { PLANS, type Plan } from '../../infra/local/auth0-tenant.ts';
import { startEnvironment } from '../../infra/local/environment.ts';
import { putDue } from '../sessions/due.ts';

const [plan, count, whose = 'only_here', share = '0.2'] = process.argv.slice(2) as [Plan, string, string?, string?];
const { CLOCK_SPEED = '1', CLOCK_BASE = '0' } = process.env;
const [ORG, OTHER] = ['org_bCE84ZIRjtX58FeO', 'org_Qk2vN8sT5rWx1YzA'];
const load = (name: string) => ['--import', new URL(name, import.meta.url).href];
const heaps: number[] = [];
const local = await startEnvironment({
  plan: 'unlimited',
  visibilityTimeout: 905_000,
  environment: { CLOCK_SPEED, CLOCK_BASE, SESSION_MEMBERS: whose, SESSION_SHARE: share },
  functions: {
    execArgv: ['--expose-gc', ...load('../scaled-clock.mjs'), ...load('../report-memory.mjs')],
    timeout: 900_000,
  },
  onLog: (line) => {
    if (line.includes('"code":"memory"')) heaps.push(JSON.parse(line).heap);
  },
});
Object.assign(process.env, local.environment);
const { readOrganization } = await import('./organization-items.ts');
const { sendSessionsDue } = await import('../../lib/sessions/queue.ts');

const { tenant, ending } = local;
const people = Array.from({ length: Number(count) }, (_, i) => `auth0|${i}`);
tenant.setOrganizations({ [ORG]: [{ connection_id: 'con_1' }], [OTHER]: [] });
tenant.addMembers(ORG, people);
tenant.addMembers(
  OTHER,
  people.filter((_, i) => i % 10 === 0),
);
const ids = await putDue(local, ORG);
tenant.clearCalls();
tenant.setPlan(plan);
const realStart = process.hrtime.bigint();
await sendSessionsDue(ids);

/** How far the ending has come, as the organization's item says. */
const sessionsNow = async () => (await readOrganization(local, ORG))?.requests[0]?.sessions;
// The calls are counted and let go: a hundred thousand members are a quarter of a million of them.
const seen = { members: 0, users: 0, limited: 0, first: 0, last: 0 };
function tally() {
  for (const { path, status, at } of tenant.calls()) {
    if (!path.startsWith('/api/v2/')) continue;
    seen.first ||= at;
    seen.last = at;
    seen[path.includes('/users/') ? 'users' : 'members'] += 1;
    if (status === 429) seen.limited += 1;
  }
  tenant.clearCalls();
}
for (let ended = false; !ended; tally()) {
  await realSleep(500);
  ended = (await sessionsNow())?.status === 'ended';
  // Before it has made a call, the function may not listen yet.
  if (seen.first > 0) ending.signal('SIGUSR2');
}
await realSleep(200);
const seconds = (seen.last - seen.first) / 1000;
const whole = (PLANS[plan] as Record<string, { burst: number; perMinute: number }>).whole;
const allowed = whole && Number(share) * (whole.burst + (whole.perMinute * seconds) / 60);
console.log(
  JSON.stringify({
    plan,
    whose,
    share,
    sessions: await sessionsNow(),
    seconds: Math.round(seconds),
    realSeconds: Math.round(Number(process.hrtime.bigint() - realStart) / 1e9),
    membersASecond: people.length / seconds,
    callsForEach: seen.users / people.length,
    pages: seen.members,
    ofShare: allowed && (seen.users + seen.members) / allowed,
    limited: seen.limited,
    heapMB: Math.round(Math.max(...heaps) / 1e5) / 10,
  }),
);
await local.close();
process.exit(0);
