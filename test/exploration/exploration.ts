import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programOf, programOptions } from '../programs/program.ts';
import { filesBeside } from './approved.ts';
import type { Explored } from './explore.ts';
import { worlds } from './worlds.ts';

const RUN = programOf('test/exploration/run.ts');
const NICENESS = 5;

/**
 * Tests that explore each of the worlds; of `parts` test files, which run at the same time, this is the one with the number `part`.
 * A process of its own explores them (`run.ts`): there the code runs as it is, in half of the time that it takes here.
 */
export function exploreWorlds(part: number, parts: number): void {
  const isDeep = process.env.DEEP === '1';
  const found = new Map<string, Omit<Explored, 'facts'>>();
  beforeAll(async () => {
    const explorer = fork(RUN, [`--part=${part}/${parts}`, ...(isDeep ? ['--deep'] : [])], {
      env: { ...process.env, NODE_OPTIONS: programOptions },
      stdio: 'pipe',
    });
    // The other tests, some of which have deadlines, come first; beside others' work that never ends it is done all the same.
    setPriority(explorer.pid ?? 0, NICENESS);
    explorer.on('message', (one: Omit<Explored, 'facts'>) => found.set(one.name, one));
    let errors = '';
    explorer.stderr?.on('data', (text) => {
      errors += text;
    });
    await once(explorer, 'close');
    expect(errors).toBe('');
  }, 3_600_000);
  for (const [index, { name }] of worlds(isDeep).entries())
    if (index % parts === part)
      test(`in the world "${name}", every rule holds, and it shows what is approved`, () => {
        const { violation, difference, left } = found.get(name) ?? {};
        for (const one of [violation, difference]) expect(one && [one.what, ...one.path].join('\n  ')).toBeUndefined();
        expect(left).toBe(0);
      });
  if (part === 0)
    test('each approved file is one of a world that is explored', () => {
      expect(filesBeside(worlds().map(({ name }) => name))).toEqual([]);
    });
  afterAll(() => {
    const states = [...found.values()].reduce((sum, one) => sum + one.states, 0);
    console.log(`${states} states were explored, and none is left`);
  });
}
