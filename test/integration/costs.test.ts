// npm run costs, whole: what a removal with its notice writes and publishes. It waits for a grace period of a minute.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const cwd = fileURLToPath(new URL('../..', import.meta.url));

test('when the costs are counted, a removal with its notice takes 11 writes and 9 reads at the most', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '-s', 'costs'], { cwd });
  expect(stdout.match(/^\| (an idle stage|on top: ).*/gm)).toHaveLength(5);
  const counted = /^An offboarding of .*: (.*)/m.exec(stdout)?.[1] ?? '';
  const [, writes = Number.NaN] = /PutItem ([\d.]+)/.exec(counted) ?? [];
  const [, reads = Number.NaN] = /GetItem ([\d.]+)/.exec(counted) ?? [];
  expect(Number(writes)).toBeLessThanOrEqual(11);
  expect(Number(reads)).toBeLessThanOrEqual(9);
}, 300_000);
