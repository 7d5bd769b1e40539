// One caller floods a route, and an urgent offboarding of three connections is requested beside it:
// `flood.run.ts PATCH|DELETE|GET PER_SECOND [unthrottled]`, against the Enterprise plan's buckets, in real time. The flood goes
// through the throttles of the template (`unthrottled`: past them), and then to containers as Lambda has them: each answers one
// request at a time and has a pacer of its own, and a request that finds all of them busy gets a new one. Prints figures as JSON.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEnvironment } from '../../infra/local/environment.ts';
import type { LocalFunction } from '../../infra/local/lambda.ts';
import { createThrottleCheck } from '../../infra/local/throttles.ts';
import { answerOf, gatewayEvent } from '../service.ts';

const [verb = 'PATCH', perSecond = '20', unthrottled] = process.argv.slice(2);
const NAME = { PATCH: 'disable-connection', DELETE: 'remove-connection', GET: 'get-offboarding' }[verb] ?? '';
/** A new AWS account has ten; more would tell this machine's limits rather than the service's. */
const MAX_CONTAINERS = 10;
const OFFBOARDINGS = 3;
const LEAD_MS = 8000;
const PATIENCE_MS = 120_000;

const local = await startEnvironment({ plan: 'unlimited' });
const { tenant, aws } = local;
const FLOODED = 'org_flood00000000000';
const three = Array.from({ length: 3 }, (_, n) => ({ connection_id: `con_${n}` }));
tenant.setOrganizations({ [FLOODED]: three });

const idle: LocalFunction[] = [];
let containers = 0;
const answers: Record<string, number> = {};
const count = (what: string | number) => (answers[what] = (answers[what] ?? 0) + 1);
const path = `/organizations/${FLOODED}/${verb === 'GET' ? 'offboarding' : 'connections/con_0'}`;
const check = unthrottled ? () => undefined : createThrottleCheck();

async function request(): Promise<void> {
  if (await check({ method: verb, url: path, headers: {}, body: Buffer.of() })) return void count('429 of the gateway');
  const container = idle.pop() ?? (containers < MAX_CONTAINERS && ++containers ? local.functionNamed(NAME) : undefined);
  if (!container) return void count('503 of Lambda');
  const event = gatewayEvent(NAME, { organization: FLOODED, connection: 'con_0' });
  count(answerOf(await container.invoke(event)).status);
  idle.push(container);
}

/** An organization of three connections is offboarded; resolves to the milliseconds that took. */
async function offboard(organization_id: string): Promise<number> {
  tenant.setOrganizations({ [organization_id]: three });
  const [id, started] = [randomUUID(), Date.now()];
  const detail = { organization_id, action: 'disable', requested_by: 'bench', reason: 'bench' };
  const envelope = { version: '0', id, source: 'bench', account: '000000000000', region: 'us-east-1', resources: [] };
  const time = new Date().toISOString();
  aws.publish({ ...envelope, time, 'detail-type': 'organization.offboarding.requested', detail });
  const isDone = () =>
    aws.events.some((one) => one.detail.organization_id === organization_id && one.detail.connections);
  while (!isDone() && Date.now() < started + PATIENCE_MS) await sleep(10);
  const isLeft = tenant.state().organizations[organization_id]?.some(({ is_enabled }) => is_enabled);
  return isLeft ? Number.POSITIVE_INFINITY : Date.now() - started;
}

// What a cold start costs is measured elsewhere.
await offboard('org_first00000000000');
tenant.setPlan('enterprise');
tenant.clearCalls();
const flood = setInterval(() => void request().catch(() => count('failed')), 1000 / Number(perSecond));
await sleep(LEAD_MS);
const seconds: number[] = [];
for (let i = 0; i < OFFBOARDINGS; i++) {
  seconds.push((await offboard(`org_urgent000000000${i}`)) / 1000);
  await sleep(2000);
}
clearInterval(flood);
const calls = tenant.calls().filter(({ path: of }) => of.startsWith('/api/v2'));
const ofFlood = calls.filter(({ path: of }) => of.includes(FLOODED));
const limited = (some: typeof calls) => some.filter(({ status }) => status === 429).length / Math.max(1, some.length);
console.log(
  JSON.stringify({
    verb,
    perSecond: Number(perSecond),
    throttled: !unthrottled,
    seconds,
    calls: calls.length,
    ofFlood: ofFlood.length,
    limited: limited(calls),
    limitedOfWorker: limited(calls.filter((one) => !ofFlood.includes(one))),
    containers,
    answers,
  }),
);
await local.close();
process.exit(0);
