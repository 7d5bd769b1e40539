// What a visit has learned, applied to the organization's item, also where somebody else has written it meanwhile.
import { describe, expect, test } from 'vitest';
import {
  emptyOrganization,
  type LedgerEntry,
  type OpenRequest,
  type Organization,
} from '../../../lib/offboarding/model/organization.ts';
import { applyFact, type Fact, levelAfter, uncertainEntry } from '../../../lib/offboarding/worker/facts.ts';
import { isWorkPostponed, startVisit } from '../../../lib/offboarding/worker/visit-state.ts';
import {
  ago,
  entry,
  found,
  grant,
  HOUR,
  listedGrant,
  MINUTE,
  NOW,
  ORG,
  organization,
  outbox,
  request,
} from '../items.ts';
import { INPUT, working } from './states.ts';

type Called = Extract<Fact, { is: 'called' }>;
const called = (changes: Partial<Called> = {}): Called => ({
  ...{ is: 'called', key: 'con_1', offboarding_id: 'A', goal: 'disabled', result: 'done', isDrift: false, at: NOW },
  ...changes,
});
const ERROR = { code: 'rejected_by_auth0', message: 'No' };
const intent = { goal: 'disabled' as const, offboarding_id: 'A' };
const planned = (changes: Partial<LedgerEntry> = {}) =>
  entry('con_1', ['A'], { disabled_by_us: false, intent, ...changes });
const itemOf = (one: OpenRequest, ...ledger: LedgerEntry[]) => organization({ requests: [one], ledger });
const outcomes = (item: Organization) => found(item, 'A').outcomes;

test('when a visit begins, it knows nothing but what it was given', () => {
  expect(startVisit({ ...INPUT, retries: 2 }, NOW)).toEqual({
    ...{ input: { ...INPUT, retries: 2 }, now: NOW, writes: 0, isRead: false, facts: [], batches: {}, records: {} },
    ...{ postponed: [], tried: [], unsettled: {}, retriesLeft: 2, sent: [], failures: 0 },
    ...{ stored: emptyOrganization(ORG), item: emptyOrganization(ORG) },
  });
});

test('when all that is postponed is a drift check’s, no work is', () => {
  expect(isWorkPostponed({ ...startVisit(INPUT, NOW), postponed: ['con_1'], tried: ['con_1'] })).toBe(false);
  expect(isWorkPostponed({ ...startVisit(INPUT, NOW), postponed: ['con_1', 'con_2'], tried: ['con_1'] })).toBe(true);
  expect(isWorkPostponed(startVisit(INPUT, NOW))).toBe(false);
});

describe('a call of Auth0', () => {
  const after = (fact: Partial<Called>, one = working(), of = planned()) => applyFact(itemOf(one, of), called(fact));

  test('when it was carried out, the connection is disabled by us, and the request has its outcome', () => {
    const next = after({});
    expect(next.ledger[0]).toEqual({
      ...entry('con_1', ['A']),
      ...{ intent: undefined, changed: { goal: 'disabled', at: NOW } },
    });
    expect(outcomes(next)).toEqual({ con_1: { outcome: 'disabled' } });
    const other = applyFact(itemOf(working({ outcomes: { con_2: { outcome: 'disabled' } } }), planned()), called());
    expect(Object.keys(outcomes(other))).toEqual(['con_2', 'con_1']);
  });
  test('when it was removed or enabled, it is nobody’s to give back', () => {
    const removed = after({ goal: 'removed' }, working({}, { action: 'remove' }), planned({ disabled_by_us: true }));
    expect(removed.ledger[0]).toMatchObject({ disabled_by_us: false, changed: { goal: 'removed' } });
    expect(outcomes(removed)).toEqual({ con_1: { outcome: 'removed' } });
    const enabled = after({ goal: 'enabled' }, request('A', { status: 'cancelling' }), entry('con_1', ['A']));
    expect(enabled.ledger[0]).toMatchObject({ disabled_by_us: false });
    expect(outcomes(enabled)).toEqual({ con_1: { outcome: 'enabled' } });
  });
  test('when Auth0 does not know the connection, a removal is done, and all else is unchanged', () => {
    const gone = after({ result: 'gone' });
    expect(gone.ledger[0]).toMatchObject({ disabled_by_us: false, changed: { goal: 'disabled', at: NOW } });
    expect(outcomes(gone)).toEqual({ con_1: { outcome: 'unchanged' } });
    expect(outcomes(after({ result: 'gone', goal: 'removed' }, working({}, { action: 'remove' })))).toEqual({
      con_1: { outcome: 'removed' },
    });
  });
  test('when Auth0 refused it for good, it failed, and whose it was stays', () => {
    for (const disabled_by_us of [true, false]) {
      const next = after({ result: 'refused', error: ERROR }, working(), planned({ disabled_by_us }));
      expect(next.ledger[0]).toMatchObject({ disabled_by_us });
      expect(next.ledger[0]?.intent).toBeUndefined();
      expect(next.ledger[0]).not.toHaveProperty('changed');
      expect(outcomes(next)).toEqual({ con_1: { outcome: 'failed', error: ERROR } });
    }
  });
  test('when Auth0 refused it after an attempt of unknown end, that says nothing of that attempt', () => {
    const before = itemOf(working(), planned({ intent: { ...intent, is_uncertain: true } }));
    expect(applyFact(before, called({ result: 'refused', error: ERROR }))).toBe(before);
  });
  test('when it was carried out, or is gone, after an attempt of unknown end, that attempt does not matter any more', () => {
    const before = itemOf(working(), planned({ intent: { ...intent, is_uncertain: true } }));
    for (const [result, outcome] of [
      ['done', 'disabled'],
      ['gone', 'unchanged'],
    ] as const) {
      const next = applyFact(before, called({ result }));
      expect(next.ledger[0]?.intent).toBeUndefined();
      expect(outcomes(next)).toEqual({ con_1: { outcome } });
    }
  });
  test('when it was not made, nothing changes', () => {
    const before = itemOf(working(), planned());
    expect(applyFact(before, called({ result: 'not done', error: ERROR }))).toBe(before);
    expect(applyFact(before, called({ result: 'not done' }))).toBe(before);
    expect(applyFact(before, called({ result: 'not done', error: { ...ERROR, code: 'conflict' } }))).toBe(before);
  });
  test('when its end is unknown, it may be disabled by us, which a cancellation enables', () => {
    const next = after({ result: 'uncertain' });
    expect(next.ledger[0]).toMatchObject({ disabled_by_us: true, intent: { ...intent, is_uncertain: true } });
    expect(outcomes(next)).toEqual({});
    const { intent: _, ...without } = planned();
    expect(after({ result: 'uncertain' }, working(), without).ledger[0]?.intent).toEqual({
      ...intent,
      is_uncertain: true,
    });
  });
  test('when the ledger has lost the connection meanwhile, nothing changes', () => {
    const before = itemOf(working());
    expect(applyFact(before, called())).toBe(before);
  });
  test('when the request is gone, or is about something else meanwhile, the ledger alone changes', () => {
    const gone = applyFact(organization({ ledger: [planned()] }), called());
    expect(gone.ledger[0]).toMatchObject({ disabled_by_us: true });
    expect(gone.requests).toEqual([]);
    const cancelled = after({}, request('A', { status: 'cancelling' }));
    expect(cancelled.ledger[0]).toMatchObject({ disabled_by_us: true });
    expect(outcomes(cancelled)).toEqual({});
  });
  test('when a client grant is removed by a request that removes connections, that is its outcome too', () => {
    const one = grant('cgr_1', ['A'], { disabled_by_us: false, intent });
    const next = (status: OpenRequest['status'], goal: 'disabled' | 'enabled' = 'disabled') =>
      outcomes(
        applyFact(itemOf(request('A', { status }, { action: 'remove' }), one), called({ key: 'grant cgr_1', goal })),
      );
    expect(next('working')).toEqual({ 'grant cgr_1': { outcome: 'disabled' } });
    expect(next('removing')).toEqual({});
    expect(next('working', 'enabled')).toEqual({});
    expect(outcomes(after({}, working({}, { action: 'remove' })))).toEqual({});
  });
});

describe('the level of a connection', () => {
  const before = { organization_access_level: 'full' };
  test('when a disabling lowered it, it is known, until it is given back', () => {
    expect(levelAfter('disabled', 'readonly', { before })).toEqual({ lowered_level: 'full' });
    expect(levelAfter('disabled', 'readonly', { before, lowered_level: 'limited' })).toEqual({
      lowered_level: 'limited',
    });
    expect(levelAfter('disabled', undefined, { before })).toEqual({});
    expect(levelAfter('removed', 'readonly', { before })).toEqual({});
    expect(levelAfter('enabled', 'full', { before, lowered_level: 'full' })).toEqual({ lowered_level: undefined });
    expect(levelAfter('disabled', 'readonly', { before: null })).toEqual({ lowered_level: undefined });
  });
  test('when a connection was enabled again, its level is back, and no longer known as lowered', () => {
    const lowered = entry('con_1', ['A'], { before, lowered_level: 'full' });
    const next = applyFact(itemOf(request('A', { status: 'cancelling' }), lowered), called({ goal: 'enabled' }));
    expect(next.ledger[0]?.lowered_level).toBeUndefined();
  });
  test('when a call was carried out, or may have been, its level counts; when it was refused, it does not', () => {
    const level = (result: Called['result']) =>
      applyFact(itemOf(working(), planned({ before })), called({ result, level: 'readonly', error: ERROR })).ledger[0]
        ?.lowered_level;
    expect(level('done')).toBe('full');
    expect(level('uncertain')).toBe('full');
    for (const result of ['refused', 'gone', 'not done'] as const) expect(level(result)).toBeUndefined();
  });
});

describe('a call whose end is unknown', () => {
  const entryAfter = (goal: 'disabled' | 'enabled' | 'removed', one?: OpenRequest, of: Partial<LedgerEntry> = {}) =>
    uncertainEntry(
      organization({ requests: one ? [one] : [] }),
      { ...planned({ lowered_level: 'full', ...of }), intent },
      { ...intent, goal },
    );
  test('when it disables for an offboarding that is pending, or gone, it may be ours to give back', () => {
    expect(entryAfter('disabled', working()).disabled_by_us).toBe(true);
    expect(entryAfter('disabled').disabled_by_us).toBe(true);
    expect(entryAfter('disabled', request('A', { status: 'completed' })).disabled_by_us).toBe(false);
    expect(entryAfter('removed', working()).disabled_by_us).toBe(false);
    expect(entryAfter('removed', working(), { disabled_by_us: true }).disabled_by_us).toBe(true);
  });
  test('when it enables, the level is given back only once Auth0 says so', () => {
    expect(entryAfter('enabled', working())).toMatchObject({ lowered_level: 'full', intent: { is_uncertain: true } });
  });
});

describe('a call of a drift check', () => {
  const watched = request(
    'A',
    { status: 'completed', watch: 'on' },
    { action: 'disable', on_reenable: 'disable_again' },
  );
  const before = { organization_access_level: 'full' };
  const drifting = itemOf(watched, planned({ drifted_at: ago(MINUTE), before }));
  const after = (fact: Partial<Called>) => applyFact(drifting, called({ isDrift: true, level: 'readonly', ...fact }));
  test('when it was carried out, that is an event, and its level is lowered', () => {
    const next = after({});
    expect(next.outbox).toMatchObject([{ event: 'drifted', drift: { outcome: 'disabled', error: null } }]);
    expect(next.ledger[0]).toMatchObject({ lowered_level: 'full', changed: { goal: 'disabled', at: NOW } });
    expect(next.ledger[0]?.intent).toBeUndefined();
    expect(outcomes(next)).toEqual({});
  });
  test('when it was refused for good, it is not tried again; its level stays', () => {
    const next = after({ result: 'refused', error: ERROR });
    expect(next.outbox).toMatchObject([{ drift: { outcome: 'unchanged', error: ERROR } }]);
    expect(next.ledger[0]?.intent).toBeUndefined();
    expect(next.ledger[0]?.lowered_level).toBeUndefined();
  });
  test('when somebody works on the same connection, that is reported, and it is tried again', () => {
    const next = after({ result: 'not done', error: { ...ERROR, code: 'conflict' } });
    expect(next.outbox).toMatchObject([{ drift: { outcome: 'unchanged', error: { code: 'conflict' } } }]);
    expect(next.ledger[0]?.intent).toEqual({ ...intent, is_reported: true });
    expect(after({ result: 'not done', error: ERROR })).toBe(drifting);
    const gone = organization({ ledger: drifting.ledger });
    const conflict = called({ isDrift: true, result: 'not done', error: { ...ERROR, code: 'conflict' } });
    expect(applyFact(gone, conflict)).toBe(gone);
  });
  test('when its end is unknown, nothing is reported yet', () => {
    const next = after({ result: 'uncertain' });
    expect(next.outbox).toEqual([]);
    expect(next.ledger[0]).toMatchObject({ disabled_by_us: false, intent: { is_uncertain: true } });
  });
});

describe('what else a visit learns', () => {
  test('when a name or client grants were read, the item has them', () => {
    expect(applyFact(organization(), { is: 'named', name: 'acme' }).name).toBe('acme');
    expect(applyFact(organization(), { is: 'listed grants', grants: [listedGrant('cgr_1')] }).remaining_access).toEqual(
      [{ id: 'cgr_1', kind: 'client_grant', client_id: 'client of cgr_1', audience: 'api', scope: ['read'] }],
    );
  });
  test('when events were published, exactly these leave the outbox', () => {
    const drift = (key: string) =>
      outbox('drifted', 'A', { drift: { key, drift: 'reenabled', outcome: 'unchanged', error: null, now: null } });
    const all = [
      ...[outbox('requested', 'A'), outbox('completed', 'A'), outbox('requested', 'B')],
      ...[outbox('requested', 'A', { at: ago(HOUR) }), drift('con_1'), drift('con_2')],
    ];
    const entries = [outbox('requested', 'A'), drift('con_1')];
    expect(applyFact(organization({ outbox: all }), { is: 'published', entries }).outbox).toEqual(
      all.filter((one) => JSON.stringify(one) !== JSON.stringify(entries[0]) && one.drift?.key !== 'con_1'),
    );
  });
  test('when a record was written, it shows the request; one that changed meanwhile is still to be written', () => {
    const one = working({ is_unrecorded: true });
    const after = (now: OpenRequest) =>
      found(applyFact(organization({ requests: [now] }), { is: 'recorded', request: one }), 'A');
    expect(after(one).is_unrecorded).toBeUndefined();
    expect(after(one).parameters).toEqual(one.parameters);
    expect(after({ ...one, attempts: 1 })).toEqual({ ...one, attempts: 1 });
    const none = organization();
    expect(applyFact(none, { is: 'recorded', request: one })).toBe(none);
  });
  test('when what it recorded is only watched, the item keeps no words: the record has them', () => {
    const recorded = (changes: Partial<OpenRequest>) => {
      const one = request('A', { is_unrecorded: true, ...changes });
      const { reason, requested_by, action } = found(
        applyFact(organization({ requests: [one] }), { is: 'recorded', request: one }),
        'A',
      ).parameters;
      return [reason, requested_by, action];
    };
    expect(recorded({ status: 'completed', watch: 'on' })).toEqual(['', '', 'disable_then_remove']);
    const kept = ['contract ended', 'billing', 'disable_then_remove'];
    expect(recorded({ status: 'completed' })).toEqual(kept);
    expect(recorded({ status: 'scheduled', watch: 'on' })).toEqual(kept);
  });
  test('when the message about sessions was sent, the item says when', () => {
    const sent = (changes: Partial<OpenRequest>) =>
      found(
        applyFact(organization({ requests: [request('A', changes)] }), {
          is: 'sessions sent',
          offboarding_id: 'A',
          at: NOW,
        }),
        'A',
      ).sessions;
    expect(sent({})).toEqual({
      ...{ status: 'due', members: 0, revocations_requested: 0, skipped: 0, failed: 0 },
      ...{ updated_at: ago(0), sent_at: ago(0) },
    });
    const sessions = { ...(sent({}) as NonNullable<OpenRequest['sessions']>), members: 3, sent_at: ago(HOUR) };
    expect(sent({ sessions })).toEqual({ ...sessions, sent_at: ago(0) });
  });
  test('when a drift check is done, the next has its date; one that was asked for meanwhile is due at once', () => {
    const check = (item: Organization, checks: number) =>
      applyFact(item, { is: 'checked', at: NOW, checks, nextAt: ago(-HOUR) });
    const done = { last_drift_check_at: ago(0), next_drift_check_at: ago(-HOUR) };
    expect(check(organization(), 0)).toMatchObject(done);
    expect(check(organization({ drift_checks_requested: 2 }), 2)).toMatchObject(done);
    expect(check(organization({ drift_checks_requested: 2 }), 1)).toMatchObject({ next_drift_check_at: ago(0) });
  });
  test('when a visit failed, the request says why and when the next is; a new error is to be recorded', () => {
    const fail = (changes: Partial<OpenRequest> = {}) =>
      found(
        applyFact(organization({ requests: [working(changes)] }), {
          ...{ is: 'failed', offboarding_id: 'A', error: ERROR, nextTryAt: ago(-MINUTE) },
        }),
        'A',
      );
    expect(fail()).toEqual({
      ...working(),
      ...{ attempts: 1, last_error: ERROR, next_try_at: ago(-MINUTE), is_unrecorded: true },
    });
    expect(fail({ attempts: 4, last_error: { ...ERROR, message: 'Still' } })).toMatchObject({
      ...{ attempts: 5, last_error: ERROR },
    });
    expect(fail({ last_error: ERROR })).not.toHaveProperty('is_unrecorded');
    expect(fail({ last_error: { code: 'x', message: 'x' } }).is_unrecorded).toBe(true);
  });
  test('when a visit learned several things, all of them count, in their order', () => {
    const facts: Fact[] = [
      { is: 'named', name: 'a' },
      { is: 'named', name: 'b' },
    ];
    expect(facts.reduce(applyFact, organization()).name).toBe('b');
  });
});
