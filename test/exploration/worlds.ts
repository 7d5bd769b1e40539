import {
  type Action,
  batch,
  cancel,
  cancelBatch,
  cancelByEvent,
  enableByHand,
  event,
  hasStatus,
  notification,
  post,
  type Scenario,
  scenario,
  TWO,
} from './scenarios.ts';
import type { Fault, World } from './world.ts';

const ONE = TWO.slice(0, 1);
const LIMITED = TWO.slice(1);
const MINUTE_MS = 60_000;

/** Each fault once. */
const EACH: Fault[] = [
  'crash',
  'paused',
  'lost answer',
  'refused write',
  'late write',
  'failed after',
  'not sent',
  'refused',
  'stale list',
  'bus away',
  'queue away',
];
const REFUSALS: Fault[] = ['refused', 'conflict'];

/** A scenario with each of these faults in turn. */
const withEach = (
  faults: Fault[],
  name: string,
  script: () => Action[],
  options: Parameters<typeof scenario>[2] = {},
): Scenario[] =>
  faults.map((fault) =>
    scenario(`${name}, ${fault}`, script(), {
      ...options,
      faults: { [fault]: 1 },
      ...(REFUSALS.includes(fault) && { mayFail: true }),
    }),
  );

const isScheduled = hasStatus('A', 'scheduled');
const isRemovedSoon = (world: World) => isScheduled(world);

/** The worlds that are explored: small ones, each of which is exhausted. `deep` crosses what `npm test` takes one by one. */
export function worlds(deep = false): Scenario[] {
  const two = deep ? TWO : ONE;
  return [
    // One request of each kind, over HTTP and by event, each fault once.
    ...withEach(EACH, 'a disable', () => [post('A', 'disable')], { two: LIMITED }),
    ...withEach(EACH, 'a removal', () => [post('A', 'remove')], { two }),
    ...withEach(EACH, 'a removal later', () => [post('A', 'disable_then_remove')], { two: LIMITED, workers: 1 }),
    ...withEach(EACH, 'an event', () => [event('A', 'disable_then_remove')], { two, workers: 1 }),
    scenario('two connections', [post('A', 'disable_then_remove')], { two: TWO, workers: 1 }),
    scenario('machine access', [post('A', 'disable_then_remove', { machines: true }), cancel()], {
      two: [],
      grants: ['cgr_1'],
      workers: 1,
    }),
    // A cancellation at every moment, each fault once.
    ...withEach(EACH, 'a disable and its cancellation', () => [post('A', 'disable'), cancel()], {
      two: LIMITED,
      workers: 1,
    }),
    ...withEach(EACH, 'a removal later and its cancellation', () => [post('A', 'disable_then_remove'), cancel()], {
      two: LIMITED,
      workers: 1,
    }),
    scenario('a cancellation and two workers', [post('A', 'disable_then_remove'), cancel()], {
      two: LIMITED,
      workers: 2,
      until: Date.parse('2026-11-01T00:05:00Z'),
    }),
    scenario('two cancellations', [post('A', 'disable'), cancel('C1'), cancel('C2')], { two: ONE, workers: 1 }),
    scenario('a removal and its cancellation', [post('A', 'remove'), cancel()], { two, workers: 1 }),
    // What is still on its way when it is cancelled.
    scenario('a late event', [event('A', 'disable', { early: 2000 }), cancel()], { two: ONE, workers: 1 }),
    scenario('a cancellation by event', [post('A', 'disable'), cancelByEvent('CE')], {
      two: ONE,
      workers: 1,
      isUncovered: () => true,
    }),
    // Several requests of one organization.
    scenario('two removals later', [post('A', 'disable_then_remove'), post('B', 'disable_then_remove')], {
      two: ONE,
      workers: 1,
    }),
    scenario(
      'two removals later and a cancellation',
      [post('A', 'disable_then_remove'), post('B', 'disable_then_remove'), cancel()],
      { two: ONE, workers: 1, until: Date.parse('2026-11-01T00:10:00Z') },
    ),
    scenario('a disable and a removal later', [event('A', 'disable'), post('B', 'disable_then_remove'), cancel()], {
      two: ONE,
      workers: 1,
      until: Date.parse('2026-11-01T00:10:00Z'),
    }),
    scenario('a removal later and a removal', [post('A', 'disable_then_remove'), post('B', 'remove')], {
      two: ONE,
      workers: 1,
    }),
    scenario(
      'a later one that names nothing',
      [post('A', 'disable_then_remove'), post('B', 'disable_then_remove', { ids: ['con_9'] })],
      { two: ONE, workers: 1, mayFail: true },
    ),
    scenario('a dry run beside', [post('A', 'disable_then_remove'), post('B', 'remove', { dry_run: true })], {
      two: ONE,
      workers: 1,
    }),
    // One key, several times.
    ...withEach(
      ['crash', 'lost answer', 'refused write', 'queue away'],
      'one key twice',
      () => [post('A', 'disable', { key: 'k' }), post('A', 'disable', { key: 'k', as: 'again' })],
      { two: ONE, workers: 1 },
    ),
    // Batches.
    ...withEach(['crash', 'lost answer', 'refused write'], 'a batch', () => [batch('X', 'disable')], {
      two: ONE,
      other: [{ id: 'con_3', isEnabled: true, level: 'none' }],
      workers: 1,
    }),
    scenario(
      'a batch and its cancellation',
      [batch('X', 'disable_then_remove', { organizations: ['org_A'] }), cancelBatch('X')],
      { two: ONE, workers: 1, until: Date.parse('2026-11-01T00:10:00Z') },
    ),
    scenario(
      'one key twice of a batch',
      [
        batch('X', 'disable', { key: 'k', organizations: ['org_A'] }),
        batch('X', 'disable', { key: 'k', as: 'again', organizations: ['org_A'] }),
      ],
      { two: ONE, workers: 1 },
    ),
    // Somebody else changes a connection.
    scenario('enabled before its removal', [post('A', 'disable_then_remove'), enableByHand('con_1', isRemovedSoon)], {
      two: ONE,
      workers: 1,
    }),
    scenario(
      'enabled and cancelled',
      [post('A', 'disable_then_remove'), enableByHand('con_2', isScheduled), cancel('C', { after: isScheduled })],
      { two: LIMITED, workers: 1, until: Date.parse('2026-11-01T00:10:00Z') },
    ),
    ...withEach(
      ['conflict', 'late write', 'crash'],
      'a drift check',
      () => [
        post('A', 'disable', { on_reenable: 'disable_again' }),
        enableByHand('con_1', hasStatus('A', 'completed')),
        notification('N1'),
        cancel(),
      ],
      { two: ONE, workers: 1, until: Date.parse('2026-11-01T00:20:00Z'), isUncovered: () => false },
    ),
    // Clocks two minutes apart.
    scenario('a canceller ahead', [post('A', 'disable'), cancel('C', { skew: 120_000 }), post('B', 'disable')], {
      two: ONE,
      workers: 1,
    }),
    scenario(
      'a second container behind',
      [post('A', 'disable_then_remove'), post('B', 'disable_then_remove', { skew: -120_000 })],
      { two: ONE, workers: 1 },
    ),
    scenario('a worker ahead', [post('A', 'disable'), cancel()], {
      two: ONE,
      workers: 2,
      skews: { worker1: 0, worker2: 120_000 },
      faults: { paused: 1 },
      until: Date.parse('2026-11-01T00:06:00Z'),
    }),
  ];
}
export { MINUTE_MS };
