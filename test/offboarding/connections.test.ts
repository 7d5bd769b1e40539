// What is done to one connection and what it is afterwards, on plain objects.
import { describe, expect, test } from 'vitest';
import type { CallResult } from '../../lib/offboarding/connections.ts';
import { finished, goalOf, levelFor, plannedConnections, settled } from '../../lib/offboarding/connections.ts';
import type { ConnectionRecord, Offboarding } from '../../lib/offboarding/offboarding.ts';
import * as transitions from '../../lib/offboarding/transitions.ts';
import { A, ago, B, completed, connection, heldOne, listed, record, scheduled } from './records.ts';

const NONE = new Set<string>();
const working = (connections: ConnectionRecord[], more: Partial<Offboarding> = {}) =>
  record('a', { status: 'working', connections, ...more });
const removing = (connections: ConnectionRecord[]) => scheduled('a', { status: 'removing', connections });
const cancelling = (connections: ConnectionRecord[]) => record('a', { status: 'cancelling', connections });
const ERROR = { code: 'forbidden_by_auth0', message: 'no' };

test('what may be done depends on the status: enabled is only what is cancelled', () => {
  expect(goalOf(cancelling([]))).toBe('enabled');
  expect(goalOf({ ...cancelling([]), action: 'remove' })).toBe('enabled');
  expect(goalOf(removing([]))).toBe('removed');
  expect(goalOf(working([], { action: 'remove' }))).toBe('removed');
  expect(goalOf(working([], { action: 'disable_then_remove' }))).toBe('disabled');
  expect(goalOf(working([]))).toBe('disabled');
});

describe("the customer's access level", () => {
  const level = (goal: 'disabled' | 'enabled' | 'removed', now: string, before?: string) =>
    levelFor(
      goal,
      connection(A, { before: before === undefined ? null : { organization_access_level: before } }),
      listed(A, true, { organization_access_level: now }),
    );
  test('that enables again is taken away with a disabling and given back with an enabling', () => {
    for (const own of ['limited', 'full']) {
      expect(level('disabled', own)).toBe('readonly');
      expect(level('enabled', 'readonly', own)).toBe(own);
      expect(level('enabled', own, own)).toBeUndefined();
      expect(level('removed', own, own)).toBeUndefined();
    }
    for (const own of ['readonly', 'none']) {
      expect(level('disabled', own)).toBeUndefined();
      expect(level('enabled', 'readonly', own)).toBeUndefined();
    }
    expect(level('removed', 'readonly', 'full')).toBeUndefined();
    expect(level('enabled', 'readonly')).toBeUndefined();
  });
});

describe('the plan', () => {
  test('is of all connections or of those that are named, each once, with its settings from before', () => {
    const settings = listed(A, true, { show_as_button: false });
    const all = plannedConnections(record('a'), [settings, listed(B, false)], []);
    expect(all).toEqual([
      connection(A, { before: { is_enabled: true, show_as_button: false } }),
      connection(B, { before: { is_enabled: false } }),
    ]);
    const named = plannedConnections(record('a', { connection_ids: [B, B, 'con_X'] }), [settings, listed(B)], []);
    expect(named).toEqual([connection(B), connection('con_X', { name: null, strategy: null, before: null })]);
    expect(plannedConnections(record('a'), [{ ...listed(A), connection: undefined }], [])).toMatchObject([
      { name: null, strategy: null },
    ]);
  });
  test('of a dry run says what would be done, whatever its action', () => {
    const dry = (action: Offboarding['action'], ...found: Parameters<typeof listed>[1][]) =>
      plannedConnections(
        record('a', { action, dry_run: true, connection_ids: [A] }),
        found.map((is) => ({ ...listed(A), is_enabled: is })),
        [],
      ).map(({ outcome }) => outcome);
    expect(dry('disable', true)).toEqual(['disabled']);
    expect(dry('disable', undefined)).toEqual(['disabled']);
    expect(dry('disable', false)).toEqual(['unchanged']);
    expect(dry('disable')).toEqual(['unchanged']);
    expect(dry('disable_then_remove', true)).toEqual(['disabled']);
    expect(dry('remove', false)).toEqual(['removed']);
    expect(dry('remove')).toEqual(['unchanged']);
  });
  test('knows what another one that is watched had ended', () => {
    const ended = (other: Offboarding) => plannedConnections(record('a'), [listed(A)], [other])[0]?.ended_earlier;
    expect(ended(completed('b'))).toBe(true);
    expect(ended(completed('b', { watch: 'ended' }))).toBeUndefined();
    expect(ended(completed('b', { connections: [connection(A, { outcome: 'unchanged' })] }))).toBeUndefined();
    expect(ended(completed('b', { connections: [heldOne(B)] }))).toBeUndefined();
    for (const how of [
      { outcome: 'disabled' },
      { outcome: 'removed' },
      { ended_earlier: true },
      { disabled_by_offboarding: true },
    ] as const)
      expect(ended(completed('b', { connections: [connection(A, how)] })), JSON.stringify(how)).toBe(true);
  });
});

/** What a connection becomes without a call; undefined where one is made. */
const known = (one: Offboarding, ...list: ReturnType<typeof listed>[]) => {
  const { known: settledOne, step } = settled(one, list, NONE);
  const [first] = settledOne.connections;
  return step ? undefined : { outcome: first?.outcome, held: first?.disabled_by_offboarding, error: first?.error };
};
const callOf = ({ step }: ReturnType<typeof settled>) => (step && step.do === 'call' ? step : undefined);
const off = (more: object = {}) => listed(A, false, more);
const unsaid = { ...listed(A), is_enabled: undefined };

describe('without a call', () => {
  test('a disabling leaves what is disabled or gone; what it had asked for itself is its own', () => {
    expect(known(working([connection(A)]), off())).toEqual({ outcome: 'unchanged', held: false, error: null });
    expect(known(working([connection(A, { attempted: true, disabled_by_offboarding: true })]), off())).toEqual({
      outcome: 'disabled',
      held: true,
      error: null,
    });
    expect(known(working([heldOne(A, { outcome: null, attempted: true })]))).toEqual({
      outcome: 'unchanged',
      held: false,
      error: null,
    });
    expect(known(working([connection(A)]), listed(A))).toBeUndefined();
    expect(known(working([connection(A)]), unsaid)).toBeUndefined();
  });
  test('a removal at once removes what is there, and what it had removed and nobody knew is removed', () => {
    const remove = (one: ConnectionRecord) => working([one], { action: 'remove' });
    expect(known(remove(connection(A)), off())).toBeUndefined();
    expect(known(remove(connection(A)), listed(A))).toBeUndefined();
    expect(known(remove(connection(A, { attempted: true })))).toMatchObject({ outcome: 'removed' });
    expect(known(remove(connection(A)))).toMatchObject({ outcome: 'unchanged' });
  });
  test('a due removal spares what somebody enabled meanwhile, also once, what is new, and what Auth0 does not say', () => {
    const spared = {
      outcome: 'unchanged',
      error: { code: 'enabled_meanwhile', message: expect.stringContaining('left alone') },
    };
    expect(known(removing([heldOne(A, { outcome: null })]), listed(A))).toMatchObject(spared);
    expect(known(removing([heldOne(A, { outcome: null })]), unsaid)).toMatchObject(spared);
    expect(known(removing([heldOne(A, { outcome: null, reenabled_at: [ago(1)] })]), off())).toMatchObject(spared);
    expect(known(removing([heldOne(A, { outcome: null, added: true })]), off())).toMatchObject({
      outcome: 'unchanged',
      error: null,
    });
    expect(known(removing([heldOne(A, { outcome: null })]), off())).toBeUndefined();
    expect(known(removing([heldOne(A, { outcome: null })]))).toMatchObject({ outcome: 'unchanged', held: false });
    expect(
      known(working([connection(A, { reenabled_at: [ago(1)], added: true })], { action: 'remove' }), off()),
    ).toBeUndefined();
  });
  test('a cancelling enables what it holds and is disabled for certain, nothing else', () => {
    const held = (more: object = {}) => cancelling([heldOne(A, { outcome: null, ...more })]);
    expect(known(held(), off())).toBeUndefined();
    expect(known(held(), unsaid)).toEqual({ outcome: 'unchanged', held: false, error: null });
    expect(known(held({ attempted: true }), listed(A))).toEqual({ outcome: 'enabled', held: false, error: null });
    expect(known(held({ attempted: true }))).toEqual({ outcome: 'unchanged', held: false, error: null });
    expect(known(cancelling([connection(A)]), off())).toEqual({ outcome: 'unchanged', held: false, error: null });
  });
  test('what is known stays known', () => {
    expect(known(working([connection(A, { outcome: 'failed', error: ERROR })]), listed(A))).toEqual({
      outcome: 'failed',
      held: false,
      error: ERROR,
    });
  });
});

describe('a call', () => {
  const both = () => settled(working([connection(A), connection(B)]), [listed(A), listed(B)], NONE);
  test('is made of one after the other; what Auth0 failed for is left for later', () => {
    expect(both().step).toMatchObject({ do: 'call', goal: 'disabled', connection: { connection_id: A } });
    const one = working([connection(A), connection(B)]);
    const next = settled(one, [listed(A), listed(B)], new Set([A])).step;
    expect(next).toMatchObject({ do: 'call', connection: { connection_id: B } });
    expect(settled(one, [listed(A), listed(B)], new Set([A, B])).step).toMatchObject({ do: 'postpone' });
    expect(settled(one, [], NONE).step).toBe(false);
  });
  test('is on record before it is made, as asked for and held', () => {
    expect(callOf(both())?.record.connections).toEqual([
      connection(A, { attempted: true, disabled_by_offboarding: true }),
      connection(B),
    ]);
    const removes = callOf(settled(working([connection(A)], { action: 'remove' }), [listed(A)], NONE));
    expect(removes?.record.connections).toEqual([connection(A, { attempted: true })]);
    const unknown = callOf(settled(working([connection(A)]), [unsaid], NONE));
    expect(unknown?.record.connections, 'nobody says that it was enabled: it is not ours to enable').toEqual([
      connection(A, { attempted: true }),
    ]);
    const full = listed(A, true, { organization_access_level: 'full' });
    expect(callOf(settled(working([connection(A)]), [full], NONE))?.level).toBe('readonly');
  });
  const after = (one: Offboarding, current: ReturnType<typeof listed>, result: CallResult) =>
    callOf(settled(one, [current], NONE))?.after(result).connections[0];
  const fresh = working([connection(A)]);
  test('that is confirmed makes it held; a definite refusal leaves it as it was, and so does an outage', () => {
    const disabled = connection(A, { outcome: 'disabled', disabled_by_offboarding: true });
    expect(after(fresh, listed(A), { is: 'done' })).toEqual(disabled);
    expect(after(fresh, listed(A), { is: 'gone' })).toEqual(connection(A, { outcome: 'unchanged' }));
    expect(after(fresh, listed(A), { is: 'rejected', error: ERROR })).toEqual(
      connection(A, { outcome: 'failed', error: ERROR }),
    );
    expect(after(fresh, listed(A), { is: 'transient', mayBeDone: false })).toEqual(connection(A));
    expect(after(fresh, listed(A), { is: 'transient', mayBeDone: true })).toEqual(
      connection(A, { attempted: true, disabled_by_offboarding: true }),
    );
    expect(after(fresh, unsaid, { is: 'done' }), 'it may have been disabled before').toEqual(
      connection(A, { outcome: 'disabled' }),
    );
    const asked = working([connection(A, { attempted: true, disabled_by_offboarding: true })]);
    expect(
      after(asked, listed(A), { is: 'rejected', error: ERROR }),
      'enabled: what was asked before was not carried out',
    ).toMatchObject({ attempted: false, disabled_by_offboarding: false });
  });
  test('that removes or enables ends what is held', () => {
    const due = removing([heldOne(A, { outcome: null })]);
    for (const is of ['done', 'gone'] as const)
      expect(after(due, off(), { is })).toEqual(connection(A, { outcome: 'removed' }));
    expect(after(due, off(), { is: 'rejected', error: ERROR })).toMatchObject({
      outcome: 'failed',
      disabled_by_offboarding: true,
    });
    const back = cancelling([heldOne(A, { outcome: null })]);
    expect(after(back, off(), { is: 'done' })).toEqual(connection(A, { outcome: 'enabled' }));
    expect(after(back, off(), { is: 'gone' })).toEqual(connection(A, { outcome: 'unchanged' }));
    expect(after(back, off(), { is: 'rejected', error: ERROR })).toMatchObject({
      outcome: 'failed',
      disabled_by_offboarding: true,
    });
  });
});

describe('the end', () => {
  test('is scheduled where something is disabled that is to be removed, else completed or failed', () => {
    const done = (more: Partial<Offboarding>, ...outcomes: ConnectionRecord['outcome'][]) =>
      finished(
        working(
          outcomes.map((outcome) => connection(A, { outcome })),
          { action: 'disable_then_remove', removal_due_at: ago(-9), ...more },
        ),
      ).status;
    expect(done({}, 'disabled')).toBe('scheduled');
    expect(done({}, 'disabled', 'failed')).toBe('scheduled');
    expect(done({}, 'failed')).toBe('failed');
    expect(done({ dry_run: true }, 'disabled')).toBe('completed');
    expect(done({ removal_due_at: undefined }, 'disabled')).toBe('completed');
    expect(done({ status: 'removing' }, 'removed')).toBe('completed');
    expect(done({ status: 'cancelling' }, 'enabled')).toBe('cancelled');
    expect(done({ status: 'cancelling' }, 'failed')).toBe('failed');
  });
  test('is watched while what was disabled or removed is not undone, and is told', () => {
    const end = (one: Offboarding, how: 'completed' | 'cancelled' | 'scheduled' = 'completed', error?: typeof ERROR) =>
      transitions.finish(one, how, error);
    expect(end(working([heldOne(A)]))).toMatchObject({
      status: 'completed',
      watch: 'on',
      unpublished: 'status',
      error: undefined,
    });
    expect(end(working([]))).toMatchObject({ watch: 'on' });
    expect(end(working([heldOne(A)], { dry_run: true })).watch).toBeUndefined();
    expect(end(cancelling([heldOne(A)]), 'cancelled').watch).toBeUndefined();
    expect(end(working([connection(A, { outcome: 'failed' })]))).toMatchObject({ status: 'failed', watch: undefined });
    expect(end(working([connection(A, { outcome: 'failed' }), heldOne(B)]))).toMatchObject({
      status: 'failed',
      watch: 'on',
    });
    expect(end(working([connection(A, { outcome: 'failed' }), heldOne(B)]), 'scheduled').status).toBe('scheduled');
    const failed = end(working([connection(A), heldOne(B)]), 'scheduled', ERROR);
    expect(failed).toMatchObject({
      status: 'failed',
      error: ERROR,
      connections: [
        { outcome: 'failed', error: ERROR },
        { outcome: 'disabled', error: null },
      ],
    });
    expect(transitions.fail(cancelling([heldOne(A)]), ERROR)).toMatchObject({ status: 'failed', watch: undefined });
    expect(transitions.fail(working([heldOne(A)]), ERROR)).toMatchObject({ status: 'failed', watch: 'on' });
  });
});

describe('a transition', () => {
  test('to working sets the date of what is removed later, where a connection is there at all', () => {
    const begun = (action: Offboarding['action'], ...connections: ConnectionRecord[]) =>
      transitions.begin(record('a', { action, grace_period: 'P1D' }), connections);
    const gone = connection(B, { before: null });
    expect(begun('disable_then_remove', connection(A), gone)).toMatchObject({
      connections: [{ connection_id: A }, { connection_id: B }],
      removal_due_at: expect.stringMatching(/Z$/),
    });
    expect(begun('disable_then_remove', gone).removal_due_at).toBeUndefined();
    expect(begun('remove', connection(A)).removal_due_at).toBeUndefined();
    expect(begun('disable_then_remove').removal_due_at).toBeUndefined();
  });
  test('to removing begins each connection anew, but not what could not be disabled', () => {
    const failed = connection(B, { outcome: 'failed', error: ERROR });
    expect(
      transitions.removing(scheduled('a', { connections: [heldOne(A, { attempted: true, error: ERROR }), failed] }))
        .connections,
    ).toEqual([heldOne(A, { outcome: null }), failed]);
  });
  test('to cancelling forgets how it had ended, and says who asked', () => {
    const act = { at: ago(1), caller: 'support', requested_by: 'x', reason: 'renewed' };
    const ended = record('a', {
      status: 'failed',
      error: ERROR,
      ended_at: ago(2),
      expires_at: 1,
      watch: 'on',
      connections: [heldOne(A, { error: ERROR, attempted: true })],
    });
    const after = transitions.cancelling(ended, { ...act, ids: [] } as never);
    expect(after).toMatchObject({ status: 'cancelling', connections: [heldOne(A, { outcome: null })] });
    expect(after.cancelled).toEqual(act);
    expect([after.error, after.ended_at, after.expires_at, after.watch]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
  test('that ends a watch says who asked', () => {
    const act = { at: ago(1), caller: 'support', requested_by: 'x', reason: 'renewed' };
    expect(transitions.withoutWatch(completed('a'), act).watch_ended).toEqual(act);
    const { at, caller } = act;
    expect(transitions.withoutWatch(completed('a'), { at, caller }).watch_ended).toEqual({
      ...{ at, caller, requested_by: null, reason: null },
    });
  });
  test('of one that another takes over has its names and settings, also of what that one did not know', () => {
    const later = scheduled('b', { connections: [connection(B, { outcome: 'disabled' })] });
    expect(
      transitions.withHeld(later, [heldOne(A, { before: { x: 1 }, attempted: true }), heldOne(B, { name: 'old' })])
        .connections,
    ).toEqual([
      connection(B, { outcome: 'disabled', name: 'old', disabled_by_offboarding: true }),
      { ...heldOne(A, { before: { x: 1 } }), outcome: 'unchanged' },
    ]);
  });
  test('an error is shown with its attempts and the next, and is over in the next status', () => {
    const after = transitions.waiting(record('a', { attempts: 2 }), { ...ERROR, more: 1 } as never, new Date(ago(-1)));
    expect(after).toMatchObject({ attempts: 3, next_try_at: ago(-1) });
    expect(after.last_error).toEqual(ERROR);
    expect(transitions.begin(after, [])).toMatchObject({ attempts: 0, last_error: undefined, next_try_at: undefined });
  });
});
