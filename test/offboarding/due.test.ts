// When work is done, told, watched, given up and forgotten, on plain objects.
import { describe, expect, test } from 'vitest';
import * as rules from '../../lib/offboarding/rules.ts';
import { A, ago, B, completed, connection, heldOne, listed, record, scheduled, state } from './records.ts';

const nothing = { do: 'nothing' };
const next = (...given: Parameters<typeof state>) => rules.nextStep(state(...given));
const FAILED = { code: 'auth0_unavailable', message: 'down' };

describe('a request', () => {
  test('needs the list, then is begun with each connection as it is, then each is called, then it ends', () => {
    expect(next([record('a')], { listed: undefined })).toMatchObject({ do: 'list', about: { offboarding_id: 'a' } });
    expect(next([record('a')])).toMatchObject({
      do: 'write',
      record: { status: 'working', connections: [{ connection_id: A, outcome: null }, { connection_id: B }] },
    });
    const working = record('a', { status: 'working', connections: [connection(A)] });
    expect(next([working], { listed: undefined })).toMatchObject({ do: 'list' });
    expect(next([working])).toMatchObject({ do: 'call', goal: 'disabled', connection: { connection_id: A } });
    expect(next([working], { postponed: new Set([A]) })).toMatchObject({
      do: 'postpone',
      record: { offboarding_id: 'a' },
    });
    expect(next([record('a', { status: 'working', connections: [heldOne(A)] })])).toMatchObject({
      do: 'write',
      record: { status: 'completed' },
    });
  });
  test('that Auth0 failed for holds up no other', () => {
    const [failing, other] = [
      record('a', { status: 'working', connections: [connection(A)] }),
      record('b', { asked_at: ago(2), connection_ids: [B] }),
    ];
    expect(next([failing, other], { postponed: new Set([A]) })).toMatchObject({
      do: 'write',
      record: { offboarding_id: 'b' },
    });
  });
  test('that asks for ended sessions fails where the stage does not end any, and once begun goes on', () => {
    const asks = record('a', { end_sessions: true });
    expect(next([asks], { canEndSessions: false, listed: undefined })).toMatchObject({
      record: {
        ...{ status: 'failed', connections: [] },
        error: { code: 'end_sessions_not_enabled', message: expect.stringContaining('sessions') },
      },
    });
    expect(next([asks])).toMatchObject({ record: { status: 'working' } });
    expect(next([record('a')], { canEndSessions: false })).toMatchObject({ record: { status: 'working' } });
    const begun = record('a', { end_sessions: true, status: 'working', connections: [connection(A)] });
    expect(next([begun], { canEndSessions: false })).toMatchObject({ do: 'call' });
  });
});

describe('outcomes', () => {
  test('are told before anything else changes, of the record first, then of each connection that drifted', () => {
    const untold = { drift: 'reenabled' as const, outcome: 'unchanged' as const, error: null, now: null };
    const [told, drifted] = [
      completed('b', { unpublished: 'status', asked_at: ago(2) }),
      completed('c', { connections: [heldOne(A), heldOne(B, { untold })] }),
    ];
    expect(next([record('a'), drifted, told])).toEqual({ do: 'publish', record: told });
    expect(next([record('a'), drifted])).toEqual({
      do: 'publish',
      record: drifted,
      connection: drifted.connections[1],
    });
  });
});

describe('nothing that passes ends a request', () => {
  const old = { isTooOld: (since: string) => since <= ago(10) };
  const working = (more: object = {}) => record('a', { status: 'working', connections: [connection(A)], ...more });
  test('only its age, after an error that is not the rate limit, or a worker that ended without a word', () => {
    const failed = (more: object, of: object = old) => next([working(more)], of);
    const gives = {
      do: 'write',
      record: { status: 'failed', error: FAILED, connections: [{ outcome: 'failed', error: FAILED }] },
    };
    expect(failed({ attempts: 1, last_error: FAILED })).toMatchObject(gives);
    expect(failed({ attempts: 1, last_error: { ...FAILED, code: 'rate_limited' } })).toMatchObject({ do: 'call' });
    expect(failed({ attempts: 0 })).toMatchObject({ do: 'call' });
    expect(failed({ attempts: 1, last_error: FAILED, created_at: ago(9) })).toMatchObject({ do: 'call' });
    expect(failed({}, { ...old, wasAbandoned: true })).toMatchObject({
      record: { status: 'failed', error: { code: 'worker_ended', message: expect.stringContaining('worker') } },
    });
    expect(failed({}, { wasAbandoned: true })).toMatchObject({ do: 'call' });
    expect(next([record('a', { attempts: 1, last_error: FAILED })], old)).toMatchObject({
      record: { status: 'failed', connections: [] },
    });
  });
  test('a removal is as old as its date, and a cancelling as it is itself', () => {
    const tried = { attempts: 1, last_error: FAILED, connections: [connection(A)] };
    const organization = { removing: { offboarding_id: 'a', since: ago(0) } };
    const removing = (removal_due_at: string | undefined) =>
      next([scheduled('a', { ...tried, status: 'removing', removal_due_at })], {
        ...old,
        organization,
        listed: [listed(A, false)],
      });
    expect(removing(ago(1))).toMatchObject({ do: 'call', goal: 'removed' });
    expect(removing(ago(11))).toMatchObject({ record: { status: 'failed' } });
    expect(removing(undefined)).toMatchObject({ record: { status: 'failed' } });
    const atOnce = record('a', { ...tried, status: 'working', action: 'remove', removal_due_at: ago(1) });
    expect(next([atOnce], { ...old, organization })).toMatchObject({ record: { status: 'failed' } });
    const held = [heldOne(A, { outcome: null })];
    const cancelling = (cancelled: object | undefined) =>
      next([record('a', { ...tried, status: 'cancelling', cancelled, connections: held } as object)], {
        ...old,
        listed: [listed(A, false)],
      });
    expect(cancelling({ at: ago(1), caller: 'x' })).toMatchObject({ do: 'call', goal: 'enabled' });
    expect(cancelling({ at: ago(11), caller: 'x' })).toMatchObject({ record: { status: 'failed' } });
    expect(cancelling(undefined)).toMatchObject({ record: { status: 'failed' } });
  });
});

describe('sessions', () => {
  const asks = (more: object = {}) => completed('a', { end_sessions: true, watch: undefined, ...more });
  const counts = { members: 0, asked: 0, skipped: 0, failed: 0 };
  const due = (more: object) => ({ ...counts, status: 'due' as const, updated_at: ago(7), ...more });
  test('are due once nobody can log in anew, first on record, then by a message', () => {
    for (const status of ['completed', 'scheduled', 'superseded'] as const)
      expect(next([asks({ status, removal_due_at: ago(-1) })]), status).toMatchObject({
        do: 'write',
        record: { sessions: { ...counts, status: 'due', updated_at: ago(0) } },
      });
    for (const status of ['failed', 'cancelled'] as const) expect(next([asks({ status })]), status).toEqual(nothing);
    expect(next([asks({ end_sessions: false })])).toEqual(nothing);
    expect(next([asks({ ended_at: ago(-1) })])).toEqual(nothing);
    expect(next([asks({ ended_at: undefined, updated_at: ago(-1) })])).toEqual(nothing);
    expect(next([asks({ sessions: due({ updated_at: ago(1) }) })])).toMatchObject({
      do: 'end sessions',
      record: { sessions: { status: 'due', sent_at: ago(0) } },
    });
  });
  test('are asked for again after six hours without a page, and not when they are over', () => {
    const again = { do: 'end sessions', record: { sessions: { sent_at: ago(0) } } };
    expect(next([asks({ sessions: due({ status: 'ending', sent_at: ago(6) }) })])).toMatchObject(again);
    expect(next([asks({ sessions: due({ sent_at: ago(5.9) }) })])).toEqual(nothing);
    expect(next([asks({ sessions: due({ sent_at: ago(8), updated_at: ago(5.9) }) })])).toEqual(nothing);
    expect(next([asks({ sessions: due({ sent_at: ago(8), updated_at: ago(6) }) })])).toMatchObject(again);
    for (const status of ['ended', 'failed', 'refused'])
      expect(next([asks({ sessions: due({ status, sent_at: ago(9) }) })]), status).toEqual(nothing);
  });
});

describe('the watch', () => {
  const organization = { look_at: ago(0) };
  const off = [listed(A, false)];
  test('is looked at when it is due, once, and not while something is left for later', () => {
    expect(next([completed('a')], { organization, listed: undefined })).toEqual({ do: 'list' });
    expect(next([completed('a')], { organization, listed: off })).toEqual({ do: 'checked' });
    expect(next([completed('a')], { organization })).toMatchObject({
      do: 'write',
      record: { connections: [{ untold: { drift: 'reenabled' } }] },
    });
    for (const [why, one, of] of [
      ['nobody has a date', completed('a'), {}],
      ['it is not due', completed('a'), { organization: { look_at: ago(-0.001) } }],
      ['something is left', completed('a'), { organization, postponed: new Set([B]) }],
      ['nobody is watched', completed('a', { watch: undefined }), { organization }],
      ['it is not accepted', completed('a', { accept_by: ago(-1) }), { organization }],
    ] as const)
      expect(next([one], { listed: off, ...of }), why).toEqual(nothing);
  });
  test('of the newest comes first', () => {
    const [old, newer] = [completed('a', { asked_at: ago(30) }), completed('b')];
    expect(rules.watchedOf([old, newer, completed('c', { watch: 'ended' })])).toEqual([newer, old]);
    expect(rules.watchedOf([newer, old])).toEqual([newer, old]);
  });
  test('is of forty offboardings at most: of one more the oldest ends without a word', () => {
    const many = (most: number) =>
      Array.from({ length: most }, (_, i) =>
        completed(`id-${100 + i}`, {
          asked_at: ago(100 - i),
          connections: [heldOne(`con_${i}`)],
          connection_ids: [`con_${i}`],
        }),
      );
    expect(next(many(40))).toEqual(nothing);
    expect(next(many(41))).toMatchObject({ record: { offboarding_id: 'id-100', watch: undefined } });
  });
  test('ends by itself when it has lasted long enough, and is told', () => {
    const isWatchOver = (since: string) => since <= ago(8);
    expect(next([completed('a')], { isWatchOver })).toMatchObject({
      record: {
        watch: 'ended',
        unpublished: 'watch_ended',
        watch_ended: { at: ago(0), caller: 'org-connections', reason: expect.stringContaining('long enough') },
      },
    });
    expect(next([completed('a', { ended_at: ago(7) })], { isWatchOver })).toEqual(nothing);
    expect(next([completed('a', { ended_at: undefined })], { isWatchOver })).toEqual(nothing);
  });
  test('of one that a later one says all of ends without a word', () => {
    const later = completed('b', { asked_at: ago(2), connection_ids: [A] });
    const silent = (one: object, other: object = {}) =>
      next([completed('a', { connection_ids: [A], ...one }), { ...later, ...other }]);
    const ends = { do: 'write', record: { offboarding_id: 'a', watch: undefined } };
    expect(silent({})).toMatchObject(ends);
    expect(silent({}, { ended_at: ago(1) })).toMatchObject(ends);
    expect(silent({ connections: [heldOne(A), connection(B, { outcome: 'unchanged' })] })).toMatchObject(ends);
    expect(silent({ connection_ids: undefined }, { connection_ids: undefined })).toMatchObject(ends);
    for (const [why, one, other] of [
      ['it is of the whole organization', { connection_ids: undefined }, {}],
      ['it has ended another', { connections: [heldOne(A), heldOne(B)] }, {}],
      ['it is still held', { status: 'failed' }, {}],
      ['the later one may be cancelled yet, as it was pending just now', {}, { ended_at: ago(0.99) }],
      ['nobody knows when the later one ended', {}, { ended_at: undefined }],
      [
        'the later one is not over',
        {},
        { status: 'scheduled', action: 'disable_then_remove', removal_due_at: ago(-1) },
      ],
      ['the later one has ended nothing', {}, { connections: [connection(A, { outcome: 'unchanged' })] }],
      [
        'it is the later one',
        { asked_at: ago(1), connections: [heldOne(A), heldOne(B)] },
        { connection_ids: undefined },
      ],
    ] as const)
      expect(silent(one, other), why).toEqual(nothing);
    expect(next([completed('a', { connections: [] })])).toEqual(nothing);
    const whole = { connection_ids: undefined };
    const both = { ...later, connections: [heldOne(A), heldOne(B)] };
    expect(next([completed('a', whole), both, completed('c', { ...whole, asked_at: ago(1) })])).toMatchObject(ends);
  });
});

describe('what an organization is about', () => {
  test('is what is pending, not told, watched or held, and the last that failed', () => {
    const isOpen = (one: ReturnType<typeof record>, ...others: ReturnType<typeof record>[]) =>
      rules.isOpen(one, [one, ...others]);
    const over = record('a', { status: 'cancelled' });
    const failed = record('a', { status: 'failed' });
    for (const one of [
      record('a'),
      { ...over, unpublished: 'status' as const },
      completed('a'),
      record('a', { status: 'failed', connections: [heldOne(A)], cancelled: { at: '', caller: '' } }),
      failed,
      completed('a', { watch: undefined, end_sessions: true }),
    ])
      expect(isOpen(one), JSON.stringify(one)).toBe(true);
    for (const one of [
      over,
      completed('a', { watch: 'ended' }),
      { ...failed, dry_run: true },
      { ...failed, cancelled: { at: '', caller: '' } },
      completed('a', { watch: undefined }),
    ])
      expect(isOpen(one), JSON.stringify(one)).toBe(false);
    const later = record('b', { asked_at: ago(1) });
    expect(isOpen(failed, later)).toBe(false);
    expect(isOpen(failed, { ...later, dry_run: true })).toBe(true);
    expect(isOpen(failed, record('b', { asked_at: ago(20) }))).toBe(true);
  });
  test('is due at the earliest date, in the group of whoever waits for it', () => {
    const due = (records: ReturnType<typeof record>[], look_at?: string) =>
      rules.dueOf({ organization_id: 'org_1', open: [], look_at }, records);
    expect(due([])).toEqual({ due_at: undefined, priority: undefined });
    expect(due([record('a')])).toEqual({ due_at: ago(10), priority: 'single' });
    expect(due([record('a', { batch_id: 'b' })])).toEqual({ due_at: ago(10), priority: 'batch' });
    expect(due([record('a', { accept_by: ago(-1) })])).toEqual({ due_at: ago(-1), priority: 'single' });
    expect(due([scheduled('a')])).toEqual({ due_at: ago(-100), priority: 'single' });
    expect(due([scheduled('a', { status: 'removing' })])).toEqual({ due_at: ago(-100), priority: 'single' });
    expect(due([scheduled('a', { removal_due_at: undefined })])).toEqual({ due_at: ago(10), priority: 'single' });
    expect(due([scheduled('a', { status: 'working' })])).toEqual({ due_at: ago(10), priority: 'single' });
    expect(due([record('a', { status: 'cancelling', cancelled: { at: ago(1), caller: '' } })])).toEqual({
      due_at: ago(1),
      priority: 'single',
    });
    expect(due([record('a', { status: 'cancelling' })])).toEqual({ due_at: ago(10), priority: 'single' });
    expect(due([completed('a')])).toEqual({ due_at: undefined, priority: undefined });
    expect(due([completed('a', { unpublished: 'status' })])).toEqual({ due_at: ago(10), priority: 'single' });
    expect(due([completed('a')], ago(-1))).toEqual({ due_at: ago(-1), priority: 'watch' });
    expect(due([completed('a', { watch: undefined })], ago(-1))).toEqual({ due_at: undefined, priority: undefined });
    expect(due([completed('a', { end_sessions: true })], ago(-1))).toEqual({ due_at: ago(8), priority: 'batch' });
    expect(due([scheduled('a'), record('b', { created_at: ago(3), batch_id: 'b' })], ago(-1))).toEqual({
      due_at: ago(3),
      priority: 'batch',
    });
    expect(due([record('b', { created_at: ago(3) }), scheduled('a')], ago(-1))).toEqual({
      due_at: ago(3),
      priority: 'single',
    });
  });
});
