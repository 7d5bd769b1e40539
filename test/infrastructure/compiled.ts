// Stages' templates as osls compiles them.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Template } from './cloudformation.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const STAGES = ['local', 'dev', 'staging', 'prod'] as const;

/** What osls makes of `stage`, with more of its arguments. */
export function packaged(stage: string, ...more: string[]): { template: Template; state: string } {
  // In a copy: two that package the same folder at once are in each other's way.
  const folder = mkdtempSync(join(tmpdir(), 'org-connections-'));
  try {
    for (const name of ['serverless.yml', 'package.json', 'infra', 'dist'])
      cpSync(`${ROOT}${name}`, join(folder, name), { recursive: true });
    symlinkSync(`${ROOT}node_modules`, join(folder, 'node_modules'));
    const { PATH, HOME } = process.env;
    const given = [`${ROOT}node_modules/.bin/osls`, 'package', '--stage', stage, ...more];
    execFileSync(process.execPath, given, { cwd: folder, env: { PATH, HOME }, stdio: 'pipe' });
    const read = (name: string) => readFileSync(join(folder, '.serverless', name), 'utf8');
    return {
      template: JSON.parse(read('cloudformation-template-update-stack.json')),
      state: read('serverless-state.json'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
