import { batch, cancel, cancelBatch, event, hasStatus, post } from './actions.ts';
import { enableByHand, notification, switchSessionsOff } from './hands.ts';
import { LIMITED, type Scenario, scenario, TWO } from './scenarios.ts';
import { MINUTE_MS, ORG, START, type World } from './world.ts';

const isCompleted = hasStatus('A', 'completed');
const isScheduled = hasStatus('A', 'scheduled');
const isRemoving = hasStatus('A', 'removing');
/** The cancellation is over for who requested it. */
const isAnswered = ({ story }: World) => story.cancelled.length > 0;
/** Somebody stands still, or did. */
const hasPaused = ({ faults }: World) => faults.paused === 0;
const isIdle = ({ processes }: World) => processes.length === 0;
/** Nobody is at work. */
const alone = { after: (world: World) => world.story.accepted['X org_A'] !== undefined && isIdle(world) };
const OTHER = [{ id: 'con_3', isEnabled: true, level: 'none' }];
const OFF = [{ id: 'con_1', isEnabled: false, level: 'none' }];
const MEMBERS = ['ann', 'bob', 'stubborn carl', 'elsewhere dora'];
const [SHORT, LONG] = [{ lasts: 20 * MINUTE_MS }, { lasts: 180 * MINUTE_MS }];

/** What was broken once, one world or a few for each row of the table. */
export const rows = (): Scenario[] => [
  scenario(
    'row 1: Auth0 carries out a change late whose answer was an error page, and the cancellation waits for it',
    [post('A', 'disable'), cancel()],
    { faults: { 'late write': 1 }, ...SHORT },
  ),
  scenario(
    'row 1: Auth0 carries out a first attempt after the second one succeeded',
    [post('A', 'disable'), cancel()],
    { faults: { repeated: 1 }, ...SHORT },
  ),
  scenario(
    'row 2: a request by event is still on its way when it is cancelled',
    [event('A', 'disable', { early: 2000 }), cancel()],
    SHORT,
  ),
  scenario(
    'row 2: an event that arrives after its cancellation, with a later request beside',
    [event('A', 'disable', { early: 2000 }), cancel(), post('B', 'disable_then_remove')],
    SHORT,
  ),
  ...(['crash', 'lost answer', 'refused write', 'overtaken'] as const).map((fault) =>
    scenario(
      `row 3: two requests with one key overlap; ${fault}`,
      [post('A', 'disable', { key: true }), post('A', 'disable', { key: true, as: 'again' })],
      { faults: { [fault]: 1 }, ...SHORT },
    ),
  ),
  ...(['crash', 'lost answer'] as const).map((fault) =>
    scenario(
      `row 3: two batches with one key overlap; ${fault}`,
      [
        batch('X', 'disable', { key: true, organizations: [ORG] }),
        batch('X', 'disable', { key: true, as: 'again', organizations: [ORG] }),
      ],
      { faults: { [fault]: 1 }, ...SHORT },
    ),
  ),
  scenario(
    'row 4: a superseded offboarding ends sessions while it is cancelled',
    [
      post('A', 'disable_then_remove', { sessions: true }),
      post('B', 'disable_then_remove', { after: (world) => isScheduled(world) && world.processes.length === 0 }),
      cancel('C', {
        after: (world) =>
          hasStatus('A', 'superseded')(world) && !world.processes.some(({ name }) => name.startsWith('worker')),
      }),
    ],
    { members: MEMBERS.slice(0, 2), lasts: MINUTE_MS },
  ),
  scenario(
    'row 5: a failed offboarding is cancelled while another worker has the lease',
    [
      post('A', 'disable'),
      cancel('C', { after: hasStatus('A', 'failed') }),
      post('B', 'disable', { ids: ['con_1'], after: hasStatus('A', 'failed') }),
    ],
    { connections: TWO, workers: 2, faults: { refused: 1 }, ...SHORT },
  ),
  scenario(
    'row 5: a failed offboarding is cancelled while the bus is away',
    [post('A', 'disable'), cancel('C', { after: hasStatus('A', 'failed') })],
    { connections: TWO, faults: { refused: 1, 'bus away': 1 }, ...SHORT },
  ),
  scenario('row 6: the table refuses one of the organizations of a batch', [batch('X', 'disable')], {
    other: OTHER,
    faults: { 'refused write': 4 },
    ...SHORT,
  }),
  scenario(
    'row 7: somebody enables a connection during a slow removal',
    [post('A', 'disable_then_remove'), enableByHand('con_2', isRemoving)],
    { connections: TWO, faults: { slow: 1 }, ...LONG },
  ),
  scenario('row 8: the watch ends by its date, and its record stays until then', [post('A', 'disable')], {
    stage: { watchFor: 'PT2H', watchInterval: 'PT1H' },
    lasts: 240 * MINUTE_MS,
  }),
  scenario(
    'row 9: a connection that was off before is enabled',
    [post('A', 'disable', { on_reenable: 'disable_again' }), enableByHand('con_1', isCompleted), notification()],
    { connections: OFF, ...SHORT },
  ),
  scenario(
    'row 10: notifications arrive during a drift check, and within a second of another',
    [post('A', 'disable'), notification('N1', { after: isCompleted }), enableByHand('con_1'), notification('N2')],
    SHORT,
  ),
  scenario(
    'row 11: the stage switches sessions off',
    [post('A', 'disable', { sessions: true }), switchSessionsOff(isCompleted)],
    { members: MEMBERS.slice(0, 2), ...LONG },
  ),
  scenario('row 11: Auth0 keeps failing for one member', [post('A', 'disable', { sessions: true })], {
    members: MEMBERS,
    ...LONG,
  }),
  scenario('row 11: Auth0 keeps failing for the last member', [post('A', 'disable', { sessions: true })], {
    members: ['ann', 'stubborn carl'],
    ...LONG,
  }),
  scenario('row 11: a message is lost', [post('A', 'disable', { sessions: true })], {
    members: MEMBERS,
    faults: { 'lost message': 1 },
    ...LONG,
  }),
  scenario(
    'row 11: cancelled within a page',
    [post('A', 'disable_then_remove', { sessions: true }), cancel('C', { after: isScheduled })],
    { members: MEMBERS.slice(0, 2), ...SHORT },
  ),
  scenario(
    'row 12: the canceller is ahead of a later request',
    [post('A', 'disable'), cancel('C', { skew: 120_000 }), post('B', 'disable', { after: isAnswered })],
    SHORT,
  ),
  scenario(
    'row 12: the container of the later request is behind',
    [post('A', 'disable_then_remove'), post('B', 'disable_then_remove', { skew: -120_000, after: isScheduled })],
    SHORT,
  ),
  scenario('row 12: a worker is ahead', [post('A', 'disable_then_remove')], { skews: { worker1: 120_000 } }),
  scenario('row 12: a canceller that is ahead meets a lease', [post('A', 'disable'), cancel('C', { skew: 120_000 })], {
    faults: { paused: 1 },
    ...SHORT,
  }),
  scenario(
    'row 12: a worker that is ahead meets the lease of one that stands still',
    [post('A', 'disable'), cancel('C', { after: hasPaused })],
    { workers: 2, skews: { worker2: 120_000 }, faults: { paused: 1 }, lasts: 6 * MINUTE_MS },
  ),
  scenario(
    'row 13: the failure of a request by event reaches somebody, whoever meets it',
    [event('A', 'disable_then_remove', { early: 2000 }), cancel('C')],
    { faults: { refused: 1 }, ...SHORT },
  ),
  scenario(
    'row 14: a connection is enabled by hand before its cancellation',
    [post('A', 'disable_then_remove'), enableByHand('con_2', isScheduled), cancel('C', { after: isScheduled })],
    { connections: LIMITED, ...SHORT },
  ),
  scenario('row 15: the caller has a long name', [post('A', 'disable', { requested_by: 'x'.repeat(239) })], SHORT),
  scenario("row 16: the answer of the cancellation's write is lost", [post('A', 'disable_then_remove'), cancel()], {
    faults: { 'lost answer': 1 },
    ...SHORT,
  }),
  scenario('row 17: the list is some seconds old', [post('A', 'disable_then_remove'), cancel()], {
    connections: LIMITED,
    faults: { 'stale list': 2 },
    ...SHORT,
  }),
  scenario(
    'row 18: a request waits behind a drift check that is due, and its message is lost',
    [
      post('A', 'disable'),
      notification('N', { after: (world) => isCompleted(world) && isIdle(world) }),
      post('B', 'disable', { after: (world) => world.now > START && isIdle(world) }),
    ],
    { faults: { 'lost message': 2 }, times: [START + MINUTE_MS], lasts: 45 * MINUTE_MS },
  ),
  scenario(
    'row 19: a drift check is refused once with a conflict',
    [post('A', 'disable', { on_reenable: 'disable_again' }), enableByHand('con_1', isCompleted), notification()],
    { faults: { conflict: 1 }, ...SHORT },
  ),
  scenario(
    'row 20: batches are filed and cancelled',
    [
      batch('X', 'disable', { organizations: [ORG] }),
      cancelBatch('X', alone),
      batch('Y', 'disable', { organizations: [ORG], ...alone }),
      cancelBatch('Y', alone),
    ],
    SHORT,
  ),
];
