import { batch, cancel, cancelBatch, hasStatus, post } from './actions.ts';
import { batchExpires } from './hands.ts';
import { type Scenario, scenario, TWO, withOneOf } from './scenarios.ts';
import { MINUTE_MS, ORG, type World } from './world.ts';

// Worlds of batches: members that never count, that are taken over, or that find no room.

const SHORT = { lasts: 15 * MINUTE_MS };
const OTHER = [{ id: 'con_3', isEnabled: true, level: 'none' }];
const isQuiet = ({ processes }: World) => processes.length === 0;
const isLeftOpen = ({ processes, batches }: World) => processes.length === 0 && batches.X?.status === 'open';
const isOpen = ({ batches, items }: World) => batches.X?.status === 'open' && items[ORG] !== undefined;
const quietly = { after: isQuiet };
const HERE = { organizations: [ORG] };

const twenty = () => Array.from({ length: 20 }, (_, index) => post(`A${index}`, 'disable', quietly));

const refused = (): Scenario[] => [
  scenario(
    'a batch meets an organization that takes no more',
    [...twenty(), batch('X', 'disable', quietly), cancel('C', quietly)],
    {
      ...{ other: OTHER, isPatient: true, mayFail: true },
      ...SHORT,
    },
  ),
  scenario(
    'a batch is cancelled that met an organization that takes no more',
    [...twenty(), batch('X', 'disable', quietly), cancelBatch('X', quietly)],
    { other: OTHER, isPatient: true, mayFail: true, ...SHORT },
  ),
];

const lost = (): Scenario[] => [
  scenario(
    'a batch is given up beside another offboarding',
    [post('A', 'disable_then_remove'), batch('X', 'disable', { ...HERE, ...quietly })],
    { isPatient: true, faults: { crash: 1, 'failed list': 1 }, ...SHORT },
  ),
  scenario(
    'an error meets an offboarding beside a batch that is left open',
    [batch('X', 'disable', HERE), post('A', 'disable', { after: isLeftOpen })],
    { faults: { crash: 1, 'failed list': 1 }, ...SHORT },
  ),
  scenario(
    'DELETE comes while a batch is open',
    [batch('X', 'disable', HERE), cancel('C', { after: isOpen }), cancel('D', quietly)],
    SHORT,
  ),
  scenario('a batch is gone before its member counts', [batch('X', 'disable', HERE), batchExpires('X', isLeftOpen)], {
    faults: { crash: 1 },
    ...SHORT,
  }),
  scenario(
    'a batch is gone before its member counts, and DELETE comes',
    [batch('X', 'disable', HERE), batchExpires('X', isLeftOpen), cancel('C', quietly)],
    { faults: { crash: 1 }, ...SHORT },
  ),
  scenario('the table takes nothing of a batch for a while', [batch('X', 'disable', HERE)], {
    ...{ faults: { 'refused write': 7 } },
    ...SHORT,
  }),
  scenario(
    'a batch that nobody knows the end of is made again',
    [
      batch('X', 'disable', { key: true, ...HERE }),
      batch('X', 'disable', { key: true, as: 'again', ...HERE, ...quietly }),
    ],
    { faults: { 'lost answer': 2, 'failed read': 2 }, ...SHORT },
  ),
  scenario(
    'a key of a batch comes with another body',
    [
      batch('X', 'disable', { key: true, ...HERE }),
      batch('X', 'disable', { key: true, as: 'again', body: 'other', ...HERE, ...quietly }),
    ],
    SHORT,
  ),
];

const over = (): Scenario[] => [
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
  scenario(
    'a batch is cancelled whose member was taken over and ends sessions',
    [
      batch('X', 'disable_then_remove', { sessions: true, ...HERE }),
      post('B', 'disable_then_remove', {
        after: (world) => isQuiet(world) && hasStatus('X org_A', 'scheduled')(world),
      }),
      cancelBatch('X', { after: (world) => isQuiet(world) && hasStatus('X org_A', 'superseded')(world) }),
    ],
    { members: ['ann'], lasts: 5 * MINUTE_MS },
  ),
  scenario(
    'a batch is cancelled whose member was taken over',
    [
      batch('X', 'disable_then_remove', HERE),
      post('B', 'disable_then_remove', { after: hasStatus('X org_A', 'scheduled') }),
      cancelBatch('X', { after: hasStatus('X org_A', 'superseded') }),
    ],
    { lasts: 5 * MINUTE_MS },
  ),
  scenario(
    'a dry run of a batch is cancelled',
    [batch('X', 'disable', { dry_run: true, ...HERE }), cancelBatch('X')],
    SHORT,
  ),
];

export const batches = (): Scenario[] => [...refused(), ...lost(), ...over()];
