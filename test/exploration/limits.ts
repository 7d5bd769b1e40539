import { batch, cancel, cancelBatch, event, hasStatus, post } from './actions.ts';
import { LIMITED, ONE, type Scenario, scenario, TWO, withOneOf } from './scenarios.ts';
import { MINUTE_MS, ORG, type World } from './world.ts';

// Worlds in which something comes to its end: the room of an item, the age of a request, the time of a visit, a key.

const SHORT = { lasts: 15 * MINUTE_MS };
const OTHER = [{ id: 'con_3', isEnabled: true, level: 'none' }];
const isQuiet = ({ processes }: World) => processes.length === 0;
const quietly = { after: isQuiet };

const twenty = () => Array.from({ length: 20 }, (_, index) => post(`A${index}`, 'disable', quietly));
const LARGE = [{ id: 'con_1', isEnabled: true, level: 'none', more: { text: 'x'.repeat(5000), small: 1 } }];

const room = (): Scenario[] => [
  scenario(
    'an organization takes no more, and is cancelled',
    [...twenty(), post('B', 'disable', quietly), cancel('C', quietly)],
    {
      isPatient: true,
      ...SHORT,
    },
  ),
  scenario(
    'a batch meets an organization that takes no more',
    [...twenty(), batch('X', 'disable', quietly), cancel('C', quietly)],
    {
      ...{ other: OTHER, isPatient: true, mayFail: true },
      ...SHORT,
    },
  ),
  scenario('the settings of a connection are large', [post('A', 'disable_then_remove')], {
    connections: LARGE,
    ...SHORT,
  }),
];

/** Auth0 is away for longer than the stage tries for, or limits for as long. */
const ages = (): Scenario[] => [
  ...['disable', 'remove', 'disable_then_remove'].map((action) =>
    scenario(`an outage outlives a ${action}`, [post('A', action)], {
      ...{ faults: { 'not sent': 9 }, stage: { giveUpAfter: 'PT2M' }, mayFail: true },
      ...SHORT,
    }),
  ),
  scenario(
    'an outage outlives a cancellation',
    [post('A', 'disable_then_remove'), cancel('C', { after: hasStatus('A', 'scheduled') })],
    {
      ...{ faults: { 'not sent': 9 }, stage: { giveUpAfter: 'PT2M' }, mayFail: true },
      ...SHORT,
    },
  ),
  scenario('the rate limit outlives a disable', [post('A', 'disable')], {
    ...{ faults: { limited: 5 }, stage: { giveUpAfter: 'PT2M' } },
    ...SHORT,
  }),
  scenario('the sessions of two members are never ended', [post('A', 'disable', { sessions: true })], {
    ...{ members: ['ann', 'stubborn bob', 'stubborn carl'], stage: { giveUpAfter: 'PT10M' }, mayFail: true },
    lasts: 60 * MINUTE_MS,
  }),
  scenario(
    'an event is put again after long',
    [event('A', 'disable', { early: 8 * 24 * 60 * MINUTE_MS, kind: 'replay' })],
    SHORT,
  ),
  scenario(
    'one of two connections each is removed later',
    [
      post('A', 'disable_then_remove', { ids: ['con_1'] }),
      post('B', 'disable_then_remove', { ids: ['con_2'], after: hasStatus('A', 'scheduled') }),
    ],
    { connections: TWO, lasts: 80 * MINUTE_MS },
  ),
  scenario('the notice is short', [post('A', 'disable_then_remove')], { stage: { removalNotice: 'PT10M' } }),
  scenario('a grace period is asked for', [post('A', 'disable_then_remove', { grace: 'PT2H' })], {
    lasts: 200 * MINUTE_MS,
  }),
];

/** Visits with little time, and visits that try again. */
const visits = (): Scenario[] => [
  ...['disable', 'remove'].map((action) =>
    scenario(`a ${action} takes longer than a visit`, [post('A', action)], {
      ...{ connections: TWO, faults: { slow: 2 }, visitMs: 10_000 },
      ...SHORT,
    }),
  ),
  ...withOneOf(
    ['not sent', 'late write', 'limited', 'failed list', 'bus away'],
    'a visit tries again',
    [post('A', 'disable')],
    {
      ...{ connections: LIMITED, retries: 1 },
      ...SHORT,
    },
  ),
];

const sessions = (): Scenario[] => [
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
    'sessions',
    [post('A', 'disable', { sessions: true })],
    { members: ['ann', 'elsewhere dora', 'bob'], mayFail: true, lasts: 60 * MINUTE_MS },
  ),
  scenario('a dry run of ending sessions', [post('A', 'disable', { sessions: true, dry_run: true })], {
    members: ['ann'],
    ...SHORT,
  }),
];

const dryRuns = (): Scenario[] => [
  scenario('a dry run of a removal', [post('A', 'remove', { dry_run: true })], {
    connections: [...ONE, { id: 'con_2', isEnabled: false, level: 'limited' }],
    ...SHORT,
  }),
  scenario('a dry run of machine access', [post('A', 'disable', { dry_run: true, machines: true })], {
    grants: ['cgr_1'],
    ...SHORT,
  }),
  scenario('a dry run of a batch', [batch('X', 'disable', { dry_run: true, organizations: [ORG] })], SHORT),
  scenario(
    'a dry run after an offboarding',
    [post('A', 'disable_then_remove'), post('B', 'disable', { dry_run: true, ...quietly })],
    SHORT,
  ),
];

const batches = (): Scenario[] => [
  ...withOneOf(
    ['failed read', 'refused write'],
    'a batch and DELETE of its organization',
    [batch('X', 'disable', { organizations: [ORG] }), cancel()],
    SHORT,
  ),
  ...withOneOf(
    ['failed read', 'refused write'],
    'a batch is cancelled twice',
    [
      batch('X', 'disable_then_remove', { organizations: [ORG] }),
      cancelBatch('X', quietly),
      cancelBatch('X', { as: 'again', ...quietly }),
    ],
    SHORT,
  ),
  scenario('a batch that removes is cancelled', [batch('X', 'remove', { organizations: [ORG] }), cancelBatch('X')], {
    connections: TWO,
    ...SHORT,
  }),
  scenario('a batch that nobody knows is cancelled', [cancelBatch('X')], SHORT),
];

const events = (): Scenario[] => [
  scenario(
    'an event of the service itself',
    [post('A', 'disable'), event('A', 'disable', { kind: 'own', ...quietly })],
    SHORT,
  ),
  scenario('an event that says that it is the service itself', [event('A', 'disable', { kind: 'own' })], SHORT),
  scenario(
    'an event with a key is put twice',
    [
      event('A', 'disable', { idempotency_key: 'k', body: '1' }),
      event('A', 'disable', { idempotency_key: 'k', body: '1' }),
    ],
    SHORT,
  ),
];

export const limits = (): Scenario[] => [
  ...[...room(), ...ages(), ...visits(), ...sessions(), ...dryRuns(), ...batches(), ...events()],
];
