// What is measured runs in processes of its own: a function in a minimal runtime, the stand-ins, and the longer runs.
import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { benchmarkEvent } from './event.ts';

export const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A function's run in a fresh process. Times are milliseconds, memory is MB. */
export interface Report {
  status: number;
  /** Loading and the first event, by the wall. */
  cold: number;
  /** The same by the time that the process ran. */
  cpu: { load: number; event: number };
  one?: { p50: number; p99: number };
  fifty?: { p50: number; p99: number };
  rss?: number;
}

/** The stand-ins of Auth0 and AWS. */
export async function startStandIns() {
  const child = fork(here('stand-ins.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [environment] = (await once(child, 'message')) as [Record<string, string>];
  async function ask<T>(what: object | 'count'): Promise<T> {
    child.send(what);
    return ((await once(child, 'message')) as [T])[0];
  }
  /** One fresh process; `warm`: how many more events it gets. */
  async function measure(bundle: string, name: string, { isOurs = false, warm = 0 } = {}): Promise<Report> {
    await ask({ reset: name });
    const { NODE_OPTIONS = '', ...rest } = environment;
    const env = { PATH: process.env.PATH, AWS_LAMBDA_FUNCTION_NAME: name, POWERTOOLS_SERVICE_NAME: 'x', ...rest };
    const run = spawn(
      process.execPath,
      [here('runtime.mjs'), bundle, JSON.stringify(benchmarkEvent(name)), String(warm)],
      // What the template sets for Node is ours alone.
      { env: { ...env, ...(isOurs && { NODE_OPTIONS }) }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const [out, errors] = await Promise.all([run.stdout.toArray(), run.stderr.toArray()]);
    const text = Buffer.concat(out).toString();
    if (text === '') throw new Error(`${bundle} did not answer: ${Buffer.concat(errors)}`);
    const report = JSON.parse(text) as Report;
    if (![200, 202, 204].includes(report.status)) throw new Error(`${bundle} answered ${report.status}`);
    return report;
  }
  return {
    measure,
    /** Calls since the last count. */
    count: () => ask<{ management: number; tokens: number; secrets: number }>('count'),
    close: () => child.kill(),
  };
}

/** Runs a script of this folder to its end; resolves to the JSON that it prints. `speed`: how fast its clock runs. */
export async function runScript<T>(script: string, given: string[], speed = 1): Promise<T> {
  const clock = speed === 1 ? [] : ['--import', here('../scaled-clock.mjs')];
  const env = { ...process.env, CLOCK_SPEED: String(speed), CLOCK_BASE: String(Date.now()) };
  const { stdout } = await promisify(execFile)(process.execPath, [...clock, here(script), ...given], { env });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
