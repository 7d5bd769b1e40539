// The operator's command, run as a user runs it, against a server that plays the service by its contract.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'csv-parse/sync';
import pMap from 'p-map';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startContractService } from './contract-service.ts';
import { offboard, offboardInTerminal, ROOT } from './terminal.ts';

const ACME = 'org_bCE84ZIRjtX58FeO';
const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
const NOBODY = 'org_NobodyNobody1234';
const KEYS = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'eu-west-1' };
const connection = (connection_id: string, name: string, more = {}) => ({
  connection_id,
  name,
  strategy: 'okta',
  is_enabled: true,
  show_as_button: true,
  organization_access_level: 'none',
  ...more,
});

let service: Awaited<ReturnType<typeof startContractService>>;
let folder: string;
let url: string[];
const at = (name: string) => join(folder, name);
const planned = (name = 'plan.json') => JSON.parse(readFileSync(at(name), 'utf8'));

beforeEach(async () => {
  service = await startContractService();
  folder = mkdtempSync(join(tmpdir(), 'offboard-'));
  url = ['--url', service.url];
  service.tenant[ACME] = [
    connection('con_PmFe8KxCsPJvZRrj', 'acme-okta'),
    connection('con_Yt4Lw9QeRb7UiXc3', 'acme-google', { organization_access_level: 'full' }),
  ];
  service.tenant[GLOBEX] = [connection('con_Wd3Ef5GhTy7UjKl9', 'globex-entra')];
  writeFileSync(at('list.csv'), `name,organization_id\n"Acme, Inc.",${ACME}\nGlobex,${GLOBEX}\n`);
});
afterEach(() => service.close());

async function makePlan(action = 'disable', file = 'list.csv', out = 'plan.json') {
  const made = await offboard([
    'plan',
    at(file),
    '--action',
    action,
    '--reason',
    'contract ended',
    '--out',
    at(out),
    ...url,
  ]);
  expect(made, made.stderr).toMatchObject({ status: 0 });
  return made;
}
const apply = (...more: string[]) => offboard(['apply', at('plan.json'), '--yes', ...more]);

test('plan shows to whom what would be done and when, and what deserves a second look; it changes nothing', async () => {
  service.records.push({
    ...{
      organization_id: GLOBEX,
      offboarding_id: 'x',
      action: 'disable_then_remove',
      status: 'scheduled',
      dry_run: false,
    },
    ...{
      removal_due_at: '2027-01-01T00:00:00Z',
      requested_by: 'billing',
      reason: 'unpaid',
      created_at: '2026-11-01T00:00:00Z',
    },
    connections: [],
  });
  writeFileSync(at('list.csv'), `name;Organization_ID\nAcme, Inc.;${ACME}\nGlobex;${GLOBEX}\nNobody;${NOBODY}\n`);
  const { stdout } = await makePlan('disable_then_remove');
  expect(stdout).toContain(
    `${ACME}  Acme, Inc.\n  acme-okta (okta): would be disabled now, removed on 24 January 2027\n`,
  );
  expect(stdout).toContain('! the customer can enable acme-google (okta) itself (organization_access_level full)');
  expect(stdout).toContain(
    '! pending already: disable_then_remove is scheduled, removal on 1 January 2027, asked for by billing (unpaid)',
  );
  expect(stdout).toContain(`${NOBODY}  Nobody\n  No organization found by that id or name (unknown_organization)`);
  expect(stdout).toContain('Organizations: 3\nConnections that would be disabled now: 3\n');
  expect(stdout).toContain(
    'Connections that would be removed on 24 January 2027: 3\n! Organizations that Auth0 does not know: 1\n',
  );
  expect(stdout).toContain("can't be undone");
  expect(stdout).toContain(`Nothing was changed. Plan: ${at('plan.json')}`);
  expect(service.deeds()).toEqual([]);
  // The file may name customers: nobody else reads it.
  expect(statSync(at('plan.json')).mode & 0o777).toBe(0o600);
});

test('apply does what the plan says, and its report keeps the columns and the order of the file', async () => {
  service.tenant[GLOBEX]?.push(connection('con_Ax1Sc2VfBg3NhMj4', '=cmd|calc\u001b[2J'));
  writeFileSync(at('list.csv'), `tier,organization_id,name\n+gold,${GLOBEX},Globex\n-,${ACME},"Acme, Inc."\n`);
  await makePlan('remove');
  const { status, stdout } = await apply('--report', at('done.csv'));
  expect(status).toBe(0);
  expect(stdout).toContain('Organizations: 2 completed\nConnections: 4 removed\n');
  expect(stdout).toMatch(/restore ORGANIZATION prints the calls[\s\S]*Total time: \d+ s/);
  const [deed] = service.deeds();
  expect(deed?.body).toEqual({ action: 'remove', reason: 'contract ended', organization_ids: [GLOBEX, ACME] });
  const rows = parse(readFileSync(at('done.csv')), { columns: true, bom: true }) as Record<string, string>[];
  expect(
    rows.map(({ tier, organization_id, name, outcome, dry_run }) => [tier, organization_id, name, outcome, dry_run]),
  ).toEqual([
    ["'+gold", GLOBEX, 'Globex', 'removed', 'no'],
    ["'+gold", GLOBEX, 'Globex', 'removed', 'no'],
    ["'-", ACME, 'Acme, Inc.', 'removed', 'no'],
    ["'-", ACME, 'Acme, Inc.', 'removed', 'no'],
  ]);
  // A connection's name is the customer's own text: no formula, no escape.
  expect(rows[1]?.connection).toBe("'=cmd|calc [2J");
  expect(stdout).not.toContain('\u001b[2J');
});

test('a report of a dry run says so on every line', async () => {
  await offboard([
    'plan',
    at('list.csv'),
    '--action',
    'remove',
    '--reason',
    'x',
    '--report',
    at('dry.csv'),
    '--out',
    at('p.json'),
    ...url,
  ]);
  const rows = parse(readFileSync(at('dry.csv')), { columns: true, bom: true }) as Record<string, string>[];
  expect(rows.length).toBe(3);
  for (const row of rows)
    expect(row).toMatchObject({ dry_run: 'dry run: nothing was changed', outcome: 'would be removed now' });
});

test('a plan that was edited, is old, or is for another account is refused, and nothing is started', async () => {
  await makePlan();
  const plan = planned();
  const refused = async (content: object | string, says: RegExp) => {
    writeFileSync(at('other.json'), typeof content === 'string' ? content : JSON.stringify(content));
    const { status, stderr } = await offboard(['apply', at('other.json'), '--yes']);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  };
  await refused({ ...plan, request: { ...plan.request, action: 'remove' } }, /was edited since it was made: plan anew/);
  await refused({ ...plan, organizations: plan.organizations.toReversed() }, /was edited/);
  await refused('{"organizations": []}', /is no plan/);
  await refused('org_a', /is no plan/);
  // Another account is another service, whatever the stage is called.
  const inStage = [
    'plan',
    at('list.csv'),
    '--action',
    'disable',
    '--reason',
    'x',
    '--stage',
    'prod',
    '--out',
    at('stage.json'),
  ];
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  const made = await offboard(inStage, { env });
  expect(made.stdout).toContain(`You are ${service.settings.arn}, in account 123456789012; stage prod (eu-west-1).`);
  service.settings.arn = 'arn:aws:sts::999999999999:assumed-role/operators/kim';
  const other = await offboard(['apply', at('stage.json'), '--yes'], { env });
  expect(other).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('is for account 123456789012, and you are in account 999999999999'),
  });
  expect(service.deeds()).toEqual([]);
});

test('a plan that is more than a day old is refused, but for one that was started', async () => {
  await makePlan();
  const late = { env: { NODE_OPTIONS: `--import ${aDayLater}` } };
  const refused = await offboard(['apply', at('plan.json'), '--yes'], late);
  expect(refused).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('more than a day old: plan anew. Nothing was started.'),
  });
  expect(service.deeds()).toEqual([]);
  expect((await apply()).status).toBe(0);
  expect((await offboard(['apply', at('plan.json'), '--yes'], late)).status).toBe(0);
});
const aDayLater = `data:text/javascript,${encodeURIComponent('const now = Date.now; Date.now = () => now() + 90_000_000;')}`;

test('what is asked has the stage and the number in it, and removal goes on only when the number is typed', async () => {
  await makePlan('remove');
  const no = await offboardInTerminal(['apply', at('plan.json')], [[/Type 2 to go on:/, 'y\r']]);
  expect(no.shown.replace(/\s+/g, ' ')).toContain(
    `Remove now, for good the connections of 2 organizations (3 connections) in ${service.url}`,
  );
  expect(no.shown.replace(/\s+/g, ' ')).toContain('That was not "2". Nothing was started.');
  expect(no.status).toBe(2);
  const stopped = await offboardInTerminal(['apply', at('plan.json')], [[/Type 2 to go on:/, '\u0003']]);
  expect(stopped).toMatchObject({ status: 2, shown: expect.stringContaining('Nothing was started.') });
  expect(service.deeds()).toEqual([]);
  const yes = await offboardInTerminal(['apply', at('plan.json')], [[/Type 2 to go on:/, '2\r']]);
  expect(yes.status, yes.shown).toBe(0);
  expect(service.deeds().length).toBe(1);
});

test('the bar fits forty columns; Ctrl-C stops the watching alone, and says how to take it up again', async () => {
  await makePlan();
  service.settings.hold = true;
  const { status, shown } = await offboardInTerminal(['apply', at('plan.json'), '--yes'], [[/░ 0\/2/, '\u0003']]);
  const bars = shown.split('\n').filter((line) => line.includes('░'));
  expect(bars.length).toBeGreaterThan(0);
  for (const line of bars) expect([...line].length).toBeLessThanOrEqual(40 * (line.split('0/2').length - 1));
  expect(shown.replace(/\s+/g, ' ')).toContain('the work goes on. Take it up again: npm run offboard -- status');
  expect(status).toBe(1);
  service.settings.hold = false;
  for (const record of service.records) if (!record.dry_run) record.status = 'completed';
  const again = await offboard(['status', at('plan.json'), '--watch']);
  expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining('Organizations: 2 completed') });
});

test('an answer that is cut off, a 429 and a 503 are waited out, and nothing is done twice', async () => {
  await makePlan();
  service.faults.push(
    { method: 'POST', path: '/offboardings', times: 1, cut: 'after' },
    { method: 'POST', path: '/offboardings', times: 1, status: 503, headers: { 'retry-after': '1' } },
    { method: 'POST', path: '/offboardings', times: 1, status: 429 },
  );
  const { status, stdout, stderr } = await apply();
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/The batch: [\w-]+, 2 accepted, as before/);
  const posts = service.deeds();
  expect(posts.length).toBe(4);
  expect(new Set(posts.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set(planned().keys));
  expect(service.records.filter(({ dry_run }) => !dry_run).length).toBe(2);
});

test('what may have been started is never called nothing, and applying again goes on with the rest', async () => {
  const ids = Array.from({ length: 1001 }, (_, index) => `org_${String(index).padStart(16, 'a')}`);
  for (const id of ids) service.tenant[id] = [connection('con_PmFe8KxCsPJvZRrj', 'okta')];
  writeFileSync(at('many.txt'), ids.join('\n'));
  await makePlan('disable', 'many.txt');
  const { keys } = planned();
  expect(keys.length).toBe(2);
  const refusal = { status: 403, body: { message: 'Forbidden' } };
  service.faults.push({ method: 'POST', path: '/offboardings', times: 1, ...refusal });
  const first = await apply();
  expect(first).toMatchObject({ status: 2, stderr: expect.stringContaining('Forbidden. Nothing was started.') });
  service.faults.push({ method: 'POST', path: '/offboardings', times: 1, after: 1, ...refusal });
  const second = await apply();
  expect(second.status).toBe(1);
  expect(second.stderr).toMatch(
    /^Batch 2 of 2: .*Something may have been started; nothing is done twice by going on: npm run offboard/,
  );
  const before = service.deeds().length;
  const third = await apply();
  expect(third.status, third.stderr).toBe(0);
  expect(third.stdout).toContain('Batch 1 of 2 is on record');
  expect(
    service
      .deeds()
      .slice(before)
      .map(({ headers }) => headers['idempotency-key']),
  ).toEqual([keys[1]]);
  expect(third.stdout).toContain('Organizations: 1001 completed');
  const fourth = await apply();
  expect(fourth.status).toBe(0);
  expect(service.deeds().length).toBe(before + 1);
});

test('a half-started batch is not gone on with under another role, for whom its key would be another one', async () => {
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  await offboard(
    ['plan', at('list.csv'), '--action', 'disable', '--reason', 'x', '--stage', 'prod', '--out', at('plan.json')],
    { env },
  );
  expect((await offboard(['apply', at('plan.json'), '--yes'], { env })).status).toBe(0);
  service.records.splice(
    service.records.findLastIndex(({ dry_run }) => !dry_run),
    1,
  );
  const before = service.deeds().length;
  service.settings.arn = 'arn:aws:sts::123456789012:assumed-role/others/lee';
  const { status, stderr } = await offboard(['apply', at('plan.json'), '--yes'], { env });
  expect(stderr).toContain('only that role can go on');
  expect(status).toBe(2);
  expect(service.deeds().length).toBe(before);
});

test('no fault ends the watching, and what the work waits for is told', async () => {
  await makePlan();
  service.settings.hold = true;
  service.settings.waits = {
    last_error: { code: 'auth0_unavailable', message: 'Auth0 answers 503' },
    next_try_at: '2026-11-25T10:20:00Z',
  };
  service.asked.length = 0;
  const running = apply();
  const until = async (test: () => boolean) => {
    while (!test()) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await until(() => service.asked.some(({ query }) => query.status === 'working'));
  service.faults.push({
    method: 'GET',
    path: '/offboardings',
    times: 2,
    status: 500,
    body: { detail: 'the table is down' },
  });
  service.faults.push({ method: 'GET', path: '/offboardings', times: 1, cut: 'before' });
  await until(() => service.faults.every(({ times }) => times === 0));
  for (const record of service.records) if (!record.dry_run) record.status = 'completed';
  const { status, stdout } = await running;
  expect(status).toBe(0);
  expect(stdout).toContain('It waits: Auth0 answers 503 (auth0_unavailable); next try 10:20');
  expect(stdout).toContain('Not seen for now: GET /offboardings was answered 500: the table is down');
});

test('what failed is told in Auth0’s own words, with what to do; the exit status says so', async () => {
  writeFileSync(at('list.csv'), `name,organization_id\nNobody,${NOBODY}\nGlobex,${GLOBEX}\n`);
  await makePlan();
  const { status, stdout } = await apply();
  expect(status).toBe(1);
  expect(stdout).toContain(
    'unknown_organization (1):\n  Auth0 or the service said: No organization found by that id or name\n  What to do: ',
  );
  expect(stdout).toContain(`  ${NOBODY}  Nobody`);
});

test('a plan that was applied is not written over: it is how it is called off', async () => {
  await makePlan();
  await makePlan();
  expect((await apply()).status).toBe(0);
  const again = ['plan', at('list.csv'), '--action', 'remove', '--reason', 'x', '--out', at('plan.json'), ...url];
  expect(await offboard(again)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('was applied and is not written over'),
  });
  const onTheList = ['plan', at('list.csv'), '--action', 'remove', '--reason', 'x', '--out', at('list.csv'), ...url];
  expect(await offboard(onTheList)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('is no plan and is not written over'),
  });
});

test('a plan says when it is for many more than the last time, and what is there by now that it did not know', async () => {
  writeFileSync(at('few.txt'), `${ACME}\n`);
  await makePlan('disable', 'few.txt');
  service.tenant[ACME]?.push(connection('con_NewNewNewNew1234', 'acme-new'));
  expect((await apply()).stdout).toContain(`! Not in the plan, there by now: acme-new (okta) of ${ACME}`);
  const ids = Array.from({ length: 30 }, (_, index) => `org_${String(index).padStart(16, 'b')}`);
  for (const id of ids) service.tenant[id] = [connection('con_PmFe8KxCsPJvZRrj', 'okta')];
  writeFileSync(at('many.txt'), ids.join('\n'));
  expect((await makePlan('disable', 'many.txt', 'many.json')).stdout).toContain(
    '! Many more than last time: 30, where 1 were offboarded',
  );
});

test('cancel of a plan says what will be enabled and what can not be, and asks; a batch is called off by one call', async () => {
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
    stdout: expect.stringContaining('2 called off, 0 not pending'),
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
    ...{ created_at: '2026-11-01T00:00:00Z', watch: 'on', connections: [] },
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
  expect(stdout).toContain(`${NOBODY}: not called off: Its connections are being removed since 09:00`);
  expect(stdout).toContain('! Being removed right now, too late: 1 organization.');
  expect(status).toBe(1);
});

test('the auditor’s question is one command: who lost access in a quarter, why and by whom, without the dry runs', async () => {
  await makePlan();
  await apply();
  for (const record of service.records)
    record.asked_at = record.organization_id === ACME ? '2026-09-30T23:00:00Z' : '2026-10-01T00:00:00Z';
  const words = ['list', '--since', '2026-07-01', '--until', '2026-09-30', '--report', at('quarter.csv'), ...url];
  const { status, stdout } = await offboard(words);
  expect(status).toBe(0);
  expect(stdout).toContain('1 completed (and 1 dry run, left out)');
  expect(service.asked.at(-1)?.query).toMatchObject({
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
    ...{ dry_run: false, requested_by: hostile, reason: 'x', created_at: '2026-11-01T00:00:00Z' },
    connections: [
      one('con_PmFe8KxCsPJvZRrj', 'removed'),
      one('con_Yt4Lw9QeRb7UiXc3', 'disabled'),
      one('con_x;y', 'removed'),
    ],
  });
  const { status, stdout } = await offboard(['restore', ACME, ...url]);
  expect(status).toBe(0);
  expect(stdout).toContain('create:organization_connections');
  expect(stdout).toContain('org-connections itself enables nothing');
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
  expect((await offboard(['restore', '00000000-0000-4000-8000-000000000001', ...url])).stdout).toBe(stdout);
  expect(service.deeds()).toEqual([]);
});

test('requeue calls the stage’s function, as who and where it says', async () => {
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  const { status, stdout, stderr } = await offboard(['requeue', '--overdue', '--stage', 'prod'], { env });
  expect(stdout, stderr).toContain(
    `You are ${service.settings.arn}, in account 123456789012; stage prod (eu-west-1).\nRequeued: 2 offboardings.`,
  );
  expect(status).toBe(0);
  await offboard(['requeue', ACME, '--stage', 'prod'], { env });
  // An offboarding is one of an organization; of one that is not there nothing is asked for.
  const unknown = ['requeue', '--offboarding', '00000000-0000-4000-8000-000000000001', '--stage', 'prod'];
  const missed = await offboard(unknown, { env });
  expect(`${missed.stdout}${missed.stderr}`).toContain('There is no offboarding 00000000-0000-4000-8000-000000000001');
  expect(missed.status).toBe(2);
  const name = 'org-connections-prod-watch-offboardings';
  expect(service.lambda).toEqual([
    { name, payload: { requeue: 'overdue' } },
    { name, payload: { requeue: { organization_id: ACME } } },
  ]);
});

test('plan --connection finds the organizations that have it, waits for Auth0’s limit, and plans that connection alone', async () => {
  const organizations = [
    { id: ACME, name: 'acme', display_name: 'Acme, Inc.' },
    { id: GLOBEX, name: 'globex', display_name: 'Globex' },
  ];
  const seen: string[] = [];
  let refusals = 1;
  const auth0 = createServer((request, response) => {
    const path = (request.url ?? '').replace('/api/v2', '');
    seen.push(`${request.headers.authorization} ${path}`);
    response.setHeader('content-type', 'application/json');
    if (refusals-- > 0)
      return response.writeHead(429, { 'x-ratelimit-reset': '1' }).end('{"message":"Global limit has been reached"}');
    if (path.startsWith('/organizations?')) {
      const isFirst = !path.includes('from=');
      const page = { organizations: [organizations[isFirst ? 0 : 1]], ...(isFirst && { next: 'two' }) };
      return response.end(JSON.stringify(page));
    }
    const connection_id = path.includes(GLOBEX) ? 'con_Wd3Ef5GhTy7UjKl9' : 'con_PmFe8KxCsPJvZRrj';
    return response.end(JSON.stringify({ connections: [{ connection_id }], start: 0, limit: 50, total: 1 }));
  }).listen(0, '127.0.0.1');
  const env = { AUTH0_DOMAIN: '', AUTH0_TOKEN: 'secret-token' };
  await new Promise((resolve) => auth0.once('listening', resolve));
  env.AUTH0_DOMAIN = `http://127.0.0.1:${(auth0.address() as AddressInfo).port}`;
  const words = [
    'plan',
    '--connection',
    'con_PmFe8KxCsPJvZRrj',
    '--urgent',
    '--action',
    'disable',
    '--reason',
    'compromised',
    '--out',
    at('plan.json'),
    ...url,
  ];
  const { status, stdout, stderr } = await offboard(words, { env });
  auth0.close();
  expect(status, stderr).toBe(0);
  expect(stdout).toContain(`${ACME}  acme, Acme, Inc.`);
  expect(planned().organizations.map(({ organization_id }: { organization_id: string }) => organization_id)).toEqual([
    ACME,
  ]);
  expect(planned().request).toMatchObject({ connection_ids: ['con_PmFe8KxCsPJvZRrj'], urgent: true });
  expect(seen.slice(1)).toEqual([
    'Bearer secret-token /organizations?take=100',
    `Bearer secret-token /organizations/${ACME}/connections?include_totals=true&page=0&per_page=50`,
    'Bearer secret-token /organizations?take=100&from=two',
    `Bearer secret-token /organizations/${GLOBEX}/connections?include_totals=true&page=0&per_page=50`,
  ]);
  expect(stdout + stderr + readFileSync(at('plan.json'), 'utf8')).not.toContain('secret-token');
  const without = await offboard(words);
  expect(without).toMatchObject({ status: 2, stderr: expect.stringContaining('set AUTH0_DOMAIN, and AUTH0_TOKEN') });
  expect((await apply()).status).toBe(0);
  expect(service.deeds()[0]?.body).toMatchObject({ urgent: true, connection_ids: ['con_PmFe8KxCsPJvZRrj'] });
});

test('nothing that npm keeps for itself turns a look into a deed', async () => {
  await makePlan('remove');
  const npm = (...words: string[]) =>
    promisify(execFile)('npm', ['run', '-s', 'offboard', ...words], { cwd: ROOT }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
  const kept = await npm('--dry-run', '--', 'apply', at('plan.json'), '--yes');
  expect(kept.stderr).toContain('npm has kept --dry-run for itself: options come after "--"');
  expect(kept.code).toBe(2);
  const reason = await npm('plan', at('list.csv'), '--action=remove', '--grace-period=P30D');
  expect(reason.stderr).toContain('npm has kept --action for itself');
  expect(service.deeds()).toEqual([]);
});

test('bad input at every word: one plain sentence, exit 2, nothing asked for', async () => {
  await makePlan();
  service.asked.length = 0;
  const plan = (...more: string[]) => ['plan', at('list.csv'), '--action', 'disable', '--reason', 'x', ...more];
  const NONE = 'org_none';
  const CASES: [words: string[], says: RegExp][] = [
    [['paln', at('list.csv')], /unknown command 'paln' \(Did you mean plan\?\)/],
    [['frobnicate'], /The words are plan, apply, status, list, cancel, restore, requeue\./],
    [[at('list.csv'), '--action', 'disable'], /A word comes first: npm run offboard -- plan .*list\.csv/],
    [['apply', at('plan.json'), '--dry-run'], /There is no --dry-run: "plan" is the dry run/],
    [plan('--dry-run', ...url), /There is no --dry-run/],
    [plan('--yse', ...url), /unknown option '--yse'/],
    [plan(), /either --stage or --url/],
    [plan('--stage', 'prod', ...url), /either --stage or --url/],
    [plan('--stage', '../x'), /A stage is a word/],
    [plan('--url', 'localhost:3000'), /The --url is no address/],
    [plan('--url', 'http://example.com'), /must begin with https/],
    [plan('--stage', 'prod'), /No region is set for the environment or the default profile/],
    [
      plan('--stage', 'prod', '--region', 'eu-west-1', '--profile', 'nobody'),
      /No credentials that AWS takes in the profile nobody: .*\(aws sso login --profile nobody/,
    ],
    [plan('--action', 'destroy', ...url), /Allowed choices are disable, remove, disable_then_remove/],
    [['plan', at('list.csv'), '--action', 'disable', '--reason', ' ', ...url], /--action and --reason/],
    [plan('--grace-period', 'P30D', ...url), /disable_then_remove alone/],
    [plan('--action', 'disable_then_remove', '--grace-period', '30d', ...url), /no ISO 8601 duration/],
    [plan('--connection', 'okta', ...url), /"okta" is no connection id/],
    [plan('--column', 'tenant', ...url), /no column "tenant"; its first line has "name", "organization_id"/],
    [plan('--report', at('x.pdf'), ...url), /a file \.csv or \.json/],
    [plan('--report', at('none/x.csv'), ...url), /The report can not be written/],
    [plan('--out', at('none/x.json'), ...url), /The plan can not be written/],
    [['plan', at('none.csv'), '--action', 'disable', '--reason', 'x', ...url], /The file can not be read/],
    [['plan', '--action', 'disable', '--reason', 'x', ...url], /Name a file with organizations/],
    [['apply'], /missing required argument 'plan'/],
    [['apply', at('none.json')], /none\.json can not be read/],
    [['apply', at('plan.json')], /Nobody can be asked here: --yes is needed\. Nothing was started\./],
    [['apply', at('plan.json'), '--yes', '--report', at('none/x.csv')], /The report can not be written/],
    [['apply', at('plan.json'), '--yes', ...url], /unknown option '--url'/],
    [['status', '17', ...url], /"17" is neither a plan on this machine nor a batch id/],
    [['list', '--status', 'gone', ...url], /"gone" is no status; they are requested/],
    [['list', '--since', 'yesterday', ...url], /"yesterday" is no date/],
    [['list', '--since', '2026-02-30', ...url], /"2026-02-30" is no date/],
    [['list', '--since', '2026-10-01', '--until', '2026-09-30', ...url], /not before/],
    [['cancel', ...url], /missing required argument 'what'/],
    [['cancel', ACME, at('plan.json'), ...url], /not several kinds at once/],
    [['cancel', 'acme', ...url], /"acme" is neither/],
    [['restore', 'acme', ...url], /"acme" is neither an organization nor an offboarding id/],
    [['requeue', ACME, '--overdue', '--stage', 'prod'], /Say what: an organization, --offboarding ID, or --overdue/],
    [['requeue', NONE.replace('_', '-'), '--stage', 'prod'], /is no organization id/],
    [['requeue', '--overdue', ...url], /say --stage/],
  ];
  const refused = async ([words, says]: (typeof CASES)[number]) => {
    const { status, stderr } = await offboard(words);
    expect(stderr, words.join(' ')).toMatch(says);
    expect(stderr.trim().split('\n').length, stderr).toBe(1);
    expect(status, words.join(' ')).toBe(2);
  };
  await pMap(CASES, refused, { concurrency: 3 });
  // What is looked at before a question is asked is all.
  expect(service.asked.every(({ method }) => method === 'GET')).toBe(true);
});

test('each word has a help with an example, and the command a version', async () => {
  for (const word of ['plan', 'apply', 'status', 'list', 'cancel', 'restore', 'requeue']) {
    const { status, stdout } = await offboard([word, '--help']);
    expect(stdout).toContain(`Example:\n  npm run offboard -- ${word}`);
    expect(status).toBe(0);
  }
  expect((await offboard(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('a file that must not be read starts nothing, and leaves nothing behind', async () => {
  const file = fileURLToPath(new URL('files/refused/ids-that-are-none.csv', import.meta.url));
  const before = readdirSync(folder);
  const words = ['--action', 'remove', '--reason', 'x', '--out', at('new.json'), ...url];
  const named = await offboard(['plan', file, ...words]);
  const piped = await offboard(['plan', '-', ...words], { input: readFileSync(file, 'utf8') });
  for (const { status, stderr } of [named, piped]) {
    expect(stderr).toBe('2 of 3 rows have no organization id: line 2 "acme", line 3 "org_$(reboot)".\n');
    expect(status).toBe(2);
  }
  expect(service.asked).toEqual([]);
  expect(readdirSync(folder)).toEqual(before);
});
