import { describe, expect, test } from 'vitest';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { begin, beginRemoval, failWith, finish } from '../../../lib/offboarding/rules/progress.ts';
import {
  ago,
  byEvent,
  entry,
  events,
  found,
  HOUR,
  listing,
  NOW,
  organization,
  request,
  SECOND,
  STAGE,
  statuses,
} from '../items.ts';

const with_ = (one: OpenRequest, changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });
const ERROR = { code: 'rejected_by_auth0', message: 'No' };
const done = (...ids: string[]) => Object.fromEntries(ids.map((id) => [id, { outcome: 'disabled' as const }]));

describe('the beginning', () => {
  const begun = (one: OpenRequest, list = listing(['con_1'])) => begin(with_(one), one, list, NOW, STAGE);
  test('when it removes later, its removal is due in whole seconds after its grace period, and its notice ahead of that', () => {
    const next = begun(request('A', { attempts: 3 }, { grace_period: 'P10D' }));
    expect(found(next, 'A')).toMatchObject({
      ...{ status: 'working', attempts: 0, updated_at: ago(0), is_unrecorded: true },
      removal_due_at: '2026-12-04T09:00:01Z',
      notice_due_at: '2026-12-01T09:00:01.000Z',
    });
    expect(next.ledger.map(({ claims }) => claims)).toEqual([['A']]);
  });
  test("when it has no grace period, the stage's counts", () => {
    expect(found(begun(request('A')), 'A').removal_due_at).toBe('2026-12-24T09:00:01Z');
  });
  test('when the grace period is no longer than the notice, the notice comes at half of it', () => {
    const one = found(begun(request('A', {}, { grace_period: 'PT1H' })), 'A');
    expect(one.notice_due_at).toBe('2026-11-24T09:30:00.000Z');
    const edge = found(begun(request('A', {}, { grace_period: 'P3D' })), 'A');
    expect(edge.notice_due_at).toBe('2026-11-24T09:00:01.000Z');
  });
  test('when it removes nothing later, or the organization has nothing of it, there are no dates', () => {
    for (const one of [request('A', {}, { action: 'disable' }), request('A', {}, { action: 'remove' })])
      expect(found(begun(one), 'A').removal_due_at).toBeUndefined();
    expect(found(begun(request('A'), listing([])), 'A').removal_due_at).toBeUndefined();
    const gone = request('A', {}, { connection_ids: ['con_1'] });
    const known = begin(with_(gone, { known: ['con_1'] }), gone, listing([]), NOW, STAGE);
    expect(found(known, 'A').removal_due_at).toBeUndefined();
  });
  test('when others of the organization are open, they keep their dates', () => {
    const other = request('B', { status: 'scheduled', removal_due_at: 'its own' });
    const one = request('A');
    const next = begin(organization({ requests: [other, one] }), one, listing(['con_1']), NOW, STAGE);
    expect(found(next, 'B')).toEqual(other);
  });
});

test('when its removal begins, what is failed and what was a client grant stays decided, and all else is decided anew', () => {
  const outcomes = { ...done('con_1', 'grant cgr_1'), con_2: { outcome: 'failed' as const, error: ERROR } };
  const one = request('A', { status: 'scheduled', outcomes, notice_due_at: 'x', attempts: 2 });
  const next = found(beginRemoval(with_(one), one, NOW), 'A');
  expect(next).toMatchObject({ status: 'removing', attempts: 0, updated_at: ago(0), is_unrecorded: true });
  expect(next.outcomes).toEqual({ ...done('grant cgr_1'), con_2: { outcome: 'failed', error: ERROR } });
  expect(next.notice_due_at).toBeUndefined();
});

describe('the end', () => {
  const finished = (one: OpenRequest, changes: Partial<Organization> = {}) => finish(with_(one, changes), one, NOW);
  const working = (changes: Partial<OpenRequest> = {}, of = {}) =>
    request('A', { status: 'working', outcomes: done('con_1'), ...changes }, { action: 'disable', ...of });

  test('when all is disabled, it is completed and watched, and the ledger is final', () => {
    const next = finished(working({ notice_due_at: 'x' }), { ledger: [entry('con_1', ['A'])] });
    expect(found(next, 'A')).toMatchObject({
      status: 'completed',
      watch: 'on',
      ended_at: ago(0),
      updated_at: ago(0),
      is_unrecorded: true,
    });
    expect(found(next, 'A').notice_due_at).toBeUndefined();
    expect(events(next)).toEqual(['completed A']);
    expect(next.outbox[0]?.outcomes).toEqual(done('con_1'));
    expect(next.ledger).toEqual([entry('con_1', ['A'], { disabled_by_us: false })]);
    expect(next.known).toEqual(['con_1']);
  });
  test('when a connection failed, it failed, with that error, and what it disabled can be given back', () => {
    const outcomes = {
      ...done('con_1'),
      con_2: { outcome: 'failed' as const, error: ERROR },
      con_3: { outcome: 'failed' as const, error: { code: 'x', message: 'x' } },
    };
    const next = finished(working({ outcomes }), { ledger: [entry('con_1', ['A'])] });
    expect(found(next, 'A')).toMatchObject({ status: 'failed', error: ERROR, watch: 'on' });
    expect(events(next)).toEqual(['failed A']);
    expect(next.ledger[0]?.disabled_by_us).toBe(true);
    expect(next.known).toEqual(['con_1']);
  });
  test('when it failed and ended nothing, it is not watched', () => {
    const outcomes = { con_1: { outcome: 'failed' as const, error: ERROR }, con_2: { outcome: 'unchanged' as const } };
    expect(found(finished(working({ outcomes })), 'A').watch).toBeUndefined();
    const removed = { ...outcomes, con_3: { outcome: 'removed' as const } };
    expect(found(finished(working({ outcomes: removed })), 'A').watch).toBe('on');
  });
  test('when nothing had to be changed, it is completed and watched all the same', () => {
    const outcomes = { con_1: { outcome: 'unchanged' as const } };
    expect(found(finished(working({ outcomes })), 'A')).toMatchObject({ status: 'completed', watch: 'on' });
  });
  test('when it removes later, it is scheduled and watched', () => {
    const next = finished(working({ removal_due_at: 'x' }, { action: 'disable_then_remove' }), {
      ledger: [entry('con_1', ['A'])],
    });
    expect(found(next, 'A')).toMatchObject({
      status: 'scheduled',
      watch: 'on',
      removal_due_at: 'x',
      is_unrecorded: true,
    });
    expect(found(next, 'A').ended_at).toBeUndefined();
    expect(events(next)).toEqual(['scheduled A']);
    expect(next.ledger[0]?.disabled_by_us).toBe(true);
  });
  test('when it removes later and some could not be disabled, the others are scheduled; when none could, it failed', () => {
    const failed = { con_2: { outcome: 'failed' as const, error: ERROR } };
    const some = working(
      { removal_due_at: 'x', outcomes: { ...done('con_1'), ...failed } },
      { action: 'disable_then_remove' },
    );
    expect(statuses(finished(some))).toEqual({ A: 'scheduled' });
    const none = working({ removal_due_at: 'x', outcomes: failed }, { action: 'disable_then_remove' });
    expect(statuses(finished(none))).toEqual({ A: 'failed' });
    const nothing = working({ removal_due_at: 'x', outcomes: {} }, { action: 'disable_then_remove' });
    expect(statuses(finished(nothing))).toEqual({ A: 'completed' });
  });
  test('when it has no date, because the organization has nothing, it is completed', () => {
    expect(statuses(finished(working({ outcomes: {} }, { action: 'disable_then_remove' })))).toEqual({
      A: 'completed',
    });
  });
  test('when it is a dry run, its event is the one that would be, and nothing is claimed or watched', () => {
    const dry = working({ removal_due_at: 'x' }, { action: 'disable_then_remove', dry_run: true });
    const next = finished(dry, { ledger: [entry('con_1', ['A'], { disabled_by_us: false })] });
    expect(found(next, 'A')).toMatchObject({ status: 'completed' });
    expect(found(next, 'A').watch).toBeUndefined();
    expect(events(next)).toEqual(['scheduled A']);
    expect(next.known).toEqual([]);
    expect(events(finished(working({}, { dry_run: true })))).toEqual(['completed A']);
    const failed = { con_1: { outcome: 'failed' as const, error: ERROR } };
    expect(events(finished(working({ removal_due_at: 'x', outcomes: failed }, { dry_run: true })))).toEqual([
      'failed A',
    ]);
  });
  test('when its connections are removed, they are known by name, and are nobody’s to give back', () => {
    const outcomes = {
      con_1: { outcome: 'removed' as const },
      con_2: { outcome: 'unchanged' as const },
      'grant cgr_1': { outcome: 'disabled' as const },
    };
    const ledger = [entry('con_1', ['A', 'B']), entry('con_2', ['A', 'B'])];
    const other = request('B', { status: 'scheduled' });
    const one = request('A', { status: 'removing', outcomes, removal_due_at: 'x' });
    const next = finish(organization({ requests: [one, other], ledger, known: ['con_2', 'con_0'] }), one, NOW);
    expect(statuses(next)).toEqual({ A: 'completed', B: 'scheduled' });
    expect(next.known).toEqual(['con_0', 'con_1', 'con_2']);
    expect(next.ledger.map(({ id, disabled_by_us }) => [id, disabled_by_us])).toEqual([
      ['con_1', false],
      ['con_2', true],
    ]);
  });
  test('when very many connections were ended once, the latest hundred are known', () => {
    const known = Array.from({ length: 100 }, (_, index) => `con_old${index}`);
    expect(finished(working(), { known }).known).toEqual([...known.slice(1), 'con_1']);
  });
  test('when it was cancelled, it is cancelled, and claims nothing; where Auth0 refused, it failed', () => {
    const one = request('A', {
      status: 'cancelling',
      outcomes: { con_1: { outcome: 'enabled' } },
      removal_due_at: 'x',
    });
    const next = finished(one, { ledger: [entry('con_1', ['A'], { disabled_by_us: false })] });
    expect(found(next, 'A')).toMatchObject({ status: 'cancelled', ended_at: ago(0) });
    expect(found(next, 'A').watch).toBeUndefined();
    expect(events(next)).toEqual(['cancelled A']);
    expect(next.known).toEqual([]);
    const refused = finished(
      { ...one, outcomes: { con_1: { outcome: 'failed', error: ERROR } } },
      { ledger: [entry('con_1', ['A'])] },
    );
    expect(found(refused, 'A')).toMatchObject({ status: 'failed', error: ERROR });
    expect(found(refused, 'A').watch).toBeUndefined();
    expect(events(refused)).toEqual(['failed A']);
    expect(refused.ledger[0]?.disabled_by_us).toBe(true);
    const removed = { con_1: { outcome: 'failed' as const, error: ERROR }, con_2: { outcome: 'removed' as const } };
    expect(found(finished({ ...one, outcomes: removed }), 'A').watch).toBeUndefined();
  });
});

describe('several that disable now and remove later', () => {
  const scheduledWith = (first: Partial<OpenRequest>, second: Partial<OpenRequest>) => {
    const a = request('A', {
      status: 'scheduled',
      outcomes: done('con_1', 'con_9'),
      removal_due_at: 'a',
      watch: 'on',
      ...first,
    });
    const b = request('B', { status: 'working', outcomes: done('con_2', 'con_9'), removal_due_at: 'b', ...second });
    const ledger = [entry('con_1', ['A']), entry('con_9', ['X', 'A', 'B'])];
    return finish(organization({ requests: [a, b], ledger }), b, NOW);
  };
  test('when one is scheduled that was requested later, the earlier one is superseded, and what it disabled goes over', () => {
    const next = scheduledWith({ requested_at: ago(HOUR), notice_due_at: 'n' }, {});
    expect(statuses(next)).toEqual({ A: 'superseded', B: 'scheduled' });
    expect(found(next, 'A')).toMatchObject({
      superseded_by: 'B',
      ended_at: ago(0),
      updated_at: ago(0),
      is_unrecorded: true,
    });
    expect(found(next, 'A').watch).toBeUndefined();
    expect(found(next, 'A').notice_due_at).toBeUndefined();
    expect(events(next)).toEqual(['scheduled B', 'superseded A']);
    expect(next.ledger.map(({ claims }) => claims)).toEqual([['B'], ['X', 'B']]);
    expect(found(next, 'B').outcomes).toEqual({ ...done('con_2', 'con_9'), con_1: { outcome: 'unchanged' } });
  });
  test('when one is scheduled that was requested earlier, it is superseded by the one that is there', () => {
    const next = scheduledWith({ requested_at: ago(SECOND) }, {});
    expect(statuses(next)).toEqual({ A: 'scheduled', B: 'superseded' });
    expect(found(next, 'B').superseded_by).toBe('A');
    expect(events(next)).toEqual(['scheduled B', 'superseded B']);
    expect(next.ledger.map(({ claims }) => claims)).toEqual([['A'], ['X', 'A']]);
    expect(found(next, 'A')).toMatchObject({ is_unrecorded: true, outcomes: { con_2: { outcome: 'unchanged' } } });
  });
  test('when a later one has not begun, it supersedes nothing yet', () => {
    const b = request('B', { status: 'working', outcomes: done('con_2'), removal_due_at: 'b' });
    const later = request('C', { requested_at: ago(0) });
    expect(statuses(finish(organization({ requests: [b, later] }), b, NOW))).toEqual({
      B: 'scheduled',
      C: 'requested',
    });
  });
  test('when three are, the one requested last takes over the two others', () => {
    const all = ['A', 'B', 'C'].map((id) =>
      request(id, { status: id === 'C' ? 'working' : 'scheduled', outcomes: done(`con_${id}`), removal_due_at: id }),
    );
    const next = finish(organization({ requests: all }), all[2] as OpenRequest, NOW);
    expect(statuses(next)).toEqual({ A: 'superseded', B: 'superseded', C: 'scheduled' });
    expect(Object.keys(found(next, 'C').outcomes).sort()).toEqual(['con_A', 'con_B', 'con_C']);
    expect(found(next, 'A').superseded_by).toBe('C');
  });
  test('when two have the same time, the id decides', () => {
    expect(statuses(scheduledWith({}, {}))).toEqual({ A: 'superseded', B: 'scheduled' });
  });
});

describe('a failure', () => {
  test('when a request fails, what was not done of it did, and its record says why', () => {
    const one = byEvent('A', { status: 'working', outcomes: done('con_1') });
    const next = failWith(
      with_(one, { ledger: [entry('con_1', ['A']), entry('con_2', ['A'], { disabled_by_us: false })] }),
      one,
      ERROR,
      NOW,
    );
    expect(found(next, 'A')).toMatchObject({
      status: 'failed',
      error: ERROR,
      outcomes: { con_2: { outcome: 'failed', error: ERROR } },
    });
    expect(events(next)).toEqual(['failed A']);
  });
  test('when it was scheduled, its removal failed', () => {
    const one = request('A', { status: 'scheduled' });
    expect(statuses(failWith(with_(one), one, ERROR, NOW))).toEqual({ A: 'failed' });
  });
});
