// The commands that a newcomer types beside npm start.
import '../own-modules.ts';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command } from '../commands/command.ts';
import { offboard } from '../offboard-command/terminal.ts';
import { startLocalService } from '../page/local-service.ts';
import { programOf, programOptions } from '../programs/program.ts';

/** The operator's command against a running service: plan, look, apply exactly that, cancel it. */
async function offboards(url: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'offboard-'));
  const [file, plan, report] = ['list.csv', 'plan.json', 'report.csv'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, '\uFEFFname;organization_id\r\n"Globex, Inc.";org_Qk2vN8sT5rWx1YzA\r\n');
  const order = ['--reason', 'contract ended', '--url', url];
  const planned = await offboard(['plan', file, '--action', 'disable_then_remove', ...order, '--out', plan]);
  expect(planned.stdout, planned.stderr).toMatch(
    /Globex, Inc\..*\n.*globex-saml \(samlp\): is disabled already, removed on \d+ \w+ \d{4}/s,
  );
  expect(planned.status).toBe(0);
  const done = await offboard(['apply', plan, '--yes', '--report', report]);
  expect(done.stdout, done.stderr).toContain('Organizations: 1 scheduled\nConnections: 2 unchanged\n');
  expect(done.status).toBe(0);
  expect(readFileSync(report, 'utf8')).toMatch(
    /^\uFEFFname,organization_id,organization_name,dry_run,status,.*\r\n"Globex, Inc\.",org_Qk2vN8sT5rWx1YzA,[^,]*,no,scheduled,/,
  );
  const again = await offboard(['apply', plan, '--yes']);
  expect(again.stdout).toMatch(/The batch is on record: [\w-]+\n/);
  expect((await offboard(['list', '--url', url])).stdout).toMatch(/org_Qk2vN8sT5rWx1YzA.*: scheduled/);
  const restored = await offboard(['restore', 'org_Qk2vN8sT5rWx1YzA', '--url', url]);
  expect(restored.stdout).toContain(
    'auth0 api patch organizations/org_Qk2vN8sT5rWx1YzA/connections/con_Ax1Sc2VfBg3NhMj4 ',
  );
  const cancelled = await offboard(['cancel', 'org_Qk2vN8sT5rWx1YzA', '--yes', '--url', url]);
  expect(cancelled.stdout, cancelled.stderr).toMatch(/org_Qk2vN8sT5rWx1YzA: (cancelled|accepted)/);
  expect(cancelled.status).toBe(0);
  const none = await offboard(['plan', '-', '--action', 'remove', ...order, '--out', join(folder, 'none.json')], {
    input: 'org_Qk2vN8sT5rWxNONE\n',
  });
  expect(none.stdout).toContain('! Organizations that Auth0 does not know: 1');
  const failed = await offboard(['apply', join(folder, 'none.json'), '--yes']);
  expect(failed).toMatchObject({ status: 1, stdout: expect.stringContaining('unknown_organization (1):') });
  const batch = await offboard(['status', '00000000-0000-0000-0000-000000000000', '--url', url]);
  expect(batch).toMatchObject({ status: 2, stderr: expect.stringContaining('There is no batch') });
}

/** It takes a dozen seconds, most of them pauses: it runs beside the other tests. */
let demo: Promise<{ stdout: string }>;
beforeAll(() => {
  const env = { ...process.env, NODE_OPTIONS: programOptions };
  demo = promisify(execFile)(process.execPath, [programOf('infra/local/demo.ts')], { env });
  demo.catch(() => undefined);
});

describe('npm start', () => {
  let service: Awaited<ReturnType<typeof startLocalService>>;
  beforeAll(async () => {
    service = await startLocalService();
  });
  afterAll(() => service.end());
  const KEYS = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
  const inStage = () => ({ ...KEYS, AWS_ENDPOINT_URL: service.awsUrl });
  const typed = (name: string, ...given: string[]) => command(name, given, inStage());
  const ORGANIZATION = 'org_Qk2vN8sT5rWx1YzA';

  test('when an operator offboards with it by its address, npm run offboard works', async () => {
    const path = `${service.url}/organizations/${ORGANIZATION}/offboarding`;
    const body = JSON.stringify({ action: 'disable', reason: 'contract ended' });
    await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await expect.poll(async () => (await fetch(path)).json()).toMatchObject({ status: 'completed' });
    await offboards(service.url);
  });

  test('when an operator plans with the stage local, apply takes the plan as it was made', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'offboard-'));
    const [file, plan] = [join(folder, 'list.csv'), join(folder, 'plan.json')];
    writeFileSync(file, `organization_id\n${ORGANIZATION}\n`);
    const order = ['--action', 'disable', '--reason', 'contract ended', '--stage', 'local', '--out', plan];
    const planned = await offboard(['plan', file, ...order], { env: inStage() });
    expect(planned.status, planned.stderr).toBe(0);
    const applied = await offboard(['apply', plan, '--yes'], { env: inStage() });
    expect(applied.stdout, applied.stderr).toContain('Organizations: 1 completed');
    expect(applied.status).toBe(0);
  });

  test('when the doctor looks at it, what is not played is named, and nothing is missing', async () => {
    const { code, stdout } = await typed('doctor/main.ts', '--stage', 'local');
    expect(stdout).toMatch(/^- +alarm topic: not played here$/m);
    expect(stdout).toMatch(/^ok +worker: its queue invokes it$/m);
    expect(stdout).toMatch(/^0 missing, 0 not looked at, \d+ in order, \d+ not played here$/m);
    expect(stdout).not.toContain('XML');
    expect(code).toBe(0);
  });

  test('when the smoke check asks it, it answers at the address that takes only what can be undone', async () => {
    const { code, stdout, stderr } = await typed('smoke.ts', '--stage', 'local', '--organization', ORGANIZATION);
    expect(stdout, stderr).toContain(`/reversible/organizations/${ORGANIZATION}/offboarding`);
    expect(code).toBe(0);
    const irreversible = await fetch(`${service.url}/reversible/organizations/${ORGANIZATION}/offboarding`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action: 'remove', reason: 'x' }),
    });
    expect(irreversible.status).toBe(403);
  });
});

test('npm run demo: the end state is right and the exit says so', async () => {
  const { stdout } = await demo;
  expect(stdout).toContain('Auth0 is as it should be.');
  expect(stdout).toContain('sessions_ended: 2 members, 1 requested, 1 skipped');
  expect(stdout).not.toContain('undefined');
});
