import { afterAll, expect, test } from 'vitest';
import { explore } from './explore.ts';
import { worlds } from './worlds.ts';

/** More than any of the worlds has: a world that is cut off is not explored. */
const LIMIT = 1_000_000;

/** Tests that explore each of the worlds; of `parts` test files, which run at the same time, this is the one with the number `part`. */
export function exploreWorlds(part: number, parts: number): void {
  let [states, left] = [0, 0];
  for (const [index, scenario] of worlds(process.env.DEEP === '1').entries())
    if (index % parts === part)
      test(`in the world "${scenario.name}", every rule holds`, () => {
        const found = explore(scenario, LIMIT);
        states += found.states;
        left += found.left;
        const { what, path = [] } = found.violation ?? {};
        expect(what && [what, ...path].join('\n  ')).toBeUndefined();
        expect(found.left).toBe(0);
      });
  afterAll(() => {
    console.log(`${states} states were explored, and ${left} are left`);
  });
}
