// One outage, in a process whose clock runs sixty times as fast and jumps over the time in which nobody does anything: `node
// --import ./test/scaled-clock.mjs test/integration/outage.run.ts SCENARIO HOURS ORGANIZATIONS`. Prints figures as JSON: what
// was lost or given up, what Lambda refused for being in a loop, and how long the group of urgent requests stood still.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setTimeout as realSleep } from 'node:timers/promises';
import { DEAD_LETTERS, QUEUE, SCOPES, startEnvironment, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { jump } from '../scaled-clock.mjs';

// Several invocations at a time in one process: the SDK finds the trace of each where Lambda's runtime has it.
const trace = new AsyncLocalStorage<string | undefined>();
process.env.AWS_LAMBDA_FUNCTION_NAME = 'offboard-organization';
Object.assign(globalThis, { awslambda: { InvokeStore: { getXRayTraceId: () => trace.getStore() } } });

const [scenario = '503', hours = 2, count = 20] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const local = await startEnvironment({
  plan: 'enterprise',
  connected: false,
  functions: { timeout: 3_600_000 },
});
const { tenant, aws } = local;
Object.assign(process.env, local.environment, { LOG_LEVEL: 'ERROR' });
process.stdout.write = (() => true) as typeof process.stdout.write;
const { handler } = await import(new URL('../../dist/offboard-organization.mjs', import.meta.url).href);
let busy = 0;
const invoke = async (event: unknown, _?: number, header?: string) => {
  busy += 1;
  const deadline = Date.now() + 60_000;
  const context = { getRemainingTimeInMillis: () => deadline - Date.now() };
  return trace
    .run(header, () => handler(event, context))
    .finally(() => {
      busy -= 1;
    });
};
const [mapping] = local.mappings.filter(({ queue }) => queue === QUEUE);
aws.connect(QUEUE, Array(mapping?.concurrency ?? 3).fill(invoke), mapping);

/** The token as the rotation would have it: this process's clock is not the rotation's. */
function token(lifetime: number) {
  const value = { access_token: tenant.issueToken(SCOPES, lifetime), scope: SCOPES };
  const version = [...aws.secret(TOKEN_SECRET).versions.values()].find(({ stages }) => stages.has('AWSCURRENT'));
  const expires_at = new Date(Date.now() + lifetime * 1000).toISOString();
  if (version) version.value = JSON.stringify({ ...value, expires_at });
}
token(30 * 86_400);

const AUTH0: Record<string, object> = {
  '503': { status: 503, body: '<html>' },
  refused: { reset: 'before' },
  stalled: { delay: 30_000, status: 503, body: '' },
  limited: { status: 429, body: { statusCode: 429, error: 'Too Many Requests' } },
};
const always = { times: Number.POSITIVE_INFINITY };
function breakIt(): void {
  if (AUTH0[scenario]) tenant.addFaults({ path: '/api/v2/', ...always, ...AUTH0[scenario] });
  else if (scenario === 'token expired') token(-60);
  else if (scenario === 'token refused') {
    tenant.revokeTokens();
    // Nor does Auth0 give out another one.
    tenant.addFaults({ path: '/oauth/token', ...always, status: 401, body: { error: 'access_denied' } });
  } else if (scenario === 'one organization')
    tenant.addFaults({ path: 'org_0000000000000003', ...always, status: 503, body: '' });
  else aws.addFaults({ operation: scenario, error: 'ThrottlingException', status: 400, ...always });
}
function repairIt(): void {
  tenant.clearFaults();
  aws.clearFaults();
  token(30 * 86_400);
}

const ids = Array.from({ length: count }, (_, i) => `org_${String(i).padStart(16, '0')}`);
const connections = Array.from({ length: 10 }, (_, n) => ({ connection_id: `con_${n}` }));
tenant.setOrganizations(Object.fromEntries(ids.map((id) => [id, connections])));
breakIt();
tenant.clearCalls();
const started = Date.now();
const end = started + hours * 3_600_000;
const requests = ids.map((organization_id) => {
  const detail = { organization_id, action: 'disable_then_remove', requested_by: 'test', reason: scenario };
  const envelope = {
    version: '0',
    source: 'test',
    account: '',
    region: '',
    resources: [],
    time: new Date().toISOString(),
  };
  const event = { ...envelope, id: randomUUID(), 'detail-type': 'organization.offboarding.requested', detail };
  aws.publish(event);
  return event.id;
});

/** The message at the front of the urgent group, since when it is that, and the longest that one was (ms): for that long others wait. */
const front = { id: '', since: 0, longest: 0 };
function watchGroup(messages: ReturnType<typeof aws.messages>): void {
  const id = messages.find(({ group }) => group === 'single')?.id ?? '';
  if (id !== front.id) Object.assign(front, { id, since: Date.now() });
  if (id) front.longest = Math.max(front.longest, Date.now() - front.since);
}

/** When the next message can be received (Unix ms): of a group, none before its hidden one can be seen again. */
function nextReceive(messages: ReturnType<typeof aws.messages>): number {
  const groups = new Map<string | undefined, number>();
  for (const { group, visibleAt } of messages) {
    const until = groups.get(group) ?? 0;
    if (visibleAt > Date.now()) groups.set(group, until ? Math.min(until, visibleAt) : visibleAt);
    else if (!until) groups.set(group, 0);
  }
  return Math.min(...groups.values());
}

/** Runs until `done`, jumping over the time in which no message can be received and nobody is at work. */
async function run(done: () => boolean, limit = Number.POSITIVE_INFINITY): Promise<void> {
  while (!done()) {
    await realSleep(2);
    const messages = aws.messages(QUEUE);
    watchGroup(messages);
    if (aws.nextDue() <= Date.now()) aws.wake(QUEUE);
    const next = Math.min(limit, nextReceive(messages), aws.nextDue());
    const isIdle = () => busy === 0 && messages.length > 0 && next > Date.now() + 500;
    if (!isIdle()) continue;
    await realSleep(2);
    if (!isIdle()) continue;
    jump(next - Date.now() - 1);
    aws.wake(QUEUE);
  }
}
await run(() => Date.now() >= end, end);
const during = tenant.calls().filter(({ path, at }) => path.startsWith('/api/v2/') && at < end);
const doneInOutage = count - aws.messages(QUEUE).length;
repairIt();
const repaired = Date.now();
await run(() => aws.messages(QUEUE).length === 0);
const ends = new Map<unknown, string>();
for (const { detail, 'detail-type': type } of aws.events)
  if (detail.connections) ends.set(detail.offboarding_id, type.split('.').at(-1) ?? '');
const published = (kind?: string) => requests.filter((id) => ends.get(id) === kind).length;
process.stderr.write(
  `${JSON.stringify({
    scenario,
    hours,
    organizations: count,
    calls_a_minute: Math.round((during.length / ((Math.min(end, Date.now()) - started) / 60_000)) * 100) / 100,
    done_in_outage: doneInOutage,
    dead_letters: aws.messages(DEAD_LETTERS).length,
    lost: published(undefined) + aws.lost().length + aws.counts(QUEUE).expired,
    recursions_dropped: aws.recursiveInvocationsDropped.length,
    group_blocked_seconds: Math.round(front.longest / 1000),
    scheduled: published('scheduled'),
    failed: published('failed'),
    left_enabled: Object.values(tenant.state().organizations)
      .flat()
      .filter(({ is_enabled }) => is_enabled).length,
    minutes_afterwards: Math.round((Date.now() - repaired) / 6000) / 10,
    minutes_of_the_limit: Math.round((count * 10) / 15) / 10,
  })}\n`,
);
process.exit(0);
