// What keeps a plan from doing something else than what was looked at, and from standing in the way of other plans.
import '../own-modules.ts';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import {
  ACME,
  apply,
  at,
  connection,
  GLOBEX,
  makeHalfStarted,
  makePlan,
  NOBODY,
  planned,
  service,
  url,
} from './customers.ts';
import { offboard, offboardInTerminal } from './terminal.ts';

const words = (...more: string[]) => [
  ...['plan', at('list.csv'), '--action', 'remove', '--reason', 'x', '--out', at('plan.json')],
  ...url,
  ...more,
];

/** A plan that somebody has edited, with a checksum that fits. */
function rewrite(change: (plan: ReturnType<typeof planned>) => void): void {
  const { checksum: _, ...plan } = planned();
  change(plan);
  const checksum = `sha256:${createHash('sha256').update(JSON.stringify(plan)).digest('hex')}`;
  writeFileSync(at('plan.json'), JSON.stringify({ ...plan, checksum }));
}

const NOT_THE_ONE =
  'The plan is not the one whose dry run is on record, so it was edited: plan anew. Nothing was started.';

test('when a plan was edited and its checksum, too, its dry run on record gives it away', async () => {
  const edits: [change: (plan: ReturnType<typeof planned>) => void, says: string][] = [
    [(plan) => Object.assign(plan.request, { action: 'remove' }), `(${ACME}: action), so it was edited`],
    [(plan) => Object.assign(plan.request, { reason: 'other' }), `(${ACME}: reason)`],
    [(plan) => Object.assign(plan.request, { connection_ids: ['con_PmFe8KxCsPJvZRrj'] }), `(${ACME}: connection_ids)`],
    [
      (plan) => Object.assign(plan.organizations[1], { organization_id: 'org_Other12345678901' }),
      'it is not in the dry run',
    ],
    [(plan) => plan.organizations.pop(), 'fewer organizations than its dry run'],
    [
      (plan) => Object.assign(plan, { dry_runs: ['00000000-0000-4000-8000-000000000001'] }),
      'is not on record: plan anew',
    ],
    [(plan) => Object.assign(plan.request, { urgent: true }), NOT_THE_ONE],
    [(plan) => Object.assign(plan, { keys: ['other'] }), NOT_THE_ONE],
    [(plan) => Object.assign(plan, { id: '00000000-0000-4000-8000-000000000001' }), NOT_THE_ONE],
    [(plan) => Object.assign(plan, { created_at: new Date(Date.now() + 60_000).toISOString() }), NOT_THE_ONE],
    [(plan) => Object.assign(plan, { made_by: 'somebody' }), NOT_THE_ONE],
    [(plan) => plan.organizations.reverse(), NOT_THE_ONE],
    [(plan) => Object.assign(plan.organizations[1], { cells: ['Initech', GLOBEX] }), NOT_THE_ONE],
    [
      (plan) => Object.assign(plan, { created_at: '2099-01-01T00:00:00.000Z' }),
      'is of 1 January 2099, which is to come',
    ],
    [(plan) => plan.organizations.push(plan.organizations[0]), 'names an organization twice: plan anew.'],
  ];
  await makePlan();
  const original = readFileSync(at('plan.json'));
  for (const [change, says] of edits) {
    writeFileSync(at('plan.json'), original);
    rewrite(change);
    const { status, stderr } = await apply();
    expect(stderr).toContain(says);
    expect(status).toBe(2);
  }
  expect(service.deeds()).toEqual([]);
  writeFileSync(at('plan.json'), original);
  expect((await apply()).status).toBe(0);
});

test('when the dry run of another plan is named for an edited one, its keys give it away', async () => {
  await makePlan('disable', 'list.csv', 'other.json');
  await makePlan();
  rewrite((plan) => Object.assign(plan, { dry_runs: planned('other.json').dry_runs }));
  expect(await apply()).toMatchObject({ status: 2, stderr: expect.stringContaining(NOT_THE_ONE) });
});

test('when the clocks of two machines differ by minutes, a plan is not of a time to come', async () => {
  await makePlan();
  const now = Date.now;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - 5 * 60_000);
  const { status, stderr } = await apply().finally(() => clock.mockRestore());
  expect(status, stderr).toBe(0);
});

test('when a plan is half-started, it goes on with the same keys after its dry run is kept no more', async () => {
  await makeHalfStarted();
  // Dry runs are kept for a week.
  service.records.splice(0, service.records.length, ...service.records.filter(({ dry_run }) => !dry_run));
  const asked = await offboard(['apply', at('plan.json')]);
  expect(asked).toMatchObject({ status: 2, stderr: expect.stringContaining('Nothing more was started.') });
  expect(asked.stdout).toContain('Goes on: 1 of 2 batches is on record already.');
  const { status, stdout, stderr } = await apply();
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('Batch 1 of 2 is on record');
  const keys = new Set(service.deeds().map(({ headers }) => headers['idempotency-key']));
  expect([...keys]).toEqual(planned().keys);
  expect(service.records.length).toBe(2);
});

test('when a half-started plan was edited, its rest is not started, whatever is kept of its dry run', async () => {
  await makeHalfStarted();
  const original = readFileSync(at('plan.json'));
  const edits: ((plan: ReturnType<typeof planned>) => void)[] = [
    (plan) => Object.assign(plan.request, { action: 'remove' }),
    (plan) => Object.assign(plan.organizations[1], { organization_id: NOBODY }),
    (plan) => Object.assign(plan, { keys: [plan.keys[0], 'other'] }),
  ];
  const deeds = service.deeds().length;
  for (const change of edits) {
    writeFileSync(at('plan.json'), original);
    rewrite(change);
    const { status, stderr } = await apply();
    expect(stderr).toContain('The plan was edited since it was started');
    expect(stderr).toContain('Nothing more was started.');
    expect(status).toBe(2);
  }
  expect(service.deeds().length).toBe(deeds);
});

test('when plan is stopped, it cancels the dry run that is under way, and says so', async () => {
  service.settings.holdDryRuns = true;
  const { status, shown } = await offboardInTerminal(words(), [[/░ 0\/2/, '\u0003']], 120);
  expect(shown).toContain(
    'Stopped. The dry run was cancelled (2 organizations). Nothing was changed, and no plan was written.',
  );
  expect(status).toBe(2);
  const [, cancellation] = service.received.filter(({ method }) => method !== 'GET');
  expect(cancellation).toMatchObject({
    method: 'DELETE',
    path: '/offboardings',
    query: { reason: 'the plan was stopped' },
  });
  expect(service.records.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
});

test('when a plan is big, its dry run has five organizations on their way at most', async () => {
  const ids = Array.from({ length: 13 }, (_, index) => `org_${String(index).padStart(16, 'c')}`);
  for (const id of ids) service.tenant[id] = [connection('con_PmFe8KxCsPJvZRrj', 'okta')];
  writeFileSync(at('list.csv'), `organization_id\n${ids.join('\n')}\n`);
  const { status, stdout } = await offboard(words());
  expect(status).toBe(0);
  expect(stdout).toContain('Organizations: 13\n');
  const sizes = service.received.flatMap(({ body }) => (body ? [body.organization_ids.length] : []));
  expect(sizes).toEqual([5, 5, 3]);
  // Each waits for the one before: between two of them is at least one look at how it stands.
  const order = service.received
    .filter(({ method, query }) => method === 'POST' || query.batch_id)
    .map(({ method }) => method);
  expect(order.join()).not.toContain('POST,POST');
});

test('when the file names connections, these alone are planned and sent, those of each organization', async () => {
  writeFileSync(
    at('list.csv'),
    `organization_id,connection_id\n${ACME},con_Yt4Lw9QeRb7UiXc3\n${GLOBEX},con_Wd3Ef5GhTy7UjKl9\n`,
  );
  const { stdout } = await offboard(words());
  expect(stdout).toContain(`\n${ACME}\n  acme-google (okta): would be removed now\n  ! `);
  expect(stdout).toContain('Connections that would be removed now: 2\n');
  const { status, stderr } = await apply();
  expect(status, stderr).toBe(0);
  const bodies = service.deeds().map(({ body }) => [body.organization_ids, body.connection_ids]);
  expect(bodies).toEqual([
    [[ACME], ['con_Yt4Lw9QeRb7UiXc3']],
    [[GLOBEX], ['con_Wd3Ef5GhTy7UjKl9']],
  ]);
  const both = await offboard(words('--connection', 'con_Yt4Lw9QeRb7UiXc3'));
  expect(both).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('has a column connection_id: leave out --connection'),
  });
});

test('when a connection id is mistyped, the plan warns, and what is applied ends as failed with the others carried out', async () => {
  writeFileSync(
    at('list.csv'),
    `organization_id,connection_id\n${ACME},con_Yt4Lw9QeRb7UiXc3\n${ACME},con_Yt4Lw9QeRb7UiXcX\n`,
  );
  const { stdout } = await offboard(words());
  expect(stdout).toContain('! it does not have the connection con_Yt4Lw9QeRb7UiXcX: is the id mistyped?');
  expect(stdout).toContain('! Connections that the organization does not have (mistyped?): 1\n');
  const applied = await apply();
  expect(applied.status).toBe(1);
  expect(applied.stdout).toContain('Connections: 1 removed, 1 failed\nunknown_connection (1):');
});

test('a plan shows Auth0’s own names, marks those of the file, and warns where an earlier record says another', async () => {
  service.names[ACME] = 'acme';
  const first = await offboard(words());
  expect(first.stdout).toContain(`${ACME}  acme (your file: Acme, Inc.)\n`);
  expect(first.stdout).toContain(`${GLOBEX}  Globex (from your file)\n`);
  expect(first.stdout).not.toContain('the name differs');
  // The cells were sorted apart from the ids; the stage may not read names any more.
  service.names[GLOBEX] = 'initech';
  await offboard(words());
  service.names[ACME] = 'umbrella';
  delete service.names[GLOBEX];
  const { stdout } = await offboard(words());
  expect(stdout).toContain('! the name differs: Auth0 says umbrella, an earlier record acme');
  expect(stdout).toContain('! the name differs: an earlier record of this organization says initech');
  expect(stdout).toContain('! Organizations with another name than before: 2\n');
});

test('a plan says which client grants stay, and --end-machine-access ends them', async () => {
  const grant = { client_id: 'machine1', audience: 'https://api.example.com', scope: ['read:things'] };
  service.grants[ACME] = [{ grant_id: 'cgr_a1', ...grant }];
  const without = await offboard(words());
  expect(without.stdout).toContain('client grant of machine1 for https://api.example.com: stays, and lets machines in');
  expect(without.stdout).toContain(
    '! 1 client grant stays: machines of the customer still get in (end with --end-machine-access)\n',
  );
  // It is for whole organizations: beside a connection it would be refused.
  const ofOne = await offboard(words('--connection', 'con_PmFe8KxCsPJvZRrj'));
  expect(ofOne.stdout).toContain('! 1 client grant stays: machines of the customer still get in\n');
  const withIt = await offboard(words('--end-machine-access', '--end-sessions', '--report', at('dry-run.csv')));
  expect(withIt.stdout).toContain('client grant of machine1 for https://api.example.com: would be removed now\n');
  expect(withIt.stdout).toContain('Client grants that would be removed now: 1\n');
  expect(withIt.stdout).not.toMatch(/lets machines in|still get in/);
  expect(readFileSync(at('dry-run.csv'), 'utf8')).not.toContain('stays');
  const applied = await apply();
  expect(applied.stdout).toContain('Client grants: 1 removed\n');
  expect(service.deeds()[0]?.body).toMatchObject({ end_machine_access: true, end_sessions: true });
});

test('when an editor has saved a plan with a mark or as UTF-16, it is read', async () => {
  await makePlan();
  const text = readFileSync(at('plan.json'), 'utf8');
  writeFileSync(at('plan.json'), `\uFEFF${text}`);
  expect((await offboard(['status', at('plan.json')])).stdout).toContain('The plan was not applied');
  writeFileSync(at('plan.json'), `\uFEFF${text}`, 'utf16le');
  expect((await apply()).status).toBe(0);
});
