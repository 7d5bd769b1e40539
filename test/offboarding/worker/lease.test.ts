// Who works on an organization: the lease, what a crash leaves behind, and what an organization is given back with.
import { describe, expect, test } from 'vitest';
import type { LedgerEntry, OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { iso } from '../../../lib/offboarding/model/stage.ts';
import {
  endOf,
  isSaved,
  OUT_OF_TIME,
  save,
  versionOf,
  waitAfter,
  withoutAbandonedLease,
} from '../../../lib/offboarding/worker/lease.ts';
import type { VisitState } from '../../../lib/offboarding/worker/visit-state.ts';
import { ago, DAY, entry, found, HOUR, MINUTE, NOW, organization, request, SECOND } from '../items.ts';
import { AWAY } from '../play.ts';
import { stateOf, WAIT_MS } from './states.ts';

const CRASHED = { code: 'internal_error', message: 'The worker crashed or timed out before it had finished' };
const planned = (changes: object = {}): Partial<LedgerEntry> => ({
  disabled_by_us: false,
  intent: { goal: 'disabled', offboarding_id: 'A', ...changes },
});

describe('a lease that its owner has left behind', () => {
  const leased = (owner: string, changes: Partial<Organization> = {}) =>
    organization({ lease: { owner, until: NOW - HOUR }, ...changes });
  const without = (item: Organization) => withoutAbandonedLease(stateOf(item));

  test('when there is none, or it is this visit’s own, nothing changes', () => {
    for (const item of [organization(), leased('n')]) expect(without(item)).toBe(item);
  });
  test('when its owner crashed, what it was about to do it may have done, and a cancellation enables that', () => {
    const ledger = [entry('con_1', ['A'], planned()), entry('con_2', ['A'], { disabled_by_us: false })];
    const next = without(leased('other', { requests: [request('A', { status: 'working' })], ledger }));
    expect(next.lease).toBeUndefined();
    expect(next.ledger[0]).toMatchObject({ disabled_by_us: true, intent: { goal: 'disabled', is_uncertain: true } });
    expect(next.ledger[1]).toEqual(ledger[1]);
  });
  test.each(['working', 'removing', 'cancelling'] as const)(
    'when a request is %s, the crash counts as an attempt',
    (status) => {
      const one = found(without(leased('other', { requests: [request('A', { status, attempts: 2 })] })), 'A');
      expect(one).toMatchObject({ attempts: 3, last_error: CRASHED, next_try_at: ago(0) });
      const known = request('A', { status, last_error: { code: 'x', message: 'x' } });
      expect(found(without(leased('other', { requests: [known] })), 'A').last_error).toEqual(known.last_error);
    },
  );
  test('when a request has not begun, waits, has ended or does not count yet, the crash was none of its', () => {
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    const others: Partial<OpenRequest>[] = [
      ...(['requested', 'scheduled', 'completed', 'failed'] as const).map((status) => ({ status })),
      { status: 'working', batch },
    ];
    for (const changes of others) {
      const one = request('A', changes);
      expect(found(without(leased('other', { requests: [one] })), 'A')).toEqual(one);
    }
  });
  test('when its owner only kept it while Auth0 might still carry out a call, nobody crashed', () => {
    const requests = [request('A', { status: 'working' })];
    const next = without(leased('nobody', { requests, ledger: [entry('con_1', ['A'], planned())] }));
    expect(next.requests).toEqual(requests);
    expect(next.lease).toBeUndefined();
    expect(next.ledger[0]?.intent?.is_uncertain).toBe(true);
  });
});

describe('what is stored', () => {
  const own = organization({ lease: { owner: 'n', until: NOW + MINUTE } });
  test('when the item is as it was stored under the lease of this visit, all is saved', () => {
    expect(isSaved(stateOf(own))).toBe(true);
    expect(isSaved({ ...stateOf(own), item: { ...own } })).toBe(false);
    expect(isSaved(stateOf(organization()))).toBe(false);
    expect(isSaved(stateOf(organization({ lease: { owner: 'other', until: NOW + MINUTE } })))).toBe(false);
    expect(isSaved(stateOf(undefined))).toBe(false);
  });
  test('when a visit writes, each of its versions is another one', () => {
    expect([0, 1].map((writes) => versionOf(stateOf(own, { writes })))).toEqual(['n.1', 'n.2']);
  });
  test('when the visit goes on, it keeps its lease for its time, and for a call that may be late', () => {
    const item = organization({ ledger: [entry('con_1', ['A'], planned())] });
    const { state, effect } = save(stateOf(item), true);
    expect(effect).toEqual({ do: 'writeOrganization', item: state.item, expected: 'v.1' });
    expect(state.item).toEqual({
      ...item,
      ...{ lease: { owner: 'n', until: NOW + 54 * SECOND + 60_000 }, version: 'n.1', revision: 4 },
    });
    expect(save(stateOf(undefined), true).effect).toMatchObject({ expected: undefined });
  });

  const givenBack = (item: Organization, changes: Partial<VisitState> = {}) =>
    save(stateOf(item, changes), false).state.item;
  test('when the visit ends, what was planned and not begun is planned anew; what may be done is not', () => {
    const ledger = [
      entry('con_1', ['A'], planned()),
      entry('con_2', ['A'], planned({ is_uncertain: true })),
      entry('con_3', ['A'], { ...planned(), drifted_at: ago(HOUR) }),
      entry('con_4', ['A']),
    ];
    const next = givenBack(organization({ ledger }));
    expect(next.lease).toBeUndefined();
    expect(next.ledger.map(({ intent }) => intent !== undefined)).toEqual([false, true, true, false]);
    expect(next.ledger[3]).toEqual(ledger[3]);
  });
  test('when Auth0 may still carry out a call, nobody works on it until that is over', () => {
    expect(givenBack(organization(), { uncertainUntil: NOW + 1 }).lease).toEqual({ owner: 'nobody', until: NOW + 1 });
    expect(givenBack(organization(), { uncertainUntil: NOW }).lease).toBeUndefined();
  });
  test('when something is due, the message about it is taken to be on its way for five minutes from then on', () => {
    const waiting = (accepted_at: string) => organization({ requests: [request('A', { accepted_at })] });
    expect(givenBack(organization()).notice_at).toBeUndefined();
    expect(givenBack(waiting(ago(-HOUR))).notice_at).toBe(NOW + HOUR + 5 * MINUTE);
    expect(givenBack(waiting(ago(HOUR))).notice_at).toBe(NOW + 5 * MINUTE);
    expect(givenBack(waiting(ago(-HOUR)), { error: AWAY }).notice_at).toBe(NOW + WAIT_MS + 5 * MINUTE);
  });
});

describe('the end of a visit', () => {
  const end = (item: Organization | undefined, changes: Partial<VisitState> = {}) => endOf(stateOf(item, changes));
  const due = organization({ requests: [request('A')] });
  const CANCEL = { input: { ...stateOf(due).input, mode: 'cancel' as const } };

  test('when nothing is due, it is done', () => {
    expect(end(undefined)).toEqual({ is: 'done' });
    expect(end(organization())).toEqual({ is: 'done' });
    expect(end(organization({ requests: [request('A', { accepted_at: ago(-10 * SECOND) })] }))).toEqual({ is: 'done' });
  });
  test('when something is due, the visit goes on after a wait; a caller does not wait for that', () => {
    expect(end(due)).toEqual({ is: 'later', wait_ms: WAIT_MS });
    expect(end(organization({ requests: [request('A', { accepted_at: ago(0) })] }))).toEqual({
      is: 'later',
      wait_ms: WAIT_MS,
    });
    expect(end(due, CANCEL)).toEqual({ is: 'done' });
  });
  test('when a call is uncertain, the visit goes on once that is over, whatever the clocks say', () => {
    const lease = { owner: 'nobody', until: NOW + MINUTE };
    expect(end({ ...due, lease })).toEqual({ is: 'later', wait_ms: 3 * MINUTE });
    expect(end({ ...due, lease }, CANCEL)).toEqual({ is: 'later', wait_ms: 3 * MINUTE });
    expect(end(organization({ lease }))).toEqual({ is: 'done' });
  });
  test('when the time was over, it goes on at once', () => {
    expect(end(due, { error: OUT_OF_TIME })).toEqual({ is: 'later', wait_ms: 0 });
    expect(OUT_OF_TIME).toMatchObject({ is_transient: true, may_be_done: false });
  });
  test('when an error ended it, that is waited out; a rate limit says how long', () => {
    expect(end(due, { error: AWAY })).toEqual({ is: 'later', wait_ms: WAIT_MS, error: AWAY });
    const limited = { ...AWAY, code: 'rate_limited' };
    expect(waitAfter({ ...limited, retry_after: 7 }, stateOf(due))).toBe(7000);
    expect(waitAfter(limited, stateOf(due))).toBe(1000);
    expect(waitAfter({ ...AWAY, retry_after: 7 }, stateOf(due))).toBe(WAIT_MS);
  });
  test('when something is due within ten seconds, such as the check that a list could not tell yet, it is waited for in place', () => {
    const changedAt = NOW - SECOND;
    const item = (next_drift_check_at: string) =>
      organization({
        requests: [request('A', { status: 'completed', watch: 'on' })],
        ledger: [entry('con_0', ['A']), entry('con_1', ['A'], { changed: { goal: 'disabled', at: changedAt } })],
        next_drift_check_at,
      });
    const soon = item(iso(changedAt + 6001));
    expect(end(soon)).toEqual({ is: 'later', wait_ms: 5001 });
    expect(end(soon, CANCEL)).toEqual({ is: 'done' });
    expect(end(item(ago(-DAY)))).toEqual({ is: 'done' });
    expect(end(soon, { now: changedAt + 6001 })).toEqual({ is: 'later', wait_ms: WAIT_MS });
  });
});
