import { cancel, post } from './actions.ts';
import { addByHand, enableByHand, grantByHand, notification, removeByHand } from './hands.ts';
import { LIMITED, type Scenario, scenario, TWO } from './scenarios.ts';
import { MINUTE_MS, ORG, START, type World } from './world.ts';

// Worlds in which somebody changes an organization that is watched.

const isQuiet = ({ processes, queue }: World) => processes.length === 0 && queue.length === 0;
/** What has come to this status a while ago, before the time at which the world stands. */
const isLong = (status: string) => (world: World) =>
  isQuiet(world) &&
  world.records.A?.status === status &&
  Date.parse(world.records.A.ended_at ?? world.records.A.updated_at) < world.now;
const isCompleted = isLong('completed');
const isDisabled = (world: World) =>
  isCompleted(world) && world.connections[ORG]?.every(({ isEnabled }) => !isEnabled) === true;
const again = { on_reenable: 'disable_again' };
const SHORT = { times: [START + MINUTE_MS], lasts: 15 * MINUTE_MS };
/** Nobody else is at work at the time. */
const quietly = (by?: string, of?: string) => ({ after: isQuiet, ...(by && { by }), ...(of && { of }) });

const connectionsDrift = (): Scenario[] =>
  [{}, again].flatMap((options) => [
    scenario(
      `a connection is added, and removed again${options === again ? ', and is disabled meanwhile' : ''}`,
      [
        post('A', 'disable', options),
        addByHand('con_9', isCompleted),
        notification('N1', quietly('ann', 'con_9')),
        removeByHand('con_9', isCompleted),
        notification('N2', quietly('ann')),
      ],
      SHORT,
    ),
    scenario(
      `a connection with a level is enabled${options === again ? ', and disabled again' : ''}`,
      [
        post('A', 'disable', options),
        enableByHand('con_2', isCompleted),
        notification('N', quietly('ann')),
        cancel('C', { after: isCompleted }),
      ],
      { connections: LIMITED, ...SHORT },
    ),
  ]);

const moreDrift = (): Scenario[] => [
  scenario(
    'a connection is added to one that was removed',
    [
      post('A', 'remove', again),
      addByHand('con_9', isCompleted),
      notification('N1', quietly()),
      enableByHand('con_9', isDisabled),
      notification('N2', { ...quietly('bob', 'con_7'), early: 0 }),
    ],
    SHORT,
  ),
  scenario(
    'a connection that is not covered is enabled',
    [
      post('A', 'disable', { ids: ['con_1'], ...again }),
      enableByHand('con_2', isCompleted),
      notification('N', quietly()),
    ],
    { connections: TWO, ...SHORT },
  ),
  scenario(
    'somebody enables a connection again and again',
    [
      post('A', 'disable', again),
      ...['1', '2', '3', '4'].flatMap((time) => [
        enableByHand('con_1', time === '4' ? isCompleted : isDisabled),
        notification(`N${time}`, quietly()),
      ]),
    ],
    SHORT,
  ),
  scenario(
    'a notification is older than the last check',
    [
      post('A', 'disable'),
      notification('N1', { after: isCompleted }),
      notification('N2', { early: 3_600_000, after: isQuiet }),
    ],
    SHORT,
  ),
];

const grantsDrift = (): Scenario[] =>
  [{}, again].flatMap((options) => [
    scenario(
      `a client is let in again${options === again ? ', and its grant is removed again' : ''}`,
      [
        post('A', 'disable', { machines: true, ...options }),
        grantByHand('cgr_1', isCompleted),
        notification('N', quietly()),
      ],
      { grants: ['cgr_1'], ...SHORT },
    ),
    scenario(
      `a client is let in while a removal waits${options === again ? ', and its grant is removed again' : ''}`,
      [
        post('A', 'disable_then_remove', { machines: true, ...options }),
        grantByHand('cgr_2', isLong('scheduled')),
        notification('N', quietly()),
        cancel('C', { after: isQuiet }),
      ],
      { grants: ['cgr_1'], ...SHORT },
    ),
  ]);

export const drifts = (): Scenario[] => [...connectionsDrift(), ...moreDrift(), ...grantsDrift()];
