// The reports: for a spreadsheet, a program and an auditor.
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { htmlOf } from '../../infra/commands/offboard/report-html.ts';
import { daysOf } from '../../infra/commands/offboard/report-timeline.ts';
import { ACME, apply, at, connection, GLOBEX, makePlan, service, url } from './customers.ts';
import { offboard } from './terminal.ts';

const HOSTILE = `</style><script>alert('1')</script>"><img src=x onerror=alert(1)>\u001b[2J\u202e&amp;`;

async function quarter(name: string) {
  const ran = await offboard(['list', '--since', '2026-07-01', '--report', at(name), ...url]);
  expect(ran, ran.stderr).toMatchObject({ status: 0 });
  return readFileSync(at(name), 'utf8');
}

test('a report is its owner’s alone, also where a file was there before that everybody could read', async () => {
  await makePlan();
  await apply();
  for (const name of ['done.csv', 'done.json', 'done.html']) {
    writeFileSync(at(name), 'of yesterday');
    chmodSync(at(name), 0o666);
    expect(await quarter(name)).not.toContain('of yesterday');
    expect(statSync(at(name)).mode & 0o777, name).toBe(0o600);
  }
});

test('a cell is no formula, at its beginning or after a semicolon, and has no control characters', async () => {
  const cells = ['=cmd|calc', 'x;=cmd', 'x; +1', ';"@SUM(A1)', '－1', 'a-b; c', '\u001b[2J\u0085'];
  service.tenant[GLOBEX] = cells.map((name, index) => connection(`con_${index}`, name));
  await makePlan();
  await apply();
  const rows = parse(await quarter('done.csv'), { columns: true, bom: true }) as Record<string, string>[];
  const names = rows.filter(({ organization_id }) => organization_id === GLOBEX).map((row) => row.connection);
  expect(names).toEqual(["'=cmd|calc", "x;'=cmd", "x;' +1", `;'"@SUM(A1)`, "'－1", 'a-b; c', ' [2J ']);
});

test('a report in HTML says who lost access, when, by whom, why, the settings before, what remains and what was cancelled', async () => {
  service.names[ACME] = 'acme';
  service.grants[ACME] = [
    { grant_id: 'cgr_a1', client_id: 'machine1', audience: 'https://api.example.com', scope: ['read:things'] },
  ];
  await makePlan('disable_then_remove');
  await apply();
  await offboard(['cancel', GLOBEX, '--yes', '--reason', 'wrong customer', ...url]);
  const cancelled = service.records.find(({ status }) => status === 'cancelled');
  Object.assign(cancelled ?? {}, {
    cancelled: { at: '2026-11-03T10:00:00Z', caller: 'arn:x', requested_by: 'kim', reason: 'wrong customer' },
  });
  const page = await quarter('done.html');
  const text = page
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
  expect(text).toContain(`${ACME} acme`);
  expect(text).toMatch(/Requested \d{4}-\d\d-\d\d \d\d:\d\d by arn:aws:sts::123456789012:assumed-role\/operators\/kim/);
  expect(text).toContain('Why contract ended');
  expect(text).toContain('acme-google (okta) con_Yt4Lw9QeRb7UiXc3 disabled, to be removed on 24 January 2027');
  expect(text).toContain('organization_access_level: full');
  expect(text).toContain(
    'Remaining access: these let machines in. client grant of machine1 for https://api.example.com: read:things',
  );
  expect(text).toContain('Cancelled 2026-11-03 10:00 by kim (arn:x): wrong customer');
  expect(text).toContain('Offboardings, cancelled 1');
  expect(text).toContain('Connections, disabled 2');
  expect(page).toContain('<svg ');
  // Nothing is loaded and nothing runs.
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  expect(page).not.toMatch(/<script|<link|<img|<iframe|url\(|@import|\son\w+=|javascript:/i);
});

test('text from customers is text in a report in HTML, wherever it stands', () => {
  const act = { at: HOSTILE, caller: HOSTILE, requested_by: HOSTILE, reason: HOSTILE };
  const fault = { code: HOSTILE, message: HOSTILE };
  const grant = { client_id: HOSTILE, audience: HOSTILE, scope: [HOSTILE] };
  const record = {
    ...{ organization_id: HOSTILE, offboarding_id: HOSTILE, action: HOSTILE, status: HOSTILE, dry_run: false },
    ...{ requested_by: HOSTILE, caller: HOSTILE, reason: HOSTILE, grace_period: HOSTILE, requested_at: HOSTILE },
    ...{ removal_due_at: HOSTILE, ended_at: HOSTILE, cancelled: act, watch_ended: act, error: fault, drift_count: 2 },
    sessions: { status: HOSTILE, members: 1, revocations_requested: 1, skipped: 0, failed: 0, error: fault },
    connections: [
      {
        ...{ connection_id: HOSTILE, name: HOSTILE, strategy: HOSTILE, outcome: HOSTILE, error: fault },
        before: { [HOSTILE]: HOSTILE, list: [HOSTILE] },
      },
      { connection_id: HOSTILE, name: null, strategy: null, outcome: 'failed', error: fault, before: null },
    ],
    client_grants: [{ ...grant, outcome: 'failed', error: fault }],
    remaining_access: [{ kind: HOSTILE, ...grant }, { kind: HOSTILE }],
  };
  const line = { organization_id: HOSTILE, organization_name: HOSTILE, cells: [HOSTILE], notes: [HOSTILE], record };
  const page = htmlOf([line, { ...line, record: undefined }], { title: HOSTILE, where: HOSTILE });
  expect(page).not.toMatch(/<script|<img|\p{Cf}/u);
  expect(page).not.toContain('\u001b');
  expect(page.match(/<\/style>/g)).toHaveLength(1);
  // What was escaped stays escaped once.
  expect(page).toContain('&amp;amp;');
});

test('the time line counts by day (UTC) who lost access and what was cancelled', () => {
  const record = (requested_at: string, outcome: string, cancelled_at?: string) => ({
    ...{ organization_id: ACME, offboarding_id: 'x', action: 'disable', status: 'completed', dry_run: false },
    ...{ requested_by: 'x', reason: 'x', requested_at },
    connections: [{ connection_id: 'con_a', name: null, strategy: null, outcome, error: null }],
    ...(cancelled_at && { cancelled: { at: cancelled_at, caller: 'x' } }),
  });
  const days = daysOf([
    record('2026-11-02T23:30:00-02:00', 'removed'),
    record('2026-11-01T10:00:00Z', 'disabled'),
    record('2026-11-01T11:00:00Z', 'enabled', '2026-11-03T00:00:00Z'),
    record('2026-11-01T11:00:00Z', 'unchanged'),
  ]);
  expect(days).toEqual([
    { day: '2026-11-01', ended: 2, cancelled: 0 },
    { day: '2026-11-03', ended: 1, cancelled: 1 },
  ]);
});
