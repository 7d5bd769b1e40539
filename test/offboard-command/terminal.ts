// The operator's command as a user runs it: as a process with pipes, or in a pseudo-terminal.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { spawn as spawnInTerminal } from '@lydell/node-pty';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../infra/commands/offboard/main.ts', import.meta.url));
const HOME = mkdtempSync(join(tmpdir(), 'offboard-home-'));
const { PATH = '', NODE_OPTIONS = '' } = process.env;
const ENVIRONMENT = { PATH, NODE_OPTIONS, HOME, AWS_EC2_METADATA_DISABLED: 'true', TZ: 'UTC' };

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the command to its end, with `input` as its standard input. */
export async function offboard(words: string[], { input = '', env = {} as Record<string, string> } = {}): Promise<Ran> {
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
