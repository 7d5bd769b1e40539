// Stages' templates as osls compiles them.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageStage, templateInputs } from '../../infra/local/aws/template.ts';
import type { Template } from './cloudformation.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const STAGES = ['local', 'dev', 'staging', 'prod'] as const;

const CACHE = join(ROOT, 'node_modules/.cache/compiled-templates');
/** Nothing compiles for that long, milliseconds: whoever had the lock is gone. */
const LOCK_MS = 60_000;
const A_DAY_MS = 86_400_000;

interface Packaged {
  template: Template;
  state: string;
}

/** What osls makes of `stage`, with more of its arguments. It takes seconds, so test files share what was made of the same inputs. */
export function packaged(stage: string, ...more: string[]): Packaged {
  const given = ['--stage', stage, ...more];
  const file = join(CACHE, `${createHash('sha256').update(`${templateInputs()} ${given}`).digest('hex')}.json`);
  const release = lockUnless(() => existsSync(file), `${file}.lock`);
  try {
    if (release) write(file, JSON.stringify(packageStage(stage, ...more)));
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    release?.();
  }
}

/** Waits until there is nothing to do, or until this process alone may do it: returns what ends that. */
function lockUnless(isDone: () => boolean, lock: string): (() => void) | undefined {
  mkdirSync(CACHE, { recursive: true });
  while (!isDone()) {
    try {
      mkdirSync(lock);
      return () => rmSync(lock, { recursive: true, force: true });
    } catch {
      const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - since > LOCK_MS) rmSync(lock, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }
  return undefined;
}

/** Writes a file of the cache whole, and removes what was made of inputs of another day. */
function write(file: string, text: string): void {
  for (const name of readdirSync(CACHE)) {
    const old = join(CACHE, name);
    const { mtimeMs = Date.now() } = statSync(old, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > A_DAY_MS) rmSync(old, { recursive: true, force: true });
  }
  writeFileSync(`${file}.part`, text);
  renameSync(`${file}.part`, file);
}
