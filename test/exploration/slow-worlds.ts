import { batch, cancel, event, hasStatus, post } from './actions.ts';
import { enableByHand, notification } from './hands.ts';
import { type Scenario, scenario, withOneOf } from './scenarios.ts';
import { MINUTE_MS, ORG, type World } from './world.ts';

// Worlds in which answers take long: everybody's clock goes on, and the time of who asks comes to its end.

const SHORT = { lasts: 15 * MINUTE_MS };
const isQuiet = ({ processes, queue }: World) => processes.length === 0 && queue.length === 0;
const isCompleted = (world: World) => isQuiet(world) && hasStatus('A', 'completed')(world);

/** One answer takes long, whichever. */
const once = (): Scenario[] => [
  ...withOneOf(['slow answer'], 'a removal later', [post('A', 'disable_then_remove')], { lasts: 70 * MINUTE_MS }),
  ...withOneOf(['slow answer'], 'an event', [event('A', 'disable', { early: 1000 })], SHORT),
  ...withOneOf(
    ['slow answer'],
    'a batch and its cancellation',
    [batch('X', 'disable', { organizations: [ORG] }), cancel('C', { after: isQuiet })],
    SHORT,
  ),
  ...withOneOf(
    ['slow answer'],
    'a drift check',
    [
      post('A', 'disable', { on_reenable: 'disable_again' }),
      enableByHand('con_1', isCompleted),
      notification('N', { after: isQuiet }),
    ],
    SHORT,
  ),
  ...withOneOf(['slow answer'], 'sessions', [post('A', 'disable', { sessions: true })], {
    members: ['ann'],
    lasts: 2 * MINUTE_MS,
  }),
];

/** So many answers take long that somebody's time is over. */
const often = (): Scenario[] => [
  scenario('a cancellation has no time', [post('A', 'disable'), cancel()], {
    ...{ faults: { 'slow answer': 2 }, isPatient: true, lasts: 2 * MINUTE_MS },
  }),
  scenario('a batch has no time', [batch('X', 'disable', { organizations: [ORG], key: true })], {
    ...{ faults: { 'slow answer': 4 }, isPatient: true, lasts: 4 * MINUTE_MS },
  }),
];

export const slowWorlds = (): Scenario[] => [...once(), ...often()];
