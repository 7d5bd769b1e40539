import { batch, cancel, event, hasStatus, post } from './actions.ts';
import { LIMITED, ONE, type Scenario, scenario, TWO, withOneOf } from './scenarios.ts';
import { MINUTE_MS, ORG, type World } from './world.ts';

// Worlds in which something comes to its end: the room of an item, the age of a request, the time of a visit, a key.

const SHORT = { lasts: 15 * MINUTE_MS };
const isQuiet = ({ processes }: World) => processes.length === 0;
const quietly = { after: isQuiet };

const twenty = () => Array.from({ length: 20 }, (_, index) => post(`A${index}`, 'disable', quietly));
/** Nothing is left to be done for now. */
const atRest = { after: ({ processes, queue }: World) => processes.length === 0 && queue.length === 0 };
/** Their names alone are more than what is kept. */
const manyGrants = () => Array.from({ length: 20 }, (_, index) => `cgr_${index}${'x'.repeat(500)}`);
/** One that Auth0 refuses to disable. */
const STUBBORN = [...ONE, { id: 'con_stubborn', isEnabled: true, level: 'none' }];
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
    'twelve offboardings are watched, the first ones of named connections',
    [
      ...Array.from({ length: 12 }, (_, index) =>
        post(`A${index}`, 'disable', { ...(index < 2 && { ids: [`con_${index + 1}`] }), ...atRest }),
      ),
    ],
    { connections: TWO, isPatient: false, ...SHORT },
  ),
  scenario(
    'eleven offboardings of one named connection are watched',
    Array.from({ length: 11 }, (_, index) => post(`A${index}`, 'disable', { ids: ['con_1'], ...atRest })),
    SHORT,
  ),
  scenario(
    'eleven offboardings fail for a connection that Auth0 does not disable',
    Array.from({ length: 11 }, (_, index) => post(`A${index}`, 'disable', atRest)),
    { connections: STUBBORN, mayFail: true, ...SHORT },
  ),
  scenario('an organization takes no more, and an event comes', [...twenty(), event('B', 'disable', quietly)], {
    isPatient: true,
    mayFail: true,
    ...SHORT,
  }),
  scenario('the client grants of an organization are large', [post('A', 'disable_then_remove', { machines: true })], {
    ...{ connections: [], grants: manyGrants(), lasts: MINUTE_MS },
  }),
  scenario('the client grants that remain are large', [post('A', 'disable')], {
    ...{ grants: manyGrants(), lasts: MINUTE_MS },
  }),
  scenario('the settings of a connection have letters of all kinds', [post('A', 'disable')], {
    connections: [
      {
        id: 'con_1',
        isEnabled: true,
        level: 'none',
        more: { text: 'é'.repeat(1100), small: 'é'.repeat(45), ascii: 'x'.repeat(198) },
      },
    ],
    ...SHORT,
  }),
  scenario('customers may do all with a connection', [post('A', 'disable_then_remove'), cancel('C', atRest)], {
    ...{ connections: [{ id: 'con_1', isEnabled: true, level: 'full' }], lasts: MINUTE_MS },
  }),
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

/** The table, the bus or the queue is away for longer than one attempt. */
const outages = (): Scenario[] => [
  ...withOneOf(
    ['not sent', 'limited', 'late write', 'repeated', 'crash'],
    'two offboardings are cancelled while one is being disabled',
    [post('A', 'disable', { ids: ['con_1'] }), post('B', 'disable_then_remove', quietly), cancel('C', quietly)],
    { connections: TWO, isPatient: true, ...SHORT },
  ),
  ...withOneOf(['refused list'], 'the list of client grants is refused', [post('A', 'disable', { machines: true })], {
    grants: ['cgr_1'],
    ...SHORT,
  }),
  scenario(
    'two offboardings of a connection that Auth0 does not disable',
    [post('A', 'disable_then_remove'), post('B', 'disable', atRest), cancel('C', atRest)],
    { connections: STUBBORN, mayFail: true, ...SHORT },
  ),
  scenario(
    'two removals are due, and a change fails',
    [
      post('A', 'disable_then_remove', { ids: ['con_1'] }),
      post('B', 'disable_then_remove', { ids: ['con_2'], ...quietly }),
    ],
    { connections: TWO, isPatient: true, faults: { 'not sent': 1 }, lasts: 80 * MINUTE_MS },
  ),
  scenario('the table takes nothing for a while', [post('A', 'disable')], {
    ...{ faults: { 'refused write': 5 }, lasts: 40 * MINUTE_MS },
  }),
  scenario('the table does not answer for a while', [post('A', 'disable', { key: true })], {
    ...{ faults: { 'failed read': 4, 'lost answer': 1 }, lasts: 40 * MINUTE_MS },
  }),
  scenario('others write the item again and again', [post('A', 'disable')], {
    ...{ faults: { overtaken: 33 }, ...SHORT },
  }),
  scenario('the bus is away until the notice of a removal is due', [post('A', 'disable_then_remove')], {
    ...{ stage: { defaultGracePeriod: 'PT2M', minimumGracePeriod: 'PT2M' }, faults: { 'bus away': 3 } },
    ...SHORT,
  }),
  scenario('Auth0 refuses to enable what it may still disable', [post('A', 'disable'), cancel('C', quietly)], {
    faults: { 'failed after': 1, refused: 1 },
    ...SHORT,
  }),
  scenario('the grant of a removal is refused', [post('A', 'remove', { machines: true })], {
    ...{ connections: [], grants: ['cgr_1'], faults: { refused: 1 } },
    ...SHORT,
  }),
  scenario('the bus is away for a while', [post('A', 'disable')], { faults: { 'bus away': 4 }, ...SHORT }),
  scenario('the list of client grants fails for a while', [post('A', 'disable', { machines: true })], {
    ...{ grants: ['cgr_1'], faults: { 'failed list': 3 } },
    ...SHORT,
  }),
];

const events = (): Scenario[] => [
  scenario(
    'an event whose removal is due already',
    [event('A', 'disable_then_remove', { early: 2 * 3_600_000 })],
    SHORT,
  ),
  ...withOneOf(
    ['failed read', 'refused write', 'lost answer', 'rejected item'],
    'an event with a key',
    [event('A', 'disable', { idempotency_key: 'k' })],
    SHORT,
  ),
  scenario(
    'an event with a key comes with another body',
    [
      event('A', 'disable', { idempotency_key: 'k', body: '1' }),
      event('A', 'remove', { idempotency_key: 'k', body: '2', ...quietly }),
    ],
    SHORT,
  ),
  scenario(
    'an event of the service itself',
    [post('A', 'disable'), event('A', 'disable', { kind: 'own', ...quietly })],
    SHORT,
  ),
  scenario(
    'an event of the service itself is about what is over',
    [
      post('A', 'disable_then_remove'),
      cancel('C', atRest),
      event('A', 'disable_then_remove', { kind: 'own', ...atRest }),
    ],
    { lasts: MINUTE_MS },
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
  ...[...room(), ...ages(), ...visits(), ...dryRuns(), ...outages(), ...events()],
];
