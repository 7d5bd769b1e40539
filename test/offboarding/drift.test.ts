// What a drift check makes of what Auth0 lists, on plain objects.
import { describe, expect, test } from 'vitest';
import type { CallResult } from '../../lib/offboarding/connections.ts';
import { driftOf, FIGHT } from '../../lib/offboarding/drift.ts';
import type { ConnectionRecord, Offboarding } from '../../lib/offboarding/offboarding.ts';
import { A, ago, B, completed, connection, heldOne, listed, NOW } from './records.ts';

const MOST = 50;
const ERROR = { code: 'forbidden_by_auth0', message: 'no' };
const again = (...connections: ConnectionRecord[]) => completed('a', { on_reenable: 'disable_again', connections });
const step = (watched: Offboarding | Offboarding[], ...list: ReturnType<typeof listed>[]) =>
  driftOf([watched].flat(), list, NOW) as
    | {
        do: string;
        record: Offboarding;
        after: (result: CallResult) => Offboarding;
        connection: ConnectionRecord;
        level?: string;
        goal?: string;
      }
    | undefined;
const first = (watched: Offboarding | Offboarding[], ...list: ReturnType<typeof listed>[]) =>
  step(watched, ...list)?.record.connections[0];
const settings = { is_enabled: true };

describe('somebody enables a connection again', () => {
  test('it is told once, with what it is now, and left alone where that is the order', () => {
    const drifted = { ...heldOne(A), drifted_at: ago(0), reenabled_at: [ago(0)] };
    const untold = { drift: 'reenabled', outcome: 'unchanged', error: null, now: settings } as const;
    expect(step(completed('a'), listed(A))).toEqual({
      do: 'write',
      record: completed('a', { connections: [{ ...drifted, untold }] }),
    });
    expect(step(completed('a', { connections: [drifted] as ConnectionRecord[] }), listed(A))).toBeUndefined();
    expect(step(completed('a'), listed(A, false))).toBeUndefined();
    expect(step(completed('a'), { ...listed(A), is_enabled: undefined })).toBeUndefined();
    expect(step(completed('a'))).toBeUndefined();
  });
  test('it is enabled no more: the next time is news again', () => {
    const drifted = heldOne(A, { drifted_at: ago(3), reenabled_at: [ago(3)] });
    expect(first(completed('a', { connections: [drifted] }), listed(A, false))).toEqual({
      ...drifted,
      drifted_at: undefined,
    });
    expect(step(again(drifted), listed(A))).toBeUndefined();
  });
  test('it is disabled again where that is the order: on record first, held as it was, told afterwards', () => {
    const made = step(again(heldOne(A)), listed(A, true, { organization_access_level: 'full' }));
    const attempt = { ...heldOne(A), drifted_at: ago(0), reenabled_at: [ago(0)], disabling_again: true };
    expect(made).toMatchObject({ do: 'call', goal: 'disabled', level: 'readonly', connection: attempt });
    expect(made?.record.connections).toEqual([attempt]);
    const after = (result: CallResult) => made?.after(result).connections[0];
    const now = { ...settings, organization_access_level: 'full' };
    const told = { ...attempt, disabling_again: undefined };
    const untold = { drift: 'reenabled', error: null, now };
    for (const is of ['done', 'gone'] as const)
      expect(after({ is })).toEqual({ ...told, drifted_at: undefined, untold: { ...untold, outcome: 'disabled' } });
    expect(after({ is: 'rejected', error: ERROR })).toEqual({
      ...told,
      untold: { ...untold, outcome: 'unchanged', error: ERROR },
    });
    expect(after({ is: 'transient', mayBeDone: true })).toEqual(attempt);
    expect(after({ is: 'transient', mayBeDone: false })).toEqual(heldOne(A));
  });
  test('three times within a day it is left as it is, and somebody is told of the fight; over weeks it is not', () => {
    const fought = (...times: number[]) => step(again(heldOne(A, { reenabled_at: times.map(ago) })), listed(A));
    const fight = fought(20, 10);
    expect(fight).toMatchObject({
      do: 'write',
      record: {
        connections: [{ untold: { outcome: 'unchanged', error: FIGHT }, reenabled_at: [ago(20), ago(10), ago(0)] }],
      },
    });
    expect(FIGHT).toMatchObject({ code: 'reenabled_repeatedly', message: expect.stringContaining('three times') });
    expect(fought(24, 10)).toMatchObject({ do: 'call', connection: { reenabled_at: [ago(10), ago(0)] } });
    expect(fought(200, 100, 50)).toMatchObject({ do: 'call', connection: { reenabled_at: [ago(0)] } });
    expect(first(again(heldOne(A, { reenabled_at: [9, 8, 7, 6].map(ago) })), listed(A))?.reenabled_at).toEqual([
      ago(7),
      ago(6),
      ago(0),
    ]);
  });
  test('cut off half-way: what is disabled by now was carried out, what is not goes on, and is counted once', () => {
    const half = heldOne(A, { drifted_at: ago(1), reenabled_at: [ago(1)], disabling_again: true });
    const now = null;
    expect(first(again(half), listed(A, false))).toEqual({
      ...half,
      drifted_at: undefined,
      disabling_again: undefined,
      untold: { drift: 'reenabled', outcome: 'disabled', error: null, now },
    });
    expect(step(again(half), listed(A))).toMatchObject({
      do: 'call',
      connection: { drifted_at: ago(1), reenabled_at: [ago(1)] },
    });
    const third = { ...half, reenabled_at: [ago(3), ago(2), ago(1)] };
    expect(step(again(third), listed(A)), 'the third is being disabled').toMatchObject({ do: 'call' });
  });
});

describe('of several offboardings', () => {
  test('the newest that ended the connection decides', () => {
    const both = [completed('b'), again(heldOne(A))];
    expect(step(both, listed(A))).toMatchObject({ do: 'write', record: { offboarding_id: 'b' } });
    const told = heldOne(A, { drifted_at: ago(1), reenabled_at: [ago(1)] });
    expect(step([completed('b', { connections: [told] }), again(heldOne(A))], listed(A))).toBeUndefined();
    const untouched = completed('b', { connections: [connection(A, { outcome: 'unchanged' })] });
    expect(step([untouched, completed('c')], listed(A))).toMatchObject({ record: { offboarding_id: 'c' } });
    expect(step([completed('b'), completed('c', { connections: [heldOne(B)] })], listed(B))).toMatchObject({
      record: { offboarding_id: 'c' },
    });
  });
});

describe('a connection that is new', () => {
  test('is the business of who offboarded the whole organization', () => {
    const added = { ...connection(B, { outcome: 'unchanged', before: settings }), added: true };
    expect(step(completed('a'), listed(A, false), listed(B))).toEqual({
      do: 'write',
      record: completed('a', { connections: [heldOne(A), added] as ConnectionRecord[] }),
    });
    expect(
      step(completed('a'), listed(A, false), { ...listed(B), connection: undefined })?.record.connections[1],
    ).toMatchObject({ name: null, strategy: null });
    expect(step(completed('a'), listed(B, false))).toBeUndefined();
    expect(step(completed('a', { connection_ids: [A] }), listed(B))).toBeUndefined();
    expect(
      step([completed('b', { connection_ids: [B], connections: [connection(B)] }), completed('a')], listed(B)),
      'somebody names it',
    ).toBeUndefined();
    expect(step([completed('b', { connection_ids: [A] }), completed('a')], listed(B))).toMatchObject({
      record: { offboarding_id: 'a' },
    });
  });
  test('takes the place of what was new once and is gone, when there are fifty: an item has its limit', () => {
    const many = (most: number) =>
      Array.from({ length: most }, (_, i) => connection(`con_${i}`, { outcome: 'unchanged', added: true }));
    const untold = { drift: 'added', outcome: 'unchanged', error: null, now: null } as const;
    const [first, second, ...rest] = many(MOST);
    const added = [{ ...first, untold }, { ...second, disabling_again: true }, ...rest] as ConnectionRecord[];
    const own = [heldOne(A), connection('con_own', { outcome: 'unchanged' })];
    const kept = (connections: ConnectionRecord[]) =>
      step(
        completed('a', { connections: [...own, ...connections] }),
        listed(B),
        listed('con_2', false),
        listed('con_1', false),
      )?.record.connections.map(({ connection_id }) => connection_id);
    // What is being disabled again is looked at first.
    const calm = added.map((one) => ({ ...one, disabling_again: undefined }));
    expect(kept(calm)).toEqual([A, 'con_own', 'con_0', 'con_1', 'con_2', B]);
    expect(kept(calm.slice(1)), 'below that all are kept').toHaveLength(2 + MOST);
  });
  const isNew = (more: Partial<ConnectionRecord> = {}) => connection(B, { outcome: 'unchanged', added: true, ...more });
  test('is told as new once, then as enabled again', () => {
    const drift = (one: ConnectionRecord) => first(completed('a', { connections: [one] }), listed(B))?.untold?.drift;
    expect(drift(isNew())).toBe('added');
    expect(drift(isNew({ reenabled_at: [ago(30)] }))).toBe('reenabled');
    expect(
      first(again(isNew({ disabling_again: true, drifted_at: ago(1), reenabled_at: [ago(1)] })), listed(B, false))
        ?.untold?.drift,
    ).toBe('added');
    expect(
      first(
        again(isNew({ disabling_again: true, drifted_at: ago(1), reenabled_at: [ago(2), ago(1)] })),
        listed(B, false),
      )?.untold?.drift,
    ).toBe('reenabled');
  });
  test('is held from the call that disables it on, and on record as disabled afterwards; a refusal leaves it nobody’s', () => {
    const made = step(again(isNew()), listed(B));
    expect(made).toMatchObject({ do: 'call', connection: { disabled_by_offboarding: true, disabling_again: true } });
    const after = (result: CallResult) => made?.after(result).connections[0];
    expect(after({ is: 'done' })).toMatchObject({
      outcome: 'disabled',
      disabled_by_offboarding: true,
      untold: { drift: 'added', outcome: 'disabled' },
    });
    expect(after({ is: 'rejected', error: ERROR })).toMatchObject({
      outcome: 'unchanged',
      disabled_by_offboarding: false,
    });
    expect(after({ is: 'transient', mayBeDone: true })).toMatchObject({ disabled_by_offboarding: true });
    const enabledAgain = isNew({ disabled_by_offboarding: true, outcome: 'disabled' });
    expect(first(completed('a', { connections: [enabledAgain] }), listed(B))).toMatchObject({
      disabled_by_offboarding: false,
    });
    expect(first(completed('a', { connections: [heldOne(A)] }), listed(A))).toMatchObject({
      disabled_by_offboarding: true,
    });
  });
});
