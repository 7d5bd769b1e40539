// The operator's command applies a plan: its question, what goes wrong on the way, and what it reports.
import '../own-modules.ts';
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import {
  ACME,
  apply,
  at,
  connection,
  GLOBEX,
  KEYS,
  makeHalfStarted,
  makePlan,
  NOBODY,
  planned,
  service,
  url,
} from './customers.ts';
import { offboard, offboardInTerminal } from './terminal.ts';

test('apply does what the plan says, and its report keeps the columns and the order of the file', async () => {
  service.tenant[GLOBEX]?.push(connection('con_Ax1Sc2VfBg3NhMj4', '=cmd|calc\u001b[2J'));
  writeFileSync(at('list.csv'), `tier,organization_id,name\n+gold,${GLOBEX},Globex\n-,${ACME},"Acme, Inc."\n`);
  await makePlan('remove');
  const { status, stdout } = await apply('--report', at('done.csv'));
  expect(status).toBe(0);
  expect(stdout).toContain('Organizations: 2 completed\nConnections: 4 removed\n');
  expect(stdout).toMatch(/restore \S+ prints the calls[\s\S]*Total time: \d+ s/);
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

test('when a removal is applied, the question has the stage and the number in it, and only the typed number is a yes', async () => {
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
  expect(shown.replace(/\s+/g, ' ')).toContain('the work goes on. To watch it again: npm run offboard -- status');
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

test('when a plan is half-started, status names what is not on record and exits with 1', async () => {
  await makeHalfStarted();
  for (const more of [[], ['--watch']]) {
    const { status, stdout } = await offboard(['status', at('plan.json'), ...more]);
    expect(stdout).toContain('1 of 2 batches of the plan is on record.');
    expect(stdout).toContain(`! Not on record: ${GLOBEX}. To go on:\n  npm run offboard -- apply ${at('plan.json')}\n`);
    expect(status).toBe(1);
  }
  expect((await apply()).status).toBe(0);
  expect((await offboard(['status', at('plan.json')])).status).toBe(0);
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

test('no fault ends the watching, and what the work waits for is shown', async () => {
  await makePlan();
  service.settings.hold = true;
  service.settings.waits = {
    last_error: { code: 'auth0_unavailable', message: 'Auth0 answers 503' },
    next_try_at: '2026-11-25T10:20:00Z',
  };
  service.received.length = 0;
  const running = apply();
  const until = async (test: () => boolean) => {
    while (!test()) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await until(() => service.received.some(({ query }) => query.status === 'working'));
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

test('what failed is shown in Auth0’s own words, with what to do; the exit status says so', async () => {
  writeFileSync(at('list.csv'), `name,organization_id\nNobody,${NOBODY}\nGlobex,${GLOBEX}\n`);
  await makePlan();
  const { status, stdout } = await apply();
  expect(status).toBe(1);
  expect(stdout).toContain(
    'unknown_organization (1):\n  Auth0 or the service said: No organization found by that id or name\n  What to do: ',
  );
  expect(stdout).toContain(`  ${NOBODY}  Nobody (from your file)`);
});
