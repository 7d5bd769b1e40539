// A command as an operator types it: a process of its own, with an environment and a home of its own.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programOf, programOptions } from '../programs/program.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Keys that the stand-ins take. */
export const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDLOCAL', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' };

/** Runs `infra/commands/{name}` with nothing of this process's environment but PATH, on whichever Node is there; `files` lie in its home. */
export async function command(
  name: string,
  given: string[],
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): Promise<Ended> {
  const home = mkdtempSync(join(tmpdir(), 'command-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, file)), { recursive: true });
    writeFileSync(join(home, file), text);
  }
  const machine = { PATH: process.env.PATH, NODE_OPTIONS: programOptions, HOME: home };
  const environment = { ...machine, AWS_EC2_METADATA_DISABLED: 'true', ...env };
  const options = { cwd: ROOT, env: environment, timeout: 60_000 };
  const run = [programOf(`infra/commands/${name}`), ...given];
  return new Promise<Ended>((resolve) => {
    execFile(process.execPath, run, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  }).finally(() => rmSync(home, { recursive: true }));
}
