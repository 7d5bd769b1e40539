// What is done next, on plain objects: one promise a test, and what breaks it.
import { describe, expect, test } from 'vitest';
import * as rules from '../../lib/offboarding/rules.ts';
import {
  A,
  ago,
  B,
  cancellation,
  completed,
  connection,
  heldOne,
  listed,
  NOW,
  record,
  scheduled,
  state,
} from './records.ts';

const nothing = { do: 'nothing' };
const next = (...given: Parameters<typeof state>) => rules.nextStep(state(...given));
const ids = (all: { offboarding_id: string }[]) => all.map(({ offboarding_id }) => offboarding_id);

describe('the order of requests', () => {
  test('is that of when they were asked for, then of their ids, whatever order they are found in', () => {
    const [first, second, third] = [record('b', { asked_at: ago(3) }), record('c', { asked_at: ago(3) }), record('a')];
    expect(ids([second, first, third].sort(rules.byAskedAt))).toEqual(['a', 'b', 'c']);
    expect(rules.byAskedAt(first, second)).toBe(-1);
    expect(rules.byAskedAt(second, first)).toBe(1);
    expect(next([second, first])).toMatchObject({ do: 'write', record: { offboarding_id: 'b', status: 'working' } });
  });
  test('what is being worked off is finished before another begins', () => {
    const working = record('z', { status: 'working', asked_at: ago(1), connections: [connection(B)] });
    expect(next([record('a'), working])).toMatchObject({ do: 'call', connection: { connection_id: B } });
  });
  test('one that is not accepted is none: nothing is done for it', () => {
    expect(next([record('a', { accept_by: ago(-1) })])).toEqual(nothing);
    expect(rules.nextCancellingStep(state([record('a', { accept_by: ago(-1), unpublished: 'status' })]))).toEqual(
      nothing,
    );
  });
});

describe('who holds what', () => {
  test('what is over for good holds nothing, what failed still does', () => {
    for (const status of ['completed', 'cancelled', 'superseded'] as const)
      expect(rules.heldBy(record('a', { status, connections: [heldOne(A)] })), status).toEqual([]);
    for (const status of ['working', 'scheduled', 'removing', 'cancelling', 'failed'] as const)
      expect(rules.heldBy(record('a', { status, connections: [heldOne(A), connection(B)] })), status).toEqual([
        heldOne(A),
      ]);
  });
  test('a cancelling finds what is pending, holds something or is watched; no dry run, and nothing that was never accepted', () => {
    const found = [
      record('requested'),
      record('held', { status: 'failed', connections: [heldOne(A)] }),
      completed('watched'),
      record('over', { status: 'failed' }),
      record('dry', { dry_run: true }),
      record('early', { accept_by: ago(-1) }),
      completed('early-watched', { accept_by: ago(-1) }),
      record('later', { asked_at: ago(1) }),
      record('same', { asked_at: ago(2) }),
    ];
    expect(rules.foundBy(ago(2), found, { organization_id: 'org_1', open: [] })).toEqual({
      ids: ['requested', 'held', 'watched', 'same'],
      pending: ['requested', 'held', 'same'],
    });
  });
  test('what an earlier cancelling is to undo stays pending for the next, also when it was completed meanwhile', () => {
    const organization = { organization_id: 'org_1', open: [], cancelled: cancellation(['a', 'b'], { at: ago(3) }) };
    const [a, b] = [completed('a', { action: 'disable' }), completed('b', { watch: undefined, action: 'disable' })];
    expect(rules.foundBy(ago(2), [a, b, completed('c')], organization)).toEqual({
      ids: ['a', 'b', 'c'],
      pending: ['a', 'b'],
    });
  });
  test('GET shows the newest that is pending, else the newest that was not undone, and no dry run', () => {
    const [old, newer] = [completed('old', { asked_at: ago(20) }), record('new', { status: 'failed' })];
    expect(rules.currentOf([newer, old])?.offboarding_id).toBe('new');
    expect(rules.currentOf([newer, scheduled('pending', { asked_at: ago(30) })])?.offboarding_id).toBe('pending');
    expect(rules.currentOf([old, record('x', { status: 'cancelled' })])?.offboarding_id).toBe('old');
    expect(rules.currentOf([old, record('x', { status: 'superseded' })])?.offboarding_id).toBe('old');
    expect(
      rules.currentOf([old, record('x', { dry_run: true }), record('y', { accept_by: ago(-1) })])?.offboarding_id,
    ).toBe('old');
    expect(rules.currentOf([])).toBeUndefined();
  });
});

describe('a cancelling that was accepted', () => {
  const of = (one: ReturnType<typeof record>, organization: object) =>
    rules.cancellationOf(one, { organization_id: 'org_1', open: [], ...organization });
  test('covers what it found and what was asked for in an earlier second, and nothing that was asked for later', () => {
    const cancelled = cancellation(['a'], { at: '2026-11-25T08:00:00.500Z' });
    const asked = (id: string, asked_at: string) => of(record(id, { asked_at }), { cancelled });
    expect(asked('a', '2026-11-25T08:00:00.900Z')).toBe(cancelled);
    expect(asked('b', '2026-11-25T07:59:59.999Z')).toBe(cancelled);
    expect(asked('b', '2026-11-25T08:00:00.000Z')).toBeUndefined();
    expect(of(record('a'), {})).toBeUndefined();
    expect(of(record('a', { dry_run: true }), { cancelled })).toBeUndefined();
    expect(of(completed('a', { watch: 'ended', action: 'remove' }), { cancelled })).toBeUndefined();
  });
  test('is carried out once: not on what it, or a later one, has undone', () => {
    const cancelled = cancellation(['a']);
    const done = (at: string) =>
      of(record('a', { status: 'failed', connections: [heldOne(A)], cancelled: { at, caller: 'x' } }), { cancelled });
    expect(done(ago(1))).toBeUndefined();
    expect(done(ago(0))).toBeUndefined();
    expect(done(ago(2))).toBe(cancelled);
  });
  test('of a batch covers its own offboarding alone, and each of several', () => {
    const ones = [cancellation(['x']), cancellation(['a'])];
    expect(of(record('a'), { cancelled_ones: ones })).toBe(ones[1]);
    expect(of(record('b'), { cancelled_ones: ones })).toBeUndefined();
    expect(of(completed('a'), { cancelled_ones: [cancellation(['a'], { pending: [] })] })).toBeUndefined();
    expect(of(record('a', { cancelled: { at: ago(1), caller: 'x' } }), { cancelled_ones: ones })).toBeUndefined();
    const cancelled = cancellation([], { at: ago(0) });
    expect(of(record('a', { cancelled: { at: ago(1), caller: 'x' } }), { cancelled, cancelled_ones: ones })).toBe(
      cancelled,
    );
  });
  test('is shown as such from the moment that it is accepted, and a watch that ends is not', () => {
    const organization = { organization_id: 'org_1', open: [], cancelled: cancellation(['a'], { pending: [] }) };
    expect(rules.statusOf(scheduled('a'), organization)).toBe('cancelling');
    expect(rules.statusOf(completed('a'), organization)).toBe('completed');
    expect(rules.statusOf(scheduled('a'), { ...organization, cancelled: undefined })).toBe('scheduled');
  });
  test('begins on what is pending; of what is completed the watch ends, and what was disabled by who did not know of it is undone', () => {
    const organization = { cancelled: cancellation(['a']) };
    expect(next([scheduled('a')], { organization })).toMatchObject({
      do: 'write',
      record: { status: 'cancelling', cancelled: { at: ago(1), reason: 'renewed' } },
    });
    expect(next([completed('a')], { organization })).toMatchObject({ do: 'write', record: { status: 'cancelling' } });
    const known = { cancelled: cancellation(['a'], { pending: [] }) };
    expect(next([completed('a')], { organization: known })).toMatchObject({
      record: { status: 'completed', watch: 'ended', unpublished: 'watch_ended', watch_ended: { at: ago(1) } },
    });
    expect(next([completed('a', { action: 'remove' })], { organization })).toMatchObject({
      record: { status: 'completed', watch: 'ended' },
    });
  });
  const cancelling = (more: object = {}) =>
    record('a', {
      status: 'cancelling',
      cancelled: { at: ago(1), caller: 'x' },
      connections: [heldOne(A, { outcome: null })],
      ...more,
    });
  const off = [listed(A, false), listed(B, false)];
  test('enables what it holds and is disabled, also where who cancels does nothing else', () => {
    for (const step of [
      next([cancelling()], { listed: off }),
      rules.nextCancellingStep(state([cancelling()], { listed: off })),
    ])
      expect(step).toMatchObject({ do: 'call', goal: 'enabled', connection: { connection_id: A, attempted: true } });
    expect(rules.nextCancellingStep(state([record('b')]))).toEqual(nothing);
    expect(rules.nextCancellingStep(state([record('b', { unpublished: 'status' })]))).toMatchObject({ do: 'publish' });
  });
  test('that holds nothing asks Auth0 nothing', () => {
    const ended = { do: 'write', record: { status: 'cancelled' } };
    expect(next([cancelling({ connections: [connection(A)] })], { listed: undefined })).toMatchObject(ended);
    expect(
      next([cancelling({ connections: [heldOne(A), heldOne(B, { outcome: null })] })], { listed: undefined }),
    ).toEqual({ do: 'list' });
  });
  test('leaves disabled what another one wants disabled, and that one gives it back where it is pending', () => {
    const keeps = (other: Parameters<typeof state>[0][number], organization = {}) =>
      next([other, cancelling()], { listed: off, organization });
    const released = {
      do: 'write',
      record: { offboarding_id: 'a', connections: [{ outcome: 'unchanged', disabled_by_offboarding: false }] },
    };
    const enables = { do: 'call', goal: 'enabled' };
    expect(keeps(completed('b', { connections: [connection(A, { outcome: 'unchanged' })] }))).toMatchObject(released);
    expect(keeps(scheduled('b'))).toMatchObject(released);
    expect(keeps(scheduled('b', { connections: [connection(A, { outcome: 'unchanged' })] }))).toMatchObject({
      ...{
        do: 'write',
        record: { offboarding_id: 'b', connections: [{ connection_id: A, disabled_by_offboarding: true }] },
      },
    });
    const removing = { status: 'removing' as const, connections: [connection(A)] };
    expect(keeps(scheduled('b', removing))).toMatchObject({ record: { offboarding_id: 'b' } });
    expect(keeps(scheduled('b', { connections: [connection(A)] }))).toMatchObject(enables);
    for (const [why, other] of Object.entries({
      'it failed there': completed('b', { connections: [connection(A, { outcome: 'failed' })] }),
      'it names another': completed('b', { connections: [heldOne(B)] }),
      'it was new there': completed('b', { connections: [heldOne(A, { added: true })] }),
      'it is a dry run': completed('b', { dry_run: true }),
      'its watch is over': completed('b', { watch: 'ended' }),
      'it is cancelled': record('b', { status: 'cancelled', connections: [heldOne(A)] }),
    }))
      expect(keeps(other), why).toMatchObject(enables);
    expect(keeps(completed('b'), { cancelled: cancellation(['b'], { pending: [] }) })).toMatchObject({
      record: { watch: 'ended' },
    });
    expect(keeps(scheduled('b'), { cancelled_ones: [cancellation(['b'])] })).toMatchObject({
      record: { offboarding_id: 'b', status: 'cancelling' },
    });
    const both = [
      completed('b', { connections: [heldOne(A)] }),
      scheduled('c', { connections: [connection(A, { outcome: 'unchanged' })], asked_at: ago(2) }),
    ];
    expect(next([...both, cancelling()], { listed: off }), 'the newest').toMatchObject({
      record: { offboarding_id: 'c' },
    });
  });
});

describe('a cancelling of one whose connections another took over', () => {
  const off = [listed(A, false), listed(B, false)];
  const cancelling = record('a', {
    ...{ status: 'cancelling', cancelled: { at: ago(1), caller: 'x' }, connections: [heldOne(A, { outcome: null })] },
  });
  const step = (other: object, own = cancelling) =>
    next(
      [own, scheduled('b', { connection_ids: [B], asked_at: ago(2), connections: [heldOne(B), heldOne(A)], ...other })],
      {
        listed: off,
      },
    );
  test('gets them back from who was not asked for them, and enables them', () => {
    const gives = { do: 'write', record: { offboarding_id: 'b', connections: [heldOne(B)] } };
    expect(step({})).toEqual({
      do: 'write',
      record: expect.objectContaining({ offboarding_id: 'b', connections: [heldOne(B)] }),
    });
    expect(step({ status: 'working' })).toMatchObject(gives);
    expect(step({ connections: [heldOne(B)] })).toMatchObject({
      do: 'call',
      goal: 'enabled',
      connection: { connection_id: A },
    });
    expect(step({ status: 'failed' })).toMatchObject({ do: 'call', goal: 'enabled' });
    const done = { ...cancelling, connections: [heldOne(A, { outcome: 'failed' })] };
    expect(step({}, done), 'Auth0 refused it: nothing more is done').toMatchObject({
      record: { offboarding_id: 'a', status: 'failed' },
    });
  });
  test('leaves them to who was asked for them, by name or with all', () => {
    const keeps = {
      record: { offboarding_id: 'a', connections: [{ outcome: 'unchanged', disabled_by_offboarding: false }] },
    };
    expect(step({ connection_ids: [A] })).toMatchObject(keeps);
    expect(step({ connection_ids: undefined })).toMatchObject(keeps);
  });
  test('is begun also where it was superseded by then, and not a second time', () => {
    const organization = { cancelled: cancellation(['a'], { at: ago(0) }) };
    const superseded = record('a', { status: 'superseded', action: 'disable_then_remove', connections: [heldOne(A)] });
    expect(next([superseded], { organization })).toMatchObject({ record: { status: 'cancelling' } });
    expect(next([superseded], { organization: { cancelled: cancellation(['a'], { pending: [] }) } })).toEqual(nothing);
    expect(next([cancelling], { organization, listed: off })).toMatchObject({ do: 'call', goal: 'enabled' });
  });
  test('is over for what Auth0 refused to enable, and asks nothing more', () => {
    const refused = { ...cancelling, connections: [heldOne(A, { outcome: 'failed' })] };
    const failed = { do: 'write', record: { offboarding_id: 'a', status: 'failed' } };
    expect(next([refused], { listed: undefined })).toMatchObject(failed);
    expect(next([completed('b'), refused], { listed: off }), 'nor is it left to another').toMatchObject(failed);
  });
  test('leaves it to who is working, and to who holds others of several', () => {
    const released = { record: { offboarding_id: 'a', connections: [{ disabled_by_offboarding: false }] } };
    expect(step({ connection_ids: undefined, status: 'working' })).toMatchObject(released);
    const knows = [heldOne(B), connection(A, { outcome: 'unchanged' })];
    expect(step({ connection_ids: undefined, connections: knows })).toMatchObject({
      record: { offboarding_id: 'b', connections: [{}, { connection_id: A, disabled_by_offboarding: true }] },
    });
  });
  test('tells what was removed as removed', () => {
    const organization = { cancelled: cancellation(['a']) };
    const some = record('a', { status: 'failed', connections: [heldOne(A), connection(B, { outcome: 'removed' })] });
    expect(next([some], { organization })).toMatchObject({
      record: { connections: [{ outcome: null }, { outcome: 'removed' }] },
    });
  });
});

describe('a removal', () => {
  test('that is due begins, two seconds early for clocks that differ, and not before', () => {
    const at = (ms: number) => next([scheduled('a', { removal_due_at: new Date(NOW.getTime() + ms).toISOString() })]);
    expect(at(2000)).toMatchObject({ do: 'start removing', record: { offboarding_id: 'a' } });
    expect(at(2001)).toEqual(nothing);
    expect(next([scheduled('a', { removal_due_at: undefined })])).toMatchObject({ do: 'start removing' });
  });
  test('does not begin once a later one is accepted that is pending, whichever is worked off first', () => {
    const due = scheduled('a', { removal_due_at: ago(1) });
    const later = (more: object) =>
      next(
        [
          due,
          record('b', {
            ...{ action: 'disable_then_remove', status: 'working', asked_at: ago(2), connections: [connection(B)] },
            ...more,
          }),
        ],
        { postponed: new Set([B]) },
      );
    expect(later({})).toMatchObject({ do: 'postpone' });
    const begins = { do: 'start removing', record: { offboarding_id: 'a' } };
    for (const more of [{ action: 'disable' }, { dry_run: true }, { asked_at: ago(20) }])
      expect(later(more), JSON.stringify(more)).toMatchObject(begins);
    expect(later({ status: 'failed' })).toMatchObject(begins);
    const unaccepted = record('b', { action: 'disable_then_remove', asked_at: ago(2), accept_by: ago(-1) });
    expect(next([due, unaccepted]), 'not accepted yet, it may be at any moment').toEqual(nothing);
  });
  test('that has begun goes on to its end, and nobody else begins one', () => {
    const organization = { removing: { offboarding_id: 'a', since: ago(0) } };
    const due = scheduled('a', { removal_due_at: ago(1) });
    expect(next([due], { organization })).toMatchObject({
      do: 'write',
      record: { status: 'removing', connections: [{ outcome: null }] },
    });
    const removing = { ...due, status: 'removing' as const, connections: [connection(A)] };
    expect(next([removing], { organization, listed: [listed(A, false)] })).toMatchObject({
      do: 'call',
      goal: 'removed',
    });
    const unheld = { ...removing, connections: [connection(A)] };
    expect(next([unheld], { organization, listed: undefined }), 'Auth0 is asked').toEqual({ do: 'list' });
    expect(next([completed('a')], { organization })).toEqual({ do: 'end removing' });
    expect(next([], { organization })).toEqual({ do: 'end removing' });
    expect(
      next([removing, scheduled('b', { removal_due_at: ago(1), connections: [] })], {
        organization,
        postponed: new Set([A]),
        listed: [listed(A, false)],
      }),
    ).toMatchObject({ do: 'postpone' });
  });
  test('at once is guarded like one that falls due', () => {
    const working = record('a', { status: 'working', action: 'remove', connections: [connection(A)] });
    expect(next([working])).toMatchObject({ do: 'start removing' });
    const organization = { removing: { offboarding_id: 'a', since: ago(0) } };
    expect(next([working], { organization })).toMatchObject({ do: 'call', goal: 'removed' });
    const other = scheduled('b', { status: 'removing', connections: [connection(B)] });
    const busy = {
      organization: { removing: { offboarding_id: 'b', since: ago(0) } },
      postponed: new Set([B]),
      listed: [listed(A), listed(B, false)],
    };
    expect(next([working, other], busy)).toMatchObject({ do: 'postpone' });
  });
});

describe('of several removals later', () => {
  test('the latest takes over what the earlier ones disabled, then they are superseded', () => {
    const [earlier, later] = [scheduled('a'), scheduled('b', { asked_at: ago(2), connections: [heldOne(B)] })];
    const step = next([later, earlier]);
    expect(step).toMatchObject({
      do: 'write',
      record: {
        offboarding_id: 'b',
        connections: [{ connection_id: B }, { connection_id: A, disabled_by_offboarding: true }],
      },
    });
    const both = { ...later, connections: [heldOne(B), heldOne(A)] };
    expect(next([both, earlier])).toMatchObject({
      do: 'write',
      record: { offboarding_id: 'a', status: 'superseded', superseded_by: 'b', watch: undefined },
    });
    expect(next([later])).toEqual(nothing);
    const third = scheduled('c', { asked_at: ago(1), connections: [] });
    expect(next([earlier, later, third])).toMatchObject({ record: { offboarding_id: 'c' } });
  });
  test('one that is worked off after the latest hands over to it, and is told as scheduled for its date', () => {
    const done = record('a', {
      status: 'working',
      action: 'disable_then_remove',
      removal_due_at: ago(-9),
      connections: [heldOne(A)],
    });
    const later = scheduled('b', { asked_at: ago(2), connections: [heldOne(B)] });
    expect(next([done, later])).toMatchObject({
      do: 'write',
      record: { offboarding_id: 'b', connections: [{ connection_id: B }, { connection_id: A }] },
    });
    const holds = scheduled('b', { asked_at: ago(2), connections: [heldOne(A)] });
    expect(next([done, holds])).toMatchObject({
      record: {
        offboarding_id: 'a',
        status: 'superseded',
        superseded_by: 'b',
        removal_due_at: ago(-100),
        unpublished: 'status',
      },
    });
    const over = { ...completed('c', { asked_at: ago(1), connections: [heldOne(B)] }) };
    const own = next([done, over]) as { do: string; record: { connections: unknown[] } };
    expect([own.do, own.record.connections.length], 'what is over takes nothing over').toEqual(['schedule', 1]);
    const earlier = scheduled('b', { asked_at: ago(20), connections: [heldOne(B)] });
    expect(next([done, earlier])).toMatchObject({
      do: 'schedule',
      record: {
        offboarding_id: 'a',
        status: 'scheduled',
        connections: [{ connection_id: A }, { connection_id: B, disabled_by_offboarding: true }],
      },
    });
  });
});
