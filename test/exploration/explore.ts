import { keyOf } from './key.ts';
import { checkRest, checkStep } from './oracle.ts';
import { forgetStored } from './perform-table.ts';
import { forgetPrograms } from './programs.ts';
import type { Scenario } from './scenarios.ts';
import { stepsOf } from './steps.ts';
import { lookedAt } from './story.ts';
import type { World } from './world.ts';

// Explores a world to its end, breadth first: every order of the steps of everybody, with every fault that it has in store. What is
// found wrong comes with the shortest way to it.

export interface Explored {
  name: string;
  states: number;
  /** How many states have nothing left that could happen. */
  ends: number;
  violation?: { what: string; path: string[] } | undefined;
  /** How many states were found and not looked at, for the limit was reached. */
  left: number;
}

type Seen = Map<string, { parent: string | undefined; label: string }>;

/** The labels of the shortest way to a world. */
function pathTo(key: string, seen: Seen): string[] {
  const path: string[] = [];
  for (let at: string | undefined = key; at; at = seen.get(at)?.parent) path.unshift(seen.get(at)?.label ?? '');
  return path;
}

export function explore(scenario: Scenario, limit = Number.POSITIVE_INFINITY): Explored {
  forgetPrograms();
  forgetStored();
  const { name, world: start } = scenario;
  const seen: Seen = new Map();
  let frontier: [string, World][] = [[keyOf(start), start]];
  seen.set(keyOf(start), { parent: undefined, label: 'start' });
  let ends = 0;
  const violated = (what: string, path: string[]): Explored => ({
    name,
    states: seen.size,
    ends,
    violation: { what, path },
    left: 0,
  });
  while (frontier.length > 0) {
    const next: [string, World][] = [];
    for (const [place, [key, world]] of frontier.entries()) {
      const steps = attempt(() => stepsOf(world, scenario));
      if (typeof steps === 'string') return violated(steps, pathTo(key, seen));
      if (steps.length === 0) ends += 1;
      const what = steps.length === 0 ? checkRest(world, scenario) : undefined;
      if (what) return violated(what, pathTo(key, seen));
      for (const step of steps) {
        const wrong = attempt(() => checkStep(world, step.world, scenario));
        if (wrong) return violated(wrong, [...pathTo(key, seen), step.label]);
        const reached = lookedAt(step.world);
        const id = keyOf(reached);
        if (seen.has(id)) continue;
        seen.set(id, { parent: key, label: step.label });
        next.push([id, reached]);
      }
      if (seen.size > limit) return { name, states: seen.size, ends, left: frontier.length - place - 1 + next.length };
    }
    frontier = next;
  }
  return { name, states: seen.size, ends, left: 0 };
}

/** The core throws where its own rules are broken, and the oracle where an item has not its form: that is a violation, too. */
function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return `It throws: ${error instanceof Error ? error.message : error}`;
  }
}
