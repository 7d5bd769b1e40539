// The programs as users start them: from their sources, by the scripts of package.json.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startLocalService } from '../page/local-service.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));

test.each(['offboard', 'doctor', 'smoke', 'costs', 'publishers'])(
  'when npm run %s is asked for help, it says how it is typed',
  async (name) => {
    const { stdout } = await promisify(execFile)('npm', ['run', '-s', name, '--', '--help'], { cwd: ROOT });
    expect(stdout).toMatch(new RegExp(`npm run ${name}`));
  },
);

test('when npm start starts its sources, the service is up', async () => {
  // But for the build, which other tests' bundles come from.
  const [, words = ''] = /^node (.*) --build$/.exec(scripts.start ?? '') ?? [];
  const service = await startLocalService({ words: words.split(' ') });
  expect(service.shown).toContain('org-connections is up.');
  expect(await service.end()).toEqual([0, null]);
});
