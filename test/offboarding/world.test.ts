// Every interleaving of a small world, breadth first over states until no new one comes, with the rules' promises checked in
// each, and from each the way to its rest, where a tiny oracle says what the connections must be. What it finds it tells as the
// shortest way there.
import { expect, test } from 'vitest';
import { explore } from './world/explore.ts';
import type { Ask, Scenario } from './world/state.ts';

const all: Ask = { action: 'disable_then_remove', by: 'event', batch: true };
const long: Ask = { action: 'disable_then_remove', by: 'http', on: ['A'], grace: 'P90D' };
const A: Ask = { action: 'disable_then_remove', by: 'event', on: ['A'] };
const B: Ask = { ...A, on: ['B'], grace: 'P90D' };
const mistyped: Ask = { ...A, on: ['X'], grace: 'P90D' };
const soon: Ask = { ...A, grace: 'PT12H' };
const dry: Ask = { ...A, grace: 'P90D', dry: true };
const disable: Ask = { action: 'disable', by: 'event' };
const again: Ask = { ...disable, again: true };
const remove: Ask = { action: 'remove', by: 'event', on: ['A'] };
const ready = (ask: Ask): Ask => ({ ...ask, ready: true });

const TIMEOUT_MS = process.env.DEEP ? 1_200_000 : 120_000;

const SCENARIOS: Record<string, Scenario> = {
  'a disabling, cancelled': { asks: [disable], cancels: ['http'], left: { kill: 1, unknown: 1 } },
  'a removal later, cancelled': { asks: [ready(all)], cancels: ['event'], left: { kill: 1, unknown: 1 } },
  'a removal, cancelled': { asks: [remove], cancels: ['http'], left: { kill: 1, unknown: 1 } },
  'something is refused': { asks: [ready(all)], cancels: ['http'], left: { refusal: 1, hand: 1 } },
  'something is refused in an outage': { asks: [ready(all)], cancels: ['http'], left: { refusal: 1, outage: 1 } },
  'a POST without a key': { asks: [{ ...disable, by: 'http' }], cancels: ['http'], left: { kill: 1, outage: 1 } },
  'a POST with a key': {
    asks: [{ ...disable, by: 'key', on: ['A'] }],
    cancels: ['http'],
    left: { kill: 1, repeat: 1 },
  },
  'a batch, cancelled': { asks: [{ ...A, by: 'key', batch: true }], cancels: [0], left: { kill: 1, repeat: 1 } },
  'the later one decides': { asks: [ready(all), long], left: { kill: 1 } },
  'the later one alone is cancelled': { asks: [ready(all), { ...B, batch: true }], cancels: [1] },
  'the earlier one alone is cancelled': { asks: [ready({ ...A, batch: true }), B], cancels: [0] },
  'one that wants the same is cancelled': {
    asks: [ready({ ...disable, batch: true }), A],
    cancels: [0],
    left: { refusal: 1 },
  },
  'a removal and a removal later, cancelled': { asks: [ready(all), remove], cancels: ['http'] },
  'the later one is mistyped': { asks: [A, mistyped], left: { kill: 1 } },
  'the later one is a dry run': { asks: [A, dry], left: { kill: 1 } },
  'a week of outage': { asks: [disable, A], left: { outage: 1, old: 1 } },
  'looked at, and cancelled': {
    asks: [{ ...again, on: ['A'] }],
    cancels: ['http'],
    left: { look: 1, hand: 1, unknown: 1 },
  },
  'a new one is looked at, before a removal': {
    asks: [ready({ ...all, again: true })],
    cancels: ['http'],
    left: { look: 1, added: 1, unknown: 1 },
  },
  'a new one is looked at': { asks: [again], cancels: ['http'], left: { look: 1, added: 1, unknown: 1 } },
  'a removal before the next look': { asks: [soon], cancels: ['http'], left: { kill: 1, look: 1 } },
  'the earlier one alone is cancelled while it is taken over': {
    asks: [ready({ ...A, batch: true }), ready(B)],
    cancels: [0],
    left: { kill: 1 },
  },
  'another one has found it disabled': {
    asks: [ready({ ...A, batch: true }), ready(disable)],
    cancels: [0],
    left: { outage: 1 },
  },
  'another one is removing it': {
    asks: [ready({ ...disable, batch: true }), ready({ ...all, grace: 'PT12H' })],
    cancels: [0],
    left: { outage: 1 },
  },
  'three removals': { asks: [ready(A), ready({ ...B, quick: true }), { ...disable, batch: true }] },
  'three, cancelled late': { asks: [ready(A), ready(B), { ...disable, on: ['A'] }], cancels: ['event'] },
  'three, the middle one alone is cancelled': {
    asks: [ready(A), ready({ ...B, batch: true }), ready({ ...all, grace: 'P90D' })],
    cancels: [1],
  },
  'cancelled twice': { asks: [A], cancels: ['event', 'http'] },
  'cancelled twice, killed': {
    asks: [ready({ ...disable, on: ['A'] })],
    cancels: ['event', 'http'],
    left: { kill: 1 },
  },
  'two want the same, all is cancelled': { asks: [ready(disable), disable], cancels: ['http'] },
  'two want the same, the later one alone is cancelled': { asks: [ready(disable), disable], cancels: [1] },
  'two are asked within a second': { asks: [ready(A), { ...B, quick: true }], cancels: ['event'] },
  'two are looked at': { asks: [{ ...again, on: ['A'] }, A], left: { look: 1, hand: 1 } },
};
/** What takes minutes: everything crossed. */
const KINDS: Ask[] = [all, long, B, disable, again, remove];
if (process.env.DEEP) {
  for (const [name, scenario] of Object.entries(SCENARIOS))
    if (scenario.asks.length < 3 && scenario.asks.some(({ ready }) => ready))
      SCENARIOS[`${name}, from the first request on`] = {
        ...scenario,
        asks: scenario.asks.map(({ ready: _, ...ask }) => ask),
      };
  for (const [i, one] of KINDS.entries())
    for (const other of KINDS.slice(i))
      for (const cancel of ['http', 0, 1, undefined] as const)
        SCENARIOS[`two: ${nameOf(one)} and ${nameOf(other)}, cancelled: ${cancel}`] = {
          asks: [ready(one), other],
          ...(cancel !== undefined && { cancels: [cancel] }),
          left: cancel === undefined ? { kill: 1, unknown: 1 } : { kill: 1 },
        };
  for (const cancel of ['http', 'event', 0, 1] as const)
    SCENARIOS[`three, killed, cancelled: ${cancel}`] = {
      asks: [ready({ ...A, batch: true }), ready({ ...B, batch: true }), disable],
      cancels: [cancel],
      left: { kill: 1 },
    };
  SCENARIOS['three removals later, killed'] = {
    asks: [ready(A), ready(B), { ...all, batch: true }],
    left: { kill: 1 },
  };
  SCENARIOS['two, cancelled twice, killed'] = {
    asks: [ready(disable), A],
    cancels: ['event', 'http'],
    left: { kill: 1 },
  };
}
function nameOf({ action, on = ['all'], grace = '' }: Ask): string {
  return `${action} ${on.join()} ${grace}`.trim();
}

for (const [name, scenario] of Object.entries(SCENARIOS))
  test(name, { timeout: TIMEOUT_MS }, () => {
    const begun = performance.now();
    const { states, violations } = explore(scenario);
    console.info(`${name}: ${states} states, ${Math.round(performance.now() - begun)} ms`);
    for (const way of violations.values()) console.info(way);
    expect([...violations.keys()]).toEqual([]);
  });

test('An organization that is due for looks alone is seen', () => {
  const onlyLooks = { due_at: undefined, priority: undefined };
  const dueOf: Scenario['dueOf'] = ({ look_at }) => (look_at ? { due_at: look_at, priority: 'watch' } : onlyLooks);
  const { violations } = explore({ asks: [soon], dueOf });
  expect([...violations.keys()].join()).toMatch(/r0 is scheduled, and the organization is due/);
});
