// The operator's command, run as a user runs it, on what is on record: cancel, list, restore, requeue.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { ACME, apply, at, connection, GLOBEX, KEYS, makePlan, NOBODY, service, url } from './customers.ts';
import { offboard, offboardInTerminal } from './terminal.ts';

test('cancel of a plan says what will be enabled and what can not be, and asks; a batch is cancelled by one call', async () => {
  await makePlan('disable_then_remove');
  expect((await apply()).status).toBe(0);
  const asked = await offboardInTerminal(['cancel', at('plan.json')], [[/Type cancel to go on:/, 'yes\r']], 80);
  expect(asked.shown).toContain('On record: 2 scheduled');
  expect(asked.shown).toContain('Will be enabled again: 3 connections');
  expect(asked.status).toBe(2);
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
  const { status, stdout } = await offboard(['cancel', ACME, GLOBEX, NOBODY, '--yes', ...url]);
  expect(stdout).toContain(`${ACME}: not watched any more; NOTHING was enabled`);
  expect(stdout).toContain(`${GLOBEX}: accepted; nothing is removed any more`);
  expect(stdout).toContain(`${GLOBEX}: cancelled`);
  expect(stdout).toContain(`${NOBODY}: not cancelled: Its connections are being removed since 09:00`);
  expect(stdout).toContain('! Being removed right now, too late: 1 organization.');
  expect(status).toBe(1);
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

test('restore prints calls that a shell takes as they are, whatever the customer has named things', async () => {
  const hostile = `a'; touch ${at('owned')}; '\u001b]0;x\u0007\n$(touch ${at('owned')})`;
  const before = {
    ...connection('', hostile),
    organization_connection_name: hostile,
    surprise: hostile,
    is_signup_enabled: false,
  };
  const { connection_id: _, name: __, strategy: ___, ...settings } = before;
  const one = (id: string, outcome: string) => ({
    connection_id: id,
    name: hostile,
    strategy: 'okta',
    outcome,
    before: settings,
    error: null,
  });
  service.records.push({
    ...{
      organization_id: ACME,
      offboarding_id: '00000000-0000-4000-8000-000000000001',
      action: 'remove',
      status: 'completed',
    },
    ...{ dry_run: false, requested_by: hostile, reason: 'x', requested_at: '2026-11-01T00:00:00Z' },
    connections: [
      one('con_PmFe8KxCsPJvZRrj', 'removed'),
      one('con_Yt4Lw9QeRb7UiXc3', 'disabled'),
      one('con_x;y', 'removed'),
    ],
  });
  const { status, stdout } = await offboard(['restore', ACME, ...url]);
  expect(status).toBe(0);
  expect(stdout).toContain('create:organization_connections');
  expect(stdout).toContain('org-connections itself enables only');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there.
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
  const script = `auth0() { printf '%s\\n' "$#" "$@"; }\n${stdout}`;
  const ran = (await promisify(execFile)('bash', ['-c', script])).stdout.trim().split('\n');
  expect(ran.slice(0, 5)).toEqual(['5', 'api', 'post', `organizations/${ACME}/connections`, '--data']);
  expect(JSON.parse(ran[5] ?? '')).toEqual({ connection_id: 'con_PmFe8KxCsPJvZRrj', ...settings, surprise: undefined });
  expect(ran.slice(6, 11)).toEqual([
    '5',
    'api',
    'patch',
    `organizations/${ACME}/connections/con_Yt4Lw9QeRb7UiXc3`,
    '--data',
  ]);
  expect(JSON.parse(ran[11] ?? '')).toEqual({ is_enabled: true, organization_access_level: 'none' });
  expect(ran.length).toBe(12);
  expect(existsSync(at('owned'))).toBe(false);
  expect((await offboard(['restore', ACME, '00000000-0000-4000-8000-000000000001', ...url])).stdout).toBe(stdout);
  expect(service.deeds()).toEqual([]);
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
