import { describe, expect, test } from 'vitest';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import {
  isOver,
  withoutOldClaims,
  withoutOver,
  withoutOverdueWatches,
} from '../../../lib/offboarding/rules/leaving.ts';
import { begin } from '../../../lib/offboarding/rules/progress.ts';
import { areSessionsLeft } from '../../../lib/offboarding/rules/requests.ts';
import {
  ago,
  DAY,
  entry,
  events,
  found,
  grant,
  HOUR,
  listing,
  MINUTE,
  NOW,
  off,
  organization,
  outbox,
  parameters,
  request,
  STAGE,
} from '../items.ts';

const with_ = (one: OpenRequest, changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });

describe('watches that are over', () => {
  const watched = (id: string, changes: Partial<OpenRequest> = {}) =>
    request(id, { status: 'completed', watch: 'on', ended_at: ago(DAY), ...changes });
  const tidy = (...requests: OpenRequest[]) => withoutOverdueWatches(organization({ requests }), NOW, STAGE);

  test('when the time of a watch is over, it ends with its event; a millisecond earlier it does not', () => {
    const end = Date.parse('2025-10-20T09:00:00.500Z');
    expect(NOW - end).toBe(400 * DAY);
    expect(tidy(watched('A', { ended_at: ago(400 * DAY) })).outbox).toEqual([]);
    const next = tidy(watched('A', { ended_at: ago(400 * DAY + 1) }));
    expect(events(next)).toEqual(['watch_ended A']);
    expect(found(next, 'A')).toMatchObject({
      watch: 'ended',
      watch_ended: { at: ago(0), caller: 'org-connections', requested_by: null, reason: 'watched for long enough' },
    });
    expect(events(tidy(watched('A', { ended_at: undefined, accepted_at: ago(401 * DAY) })))).toEqual(['watch_ended A']);
  });
  test('when a watch has ended, it does not end again', () => {
    expect(events(tidy(watched('A', { watch: 'ended', ended_at: ago(500 * DAY) })))).toEqual([]);
  });
  test('when an offboarding is scheduled, its watch does not end', () => {
    expect(events(tidy(watched('A', { status: 'scheduled', ended_at: ago(500 * DAY) })))).toEqual([]);
  });
  test('when more than ten are watched, the oldest end', () => {
    const all = Array.from({ length: 12 }, (_, index) =>
      watched(`r${String(index).padStart(2, '0')}`, { requested_at: ago(DAY - index) }),
    );
    const next = tidy(...all);
    expect(events(next)).toEqual(['watch_ended r00', 'watch_ended r01']);
    expect(found(next, 'r00').watch_ended?.reason).toBe('later offboardings are watched');
    expect(tidy(...all.slice(2)).outbox).toEqual([]);
  });
  test('when more than ten are watched, one that newer ones do not cover stays', () => {
    const ids = (connection_ids: string[]) => ({ parameters: parameters({ connection_ids }) });
    const machines = { parameters: parameters({ end_machine_access: true }) };
    const after = (oldest: Partial<OpenRequest>, newest: Partial<OpenRequest>) => {
      const middle = Array.from({ length: 9 }, (_, index) => watched(`b${index}`, ids(['con_2'])));
      const ended = events(tidy(watched('a', oldest), ...middle, watched('c', newest)));
      return ended.includes('watch_ended a');
    };
    expect(after(ids(['con_1']), {})).toBe(true);
    expect(after({}, {})).toBe(true);
    expect(after({}, ids(['con_1']))).toBe(false);
    expect(after(ids(['con_1']), ids(['con_1']))).toBe(true);
    expect(after(ids(['con_1', 'con_2']), ids(['con_1']))).toBe(true);
    expect(after(ids(['con_1', 'con_3']), ids(['con_1']))).toBe(false);
    expect(after(ids(['con_1']), ids(['con_3']))).toBe(false);
    expect(after(machines, {})).toBe(false);
    expect(after(machines, machines)).toBe(true);
    expect(after({ parameters: parameters({ end_sessions: true }) }, {})).toBe(false);
  });
  test('when its removal has begun, its watch does not end', () => {
    expect(events(tidy(watched('A', { status: 'removing', ended_at: ago(500 * DAY) })))).toEqual([]);
  });
});

describe('claims of many failed offboardings', () => {
  const failed = (count: number, status: OpenRequest['status'] = 'failed') =>
    Array.from({ length: count }, (_, index) => request(`f${index}`, { status }));
  const allOf = (requests: OpenRequest[]) => requests.map(({ offboarding_id }) => offboarding_id);
  const given = (requests: OpenRequest[], ledger: Organization['ledger']) =>
    withoutOldClaims(organization({ requests, ledger }), NOW);
  const claims = ({ ledger }: Organization) => ledger.map((one) => one.claims.includes('f0'));

  test('when more than ten failed ones claim what was disabled, the oldest gives its claims up, and its record says so', () => {
    const eleven = failed(11);
    const ledger = [entry('con_1', allOf(eleven)), entry('con_2', ['f0', 'f10']), grant('cgr_1', ['f0', 'f3'])];
    const next = given(eleven, [...ledger, entry('con_3', ['f0'], { disabled_by_us: false })]);
    expect(claims(next)).toEqual([false, false, false, true]);
    expect(next.ledger[0]?.claims).toEqual(allOf(eleven.slice(1)));
    expect(found(next, 'f0')).toMatchObject({ updated_at: ago(0), is_unrecorded: true, status: 'failed' });
    expect(found(next, 'f1').is_unrecorded).toBeUndefined();
  });
  test('when newer ones do not claim all of it, or are ten, nothing changes', () => {
    const kept = (requests: OpenRequest[], ledger: Organization['ledger']) => {
      const item = organization({ requests, ledger });
      return withoutOldClaims(item, NOW) === item;
    };
    const eleven = failed(11);
    const both = [entry('con_1', allOf(eleven)), entry('con_2', ['f0'])];
    expect(kept(eleven, both)).toBe(true);
    expect(kept(eleven.slice(0, 10), [entry('con_1', allOf(eleven))])).toBe(true);
    expect(kept(failed(11, 'completed'), [entry('con_1', allOf(eleven))])).toBe(true);
    // Who disabled nothing does not count among the ten.
    expect(kept(eleven, [entry('con_1', allOf(eleven.slice(0, 10)))])).toBe(true);
  });
  test('when the oldest claims what no newer one does, the next one gives its claims up', () => {
    const twelve = failed(12);
    const next = given(twelve, [entry('con_1', allOf(twelve)), entry('con_2', ['f0'])]);
    expect(next.ledger.map((one) => one.claims.slice(0, 2))).toEqual([['f0', 'f2'], ['f0']]);
  });
});

describe('what is over', () => {
  const over = (one: OpenRequest, changes: Partial<Organization> = {}) => isOver(with_(one, changes), one);
  const completed = (changes: Partial<OpenRequest> = {}, of = {}) =>
    request('A', { status: 'completed', ...changes }, of);

  test('when a request has ended, is on record, published and not watched, it is over', () => {
    expect(over(completed())).toBe(true);
    expect(over(completed({ watch: 'ended' }))).toBe(true);
    expect(over(completed({ is_unrecorded: true }))).toBe(false);
    expect(over(completed({ watch: 'on' }))).toBe(false);
    expect(over(request('A', { status: 'scheduled' }))).toBe(false);
    expect(over(completed({ batch: { id: 'X', attempt: 1, is_accepted: false } }))).toBe(false);
    expect(over(completed(), { outbox: [outbox('completed', 'A')] })).toBe(false);
    expect(over(completed(), { outbox: [outbox('completed', 'B')] })).toBe(true);
  });
  test('when it failed and disabled something, it is not over: it can be given back', () => {
    const failed = request('A', { status: 'failed' });
    expect(over(failed, { ledger: [entry('con_1', ['A'])] })).toBe(false);
    expect(over(failed, { ledger: [entry('con_1', ['A'], { disabled_by_us: false }), entry('con_2', ['B'])] })).toBe(
      true,
    );
    expect(over(completed(), { ledger: [entry('con_1', ['A'])] })).toBe(true);
  });
  test('when sessions are still to be ended, it is not over', () => {
    expect(areSessionsLeft(completed({}, { end_sessions: true }))).toBe(true);
    expect(over(completed({}, { end_sessions: true }))).toBe(false);
    expect(over(completed())).toBe(true);
  });

  const left = (item: Organization) => withoutOver(item, NOW);
  test('when a carried out request leaves, it stays known as the current one, unless a later one is', () => {
    const item = organization({
      requests: [completed({ requested_at: ago(HOUR) }), request('B', { status: 'failed', requested_at: ago(MINUTE) })],
    });
    expect(left(item)).toMatchObject({ requests: [], current: { offboarding_id: 'B', requested_at: ago(MINUTE) } });
    const later = { offboarding_id: 'Z', requested_at: ago(0) };
    expect(left({ ...item, current: later }).current).toEqual(later);
    expect(left({ ...item, current: { offboarding_id: 'Y', requested_at: ago(DAY) } }).current?.offboarding_id).toBe(
      'B',
    );
    expect(left({ ...item, current: { offboarding_id: 'Y', requested_at: ago(MINUTE) } }).current?.offboarding_id).toBe(
      'Y',
    );
  });
  test('when several leave at once, the one requested last is the current one', () => {
    const requests = [HOUR, DAY, MINUTE].map((ms) => request(`r${ms}`, { status: 'completed', requested_at: ago(ms) }));
    expect(left(organization({ requests })).current?.offboarding_id).toBe(`r${MINUTE}`);
  });
  test('when a cancelled, superseded or dry request leaves, it is no current one', () => {
    for (const one of [
      request('A', { status: 'cancelled' }),
      request('A', { status: 'superseded' }),
      completed({}, { dry_run: true }),
    ])
      expect(left(with_(one))).toMatchObject({ requests: [], current: undefined });
  });
  test('when nothing is over, nothing changes', () => {
    const item = organization({ requests: [request('A')], ledger: [entry('con_1', ['gone'])] });
    expect(left(item)).toBe(item);
  });
  test('when the last claim of a connection leaves, it is forgotten, unless a call is open or a list may not show it', () => {
    const ledger = [
      entry('con_1', ['A']),
      entry('con_2', ['A', 'B']),
      entry('con_3', ['A'], { intent: { goal: 'disabled', offboarding_id: 'A' } }),
      entry('con_4', ['A'], { changed: { goal: 'disabled', at: NOW - 59_999 } }),
      entry('con_5', ['A'], { changed: { goal: 'disabled', at: NOW - 60_000 } }),
      grant('cgr_1', ['C']),
    ];
    const open = [request('B', { status: 'scheduled' }), request('C', { status: 'completed', watch: 'on' })];
    const next = left(organization({ requests: [completed(), ...open], ledger }));
    expect(next.ledger.map(({ id, claims, disabled_by_us }) => [id, claims, disabled_by_us])).toEqual([
      ['con_2', ['B'], true],
      ['con_3', [], false],
      ['con_4', [], false],
      ['cgr_1', ['C'], false],
    ]);
  });
  test('when only a dry run claims what we disabled, nobody can give it back', () => {
    const ledger = [entry('con_1', ['A', 'D'])];
    const dry = request('D', { status: 'working' }, { dry_run: true });
    expect(left(organization({ requests: [completed(), dry], ledger })).ledger).toEqual([
      entry('con_1', ['D'], { disabled_by_us: false }),
    ]);
  });
});

test('when a list shows a connection as off, a request still begins with it', () => {
  const one = request('A', {}, { action: 'disable' });
  const next = begin(with_(one), one, listing([off('con_1')]), NOW, STAGE);
  expect(next.ledger.map(({ id, claims }) => [id, claims])).toEqual([['con_1', ['A']]]);
});
