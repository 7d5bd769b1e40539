import { factsAtRest, factsOfStep } from './endings.ts';
import { forgetNames } from './interned.ts';
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

interface Found {
  what: string;
  path: string[];
}

export interface Explored {
  name: string;
  states: number;
  /** How many states have nothing left that could happen. */
  ends: number;
  violation?: Found | undefined;
  /** The first fact that is not approved, or, without a path, one that is approved and nothing shows any more. */
  difference?: Found | undefined;
  /** How many states were found and not looked at, for the limit was reached. */
  left: number;
  facts: Set<string>;
}

export interface Limits {
  /** So many states are looked at. */
  most?: number;
  /** What the world is to show. */
  approved?: Set<string> | undefined;
  /** Whether a difference is enough. */
  isHasty?: boolean;
}

type Seen = Map<string, { parent: string | undefined; label: string }>;

/** The labels of the shortest way to a world. */
function pathTo(key: string, seen: Seen): string[] {
  const path: string[] = [];
  for (let at: string | undefined = key; at; at = seen.get(at)?.parent) path.unshift(seen.get(at)?.label ?? '');
  return path;
}

/** Explores a world. It ends with the first violation; a difference from what is approved is reported beside. */
export function explore(
  scenario: Scenario,
  { most = Number.POSITIVE_INFINITY, approved, isHasty }: Limits = {},
): Explored {
  forgetPrograms();
  forgetStored();
  forgetNames();
  const { name, world: start } = scenario;
  const seen: Seen = new Map();
  const facts = new Set<string>();
  let frontier: [string, World][] = [[keyOf(start), start]];
  seen.set(keyOf(start), { parent: undefined, label: 'start' });
  let ends = 0;
  let difference: Explored['difference'];
  const explored = (rest: Partial<Explored>): Explored => ({
    ...{ name, states: seen.size, ends, difference, left: 0, facts },
    ...rest,
  });
  const violated = (what: string, path: string[]) => explored({ violation: { what, path } });
  const note = (shown: string[], key: string, label?: string): void => {
    for (const fact of shown) {
      if (facts.has(fact)) continue;
      facts.add(fact);
      if (!approved || approved.has(fact) || difference) continue;
      difference = { what: `Not approved: ${fact}`, path: [...pathTo(key, seen), ...(label ? [label] : [])] };
    }
  };
  while (frontier.length > 0) {
    const next: [string, World][] = [];
    for (const [place, [key, world]] of frontier.entries()) {
      const steps = attempt(() => stepsOf(world, scenario));
      if (typeof steps === 'string') return violated(steps, pathTo(key, seen));
      if (steps.length === 0) {
        ends += 1;
        const what = checkRest(world, scenario);
        if (what) return violated(what, pathTo(key, seen));
        note(factsAtRest(world), key);
      }
      for (const step of steps) {
        const reached = lookedAt(step.world);
        let id = '';
        const wrong = attempt(() => {
          const what = checkStep(world, step.world, scenario);
          note(factsOfStep(step.label, step.world), key, step.label);
          id = keyOf(reached);
          return what;
        });
        if (wrong) return violated(wrong, [...pathTo(key, seen), step.label]);
        if (seen.has(id)) continue;
        seen.set(id, { parent: key, label: step.label });
        next.push([id, reached]);
      }
      if (isHasty && difference) return explored({});
      if (seen.size > most) return explored({ left: frontier.length - place - 1 + next.length });
    }
    frontier = next;
  }
  const missing = [...(approved ?? [])].find((fact) => !facts.has(fact));
  if (missing) difference ??= { what: `Approved, and not shown any more: ${missing}`, path: [] };
  return explored({});
}

/** The core throws where its own rules are broken, and the oracle where an item has not its form: that is a violation, too. */
function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return `It throws: ${error instanceof Error ? error.message : error}`;
  }
}
