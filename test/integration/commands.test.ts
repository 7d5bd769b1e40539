// The commands that a newcomer types, each as a process of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from '../../infra/local/gateway.ts';

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

/** `npm run offboard` as a process of its own: its exit status, and what it says. */
async function offboard(options: string[], input = ''): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../infra/offboard.ts', import.meta.url)), ...options],
    {
      cwd,
      env: { PATH: process.env.PATH, HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' },
    },
  );
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const status = child.exitCode ?? (await once(child, 'exit'))[0];
  return { status, stdout, stderr };
}

/** The operator's command against a running service. */
async function offboards(url: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'offboard-'));
  const [file, report] = [join(folder, 'list.csv'), join(folder, 'report.csv')];
  writeFileSync(
    file,
    '\uFEFFname,organization_id\r\n"Globex, Inc.",org_Qk2vN8sT5rWx1YzA\r\nGlobex again,org_Qk2vN8sT5rWx1YzA\r\n',
  );
  const order = ['--action', 'remove', '--reason', 'contract ended', '--url', url];
  const dry = await offboard([file, ...order, '--dry-run']);
  expect(dry.stdout).toMatch(/globex-saml .* removed/);
  expect(dry.status).toBe(0);
  const done = await offboard([file, ...order, '--yes', '--report', report]);
  expect(done.stdout).toMatch(/1 organizations: org_Qk2vN8sT5rWx1YzA/);
  expect(done.stdout).toMatch(/Connections: {3}2 removed/);
  expect(done.status).toBe(0);
  expect(readFileSync(report, 'utf8')).toMatch(
    /^organization_id,.*\norg_Qk2vN8sT5rWx1YzA,.*,completed,.*globex-entra,waad,removed,/,
  );
  const batch = /Batch ([\w-]+)/.exec(done.stdout)?.[1] ?? '';
  expect((await offboard(['--watch', batch, '--url', url])).status).toBe(0);
  const failed = await offboard([...order, '--yes'], 'org_Qk2vN8sT5rWxNONE\n');
  expect(failed).toMatchObject({ status: 1, stdout: expect.stringContaining('Failed, unknown_organization (1)') });
  const none = '00000000-0000-0000-0000-000000000000';
  const REFUSED: [options: string[], input: string, says: RegExp][] = [
    [[...order, '--yes'], '', /names no organization/],
    [[...order, '--yes'], 'id,name\norg_a,b\n', /no column organization_id; it has id, name/],
    [[...order, '--yes'], 'org_a\norg_$(reboot)\n', /1 of 2 are no organization ids/],
    [order, 'org_a\n', /--yes is needed/],
    [['--action', 'disable', '--reason', 'x'], 'org_a\n', /either --stage or --url/],
    [
      ['--action', 'disable', '--reason', 'x', '--stage', 'prod', '--yes'],
      'org_a\n',
      /prod can not be found .*[Cc]redentials/,
    ],
    [['--action', 'disable', '--reason', 'x', '--stage', '../x', '--yes'], 'org_a\n', /A stage is a word/],
    [['--watch', '17', '--url', url], '', /not a batch id/],
    [['--watch', none, '--url', url], '', /no such batch/],
    [[join(folder, 'none.csv'), ...order, '--yes'], '', /can not be read/],
  ];
  for (const [options, input, says] of REFUSED) {
    const { status, stderr } = await offboard(options, input);
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n').length, stderr).toBe(1);
    expect(status, stderr).toBe(2);
  }
}

test('npm start: what it prints works as it stands, and Ctrl-C ends it cleanly', async () => {
  const port = await freePort();
  const child = spawn(process.execPath, [local('start')], { cwd, env: { ...process.env, PORT: String(port) } });
  const shown = await printed(child, /Stop with Ctrl-C/);
  expect(shown).toContain(`http://localhost:${port}`);
  const commands = shown.split('\n').filter((line) => line.trim().startsWith('curl'));
  expect(commands.length).toBe(10);
  const outputs: string[] = [];
  for (const command of commands.slice(0, 6)) {
    const { stdout } = await promisify(execFile)('bash', ['-c', command]);
    outputs.push(stdout);
    if (command.includes('POST')) await printed(child, /\[bus\] organization.offboarding.scheduled/);
  }
  expect(outputs.map((output) => /^HTTP\/1.1 (\d+)/.exec(output)?.[1] ?? 'body')).toEqual([
    '200',
    'body',
    '204',
    '202',
    'body',
    '200',
  ]);
  expect(JSON.parse(outputs[4] ?? '').removal_due_at).toMatch(/Z$/);
  const { stdout: batch } = await promisify(execFile)('bash', ['-c', commands[6] ?? '']);
  expect(JSON.parse(batch)).toMatchObject({ accepted: 2, rejected: [] });
  await printed(child, /completed .*globex/);
  await promisify(execFile)('bash', ['-c', commands[8] ?? '']);
  await printed(child, /drifted .* disabled/);

  await offboards(`http://localhost:${port}`);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('npm run demo: the end state is right and the exit says so', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [local('demo')], { cwd });
  expect(stdout).toContain('Auth0 is as it was asked to be.');
  expect(stdout).not.toContain('undefined');
});
