// The operator's command: in the test's own process with pipes, which is quick, or as a user runs it, in a process of its own
// with pipes or a pseudo-terminal.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { vi } from 'vitest';
import { programOf, programOptions } from '../programs/program.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = programOf('infra/commands/offboard/main.ts');
const HOME = mkdtempSync(join(tmpdir(), 'offboard-home-'));
const { PATH = '' } = process.env;
const ENVIRONMENT = { PATH, NODE_OPTIONS: programOptions, HOME, AWS_EC2_METADATA_DISABLED: 'true', TZ: 'UTC' };
/** What `fetch` goes through, which the command sets where the environment names a proxy or certificates. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');
const world = globalThis as unknown as Record<symbol, unknown>;

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

interface Given {
  /** Its standard input. */
  input?: string;
  env?: Record<string, string>;
}

let last: Promise<unknown> = Promise.resolve();

/** Runs the command to its end in the test's own process, one at a time, with nothing of its environment. */
export function offboard(words: string[], given: Given = {}): Promise<Ran> {
  const ran = last.then(() => runHere(words, given));
  last = ran.catch(() => {});
  return ran;
}

async function runHere(words: string[], { input = '', env = {} }: Given): Promise<Ran> {
  const shown = { stdout: '', stderr: '' };
  const before = { env: { ...process.env }, exitCode: process.exitCode, stdin: process.stdin };
  // Node makes its own when the first request is.
  new Request('data:,');
  const dispatcher = world[DISPATCHER];
  const write = (name: 'stdout' | 'stderr') =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      shown[name] += text;
      return true;
    });
  const spies = [write('stdout'), write('stderr')];
  replaceEnvironment({ ...ENVIRONMENT, ...env });
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true });
  try {
    const { run } = await import('../../infra/commands/offboard/run.ts');
    return { status: await run(words), ...shown };
  } finally {
    for (const spy of spies) spy.mockRestore();
    replaceEnvironment(before.env);
    process.exitCode = before.exitCode;
    Object.defineProperty(process, 'stdin', { value: before.stdin, configurable: true });
    world[DISPATCHER] = dispatcher;
  }
}

function replaceEnvironment(env: NodeJS.ProcessEnv): void {
  // The SDK's word on the machine's Node is not the command's.
  const isKept = (name: string) => name in env || name.startsWith('AWS_SDK_JS_');
  for (const name of Object.keys(process.env)) if (!isKept(name)) delete process.env[name];
  Object.assign(process.env, env);
}

/** Runs the command to its end as a process. */
export async function offboardAsProcess(words: string[], { input = '', env = {} }: Given = {}): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: ROOT, env: { ...ENVIRONMENT, ...env } });
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  child.stdin.end(input);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { status, stdout, stderr };
}

/** Runs the command in a terminal of `cols` columns; `types` is typed when what is shown fits its pattern, one after the other. */
export async function offboardInTerminal(words: string[], types: [when: RegExp, what: string][] = [], cols = 40) {
  const terminal = spawnInTerminal(process.execPath, [MAIN, ...words], { cwd: ROOT, cols, rows: 24, env: ENVIRONMENT });
  let [shown, seen] = ['', 0];
  const left = [...types];
  terminal.onData((data) => {
    shown += data;
    const next = left[0];
    if (!next?.[0].test(withoutEscapes(shown.slice(seen)))) return;
    seen = shown.length;
    left.shift();
    terminal.write(next[1]);
  });
  const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => terminal.onExit(resolve));
  return { status: exitCode, raw: shown, shown: withoutEscapes(shown) };
}

/** Text without what moves the cursor or paints it, and with its wraps undone. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about.
const withoutEscapes = (text: string) => text.replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b[78=>]/g, '').replaceAll('\r', '');
