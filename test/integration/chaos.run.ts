// One chaos run, in a process whose clock runs thirty times as fast: hundreds of organizations, events duplicated, reordered
// and repeated, Auth0 failing in every way, the token revoked and rotated, workers killed. Exits 0 only if Auth0's end state is
// what was asked and every request is accounted for. `node --import ./test/scaled-clock.mjs test/integration/chaos.run.ts SEED COUNT`
import { randomUUID } from 'node:crypto';
import { setTimeout as realSleep } from 'node:timers/promises';
import { DEAD_LETTERS, QUEUE, startEnvironment, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { randomOf } from '../random.ts';

const [seed, count] = [Number(process.argv[2] ?? 1), Number(process.argv[3] ?? 100)];
const { below, chance, next } = randomOf(seed);
const logs: string[] = [];
const local = await startEnvironment({
  plan: 'enterprise',
  random: randomOf(seed + 1).next,
  visibilityTimeout: 65_000,
  environment: { CLOCK_SPEED: process.env.CLOCK_SPEED ?? '1', CLOCK_BASE: process.env.CLOCK_BASE ?? '0' },
  functions: { execArgv: ['--import', new URL('../scaled-clock.mjs', import.meta.url).href], timeout: 60_000 },
  onLog: (line) => logs.push(line),
});
const { tenant, aws } = local;

type State = 'enabled' | 'disabled' | 'removed';
const wanted = new Map<string, Map<string, State>>();
const events: { id: string; detail: Record<string, unknown> }[] = [];
const tell = (detail: object) =>
  events.push({ id: randomUUID(), detail: { requested_by: 'chaos', reason: 'run', ...detail } });

for (let i = 0; i < count; i++) {
  const organization_id = `org_${String(i).padStart(16, '0')}`;
  const connections = Array.from({ length: below(11) }, (_, n) => ({
    connection_id: `con_${i}x${n}`,
    is_enabled: chance(0.8),
  }));
  tenant.setOrganizations({ [organization_id]: connections });
  const state = new Map<string, State>(
    connections.map((one) => [one.connection_id, one.is_enabled ? 'enabled' : 'disabled']),
  );
  wanted.set(organization_id, state);
  const named = connections.filter(() => chance(0.5)).map(({ connection_id }) => connection_id);
  const ask = (action: 'disable' | 'remove', ids?: string[]) => {
    tell({ organization_id, action, ...(ids && { connection_ids: ids }) });
    for (const id of ids ?? state.keys())
      if (state.get(id) !== 'removed') state.set(id, action === 'remove' ? 'removed' : 'disabled');
  };
  const kind = below(10);
  if (kind < 4) ask('disable');
  else if (kind < 7) ask('remove');
  else if (kind < 8 && named.length > 0) ask('remove', named);
  else if (named.length > 0) ask('disable', named);
  if (chance(0.1)) ask('disable');
  if (chance(0.1)) tell({ organization_id, action: 'remove', dry_run: true });
}
// What cannot be carried out at all.
for (let i = 0; i < count / 20; i++) {
  tell({ organization_id: `org_unknown${String(i).padStart(9, '0')}`, action: 'disable' });
  tell({ organization_id: 'org_0000000000000000', action: 'destroy' });
}
const deliveries = events.flatMap((event) => (chance(0.25) ? [event, event] : [event]));
for (let i = deliveries.length - 1; i > 0; i--) {
  const j = below(i + 1);
  [deliveries[i], deliveries[j]] = [deliveries[j] as (typeof events)[0], deliveries[i] as (typeof events)[0]];
}

const trouble = [
  { status: 503, body: '<html>', chance: 0.02, times: 1e9 },
  { status: 500, body: { statusCode: 500, message: 'x' }, chance: 0.01, times: 1e9 },
  { reset: 'before' as const, chance: 0.02, times: 1e9 },
  { reset: 'during' as const, chance: 0.01, times: 1e9 },
  { reset: 'after' as const, chance: 0.02, times: 1e9 },
  { status: 200, body: '<html>', chance: 0.01, times: 1e9 },
  { delay: 15_000, chance: 0.003, times: 1e9 },
];
tenant.addFaults(...trouble);
for (const operation of ['PutEvents', 'SendMessage', 'GetSecretValue']) {
  aws.addFaults({ operation, error: 'ThrottlingException', status: 400, times: 2 + below(4) });
}
deliveries.forEach(({ id, detail }, index) => {
  const envelope = { version: '0', account: '000000000000', region: 'us-east-1', resources: [`delivery ${index}`] };
  const source = {
    source: 'chaos',
    time: new Date().toISOString(),
    'detail-type': 'organization.offboarding.requested',
  };
  aws.publish({ ...envelope, ...source, id, detail });
});

let kills = 0;
let rotations = 0;
const empty = () => aws.messages(QUEUE).length === 0;
const started = Date.now();
for (let turn = 1; !empty(); turn++) {
  await realSleep(20 + below(60));
  if (turn % 40 === 0 && kills < 6) {
    kills += 1;
    local.worker.kill();
  }
  if (turn % 55 === 0 && rotations < 6) {
    rotations += 1;
    if (chance(0.5)) tenant.revokeTokens();
    await aws.rotate(TOKEN_SECRET).catch(() => undefined);
  }
  if (Date.now() - started > 6 * 3_600_000) throw new Error('Six hours were not enough');
}
const minutes = (Date.now() - started) / 60_000;
const writesThen = tenant.effects().length;

// The trouble is over; what ended as a dead letter for a passing reason is sent in again, as the runbook has it.
tenant.clearFaults();
await aws.rotate(TOKEN_SECRET).catch(() => aws.rotate(TOKEN_SECRET));
const letters = aws.messages(DEAD_LETTERS).splice(0);
const passing = letters.filter(
  ({ attributes }) => !/invalid_message|unknown_organization/.test(JSON.stringify(attributes)),
);
for (const { body } of passing) aws.send(QUEUE, body, 'single');
while (!empty()) await realSleep(20);

const wrong: string[] = [];
for (const [organization_id, state] of wanted) {
  const found = new Map(
    tenant.state().organizations[organization_id]?.map((one) => [one.connection_id, one.is_enabled]),
  );
  for (const [id, expected] of state) {
    const is = found.get(id) === undefined ? 'removed' : found.get(id) ? 'enabled' : 'disabled';
    if (is !== expected) wrong.push(`${organization_id} ${id} is ${is}, not ${expected}`);
  }
}
const outcomes = new Map<string, Set<string>>();
for (const { source, 'detail-type': type, detail } of aws.events) {
  const id = (detail.request as { id?: string } | null)?.id;
  if (source === 'org-connections' && id)
    outcomes.set(id, (outcomes.get(id) ?? new Set()).add(type.split('.').at(-1) ?? ''));
}
const completed = events.filter(({ id }) => outcomes.get(id)?.has('completed')).length;
const failed = events.filter(({ id }) => !outcomes.get(id)?.has('completed') && outcomes.get(id)?.has('failed')).length;
const lost = events.filter(({ id }) => !outcomes.has(id)).length;
const secrets = new Set(tenant.calls().map(({ authorization }) => authorization.split('.')[2] ?? ''));
secrets.delete('');
const seen = [...logs, ...aws.events.map((event) => JSON.stringify(event))];
const leaks = seen.filter((text) => [...secrets].some((secret) => text.includes(secret))).length;
const limited = tenant.calls().filter(({ status }) => status === 429).length;

console.log(
  JSON.stringify({
    seed,
    organizations: count,
    requested: events.length,
    delivered: deliveries.length,
    completed,
    failed,
    lost,
    dead_letters: letters.length,
    sent_in_again: passing.length,
    wrong: wrong.length,
    leaks,
    kills,
    rotations,
    calls: tenant.calls().length,
    limited,
    writes: writesThen,
    minutes: Math.round(minutes),
    writes_per_minute: Math.round(writesThen / minutes),
    draw: next(),
  }),
);
for (const line of wrong.slice(0, 10)) console.error(line);
await local.close();
process.exit(wrong.length === 0 && lost === 0 && leaks === 0 && completed + failed === events.length ? 0 : 1);
