// The commands that a newcomer types, each as a process of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
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

test('npm start: what it prints works as it stands, and Ctrl-C ends it cleanly', async () => {
  const port = await freePort();
  const child = spawn(process.execPath, [local('start')], { cwd, env: { ...process.env, PORT: String(port) } });
  const text = await printed(child, /Stop with Ctrl-C/);
  expect(text).toContain(`http://localhost:${port}`);
  const commands = text.split('\n').filter((line) => line.trim().startsWith('curl'));
  expect(commands.length).toBe(7);
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
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('npm run demo: the end state is right and the exit says so', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [local('demo')], { cwd });
  expect(stdout).toContain('Auth0 is as it was asked to be.');
  expect(stdout).not.toContain('undefined');
});
