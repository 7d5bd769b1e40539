// The operator's command, run as a user runs it, on what is on record: cancel, list, restore, requeue.
import '../own-modules.ts';
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import type { Offboarding } from '../../infra/commands/offboard/records.ts';
import { ACME, apply, at, GLOBEX, KEYS, makePlan, NOBODY, service, url } from './customers.ts';
import { offboard, offboardInTerminal } from './terminal.ts';

test('cancel of a plan says what will be enabled and what cannot be, and asks; a batch is cancelled by one call', async () => {
  await makePlan('disable_then_remove');
  expect((await apply()).status).toBe(0);
  const refused = await offboardInTerminal(['cancel', at('plan.json')], [[/Type cancel to go on:/, 'yes\r']], 80);
  expect(refused.shown).toContain('On record: 2 scheduled');
  expect(refused.shown).toContain('Will be enabled again: 3 connections');
  expect(refused.status).toBe(2);
  expect(service.deeds().length).toBe(1);
  const done = await offboard(['cancel', at('plan.json'), '--yes', '--reason', 'wrong list']);
  expect(done, done.stderr).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('2 are being cancelled, 0 were not pending'),
  });
  expect(done.stdout).toContain('acme-okta (okta): enabled again');
  const { method, path, query } = service.deeds().at(-1) ?? {};
  expect({ method, path, query }).toMatchObject({
    method: 'DELETE',
    path: '/offboardings',
    query: { reason: 'wrong list' },
  });
});

test('cancel of organizations: accepted, completed and too late are told apart, in words', async () => {
  const record = (organization_id: string, more: object) => ({
    ...{
      organization_id,
      offboarding_id: `of-${organization_id}`,
      action: 'disable',
      dry_run: false,
      requested_by: 'x',
      reason: 'x',
    },
    ...{ requested_at: '2026-11-01T00:00:00Z', watch: 'on', connections: [] },
    ...more,
  });
  service.settings.hold = true;
  service.records.push(
    record(ACME, { status: 'completed' }),
    record(GLOBEX, { status: 'scheduled' }),
    record(NOBODY, { status: 'removing' }),
  );
  const { status, stdout } = await offboard(['cancel', ACME, GLOBEX, NOBODY, 'org_None0000000000', '--yes', ...url]);
  expect(stdout).toContain(`${ACME}: not watched any more; NOTHING was enabled`);
  expect(stdout).toContain(`${GLOBEX}: accepted; nothing is removed any more`);
  expect(stdout).toContain(`${GLOBEX}: cancelled`);
  expect(stdout).toContain(`${NOBODY}: not cancelled: Its connections are being removed since 09:00`);
  expect(stdout).toContain('org_None0000000000: nothing to cancel: Nothing is pending');
  expect(stdout).toContain('! Being removed right now, too late: 1 organization.');
  expect(status).toBe(1);
});

test('when dry runs came after a pending offboarding, however many, plan and cancel still know of it', async () => {
  await makePlan('disable_then_remove');
  await apply();
  const pending = service.records.find((one) => one.organization_id === ACME && !one.dry_run);
  for (let number = 0; number < 150; number++)
    service.records.push({ ...pending, offboarding_id: `dry-${number}`, status: 'completed', dry_run: true });
  const asked = await offboard(['cancel', ACME, ...url]);
  expect(asked.stdout).toContain('On record: 1 scheduled\nWill be enabled again: 2 connections');
  const { stdout } = await makePlan('disable', 'list.csv', 'later.json');
  expect(stdout).toContain('! pending already: disable_then_remove is scheduled, removal on 24 January 2027');
});

test('the auditor’s question is one command: who lost access in a quarter, why and by whom, without the dry runs', async () => {
  await makePlan();
  await apply();
  for (const record of service.records)
    record.requested_at = record.organization_id === ACME ? '2026-09-30T23:00:00Z' : '2026-10-01T00:00:00Z';
  const words = ['list', '--since', '2026-07-01', '--until', '2026-09-30', '--report', at('quarter.csv'), ...url];
  const { status, stdout } = await offboard(words);
  expect(status).toBe(0);
  expect(stdout).toContain('1 completed (and 1 dry run, left out)');
  expect(service.received.at(-1)?.query).toMatchObject({
    since: '2026-07-01T00:00:00.000Z',
    until: '2026-10-01T00:00:00.000Z',
  });
  const rows = parse(readFileSync(at('quarter.csv')), { columns: true, bom: true }) as Record<string, string>[];
  expect(
    rows.map(({ organization_id, connection, outcome, reason, caller }) => [
      organization_id,
      connection,
      outcome,
      reason,
      caller,
    ]),
  ).toEqual([
    [ACME, 'acme-okta', 'disabled', 'contract ended', service.settings.arn],
    [ACME, 'acme-google', 'disabled', 'contract ended', service.settings.arn],
  ]);
  const json = await offboard(['list', '--status', 'completed', '--json', ...url]);
  expect(JSON.parse(json.stdout).map(({ organization_id }: { organization_id: string }) => organization_id)).toEqual([
    ACME,
    GLOBEX,
  ]);
});

test('requeue and redrive invoke the stage’s dispatcher, and say who does it where', async () => {
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  const { status, stdout, stderr } = await offboard(['requeue', '--overdue', '--stage', 'prod'], { env });
  expect(stdout, stderr).toContain(
    `You are ${service.settings.arn}, in account 123456789012; stage prod (eu-west-1).\nRequeued: 2 organizations.`,
  );
  expect(status).toBe(0);
  await offboard(['requeue', ACME, '--stage', 'prod'], { env });
  const moved = await offboard(['redrive', '--all', '--stage', 'prod'], { env });
  expect(moved.stdout, moved.stderr).toContain('Moved back: 1 dead letter.');
  const name = 'org-connections-prod-dispatch-due-work';
  expect(service.lambda).toEqual([
    { name, payload: { requeue: 'overdue' } },
    { name, payload: { requeue: { organization_id: ACME } } },
    { name, payload: { redrive: 'all' } },
  ]);
});

test('redrive says what stayed: of all, that is somebody’s to look at; of one organization, it may be others’', async () => {
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  service.settings.left = 2;
  expect(await offboard(['redrive', '--all', '--stage', 'prod'], { env })).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('! 2 dead letters stayed: the "reason" of each says why'),
  });
  expect(await offboard(['redrive', ACME, '--stage', 'prod'], { env })).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('2 dead letters stayed: of other organizations, or such as nobody can read.'),
  });
});

test('status says which connection is left enabled, and why, when somebody enables it again and again', async () => {
  await makePlan();
  await apply();
  const record = service.records.findLast(
    (one) => !one.dry_run && one.organization_id === ACME,
  ) as unknown as Offboarding;
  const times = [1, 2, 3].map((hour) => new Date(Date.now() - hour * 3_600_000).toISOString());
  Object.assign(record, { on_reenable: 'disable_again', watch: 'on' });
  const enabledAgain = (reenabled_at: string[]) => {
    Object.assign(record.connections[0] ?? {}, { name: 'acme-okta', drifted_at: times[0], reenabled_at });
    return offboard(['status', ACME, ...url]);
  };
  expect((await enabledAgain(times.slice(1))).stdout).not.toContain('left enabled');
  expect((await enabledAgain(times)).stdout).toContain(
    '! acme-okta is left enabled: it was enabled 3 times within a day. Stop what enables it, then ask for the offboarding anew.',
  );
});

test('status of an organization shows its connections now, what remains, and what was done; one offboarding is found by its id', async () => {
  service.names[ACME] = 'acme';
  service.grants[ACME] = [
    { grant_id: 'cgr_a1', client_id: 'machine1', audience: 'https://api.example.com', scope: [] },
  ];
  await makePlan();
  await apply();
  const { status, stdout } = await offboard(['status', ACME, ...url]);
  expect(stdout).toContain(`${ACME}  acme: completed\nConnections, as Auth0 has them now:\n`);
  expect(stdout).toContain('acme-okta (okta) con_PmFe8KxCsPJvZRrj: ENABLED\n');
  expect(stdout).toContain('! Remaining: client grant of machine1 for https://api.example.com: machines');
  expect(stdout).toContain('contract ended\n  offboarding ');
  expect(status).toBe(0);
  const { offboarding_id } =
    service.records.find(({ dry_run, organization_id }) => !dry_run && organization_id === ACME) ?? {};
  const one = await offboard(['status', ACME, offboarding_id, ...url]);
  expect(one.stdout).toContain(`  offboarding ${offboarding_id}\n`);
  expect(one.stdout).not.toContain('as Auth0 has them now');
  const wrong = await offboard(['status', GLOBEX, offboarding_id, ...url]);
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining(`has no offboarding ${offboarding_id}`) });
  expect((await offboard(['list', ACME, ...url])).stdout).toContain('1 completed (and 1 dry run, left out)');
});

test('list shows what waits and since when, what is overdue, and what a lost message looks like', async () => {
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const record = (offboarding_id: string, status: string, more: object) => ({
    ...{ organization_id: ACME, offboarding_id, action: 'disable', status, dry_run: false, connections: [] },
    ...{ requested_by: 'x', reason: 'x', requested_at: ago(65), updated_at: ago(1) },
    ...more,
  });
  const last_error = { code: 'auth0_unavailable', message: 'Auth0 answers 503' };
  service.records.push(
    record('waits', 'working', { last_error, next_try_at: new Date(Date.now() + 60_000).toISOString() }),
    record('lost', 'requested', { updated_at: ago(65) }),
    record('fine', 'scheduled', { removal_due_at: new Date(Date.now() + 86_400_000).toISOString() }),
    record('late', 'scheduled', { removal_due_at: ago(125) }),
  );
  const { stdout } = await offboard(['list', ...url]);
  const of = (id: string) => stdout.split('\n\n').find((block) => block.includes(`offboarding ${id}\n`)) ?? '';
  expect(of('waits')).toContain('working for 1 h 5 min. It waits: Auth0 answers 503 (auth0_unavailable); next try ');
  expect(of('waits')).not.toContain('Overdue');
  expect(of('lost')).toContain('! Overdue: nothing has happened for 1 h 5 min, as when a message is lost.');
  expect(of('lost')).toContain(`npm run offboard -- requeue ${ACME} --url ${service.url}`);
  expect(of('fine')).not.toContain('Overdue');
  expect(of('late')).toContain('! Overdue: the removal was due on');
  expect((await offboard(['status', ...url])).stdout).toContain('  scheduled: 2; 1 overdue ("list" shows them)');
});

test('when a reason has blanks and signs, it is sent as it is signed', async () => {
  await makePlan('disable_then_remove');
  await apply();
  await offboard(['cancel', ACME, '--yes', '--reason', "wrong list + it's (not) ~ all!*", ...url]);
  const cancellation = service.received.find(({ method }) => method === 'DELETE');
  expect(cancellation?.url).toBe(
    `/organizations/${ACME}/offboarding?reason=wrong%20list%20%2B%20it%27s%20%28not%29%20~%20all%21%2A`,
  );
});

test('list --json is JSON that a terminal can show, whatever customers have named things', async () => {
  const hostile = 'a\u001b]0;x\u0007\u009b2J\u202e\u{e0001}b';
  service.tenant[ACME] = [{ connection_id: 'con_a', name: hostile, is_enabled: true }];
  await makePlan();
  await apply();
  const { stdout } = await offboard(['list', ACME, '--json', ...url]);
  expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(stdout)[0].connections[0].name).toBe(hostile);
});
