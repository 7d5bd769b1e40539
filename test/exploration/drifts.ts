import { cancel, post } from './actions.ts';
import { addByHand, enableByHand, grantByHand, notification, removeByHand } from './hands.ts';
import { LIMITED, type Scenario, scenario, TWO, withOneOf } from './scenarios.ts';
import { MINUTE_MS, ORG, START, type World } from './world.ts';

// Worlds in which somebody changes an organization that is watched.

const isQuiet = ({ processes, queue }: World) => processes.length === 0 && queue.length === 0;
/** What has come to this status a while ago, before the time at which the world stands. */
const isLong = (status: string) => (world: World) =>
  isQuiet(world) &&
  world.records.A?.status === status &&
  Date.parse(world.records.A.ended_at ?? world.records.A.updated_at) < world.now;
const isCompleted = isLong('completed');
const hasFailed = (world: World) => isQuiet(world) && world.records.A?.status === 'failed';
const isBothCompleted = (world: World) => isCompleted(world) && world.records.B?.status === 'completed';
const isDisabled = (world: World) =>
  isCompleted(world) && world.connections[ORG]?.every(({ isEnabled }) => !isEnabled) === true;
/** Nobody is at work, whatever waits. */
const alone = { after: ({ processes }: World) => processes.length === 0 };
const isBeingChecked = ({ items, story }: World) => items[ORG]?.lease !== undefined && story.checks > 0;
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

/** What is added or removed while a removal waits, and between two offboardings. */
const comeAndGo = (): Scenario[] => [
  scenario(
    'a connection is added before the removal that is due',
    [post('A', 'disable_then_remove'), addByHand('con_9', isLong('scheduled')), notification('N', quietly())],
    { times: [START + MINUTE_MS] },
  ),
  scenario(
    'a grant is added before the removal that is due',
    [post('A', 'disable_then_remove'), grantByHand('cgr_2', isLong('scheduled'))],
    { grants: ['cgr_1'], times: [START + MINUTE_MS] },
  ),
  scenario(
    'a grant is added before the removal that is due, of an offboarding that ends machine access',
    [
      post('A', 'disable_then_remove', { machines: true }),
      grantByHand('cgr_2', isLong('scheduled')),
      notification('N', quietly()),
    ],
    { grants: ['cgr_1'], times: [START + MINUTE_MS] },
  ),
  scenario(
    'a connection is removed while its removal waits',
    [post('A', 'disable_then_remove'), removeByHand('con_1', isLong('scheduled')), notification('N', quietly())],
    { connections: TWO, times: [START + MINUTE_MS] },
  ),
  scenario(
    'a connection is removed while its removal waits, which is refused for another one',
    [post('A', 'disable_then_remove'), removeByHand('con_1', isLong('scheduled')), cancel('C', { after: hasFailed })],
    { connections: TWO, faults: { refused: 1 }, times: [START + MINUTE_MS] },
  ),
  scenario(
    'a connection is removed while its removal waits, and a cancellation comes',
    [post('A', 'disable_then_remove'), removeByHand('con_1', isLong('scheduled')), cancel('C', { after: isQuiet })],
    { connections: TWO, ...SHORT },
  ),
  scenario(
    'a connection is removed and added between two offboardings',
    [
      post('A', 'disable'),
      removeByHand('con_1', isCompleted),
      addByHand('con_1', isCompleted),
      post('B', 'disable_then_remove', { after: isQuiet }),
      cancel('C', { after: isQuiet }),
    ],
    SHORT,
  ),
  scenario(
    'a removed connection is named again',
    [
      post('A', 'remove'),
      post('B', 'disable', { ids: ['con_1'], after: isCompleted }),
      post('D', 'disable_then_remove', { ids: ['con_1', 'con_8'], after: isQuiet }),
    ],
    { mayFail: true, ...SHORT },
  ),
  scenario(
    'a drift check of named connections',
    [
      post('A', 'disable', { ids: ['con_1', 'con_2'], ...again }),
      enableByHand('con_1', isCompleted),
      enableByHand('con_2', isCompleted),
      addByHand('con_9', isCompleted),
      notification('N1', quietly('ann', 'con_1')),
      notification('N2', quietly('bob', 'con_2')),
    ],
    { connections: TWO, ...SHORT },
  ),
  scenario(
    'a failed offboarding is watched after one that disables again',
    [
      post('A', 'disable', { ids: ['con_1'], ...again }),
      post('B', 'disable', { after: isCompleted }),
      enableByHand('con_1', (world) => isCompleted(world) && world.records.B?.status === 'failed'),
      notification('N', quietly()),
    ],
    {
      ...{ connections: [...TWO, { id: 'con_stubborn', isEnabled: true, level: 'none' }], mayFail: true },
      ...{ times: [START + MINUTE_MS, START + 2 * MINUTE_MS], lasts: 15 * MINUTE_MS },
    },
  ),
  scenario(
    'two offboardings are watched, and one disables again',
    [
      post('A', 'disable'),
      post('B', 'disable', { ids: ['con_2'], ...again, after: isCompleted }),
      enableByHand('con_1', isBothCompleted),
      enableByHand('con_2', isBothCompleted),
      notification('N', quietly('ann')),
    ],
    { connections: TWO, ...SHORT },
  ),
];

/** Several notifications are about one moment, or one about the check that is being made. */
const notified = (): Scenario[] => [
  scenario(
    'notifications name one change, and others',
    [
      post('A', 'disable'),
      ...[
        notification('N1', { ...alone, by: 'ann', of: 'con_1' }),
        notification('N2', { ...alone, by: 'ann', of: 'con_1' }),
        notification('N3', { ...alone, by: 'ann', of: 'con_2' }),
        notification('N4', { ...alone, by: 'bob', of: 'con_1' }),
        notification('N5', { ...alone, by: 'ann', of: 'con_1', skew: 1000 }),
      ],
    ],
    { isPatient: true, lasts: MINUTE_MS },
  ),
  scenario(
    'a notification arrives during a drift check',
    [post('A', 'disable'), notification('N1', quietly()), notification('N2', { after: isBeingChecked })],
    { lasts: MINUTE_MS },
  ),
  scenario(
    'a list is from before an earlier offboarding',
    [post('A', 'disable'), post('B', 'disable', { after: isCompleted })],
    { faults: { 'stale list': 1 }, times: [START + 1000], lasts: 15 * MINUTE_MS },
  ),
];

/** A notification meets a table, or a list, that fails. */
const failing = (): Scenario[] => [
  scenario(
    'a notification meets a table that takes nothing',
    [post('A', 'disable'), notification('N', { after: isCompleted })],
    {
      ...{ faults: { 'refused write': 4 } },
      ...SHORT,
    },
  ),
  ...withOneOf(
    [
      'failed list',
      'refused list',
      'refused',
      'limited',
      'conflict',
      'not sent',
      'failed after',
      'repeated',
      'stale list',
    ],
    'a drift check of a connection and a grant',
    [
      post('A', 'disable', { machines: true, ...again }),
      grantByHand('cgr_1', isCompleted),
      enableByHand('con_1', isCompleted),
      notification('N', quietly()),
    ],
    { grants: ['cgr_1'], ...SHORT },
  ),
];

export const drifts = (): Scenario[] => [
  ...comeAndGo(),
  ...notified(),
  ...failing(),
  ...connectionsDrift(),
  ...moreDrift(),
  ...grantsDrift(),
];
