// The reports: for a spreadsheet, a program and an auditor.
import '../own-modules.ts';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { htmlOf } from '../../infra/commands/offboard/report-html.ts';
import { daysOf } from '../../infra/commands/offboard/report-timeline.ts';
import { ACME, apply, at, connection, folder, GLOBEX, makePlan, service, url } from './customers.ts';
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
    // One of yesterday is replaced.
    const before = await quarter(name);
    chmodSync(at(name), 0o666);
    service.names[ACME] = `renamed-${name}`;
    await makePlan('disable', 'list.csv', `${name}.plan.json`);
    expect(await offboard(['apply', at(`${name}.plan.json`), '--yes', '--report', at(name)])).toMatchObject({
      status: 0,
    });
    expect(readFileSync(at(name), 'utf8')).not.toBe(before);
    expect(readFileSync(at(name), 'utf8')).toContain(`renamed-${name}`);
    expect(statSync(at(name)).mode & 0o777, name).toBe(0o600);
  }
});

test('when the report would be written over another file, the command refuses before anything is started', async () => {
  await makePlan();
  const started = service.received.length;
  const plan = (...words: string[]) => [
    'plan',
    at('list.csv'),
    '--action',
    'disable',
    '--reason',
    'x',
    ...url,
    ...words,
  ];
  mkdirSync(at('folder.csv'));
  symlinkSync(at('folder.csv'), at('link.csv'));
  symlinkSync(folder, at('here'));
  writeFileSync(at('picture.csv'), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0]));
  writeFileSync(at('page.html'), '<p>precious</p>');
  writeFileSync(at('ids.json'), JSON.stringify([ACME]));
  const kept = ['list.csv', 'plan.json', 'page.html', 'ids.json', 'picture.csv'];
  const before = kept.map((name) => readFileSync(at(name), 'utf8'));
  const cases: [words: string[], says: RegExp][] = [
    [['apply', at('plan.json'), '--yes', '--report', at('plan.json')], /plan\.json is there already, is no report/],
    [['apply', at('plan.json'), '--yes', '--report', at('here/plan.json')], /is no report and is not written over/],
    [['apply', at('plan.json'), '--yes', '--report', at('list.csv')], /list\.csv is there already, is no report/],
    [['apply', at('plan.json'), '--yes', '--report', at('page.html')], /is no report/],
    [['apply', at('plan.json'), '--yes', '--report', at('picture.csv')], /is no report/],
    [['apply', at('plan.json'), '--yes', '--report', at('folder.csv')], /cannot be written to .*: it is a folder/],
    [['status', at('plan.json'), '--report', at('plan.json')], /is no report/],
    [['status', at('plan.json'), '--report', at('link.csv')], /it is a folder/],
    [['list', ...url, '--report', at('ids.json')], /is no report/],
    [plan('--out', at('new.json'), '--report', at('new.json')), /--out and --report are one file/],
    [plan('--out', at('new.json'), '--report', at('here/new.json')), /--out and --report are one file/],
    [plan('--out', at('new.json'), '--report', at('list.csv')), /The --report is the file with the organizations/],
    [plan('--out', at('folder.csv')), /cannot be read|folder/],
  ];
  for (const [words, says] of cases) {
    const { status, stderr } = await offboard(words);
    expect(stderr, words.join(' ')).toMatch(says);
    expect(status, words.join(' ')).toBe(2);
  }
  expect(kept.map((name) => readFileSync(at(name), 'utf8'))).toEqual(before);
  expect(service.received.length).toBe(started);
  expect(existsSync(at('new.json'))).toBe(false);
});

test('when an earlier report is the file of the plan, its report is not written over it', async () => {
  await makePlan();
  expect((await apply('--report', at('done.csv'))).status).toBe(0);
  const words = ['--action', 'disable', '--reason', 'x', '--out', at('b.json'), '--report', at('done.csv'), ...url];
  const { status, stderr } = await offboard(['plan', at('done.csv'), '--all-connections', ...words]);
  expect(stderr).toContain('The --report is the file with the organizations');
  expect(status).toBe(2);
});

test('when a file beside the report has the ending .part, it stays as it is', async () => {
  writeFileSync(at('done.csv.part'), 'of somebody');
  await makePlan();
  expect((await apply('--report', at('done.csv'))).status).toBe(0);
  expect(readFileSync(at('done.csv.part'), 'utf8')).toBe('of somebody');
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual(['done.csv.part']);
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
