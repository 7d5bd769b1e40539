import { cancel, cancelByEvent, hasStatus, post } from './actions.ts';
import { memberLeaves, switchSessionsOff } from './hands.ts';
import { type Scenario, scenario, withOneOf } from './scenarios.ts';
import { MINUTE_MS, type World } from './world.ts';

// Worlds in which the sessions of an organization's members are ended.

const HOUR = { lasts: 60 * MINUTE_MS };
const isQuiet = ({ processes }: World) => processes.length === 0;
/** A delivery of the end of sessions has ended, and another one is to come. */
const isBetween = ({ queue, processes, now }: World) =>
  processes.length === 0 && queue.some(({ kind, visibleAt }) => kind === 'sessions' && visibleAt > now);
const sessions = { sessions: true };

export const sessionWorlds = (): Scenario[] => [
  ...withOneOf(
    [
      'refused',
      'limited',
      'not sent',
      'refused list',
      'failed list',
      'failed read',
      'refused write',
      'overtaken',
      'crash',
    ],
    'sessions of one page',
    [post('A', 'disable', sessions)],
    { members: ['ann', 'elsewhere dora'], mayFail: true, lasts: 45 * MINUTE_MS },
  ),
  ...withOneOf(
    ['refused list', 'failed list', 'refused write'],
    'sessions of two pages',
    [post('A', 'disable', sessions)],
    {
      ...{ members: ['ann', 'elsewhere dora', 'bob'], mayFail: true },
      ...HOUR,
    },
  ),
  scenario('the sessions of two members are never ended', [post('A', 'disable', { sessions: true })], {
    ...{ members: ['ann', 'stubborn bob', 'stubborn carl'], stage: { giveUpAfter: 'PT10M' }, mayFail: true },
    lasts: 60 * MINUTE_MS,
  }),
  scenario('sessions, and the table takes nothing for a while', [post('A', 'disable', sessions)], {
    ...{ members: ['ann'], faults: { 'refused write': 3 }, isPatient: true },
    ...HOUR,
  }),
  scenario(
    'a member leaves between two deliveries',
    [post('A', 'disable', sessions), memberLeaves('stubborn bob', isBetween)],
    { members: ['ann', 'stubborn bob'], mayFail: true, ...HOUR },
  ),
  scenario(
    'the first member leaves between two deliveries',
    [post('A', 'disable', sessions), memberLeaves('ann', isBetween)],
    { members: ['ann', 'stubborn bob', 'carl'], mayFail: true, ...HOUR },
  ),
  scenario(
    'the message of the end of sessions is lost, and the stage switches sessions off',
    [
      post('A', 'disable', sessions),
      switchSessionsOff((world) => isQuiet(world) && hasStatus('A', 'completed')(world)),
    ],
    { members: ['ann'], faults: { 'lost message': 1 }, ...HOUR },
  ),
  scenario(
    'sessions of a failed offboarding',
    [post('A', 'disable', sessions), cancel('C', { after: hasStatus('A', 'failed') })],
    { members: ['ann'], faults: { refused: 1 }, ...HOUR },
  ),
  scenario(
    'sessions are stopped by a cancellation event',
    [
      post('A', 'disable', sessions),
      cancelByEvent('CE', { after: ({ now, queue }) => now > 0 && queue.some(({ kind }) => kind === 'sessions') }),
    ],
    { members: ['ann'], times: [], ...HOUR },
  ),
  scenario('a dry run of ending sessions', [post('A', 'disable', { sessions: true, dry_run: true })], {
    members: ['ann'],
    ...HOUR,
  }),
];
