import { describe, expect, test } from 'vitest';
import { emptyOrganization, type OpenRequest, type Organization } from '../../../lib/offboarding/model/organization.ts';
import {
  acceptCancellation,
  type CancellationRequest,
  cancellationScope,
  cancelRequest,
  endWatch,
  isCoveredOnArrival,
  toCancelling,
} from '../../../lib/offboarding/rules/cancellation.ts';
import {
  ago,
  byEvent,
  entry,
  events,
  found,
  HOUR,
  MINUTE,
  NOW,
  ORG,
  organization,
  outbox,
  request,
  SECOND,
  statuses,
} from '../items.ts';

const http = (changes: Partial<CancellationRequest> = {}): CancellationRequest => ({
  at: ago(0),
  caller: 'canceller',
  requested_by: 'support',
  reason: 'stays',
  isEvent: false,
  ...changes,
});
const eventAt = (at: string) => http({ at, isEvent: true });
const ACT = { at: ago(0), caller: 'canceller', requested_by: 'support', reason: 'stays' };

function cancelled(item: Organization, how = http()) {
  const result = acceptCancellation(item, how, NOW);
  if (result.is === 'removing') throw new Error('connections are being removed');
  return result;
}
const scopeOf = (item: Organization, how = http()) => cancellationScope(item, how).map((one) => one.offboarding_id);

describe('what a cancellation covers', () => {
  test('when a request was made at the same time or earlier, it is covered; a later one is not', () => {
    const at = (ms: number) => organization({ requests: [request('A', { requested_at: ago(ms) })] });
    expect(scopeOf(at(0))).toEqual(['A']);
    expect(scopeOf(at(1))).toEqual(['A']);
    expect(scopeOf(at(-1))).toEqual([]);
  });

  test('when both came as events of the same second, the request was accepted first and is covered', () => {
    const second = '2026-11-24T09:00:00.000Z';
    const item = organization({ requests: [byEvent('A', { requested_at: second })] });
    expect(scopeOf(item, eventAt(second))).toEqual(['A']);
  });

  test('when the cancellation is an event, it covers requests over HTTP of before its second alone', () => {
    const second = '2026-11-24T09:00:00.000Z';
    const of = (requested_at: string) => organization({ requests: [request('A', { requested_at })] });
    expect(scopeOf(of(second), eventAt(second))).toEqual([]);
    expect(scopeOf(of('2026-11-24T08:59:59.999Z'), eventAt(second))).toEqual(['A']);
    expect(scopeOf(of('2026-11-24T09:00:00.001Z'), eventAt(second))).toEqual([]);
  });

  test('when an event arrives after a recorded cancellation, it is covered if its second is an earlier one', () => {
    const recorded = { at: '2026-11-24T09:00:00.700Z', caller: 'c', found: [], reenabled: [] };
    const arrived = (requested_at: string) => isCoveredOnArrival(request('A', { requested_at }), recorded);
    expect(arrived('2026-11-24T09:00:00.000Z')).toBe(true);
    expect(arrived('2026-11-24T09:00:00.700Z')).toBe(false);
    expect(arrived('2026-11-24T09:00:01.000Z')).toBe(false);
  });

  const covered: [string, Partial<OpenRequest>, boolean][] = [
    ['is requested', { status: 'requested' }, true],
    ['is being disabled', { status: 'working' }, true],
    ['is scheduled', { status: 'scheduled' }, true],
    ['is being cancelled already', { status: 'cancelling' }, true],
    ['is completed and watched', { status: 'completed', watch: 'on' }, true],
    ['is completed and watched no more', { status: 'completed', watch: 'ended' }, false],
    ['is completed', { status: 'completed' }, false],
    ['is cancelled', { status: 'cancelled' }, false],
    ['is superseded', { status: 'superseded' }, false],
    ['failed and disabled nothing', { status: 'failed' }, false],
  ];
  test.each(covered)('when a request %s, whether a cancellation is about it is decided', (_how, changes, isCovered) => {
    expect(scopeOf(organization({ requests: [request('A', changes)] }))).toEqual(isCovered ? ['A'] : []);
  });

  test('when a request failed and had disabled something, it is covered; not when somebody else claims that', () => {
    const requests = [request('A', { status: 'failed' })];
    expect(scopeOf(organization({ requests, ledger: [entry('con_1', ['A'])] }))).toEqual(['A']);
    expect(scopeOf(organization({ requests, ledger: [entry('con_1', ['A'], { disabled_by_us: false })] }))).toEqual([]);
    expect(scopeOf(organization({ requests, ledger: [entry('con_1', ['B'])] }))).toEqual([]);
  });

  test('when a request is a dry run, no cancellation is about it', () => {
    expect(scopeOf(organization({ requests: [request('A', {}, { dry_run: true })] }))).toEqual([]);
  });

  test('when sessions of members are still to be ended, the cancellation is about that too, superseded ones included', () => {
    const withSessions = (changes: Partial<OpenRequest>) =>
      scopeOf(organization({ requests: [request('A', changes, { end_sessions: true })] }));
    const sessions = (status: 'due' | 'ending' | 'ended' | 'failed' | 'refused') => ({
      ...{ status, members: 0, revocations_requested: 0, skipped: 0, failed: 0, updated_at: ago(0) },
    });
    expect(withSessions({ status: 'superseded' })).toEqual(['A']);
    expect(withSessions({ status: 'superseded', sessions: sessions('due') })).toEqual(['A']);
    expect(withSessions({ status: 'completed', sessions: sessions('ending') })).toEqual(['A']);
    for (const status of ['ended', 'failed', 'refused'] as const)
      expect(withSessions({ status: 'superseded', sessions: sessions(status) })).toEqual([]);
    expect(withSessions({ status: 'cancelled', sessions: sessions('due') })).toEqual([]);
    expect(withSessions({ status: 'failed', sessions: sessions('due') })).toEqual([]);
  });

  test('when a member of a batch is not accepted yet, it is covered once', () => {
    const batch = { id: 'B', attempt: 1, is_accepted: false };
    expect(scopeOf(organization({ requests: [request('A', { batch })] }))).toEqual(['A']);
    expect(scopeOf(organization({ requests: [request('A', { batch, cancelled: ACT })] }))).toEqual([]);
    expect(scopeOf(organization({ requests: [request('A', { batch, status: 'failed' })] }))).toEqual([]);
  });
});

describe('the acceptance of a cancellation', () => {
  test('when nothing was done yet, the request is cancelled by the same write, and told', () => {
    const { is, item } = cancelled(
      organization({ requests: [request('A', { removal_due_at: 'x', notice_due_at: 'y' })] }),
    );
    expect(is).toBe('found');
    expect(found(item, 'A')).toMatchObject({
      status: 'cancelled',
      cancelled: ACT,
      ended_at: ago(0),
      updated_at: ago(0),
      removal_due_at: 'x',
      is_unrecorded: true,
    });
    expect(found(item, 'A').notice_due_at).toBeUndefined();
    expect(events(item)).toEqual(['cancelled A']);
    expect(item.cancellation).toEqual({ ...ACT, found: ['A'], reenabled: ['A'], has_found: true });
    expect(item.last_requested_at).toBe(ago(0));
  });

  test('when something is disabled, or may be, the request is being cancelled, and its outcomes are decided anew', () => {
    const outcomes = { con_1: { outcome: 'disabled' as const }, con_2: { outcome: 'removed' as const } };
    const requests = [
      request('A', {
        status: 'scheduled',
        outcomes,
        watch: 'on',
        attempts: 3,
        last_error: { code: 'x', message: 'x' },
      }),
    ];
    const { item } = cancelled(organization({ requests, ledger: [entry('con_1', ['A'])] }));
    expect(found(item, 'A')).toMatchObject({
      status: 'cancelling',
      cancelled: ACT,
      outcomes: { con_2: { outcome: 'removed' } },
      attempts: 0,
      is_unrecorded: true,
    });
    expect(found(item, 'A').outcomes).toEqual({ con_2: { outcome: 'removed' } });
    expect(found(item, 'A').watch).toBeUndefined();
    expect(found(item, 'A').last_error).toBeUndefined();
    expect(found(item, 'A').ended_at).toBeUndefined();
    expect(events(item)).toEqual([]);
    expect(item.ledger[0]?.claims).toEqual(['A']);
  });

  test('when the request has begun and disabled nothing yet, the worker ends it: a call may be on its way', () => {
    const ledger = [entry('con_1', ['A'], { disabled_by_us: false })];
    const { item } = cancelled(
      organization({ requests: [request('A', { status: 'working' }, { action: 'disable' })], ledger }),
    );
    expect(statuses(item)).toEqual({ A: 'cancelling' });
    expect(events(item)).toEqual([]);
  });

  test('when connections are being removed, nothing is written, and the answer says since when', () => {
    const removing = request('A', { status: 'removing', updated_at: ago(MINUTE) });
    const item = organization({ requests: [request('B'), removing], ledger: [entry('con_1', ['A'])] });
    expect(acceptCancellation(item, http(), NOW)).toEqual({ is: 'removing', since: ago(MINUTE), offboarding_id: 'A' });
    const atOnce = request('A', { status: 'working' }, { action: 'remove' });
    expect(acceptCancellation(organization({ requests: [atOnce] }), http(), NOW).is).toBe('removing');
    const dryRun = request('A', { status: 'working' }, { action: 'remove', dry_run: true });
    expect(acceptCancellation(organization({ requests: [dryRun] }), http(), NOW).is).toBe('nothing');
    // What is failed removes nothing any more.
    const failed = request('A', { status: 'failed' }, { action: 'remove' });
    expect(
      acceptCancellation(organization({ requests: [failed], ledger: [entry('con_1', ['A'])] }), http(), NOW).is,
    ).toBe('found');
  });

  test('when it is completed and watched, the watch ends with its event, and nothing is enabled', () => {
    const requests = [request('A', { status: 'completed', watch: 'on' })];
    const { is, item } = cancelled(
      organization({ requests, ledger: [entry('con_1', ['A'], { disabled_by_us: false })] }),
    );
    expect(is).toBe('found');
    expect(found(item, 'A')).toMatchObject({ status: 'completed', watch: 'ended', watch_ended: ACT });
    expect(events(item)).toEqual(['watch_ended A']);
    expect(item.cancellation).toMatchObject({ found: ['A'], reenabled: [] });
  });

  test('when there is nothing, it is recorded all the same', () => {
    const { is, item } = cancelled(emptyOrganization(ORG), http({ requested_by: undefined, reason: undefined }));
    expect(is).toBe('nothing');
    expect(item.cancellation).toEqual({
      at: ago(0),
      caller: 'canceller',
      requested_by: null,
      reason: null,
      found: [],
      reenabled: [],
    });
    expect(item.last_requested_at).toBe(ago(0));
    expect(item.requests).toEqual([]);
  });

  test('when it finds nothing new after one that found something, the earlier result is kept, with the later time', () => {
    const cancellation = { ...ACT, at: ago(HOUR), found: ['A'], reenabled: ['A'] };
    expect(cancelled(organization({ cancellation })).item.cancellation).toEqual({ ...cancellation, at: ago(0) });
    const empty = { ...cancellation, found: [], reenabled: [] };
    expect(cancelled(organization({ cancellation: empty })).item.cancellation).toMatchObject({ at: ago(0), found: [] });
  });

  test('when it finds something new after one that found something, its own result is recorded', () => {
    const cancellation = { ...ACT, at: ago(HOUR), caller: 'first', found: ['Z'], reenabled: ['Z'] };
    const { item } = cancelled(organization({ cancellation, requests: [request('A')] }));
    expect(item.cancellation).toEqual({ ...ACT, found: ['A'], reenabled: ['A'], has_found: true });
    const empty = { ...cancellation, found: [], reenabled: [] };
    expect(cancelled(organization({ cancellation: empty })).item.cancellation?.caller).toBe('canceller');
  });

  test('when a removal at once has not begun, it is cancelled', () => {
    const { item } = cancelled(organization({ requests: [request('A', {}, { action: 'remove' })] }));
    expect(statuses(item)).toEqual({ A: 'cancelled' });
  });

  test('when an event with an earlier time arrives after another cancellation, the later one stays the latest', () => {
    const cancellation = { ...ACT, at: ago(-SECOND), found: [], reenabled: [] };
    const item = organization({
      cancellation,
      requests: [byEvent('A', { requested_at: ago(MINUTE) })],
      last_requested_at: ago(-HOUR),
    });
    const { item: next } = cancelled(item, eventAt(ago(0)));
    expect(next.cancellation).toEqual(cancellation);
    expect(next.last_requested_at).toBe(ago(-HOUR));
    expect(statuses(next)).toEqual({ A: 'cancelled' });
  });

  test('when it is sent again while it is being carried out, it finds that, and changes nothing of it', () => {
    const requests = [request('A', { status: 'cancelling', cancelled: { at: ago(HOUR), caller: 'first' } })];
    const { is, item } = cancelled(organization({ requests, ledger: [entry('con_1', ['A'])] }));
    expect(is).toBe('found');
    expect(item.requests).toEqual(requests);
    expect(item.cancellation).toMatchObject({ found: ['A'], reenabled: ['A'] });
  });

  test('when several are pending, all of them are cancelled, and what another one disabled is left to its own', () => {
    const requests = [request('A', { status: 'scheduled' }), request('B'), request('C', { requested_at: ago(-1) })];
    const { item } = cancelled(organization({ requests, ledger: [entry('con_1', ['A', 'C'])] }));
    expect(statuses(item)).toEqual({ A: 'cancelling', B: 'cancelled', C: 'requested' });
    expect(item.cancellation?.found).toEqual(['A', 'B']);
  });

  test('when a member of a batch is not accepted yet, it is marked, and is no find', () => {
    const batch = { id: 'B', attempt: 1, is_accepted: false };
    const { is, item } = cancelled(organization({ requests: [request('A', { batch })] }));
    expect(is).toBe('nothing');
    expect(found(item, 'A')).toMatchObject({ status: 'requested', cancelled: ACT });
    expect(item.cancellation?.found).toEqual([]);
  });
});

describe('one request that is cancelled', () => {
  test('when it is superseded and its sessions are due, it is cancelled, and its label of superseding goes', () => {
    const superseded = request(
      'A',
      { status: 'superseded', superseded_by: 'B', ended_at: ago(HOUR) },
      { end_sessions: true },
    );
    const next = cancelRequest(organization({ requests: [superseded] }), superseded, ACT, NOW);
    expect(found(next, 'A')).toMatchObject({ status: 'cancelled', cancelled: ACT, ended_at: ago(0) });
    expect(found(next, 'A').superseded_by).toBeUndefined();
    expect(events(next)).toEqual(['cancelled A']);
  });

  test('when it has ended otherwise, nothing changes', () => {
    for (const status of ['completed', 'cancelled', 'failed'] as const) {
      const item = organization({ requests: [request('A', { status })] });
      expect(cancelRequest(item, found(item, 'A'), ACT, NOW)).toBe(item);
    }
    const item = organization({ requests: [request('A', { status: 'cancelling' })] });
    expect(cancelRequest(item, found(item, 'A'), ACT, NOW)).toBe(item);
  });

  test('when it has an error and claims nothing, its error goes, and the claims of others stay', () => {
    const item = organization({ requests: [request('A')], ledger: [entry('con_1', ['B'])] });
    const next = toCancelling(item, { ...found(item, 'A'), error: { code: 'x', message: 'x' } }, NOW);
    expect(found(next, 'A').error).toBeUndefined();
    expect(next.ledger[0]?.claims).toEqual(['B']);
  });

  test('when its watch ends, its event says who ended it, and its status stays', () => {
    const item = organization({
      requests: [request('A', { status: 'completed', watch: 'on' })],
      outbox: [outbox('drifted', 'A')],
    });
    const next = endWatch(item, found(item, 'A'), { at: ago(0), caller: 'c' }, NOW);
    expect(found(next, 'A')).toMatchObject({
      watch: 'ended',
      watch_ended: { at: ago(0), caller: 'c', requested_by: null, reason: null },
    });
    expect(events(next)).toEqual(['drifted A', 'watch_ended A']);
  });
});
