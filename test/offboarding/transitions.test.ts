// What may follow what: the table of statuses, and each transition against it.
import { expect, test } from 'vitest';
import {
  type ConnectionRecord,
  type Offboarding,
  STATUSES,
  type Status,
  TRANSITIONS,
} from '../../lib/offboarding/offboarding.ts';
import * as transitions from '../../lib/offboarding/transitions.ts';

const ACT = { at: '2026-11-25T09:00:00.000Z', caller: 'somebody', requested_by: undefined, reason: 'back' };
const held: ConnectionRecord = {
  connection_id: 'con_1',
  name: null,
  strategy: null,
  before: { is_enabled: true },
  outcome: 'disabled',
  error: null,
  attempted: false,
  disabled_by_offboarding: true,
};
const recordIn = (status: Status): Offboarding => ({
  organization_id: 'org_1',
  offboarding_id: `id-${status}`,
  action: 'disable_then_remove',
  requested_by: 'x',
  reason: 'y',
  dry_run: false,
  on_reenable: 'report',
  end_sessions: false,
  request: { id: 'id', source: 'test', time: ACT.at },
  caller: 'test',
  asked_at: ACT.at,
  status,
  version: '1',
  created_at: ACT.at,
  updated_at: ACT.at,
  attempts: 3,
  last_error: { code: 'auth0_unavailable', message: 'down' },
  connections: [held],
});

/** The transition to each status. */
const TO: Record<Exclude<Status, 'requested'>, (record: Offboarding) => Offboarding> = {
  working: (record) => transitions.begin(record, [held]),
  scheduled: (record) => transitions.finish(record, 'scheduled'),
  removing: transitions.removing,
  cancelling: (record) => transitions.cancelling(record, ACT),
  completed: (record) => transitions.finish(record, 'completed'),
  failed: (record) => transitions.fail(record, { code: 'x', message: 'y' }),
  cancelled: (record) => transitions.finish(record, 'cancelled'),
  superseded: (record) => transitions.superseded(record, recordIn('scheduled')),
};

test('what may follow what: nothing is undone once it is being removed, and nothing begins again', () => {
  expect(TRANSITIONS).toEqual({
    requested: ['working', 'cancelling'],
    working: ['completed', 'failed', 'scheduled', 'cancelling', 'superseded'],
    scheduled: ['removing', 'cancelling', 'superseded'],
    removing: ['completed', 'failed'],
    cancelling: ['cancelled', 'failed'],
    completed: ['cancelling'],
    failed: ['cancelling'],
    cancelled: [],
    superseded: ['cancelling'],
  });
});

test.each(STATUSES)('what may follow %s, and nothing else', (from) => {
  for (const [to, transition] of Object.entries(TO)) {
    const isAllowed = (TRANSITIONS[from] as readonly string[]).includes(to);
    if (!isAllowed) expect(() => transition(recordIn(from)), `${from} → ${to}`).toThrow('can not become');
    // What was waited for belongs to the status before.
    else expect(transition(recordIn(from)), `${from} → ${to}`).toMatchObject({ status: to, attempts: 0 });
  }
});

test('each outcome that is told is one of a status that has one', () => {
  const told = STATUSES.flatMap((from) =>
    Object.entries(TO)
      .filter(([to]) => (TRANSITIONS[from] as readonly string[]).includes(to))
      .map(([, transition]) => transition(recordIn(from)))
      .filter(({ unpublished }) => unpublished === 'status')
      .map(({ status }) => status),
  );
  expect([...new Set(told)].sort()).toEqual(['cancelled', 'completed', 'failed', 'scheduled']);
});

test('what a failed one had disabled is held, and watched', () => {
  const failed = transitions.fail(recordIn('working'), { code: 'x', message: 'y' });
  expect(failed).toMatchObject({ status: 'failed', watch: 'on', connections: [{ disabled_by_offboarding: true }] });
  expect(transitions.cancelling(failed, ACT)).toMatchObject({ status: 'cancelling', watch: undefined });
});

test('who takes over has the settings from before the first', () => {
  const before = { is_enabled: false, show_as_button: true };
  const later = { ...recordIn('scheduled'), connections: [{ ...held, before, disabled_by_offboarding: false }] };
  const [connection] = transitions.withHeld(later, [held]).connections;
  expect(connection).toMatchObject({ before: { is_enabled: true }, disabled_by_offboarding: true });
});
