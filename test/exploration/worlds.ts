import { rows } from './rows.ts';
import {
  batch,
  cancel,
  cancelBatch,
  cancelByEvent,
  enableByHand,
  event,
  hasStatus,
  LIMITED,
  notification,
  ONE,
  type Options,
  post,
  type Scenario,
  scenario,
  switchSessionsOff,
  TWO,
} from './scenarios.ts';
import { type Fault, HOUR_MS, MINUTE_MS } from './world.ts';

type Script = Parameters<typeof scenario>[1];

/** Each fault of the table, of Auth0, of the network and of a process. */
const FAULTS: Fault[] = [
  ...([
    'crash',
    'paused',
    'overtaken',
    'lost answer',
    'refused write',
    'failed read',
    'late write',
    'failed after',
    'not sent',
  ] as const),
  ...([
    'repeated',
    'refused',
    'conflict',
    'limited',
    'slow',
    'stale list',
    'failed list',
    'refused list',
    'bus away',
    'queue away',
    'lost message',
  ] as const),
];

/** A world for each of these faults, which may happen once. */
const withEach = (faults: Fault[], name: string, script: () => Script, options: Options = {}): Scenario[] =>
  faults.map((fault) => scenario(`${name}; ${fault}`, script(), { ...options, faults: { [fault]: 1 } }));

const isScheduled = hasStatus('A', 'scheduled');
const isCompleted = hasStatus('A', 'completed');
const FIVE_MINUTES = { lasts: 5 * MINUTE_MS };
const OTHER = [{ id: 'con_3', isEnabled: true, level: 'none' }];
void OTHER;
void HOUR_MS;
void cancelByEvent;
void switchSessionsOff;
void isCompleted;

const single = (): Scenario[] => [
  ...withEach(FAULTS, 'a disable', () => [post('A', 'disable')], { connections: TWO }),
  ...withEach(FAULTS, 'a removal', () => [post('A', 'remove')], { connections: TWO }),
  ...withEach(FAULTS, 'a removal later', () => [post('A', 'disable_then_remove')], { connections: LIMITED }),
  ...withEach(FAULTS, 'an event', () => [event('A', 'disable_then_remove')], { connections: LIMITED }),
  ...withEach(
    FAULTS,
    'machine access',
    () => [post('A', 'disable_then_remove', { machines: true }), cancel('C', { after: isScheduled })],
    { connections: [], grants: ['cgr_1'], ...FIVE_MINUTES },
  ),
];

const cancelled = (): Scenario[] => [
  ...withEach(FAULTS, 'a disable and its cancellation', () => [post('A', 'disable'), cancel()], {
    connections: LIMITED,
  }),
  ...withEach(FAULTS, 'a removal later and its cancellation', () => [post('A', 'disable_then_remove'), cancel()], {
    connections: LIMITED,
  }),
  scenario('a cancellation and two workers', [post('A', 'disable_then_remove'), cancel()], {
    connections: LIMITED,
    workers: 2,
    ...FIVE_MINUTES,
  }),
  scenario('two cancellations', [post('A', 'disable'), cancel('C1'), cancel('C2')]),
  scenario('a removal and its cancellation', [post('A', 'remove'), cancel()], { connections: TWO }),
  scenario(
    'a batch and its cancellation',
    [batch('X', 'disable_then_remove', { organizations: ['org_A'] }), cancelBatch('X')],
    { lasts: 10 * MINUTE_MS },
  ),
];

const several = (): Scenario[] => [
  scenario(
    'two removals later and a cancellation',
    [post('A', 'disable_then_remove'), post('B', 'disable_then_remove'), cancel()],
    { lasts: 10 * MINUTE_MS },
  ),
  scenario('a disable and a removal later', [event('A', 'disable'), post('B', 'disable_then_remove'), cancel()], {
    lasts: 10 * MINUTE_MS,
  }),
  scenario('a removal later and a removal', [post('A', 'disable_then_remove'), post('B', 'remove')]),
  scenario(
    'a later one that names nothing',
    [post('A', 'disable_then_remove'), post('B', 'disable_then_remove', { ids: ['con_9'] })],
    { mayFail: true },
  ),
  scenario('a dry run beside', [post('A', 'disable_then_remove'), post('B', 'remove', { dry_run: true })]),
  ...withEach(
    ['crash', 'lost answer', 'refused write', 'overtaken', 'queue away'],
    'a batch',
    () => [batch('X', 'disable')],
    { other: OTHER },
  ),
];

const watched = (): Scenario[] => [
  ...withEach(
    ['conflict', 'late write', 'crash'],
    'a drift check',
    () => [
      post('A', 'disable', { on_reenable: 'disable_again' }),
      enableByHand('con_1', hasStatus('A', 'completed')),
      notification('N1'),
      cancel(),
    ],
    { lasts: 20 * MINUTE_MS },
  ),
  scenario('enabled before its removal', [post('A', 'disable_then_remove'), enableByHand('con_1', isScheduled)]),
];

/** The worlds that are explored: small ones, each of which is exhausted. `deep` crosses what `npm test` takes one by one. */
export function worlds(_deep = false): Scenario[] {
  return [...single(), ...cancelled(), ...several(), ...watched(), ...rows()];
}
void ONE;
