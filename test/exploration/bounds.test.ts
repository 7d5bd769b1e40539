import { expect, test } from 'vitest';
import { batch, cancel, cancelBatch, event, post } from './actions.ts';
import { checkRest } from './oracle.ts';
import { type Action, type Scenario, scenario } from './scenarios.ts';
import { stepsOf } from './steps.ts';
import { lookedAt } from './story.ts';
import { ORG, type World } from './world.ts';

// Everything that callers can make grow in an organization's item, filled to its bound with the longest values that the API takes.

const LARGEST_BYTES = 200_000;
const NAMES = Array.from({ length: 50 }, (_, index) => `con_${String(index).padStart(46, 'x')}`);
const CONNECTIONS = NAMES.map((id) => ({ id, isEnabled: true, level: 'limited' }));
const LONGEST = { reason: '\u{1F600}'.repeat(1000), requested_by: '\u{1F600}'.repeat(200) };
const quiet = (name: string, options: Parameters<typeof scenario>[2] = {}): Scenario =>
  scenario(name, [], { connections: CONNECTIONS, workers: 0, ...options });

/** The world at rest, when always the first of what can happen does. */
function rest(world: World, about: Scenario): World {
  for (let now = world; ; ) {
    const [step] = stepsOf(now, about);
    if (!step) return now;
    now = lookedAt(step.world);
  }
}
function act(world: World, about: Scenario, action: Action): World {
  for (const one of action.requests ?? []) about.requests[one.id] = [one];
  return rest(action.apply(world, about.stage), { ...about, until: world.now });
}
const bytesOf = (world: World) => Buffer.byteLength(JSON.stringify(world.items[ORG] ?? {}));

/** Fills the organization with requests until it takes no more. */
function filled(about: Scenario, request: (index: number) => Action): World {
  let { world } = about;
  for (let index = 0; index < 25; index++) {
    world = act(world, about, request(index));
    expect(bytesOf(world)).toBeLessThan(LARGEST_BYTES);
  }
  return world;
}

test.each([
  ['long', LONGEST],
  ['long, and each names fifty connections', { ...LONGEST, ids: NAMES }],
  ['short', {}],
])(
  'when an organization has as many open requests as it takes, and they are %s, a later one is refused and DELETE cancels all',
  (_, options) => {
    const about = quiet('requests');
    const full = filled(about, (index) => post(`A${index}`, 'disable_then_remove', options));
    expect(full.story.rejected.length).toBeGreaterThanOrEqual(5);
    expect(Object.keys(full.story.accepted).length).toBeGreaterThanOrEqual(5);
    const working = { ...about, workers: 1, connections: about.connections };
    const cancelled = rest(cancel().apply(full, about.stage), working);
    expect(cancelled.story.cancelled.map(({ status }) => status)).toEqual([200]);
    expect(checkRest(cancelled, working)).toBeUndefined();
    expect(cancelled.items[ORG]?.requests).toEqual([]);
  },
);

test('when every open request has begun on fifty connections, DELETE gives all of them back', () => {
  const about = quiet('begun', { workers: 1 });
  let { world } = about;
  for (let index = 0; index < 25; index++) {
    world = act(world, about, post(`A${index}`, 'disable_then_remove', LONGEST));
    world = rest(world, { ...about, until: world.now });
    expect(bytesOf(world)).toBeLessThan(LARGEST_BYTES);
  }
  const cancelled = rest(cancel().apply(world, about.stage), { ...about, until: world.now + 600_000 });
  expect(cancelled.connections[ORG]).toEqual(CONNECTIONS);
  expect(checkRest(cancelled, about)).toBeUndefined();
});

test('when a caller files and cancels batches for one organization, its item does not grow', () => {
  const about = quiet('batches', { connections: CONNECTIONS.slice(0, 1) });
  let { world } = about;
  const sizes: number[] = [];
  // All of them together would be longer than the item may be.
  for (let index = 0; index < 30; index++) {
    world = act(world, about, batch(`X${index}`, 'disable', { organizations: [ORG], ...LONGEST }));
    world = act(world, about, cancelBatch(`X${index}`));
    sizes.push(bytesOf(world));
  }
  expect(Math.max(...sizes)).toBeLessThan(LARGEST_BYTES);
  world = act(world, about, cancel());
  expect(world.story.cancelled.at(-1)?.status).toSatisfy((status: number) => [200, 202, 404].includes(status));
  const after = rest(world, { ...about, workers: 1, until: world.now + 600_000 });
  expect(bytesOf(after)).toBeLessThan(2000);
});

test('when requests by event arrive after their cancellation, each is cancelled and the item does not grow', () => {
  const about = quiet('events', { workers: 1, connections: CONNECTIONS.slice(0, 1) });
  let world = act(about.world, about, cancel());
  for (let index = 0; index < 40; index++) {
    world = act(world, about, event(`E${index}`, 'disable', { early: 5000, ...LONGEST }));
    expect(bytesOf(world)).toBeLessThan(LARGEST_BYTES);
  }
  expect(Object.values(world.records).map(({ status }) => status)).toEqual(Array(40).fill('cancelled'));
});
