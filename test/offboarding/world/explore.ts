// Every interleaving of a small world, breadth first over states until no new one comes.
import { hash } from 'node:crypto';
import { vi } from 'vitest';
import { keyOf } from './key.ts';
import { brokenAtRest, brokenIn } from './oracle.ts';
import { type Scenario, type World, worldOf } from './state.ts';
import { askStep, calmed, calmStep, stepsOf } from './steps.ts';

const LONGEST_WAY_TO_REST = 200;
/** What fits the memory of one process. */
const MOST_STATES = process.env.DEEP ? 4_000_000 : 200_000;

interface Explored {
  states: number;
  /** The shortest way to each thing that must not be. */
  violations: Map<string, string>;
}

const nameOf = (world: World) => hash('md5', keyOf(world), 'base64');
/** With what may still go wrong. */
const stateOf = (name: string, { left }: World) => `${name}${JSON.stringify(left)}`;

/** Breadth first over the states of a scenario, until no new one comes. The clock of what runs in the world is the world's. */
export function explore(scenario: Scenario): Explored {
  let now = 0;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now);
  const setClock = (world: World) => {
    now = world.now;
  };
  try {
    return exploreAll(scenario, setClock);
  } finally {
    clock.mockRestore();
  }
}

function exploreAll(scenario: Scenario, setClock: (world: World) => void): Explored {
  // Each state's way is the step that led there and the state before: of millions, no more than that is kept.
  const [whats, froms] = [[''], [-1]];
  const names = new Map<string, string>();
  const nameFor = (what: string) => names.get(what) ?? (names.set(what, what).get(what) as string);
  let first = worldOf(scenario);
  for (const [k, { ready }] of scenario.asks.entries())
    for (let next = ready && askStep(first, k); next; next = askStep(first, k)) first = next[1];
  const restful = new Set<string>();
  const violations = new Map<string, string>();
  const wayTo = (at: number): string[] => (at > 0 ? [...wayTo(froms[at] ?? 0), whats[at] ?? ''] : []);
  const found = (what: string, at: number, then: string[] = []) => {
    const well = then.length > 0 ? ['(from here on all goes well)', ...then] : [];
    if (!violations.has(what)) violations.set(what, [`${what}:`, ...wayTo(at), ...well].join('\n  '));
  };
  const name = nameOf(first);
  const seen = new Set([stateOf(name, first)]);
  let level: [World, number, string][] = [[first, 0, name]];
  while (level.length > 0 && seen.size < MOST_STATES) {
    const next: typeof level = [];
    for (const [world, at, own] of level) {
      const calm = restOf(calmed(world), own, restful, setClock);
      if (calm.broken) found(calm.broken, at, calm.way);
      setClock(world);
      for (const [what, after] of stepsOf(world)) {
        const name = nameOf(after);
        const key = stateOf(name, after);
        if (seen.has(key)) continue;
        seen.add(key);
        froms.push(at);
        const index = whats.push(nameFor(what)) - 1;
        const broken = brokenIn(after);
        if (broken) found(broken, index);
        else next.push([after, index, name]);
      }
    }
    level = next;
  }
  if (level.length > 0) violations.set('too many', `more than ${MOST_STATES} states`);
  return { states: seen.size, violations };
}

/** From a state to its rest, with nothing more in the way: it comes, and all is as it must be. */
function restOf(
  from: World,
  name: string,
  restful: Set<string>,
  setClock: (world: World) => void,
): { broken?: string; way: string[] } {
  const way: string[] = [];
  const passed: string[] = [];
  let world = from;
  for (let steps = 0; steps < LONGEST_WAY_TO_REST; steps++) {
    const key = stateOf(steps === 0 ? name : nameOf(world), world);
    if (restful.has(key)) break;
    passed.push(key);
    setClock(world);
    const next = calmStep(world);
    const broken = next ? brokenIn(next[1]) : brokenAtRest(world);
    if (next) way.push(next[0]);
    if (broken) for (const one of passed) restful.add(one);
    if (broken) return { broken, way };
    if (!next) break;
    world = next[1];
    if (steps === LONGEST_WAY_TO_REST - 1) return { broken: 'It never comes to rest', way };
  }
  for (const key of passed) restful.add(key);
  return { way };
}
