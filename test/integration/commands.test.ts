// The commands that a newcomer types, each as a process of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { expect, test } from 'vitest';
import { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import { freePort } from '../../infra/local/gateway.ts';
import { offboard } from '../offboard-command/terminal.ts';

const cwd = fileURLToPath(new URL('../..', import.meta.url));
const local = (name: string) => fileURLToPath(new URL(`../../infra/local/${name}.ts`, import.meta.url));

/** Resolves when `child` has printed something that `pattern` fits; to all that it has printed. */
function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  let all = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      all += chunk;
      if (pattern.test(all)) resolve(all);
    });
    child.once('exit', () => reject(new Error(`It ended: ${all}`)));
  });
}

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

test('npm start: what it prints works as it stands, and Ctrl-C ends it cleanly', async () => {
  const port = await freePort();
  const child = spawn(process.execPath, [local('start')], { cwd, env: { ...process.env, PORT: String(port) } });
  const shown = await printed(child, /Stop with Ctrl-C/);
  expect(shown).toContain(`http://localhost:${port}`);
  const lines = shown.split('\n').map((line) => line.trim());
  const run = async (...commands: string[]) =>
    (await promisify(execFile)('bash', ['-c', commands.join('\n')])).stdout.trim();
  /** Those printed under the line that `title` begins. */
  const under = (title: string) => {
    const rest = lines.slice(lines.findIndex((line) => line.startsWith(title)) + 1);
    return rest.slice(0, rest.indexOf(''));
  };
  const statusOf = async (command = '') => /^HTTP\/1.1 (\d+)/.exec(await run(command))?.[1];
  const bus = (pattern: RegExp) => printed(child, pattern);

  const [patch, look = ''] = under('Disable a connection');
  expect(await statusOf(patch)).toBe('200');
  expect(JSON.parse(await run(look)).connections[0]).toMatchObject({ is_enabled: false });
  expect(await statusOf(under('Remove it')[0])).toBe('204');

  const [ask, pending = '', cancel] = under('Offboard the other');
  const scheduled = bus(/\[bus\] organization.offboarding.scheduled/);
  expect(await statusOf(ask)).toBe('202');
  await scheduled;
  expect(JSON.parse(await run(pending)).removal_due_at).toMatch(/Z$/);
  expect(await statusOf(cancel)).toBe('200');

  const [batch = '', view = '', cancelBatch = ''] = under('Many at once');
  const [listed = '', cancelled = ''] = (await run(batch, view, 'echo', cancelBatch)).split('\n');
  expect(JSON.parse(listed).offboardings).toHaveLength(2);
  expect(JSON.parse(cancelled)).toMatchObject({ cancelling: 2, not_pending: 0 });

  const [endSessions = '', ...users] = under('End the members');
  const ended = bus(/sessions_ended/);
  await run(endSessions);
  await ended;
  expect(await Promise.all(users.map((user) => run(user)))).toEqual([
    '{"sessions":0,"refresh_tokens":0}',
    '{"sessions":1,"refresh_tokens":1}',
  ]);

  const [enable = '', customerEnables = '', customerAdds = ''] = under('Enable a connection');
  const drifted = bus(/drifted .*acme-google disabled/);
  await run(enable);
  await drifted;
  expect(await run(customerEnables), 'the customer can not enable it any more').toBe('false');
  const added = bus(/drifted .*con-nw3xy4za5bc6de7f disabled/);
  await run(customerAdds);
  await added;

  const events = new EventBridgeClient({
    endpoint: /AWS (http:\S+)\)/.exec(shown)?.[1] ?? '',
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  for (const [command, outcome] of under('Ask by event').map((line, i) => [line, ['completed', 'watch_ended'][i]])) {
    const told = bus(new RegExp(`${outcome} .*org_Qk2vN8sT5rWx1YzA`));
    const Entries = JSON.parse(/--entries '(.*)'$/.exec(command ?? '')?.[1] ?? '');
    await events.send(new PutEventsCommand({ Entries }));
    await told;
  }

  await offboards(`http://localhost:${port}`);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
  // Nothing of it is left: who starts it again finds its port.
  expect(await freePort(port)).toBe(port);
});

test('npm start -- --check-signatures lets through who signs, and nobody else', async () => {
  const port = await freePort();
  const options = { cwd, env: { ...process.env, PORT: String(port) } };
  const child = spawn(process.execPath, [local('start'), '--check-signatures'], options);
  await printed(child, /Stop with Ctrl-C/);
  const url = `http://localhost:${port}/organizations/org_bCE84ZIRjtX58FeO/offboarding`;
  expect((await fetch(url)).status).toBe(403);
  expect((await signedFetchAs({ accessKeyId: 'local', secretAccessKey: 'local' })(url)).status).toBe(200);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await freePort(port)).toBe(port);
});

test('npm run demo: the end state is right and the exit says so', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [local('demo')], { cwd });
  expect(stdout).toContain('Auth0 is as it was asked to be.');
  expect(stdout).toContain('sessions_ended: 2 members, 1 asked, 1 skipped');
  expect(stdout).not.toContain('undefined');
});
