// What becomes due later: removals with their notices, the sessions of members, and drift checks.
import { describe, expect, test } from 'vitest';
import type { LedgerEntry, OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { nextCheckAt } from '../../../lib/offboarding/worker/check-steps.ts';
import {
  ago,
  DAY,
  entry,
  events,
  found,
  HOUR,
  listedGrant,
  listing,
  MINUTE,
  NOW,
  ORG,
  off,
  organization,
  request,
  SECOND,
  statuses,
} from '../items.ts';
import { changed, listed, OPEN_BATCH, short, stage, stateOf, step } from './states.ts';

/** The visit has its lease. */
const LEASED = { lease: { owner: 'n', until: NOW + HOUR } };
const CHECKED = { next_drift_check_at: ago(-DAY) };
const later = (id: string, changes: Partial<OpenRequest> = {}, of: object = {}) =>
  request(id, { status: 'scheduled', watch: 'on', removal_due_at: ago(-HOUR), ...changes }, of);
const itemOf = (...requests: OpenRequest[]) => organization({ requests, ...CHECKED });

describe('a removal', () => {
  const due = later('A', { removal_due_at: ago(0), outcomes: { con_1: { outcome: 'disabled' } } });
  test('when it is due, or two seconds later, it begins', () => {
    expect(statuses(changed(itemOf(due)))).toEqual({ A: 'removing' });
    const ahead = (ms: number) => short(step(itemOf(later('A', { removal_due_at: ago(-ms) }))));
    expect([ahead(2 * SECOND), ahead(2 * SECOND + 1)]).toEqual(['change', 'rest']);
  });
  test('when something of this visit is postponed, or connections are being removed, it waits', () => {
    expect(short(step(itemOf(due), { postponed: ['con_1'] }))).toBe('rest');
    const removing = request('B', { status: 'removing' });
    const item = { ...itemOf(due, removing), ledger: [entry('con_1', ['B'])] };
    expect(short(step(item, { ...listed(listing([off('con_1')], { grants: [] })), postponed: ['con_1'] }))).toBe(
      'rest',
    );
    const atOnce = request('B', { status: 'working', requested_at: ago(HOUR) }, { action: 'remove' });
    const intent = { goal: 'removed' as const, offboarding_id: 'B' };
    const open = { ...itemOf(due, atOnce), ledger: [entry('con_1', ['B'], { intent })] };
    expect(short(step(open, { ...listed(listing([off('con_1')])), unsettled: { con_1: 'enabled' } }))).toBe('rest');
  });
  test('when a later offboarding is still to be scheduled, that one decides the date', () => {
    const decides = (changes: Partial<OpenRequest>, of: object = {}) =>
      short(
        step(itemOf(due, request('B', { requested_at: ago(0), accepted_at: ago(-DAY), ...changes }, of)), {
          batches: { X: OPEN_BATCH },
        }),
      );
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    expect(decides({ status: 'requested' })).toBe('listConnections');
    expect(decides({ batch })).toBe('change');
    expect(decides({ status: 'completed', watch: 'on', ended_at: ago(0) })).toBe('change');
    expect(statuses(changed(itemOf(due, later('B', { requested_at: ago(0), removal_due_at: ago(0) }))))).toEqual({
      ...{ A: 'scheduled', B: 'removing' },
    });
    expect(short(step(itemOf(due, later('B', { requested_at: ago(0) }))))).toBe('rest');
  });
  test('when a later one only disables, or is a dry run, the removal begins all the same', () => {
    const ledger = [entry('con_1', ['B'], { disabled_by_us: false })];
    const beside = (of: object) => {
      const other = request('B', { status: 'working', requested_at: ago(0) }, of);
      const item = { ...itemOf(due, other), ledger };
      const intent = { goal: 'disabled' as const, offboarding_id: 'B' };
      return short(
        step(
          {
            ...item,
            ledger: [{ ...(ledger[0] as LedgerEntry), intent, changed: { goal: 'disabled', at: NOW - SECOND } }],
          },
          listed(listing(['con_1'])),
        ),
      );
    };
    // The list cannot tell yet whether the connection of the other one is disabled: that one waits.
    expect(beside({ action: 'disable' })).toBe('change');
    expect(beside({ action: 'disable_then_remove' })).toBe('rest');
  });
});

describe('the notice of a removal', () => {
  test('when it is due, it is published once, and the record shows nothing of it', () => {
    const next = changed(itemOf(later('A', { notice_due_at: ago(0) })));
    expect(events(next)).toEqual(['removal_upcoming A']);
    expect(next.outbox[0]?.at).toBe(ago(0));
    expect(found(next, 'A')).toEqual(later('A', { notice_due_at: undefined }));
    expect(short(step({ ...next, outbox: [] }))).toBe('rest');
  });
  test('when the removal is due, too, the notice goes first', () => {
    const next = changed(itemOf(later('A', { notice_due_at: ago(HOUR), removal_due_at: ago(0) })));
    expect(events(next)).toEqual(['removal_upcoming A']);
    expect(statuses(changed({ ...next, outbox: [] }))).toEqual({ A: 'removing' });
  });
  test('when it is due later, or another offboarding decides, there is none yet', () => {
    expect(short(step(itemOf(later('A', { notice_due_at: ago(-2 * SECOND - 1) }))))).toBe('rest');
    const earlier = later('A', { notice_due_at: ago(HOUR), requested_at: ago(DAY) });
    expect(short(step(itemOf(earlier, later('B', { notice_due_at: ago(-HOUR) }))))).toBe('rest');
  });
});

describe('the sessions of members', () => {
  const NONE = { status: 'due' as const, members: 0, revocations_requested: 0, skipped: 0, failed: 0 };
  const ended = (changes: Partial<OpenRequest> = {}) =>
    request('A', { status: 'completed', watch: 'on', ...changes }, { end_sessions: true });
  test('when connections are ended, the item says first that they are due; then a message goes out, once a visit', () => {
    const next = changed(itemOf(ended()));
    expect(found(next, 'A').sessions).toEqual({ ...NONE, updated_at: ago(0) });
    const stored = { ...next, ...LEASED };
    expect(step(next)).toEqual({ do: 'save' });
    expect(step(stored)).toEqual({ do: 'sendSessionsDue', organization_id: ORG, offboarding_id: 'A' });
    expect(short(step(stored, { sent: ['sessions A'] }))).toBe('rest');
    const other = { ...next, requests: [...next.requests, { ...ended(), offboarding_id: 'B' }] };
    expect(found(changed(other, { sent: ['sessions A'] }), 'B').sessions).toBeDefined();
  });
  test('when a message was sent, it is not sent again before half an hour', () => {
    const sent = (ms: number) =>
      short(step({ ...itemOf(ended({ sessions: { ...NONE, sent_at: ago(ms), updated_at: ago(ms) } })), ...LEASED }));
    expect([sent(30 * MINUTE - 1), sent(30 * MINUTE)]).toEqual(['rest', 'sendSessionsDue']);
  });
  test('when the stage has stopped ending sessions, they failed for that, with what was done', () => {
    const none = stage({ canEndSessions: false });
    const error = { code: 'end_sessions_not_enabled', message: 'This stage does not end sessions' };
    const next = changed(itemOf(ended()), none);
    expect(found(next, 'A').sessions).toEqual({ ...NONE, status: 'failed', error, updated_at: ago(0) });
    expect(events(next)).toEqual(['sessions_ended A']);
    const begun = { ...NONE, status: 'ending' as const, members: 3, updated_at: ago(HOUR) };
    expect(found(changed(itemOf(ended({ sessions: begun })), none), 'A').sessions).toMatchObject({
      ...{ status: 'failed', members: 3, error, updated_at: ago(0) },
    });
  });
  test('when nobody asked for it, nothing is sent', () => {
    expect(short(step(itemOf(request('A', { status: 'completed', watch: 'on' }))))).toBe('rest');
  });
});

describe('a drift check', () => {
  const watched = (changes: Partial<Organization> = {}, of: object = {}) =>
    organization({
      requests: [request('A', { status: 'completed', watch: 'on', ended_at: ago(HOUR) }, { action: 'disable', ...of })],
      next_drift_check_at: ago(0),
      ...changes,
    });
  const list = listed(listing([off('con_1')]));
  test('when an offboarding is watched, its first check is due after a day', () => {
    expect(changed(watched({ next_drift_check_at: undefined })).next_drift_check_at).toBe(ago(-DAY));
    expect(short(step(organization({ next_drift_check_at: ago(0) })))).toBe('rest');
  });
  test('when it is due, connections are listed for it, and grants where they were ended', () => {
    expect(step(watched())).toEqual({ do: 'save' });
    expect(step(watched(LEASED))).toEqual({ do: 'listConnections', organization_id: ORG });
    expect(short(step(watched({ next_drift_check_at: ago(-1) })))).toBe('rest');
    const machines = watched(LEASED, { end_machine_access: true });
    expect(step(machines, list)).toEqual({ do: 'listGrants', organization_id: ORG });
    expect(short(step(machines, listed(listing([], { grants: null }))))).toBe('checked');
    expect(short(step(watched(), list))).toBe('checked');
  });
  test('when work is postponed, the check waits; what a check itself has tried does not count', () => {
    expect(short(step(watched(), { ...list, postponed: ['con_2'] }))).toBe('rest');
    expect(short(step(watched(), { ...list, postponed: ['con_2'], tried: ['con_2'] }))).toBe('checked');
  });
  test('when a notification came after the list, it is listed anew', () => {
    const notified = watched({ drift_checks_requested: 2, ...LEASED });
    expect(short(step(notified, listed(listing([]), { checks: 1 })))).toBe('listConnections');
    expect(short(step(notified, listed(listing([]), { checks: 2 })))).toBe('checked');
  });
  test('when Auth0 has no such organization any more, nothing has drifted', () => {
    const gone = listed(listing([], { grants: [] }));
    expect(short(step(watched({}, { end_machine_access: true }), gone))).toBe('checked');
  });
  test('when a connection drifted, it is reported, or disabled again', () => {
    const enabled = listed(listing(['con_1']));
    expect(events(changed(watched(), enabled))).toEqual(['drifted A']);
    const next = step(watched({}, { on_reenable: 'disable_again' }), enabled);
    expect(next).toMatchObject({
      ...{ do: 'call', entry: { intent: { goal: 'disabled', offboarding_id: 'A' } } },
      item: { ledger: [{ id: 'con_1', intent: { goal: 'disabled' } }] },
    });
    const tried = step(watched({}, { on_reenable: 'disable_again' }), { ...enabled, tried: ['con_1'] });
    expect(short(tried)).toBe('checked');
    const grants = listed(listing([], { grants: [listedGrant('cgr_1')] }));
    expect(events(changed(watched({}, { end_machine_access: true }), grants))).toEqual(['drifted A']);
  });
});

describe('the date of the next check', () => {
  const intent = { goal: 'disabled' as const, offboarding_id: 'A' };
  const next = (ledger: LedgerEntry[], changes: object = {}) => nextCheckAt(stateOf(organization({ ledger }), changes));
  test('when all is done, it is the stage’s interval later', () => {
    expect(next([entry('con_1', ['A'])])).toBe(ago(-DAY));
    expect(next([entry('con_1', ['A'], { intent })])).toBe(ago(-DAY));
    expect(next([entry('con_1', ['A'])], { tried: ['con_1'] })).toBe(ago(-DAY));
    expect(next([], stage({ watchInterval: 'PT5H' }))).toBe(ago(-5 * HOUR));
  });
  test('when a call of this check is still open, it is five minutes later', () => {
    expect(next([entry('con_0', ['A']), entry('con_1', ['A'], { intent })], { tried: ['con_1'] })).toBe(
      ago(-5 * MINUTE),
    );
  });
  test('when the list may not show yet what we disabled, it is as soon as a list must show it', () => {
    const at = (ms: number) => entry(`con_${ms}`, ['A'], { changed: { goal: 'disabled', at: NOW - ms } });
    expect(next([at(3000), at(1000), at(2000)], listed(listing([])))).toBe(ago(1000 - 6001));
    expect(next([at(6000)], listed(listing([])))).toBe(ago(-DAY));
    expect(next([at(1000)])).toBe(ago(-DAY));
  });
});
