import { batch, cancel, cancelBatch, cancelByEvent, event, hasStatus, post } from './actions.ts';
import { batches } from './batches.ts';
import { drifts } from './drifts.ts';
import { enableByHand, notification } from './hands.ts';
import { limits } from './limits.ts';
import { rows } from './rows.ts';
import { LIMITED, type Scenario, scenario, TWO, withOneOf } from './scenarios.ts';
import { sessionWorlds } from './session-worlds.ts';
import { slowWorlds } from './slow-worlds.ts';
import { type Fault, MINUTE_MS, START, type World } from './world.ts';

/** Each fault of a process, the table, Auth0, the network, the bus and the queue. */
const FAULTS: Fault[] = [
  ...([
    'crash',
    'paused',
    'overtaken',
    'lost answer',
    'refused write',
    'rejected item',
    'failed read',
    'late write',
    'failed after',
  ] as const),
  ...([
    'not sent',
    'repeated',
    'refused',
    'conflict',
    'limited',
    'slow',
    'stale list',
    'failed list',
    'refused list',
  ] as const),
  ...(['bus away', 'queue away', 'lost message'] as const),
];

const ACTIONS = ['disable', 'remove', 'disable_then_remove'];
const WAYS = {
  post: (id: string, action: string) => post(id, action),
  event: (id: string, action: string) => event(id, action, { early: 1000 }),
};
const isScheduled = hasStatus('A', 'scheduled');
const isCompleted = hasStatus('A', 'completed');
const OTHER = [{ id: 'con_3', isEnabled: true, level: 'none' }];
const isLater = ({ now }: World) => now > START;
const SHORT = { lasts: 15 * MINUTE_MS };
const isIdle = ({ processes, queue }: World) => processes.length === 0 && queue.length === 0;
/** Nobody waits for an answer, and no worker is at work. */
const isQuiet = ({ processes }: { processes: unknown[] }) => processes.length === 0;

/** One request of each kind, with each fault. */
const single = (): Scenario[] => [
  ...withOneOf(FAULTS, 'a disable', [post('A', 'disable')], { connections: TWO, ...SHORT }),
  ...withOneOf(FAULTS, 'a removal', [post('A', 'remove')], { connections: TWO, ...SHORT }),
  ...withOneOf(FAULTS, 'a removal later', [post('A', 'disable_then_remove')], { connections: LIMITED }),
  ...withOneOf(FAULTS, 'an event', [event('A', 'disable_then_remove')], { connections: TWO }),
  ...withOneOf(FAULTS, 'a removal of two later', [post('A', 'disable_then_remove')], { connections: TWO }),
  ...withOneOf(
    ['crash', 'lost answer', 'refused write', 'overtaken', 'queue away', 'lost message'],
    'a batch',
    [batch('X', 'disable')],
    { other: OTHER, ...SHORT },
  ),
  ...withOneOf(
    ['refused', 'late write', 'lost message', 'failed list', 'repeated', 'crash'],
    'machine access',
    [post('A', 'disable_then_remove', { machines: true })],
    { grants: ['cgr_1'] },
  ),
  scenario('an organization that Auth0 does not know', [post('A', 'disable')], { isUnknown: true, ...SHORT }),
  scenario('an event that is too old', [event('A', 'disable', { early: 8 * 24 * 60 * MINUTE_MS })], {
    mayFail: true,
    ...SHORT,
  }),
  scenario('a dry run', [post('A', 'disable_then_remove', { dry_run: true })], { connections: TWO, ...SHORT }),
  scenario('a stage without sessions', [post('A', 'disable', { sessions: true })], {
    stage: { canEndSessions: false },
    mayFail: true,
    ...SHORT,
  }),
  scenario('a stage without machine access', [post('A', 'disable', { machines: true })], {
    stage: { canEndMachineAccess: false },
    grants: ['cgr_1'],
    mayFail: true,
    ...SHORT,
  }),
];

/** A cancellation at every moment, with each fault. */
const cancelled = (): Scenario[] => [
  ...withOneOf(FAULTS, 'a disable and its cancellation', [post('A', 'disable'), cancel()], {
    connections: LIMITED,
    ...SHORT,
  }),
  ...withOneOf(
    FAULTS,
    'a removal later and its cancellation',
    [post('A', 'disable_then_remove'), cancel('C', { after: (world) => isScheduled(world) && isQuiet(world) })],
    { connections: LIMITED, ...SHORT },
  ),
  ...withOneOf(
    ['crash', 'late write', 'repeated', 'refused'],
    'machine access and its cancellation',
    [
      post('A', 'disable_then_remove', { machines: true }),
      cancel('C', { after: (world) => isScheduled(world) && isQuiet(world) }),
    ],
    { connections: [], grants: ['cgr_1'], ...SHORT },
  ),
  scenario('a cancellation and the removal that is due', [post('A', 'disable_then_remove'), cancel()], {
    connections: LIMITED,
  }),
  scenario('a cancellation and two workers', [post('A', 'disable_then_remove'), cancel()], {
    connections: TWO,
    workers: 2,
    ...SHORT,
  }),
  scenario(
    'two cancellations',
    [
      post('A', 'disable_then_remove'),
      cancel('C1', { after: (world) => isScheduled(world) && isQuiet(world) }),
      cancel('C2'),
    ],
    { lasts: 5 * MINUTE_MS },
  ),
  scenario('a removal and its cancellation', [post('A', 'remove'), cancel()], { connections: TWO, ...SHORT }),
  scenario(
    'a cancellation by event',
    [post('A', 'disable_then_remove'), cancelByEvent('CE', { after: ({ now }) => now > START })],
    { times: [START + 2000], ...SHORT },
  ),
  scenario(
    'a cancellation by event that comes first',
    [event('A', 'disable', { early: 3000 }), cancelByEvent('CE', { early: 1000 })],
    SHORT,
  ),
  scenario(
    'a cancellation event is delivered twice',
    [
      post('A', 'disable_then_remove'),
      cancelByEvent('CE', { after: ({ now, story }) => now === START + 2000 && story.accepted.A?.at === START }),
      cancelByEvent('CE', { early: 1000, after: (world) => world.now === START + 3000 && isIdle(world) }),
    ],
    { times: [START + 2000, START + 3000], ...SHORT },
  ),
  ...withOneOf(
    ['failed read', 'refused write', 'lost answer', 'rejected item'],
    'a cancellation event finds nothing',
    [cancelByEvent('CE')],
    SHORT,
  ),
  scenario(
    'a cancellation event is older than a cancellation, and another one finds nothing',
    [
      post('A', 'disable_then_remove'),
      cancel('C', { after: (world) => isScheduled(world) && isLater(world) }),
      cancelByEvent('CE', { early: 2000, after: isQuiet }),
      cancelByEvent('CF', { early: 0, after: isQuiet }),
      cancel('D', { after: isQuiet }),
    ],
    { times: [START + 3000], ...SHORT },
  ),
  scenario(
    'a request comes during a cancellation',
    [post('A', 'disable'), cancel('C', { after: isQuiet }), post('B', 'disable_then_remove')],
    { isPatient: true, ...SHORT },
  ),
  scenario('machine access of a removal', [post('A', 'remove', { machines: true }), cancel()], {
    ...{ grants: ['cgr_1'] },
    ...SHORT,
  }),
  scenario('a batch and its cancellation', [batch('X', 'disable_then_remove'), cancelBatch('X', { after: isQuiet })], {
    other: OTHER,
    ...SHORT,
  }),
  scenario(
    'a batch of one and its cancellation',
    [batch('X', 'disable_then_remove', { organizations: ['org_A'] }), cancelBatch('X')],
    SHORT,
  ),
];

/** Two requests, the later one after the earlier has come to rest, or at any moment; each way of the earlier one with each later one. */
const pairs = (isDeep = false): Scenario[] =>
  ACTIONS.flatMap((first, row) =>
    ACTIONS.flatMap((second, column) =>
      Object.entries(WAYS)
        .filter((_, way) => isDeep || (row + column) % 2 === way)
        .map(([way, request]) =>
          scenario(
            `${first} by ${way} and ${second} of a batch`,
            [request('A', first), batch('X', second, { organizations: ['org_A'] })],
            { connections: TWO, ...SHORT },
          ),
        ),
    ),
  );

const several = (): Scenario[] => [
  scenario(
    'two removals later and a cancellation',
    [post('A', 'disable_then_remove'), post('B', 'disable_then_remove'), cancel('C', { after: isQuiet })],
    SHORT,
  ),
  scenario(
    'a later one that names nothing',
    [post('A', 'disable_then_remove'), post('B', 'disable_then_remove', { ids: ['con_9'] })],
    { mayFail: true, ...SHORT },
  ),
  scenario('a dry run beside', [post('A', 'disable_then_remove'), post('B', 'remove', { dry_run: true })], SHORT),
  scenario(
    'one of two connections each',
    [
      post('A', 'disable', { ids: ['con_1'] }),
      post('B', 'disable_then_remove', { ids: ['con_2'] }),
      cancel('C', { after: isQuiet }),
    ],
    { connections: TWO, ...SHORT },
  ),
  scenario(
    'one key, another body',
    [post('A', 'disable', { key: true }), post('A', 'remove', { key: true, body: 'other', as: 'other' })],
    SHORT,
  ),
];

const watched = (): Scenario[] => [
  ...withOneOf(
    FAULTS,
    'a drift check',
    [
      post('A', 'disable', { on_reenable: 'disable_again' }),
      enableByHand('con_1', (world) => isCompleted(world) && isQuiet(world)),
      notification('N', { after: isQuiet }),
    ],
    SHORT,
  ),
  ...withOneOf(
    ['conflict', 'late write', 'lost answer'],
    'a drift check and a cancellation',
    [
      post('A', 'disable', { on_reenable: 'disable_again' }),
      enableByHand('con_1', isCompleted),
      notification('N', { after: isQuiet }),
      cancel('C', { after: isCompleted }),
    ],
    { lasts: 8 * MINUTE_MS },
  ),
  scenario('enabled before its removal', [post('A', 'disable_then_remove'), enableByHand('con_1', isScheduled)], {}),
];

const SOME: Fault[] = ['crash', 'lost answer', 'late write'];
const hasSettled = ({ story, records, processes }: World) =>
  processes.length === 0 &&
  Object.keys(story.accepted).length > 1 &&
  Object.keys(story.accepted).every((id) =>
    ['completed', 'scheduled', 'superseded'].includes(records[id]?.status ?? ''),
  );

/** Everything crossed: each pair of requests with a cancellation, a drift check and its removal, with two workers, and with faults. */
const crossed = (): Scenario[] =>
  pairs(true).flatMap(({ name, script }, index) => [
    scenario(`${name}, and a cancellation`, [...script, cancel()], {
      connections: TWO,
      workers: 2,
      lasts: 5 * MINUTE_MS,
    }),
    scenario(`${name}, and a drift check`, [...script, enableByHand('con_1', hasSettled), notification()], {
      connections: TWO,
      ...SHORT,
    }),
    ...withOneOf(
      index < 2 ? FAULTS : SOME,
      `${name}, and a cancellation that waits`,
      [...script, cancel('C', { after: isQuiet })],
      { lasts: 10 * MINUTE_MS },
    ),
    ...withOneOf(SOME, `${name}, and its removal`, script, { connections: LIMITED, lasts: 90 * MINUTE_MS }),
  ]);

/** The worlds that are explored: small ones, each of which is exhausted. `deep` adds everything crossed. */
export const worlds = (deep = false): Scenario[] => [
  ...[...rows(), ...single(), ...cancelled(), ...pairs(), ...several(), ...watched(), ...drifts(), ...limits()],
  ...[...batches(), ...sessionWorlds(), ...slowWorlds()],
  ...(deep ? crossed() : []),
];
