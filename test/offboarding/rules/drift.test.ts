import { describe, expect, test } from 'vitest';
import type { LedgerEntry, OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { LIST_IS_OLD_MS } from '../../../lib/offboarding/rules/connections.ts';
import { afterDriftCall, FIGHT, isTooNew, nextDriftStep, watchedOf } from '../../../lib/offboarding/rules/drift.ts';
import {
  ago,
  DAY,
  entry,
  events,
  found,
  grant,
  HOUR,
  listedGrant,
  listing,
  MINUTE,
  NOW,
  off,
  organization,
  outbox,
  request,
} from '../items.ts';

const watched = (id: string, changes: Partial<OpenRequest> = {}, of = {}) =>
  request(id, { status: 'completed', watch: 'on', requested_at: ago(DAY), ...changes }, { action: 'disable', ...of });
const left = (id: string, claims: string[], changes: Partial<LedgerEntry> = {}) =>
  entry(id, claims, { disabled_by_us: false, ...changes });
const AGAIN = { on_reenable: 'disable_again' as const };

const step = (item: Organization, list = listing(['con_1']), tried: string[] = []) =>
  nextDriftStep(item, list, NOW, tried);
function changed(item: Organization, list = listing(['con_1']), tried: string[] = []) {
  const next = step(item, list, tried);
  if (next?.do !== 'change') throw new Error(`not changed: ${next?.do}`);
  return next.item;
}
function called(item: Organization, list = listing(['con_1']), tried: string[] = []) {
  const next = step(item, list, tried);
  if (next?.do !== 'call') throw new Error(`no call: ${JSON.stringify(next)}`);
  return next;
}
const driftOf = (item: Organization) => item.outbox.at(-1)?.drift;

describe('what is drift', () => {
  test('when all is as it was left, there is nothing to do', () => {
    expect(
      step(organization({ requests: [watched('A')], ledger: [left('con_1', ['A'])] }), listing([off('con_1')])),
    ).toBeUndefined();
    expect(step(organization({ requests: [watched('A')] }), listing([{ connection_id: 'con_1' }]))).toBeUndefined();
    expect(step(organization({ requests: [request('A')] }))).toBeUndefined();
  });
  test('when the whole organization was offboarded, any connection that is enabled is drift, whoever had disabled it', () => {
    const item = changed(organization({ requests: [watched('A')], known: ['con_1'] }));
    expect(events(item)).toEqual(['drifted A']);
    expect(driftOf(item)).toEqual({
      key: 'con_1',
      drift: 'reenabled',
      outcome: 'unchanged',
      error: null,
      now: { is_enabled: true },
    });
    expect(item.ledger[0]).toMatchObject({ id: 'con_1', claims: ['A'], drifted_at: ago(0), reenabled_at: [ago(0)] });
    expect(found(item, 'A')).toMatchObject({ drift_count: 1, updated_at: ago(0), is_unrecorded: true });
  });
  test('when it is new since then, it is drift as added', () => {
    const item = changed(organization({ requests: [watched('A', { drift_count: 4 })] }));
    expect(driftOf(item)).toMatchObject({ drift: 'added' });
    expect(item.ledger[0]).toMatchObject({ added: true, before: { is_enabled: true } });
    expect(found(item, 'A').drift_count).toBe(5);
  });
  test('when connections were named, each of these is drift, and no other', () => {
    const named = watched('A', {}, { connection_ids: ['con_1'] });
    expect(driftOf(changed(organization({ requests: [named] }), listing(['con_2', 'con_1'])))).toMatchObject({
      key: 'con_1',
      drift: 'reenabled',
    });
    expect(step(organization({ requests: [named] }), listing(['con_2']))).toBeUndefined();
  });
  test('when several offboardings cover it, it is drift of the newest that does', () => {
    const requests = [
      watched('A'),
      watched('B', { requested_at: ago(HOUR) }),
      watched('C', { requested_at: ago(MINUTE) }, { connection_ids: ['con_2'] }),
    ];
    expect(
      watchedOf(organization({ requests: [...requests, watched('D', { watch: 'ended' })] })).map(
        (one) => one.offboarding_id,
      ),
    ).toEqual(['C', 'B', 'A']);
    expect(events(changed(organization({ requests })))).toEqual(['drifted B']);
    const item = changed(organization({ requests, ledger: [left('con_1', ['A'])] }));
    expect(item.ledger[0]?.claims).toEqual(['A', 'B']);
  });
  test('when the newest that covers it failed, it is drift of the one before', () => {
    const again = watched('A', {}, AGAIN);
    const failed = watched('B', { status: 'failed', requested_at: ago(0) }, { connection_ids: ['con_1'] });
    const item = organization({ requests: [again, failed], ledger: [entry('con_1', ['A', 'B'])] });
    expect(called(item).entry.intent.offboarding_id).toBe('A');
    expect(step(organization({ requests: [failed], ledger: item.ledger }))?.do).toBe('change');
  });
  test('when we disabled it a moment before the list was made, the list may not show it', () => {
    const at = (ms: number, goal: 'disabled' | 'enabled' = 'disabled') =>
      organization({ requests: [watched('A')], ledger: [left('con_1', ['A'], { changed: { goal, at: NOW - ms } })] });
    expect(isTooNew(at(LIST_IS_OLD_MS - 1).ledger[0], listing([]))).toBe(true);
    expect(isTooNew(at(LIST_IS_OLD_MS).ledger[0], listing([]))).toBe(false);
    expect(isTooNew(at(0, 'enabled').ledger[0], listing([]))).toBe(false);
    expect(isTooNew(undefined, listing([]))).toBe(false);
    expect(step(at(0), listing(['con_2']))).toBeDefined();
    expect(step(at(0))).toBeUndefined();
    expect(step(at(LIST_IS_OLD_MS + 1))).toBeDefined();
  });
  test('when a notification named who changed it, the event says so; not of another connection', () => {
    const by = (changed_by: Organization['changed_by']) =>
      driftOf(changed(organization({ requests: [watched('A')], changed_by })))?.changed_by;
    expect(by([{ name: 'My Tool', at: ago(0) }])).toBe('My Tool');
    expect(by([{ name: 'My Tool', at: ago(0), connection_id: 'con_1' }])).toBe('My Tool');
    expect(by([{ name: 'My Tool', at: ago(0), connection_id: 'con_2' }])).toBeUndefined();
    expect(by(undefined)).toBeUndefined();
  });
  test('when it is reported already, it is not reported again', () => {
    const item = changed(organization({ requests: [watched('A')] }));
    expect(step(item)).toBeUndefined();
  });
});

describe('a connection that is to be disabled again', () => {
  const item = (of: Partial<LedgerEntry> = {}, changes: Partial<Organization> = {}) =>
    organization({ requests: [watched('A', {}, AGAIN)], ledger: [left('con_1', ['A'], of)], ...changes });
  test('when it is enabled, the call disables it, and its level is lowered', () => {
    const next = called(item());
    expect(next).toMatchObject({ entry: { intent: { goal: 'disabled', level: undefined, offboarding_id: 'A' } } });
    expect(next.item.ledger[0]).toMatchObject({
      drifted_at: ago(0),
      reenabled_at: [ago(0)],
      intent: { goal: 'disabled', offboarding_id: 'A' },
    });
    expect(next.item.outbox).toEqual([]);
    const limited = listing([{ connection_id: 'con_1', is_enabled: true, organization_access_level: 'limited' }]);
    expect(called(item(), limited)).toMatchObject({
      entry: { intent: { level: 'readonly' } },
      item: { ledger: [{ intent: { level: 'readonly' } }] },
    });
  });
  test('when this visit tried it, another visit does', () => {
    expect(step(item(), listing(['con_1']), ['con_1'])).toBeUndefined();
    expect(called(item(), listing(['con_1']), ['con_2']).entry.id).toBe('con_1');
  });
  test('when a call is open, it is made again, and what is known of it stays', () => {
    const intent = {
      goal: 'disabled' as const,
      offboarding_id: 'A',
      is_uncertain: true as const,
      is_reported: true as const,
    };
    const next = called(item({ drifted_at: ago(MINUTE), reenabled_at: [ago(MINUTE)], intent }));
    expect(next.item.ledger[0]).toMatchObject({ drifted_at: ago(MINUTE), reenabled_at: [ago(MINUTE)], intent });
    expect(step(item({ drifted_at: ago(MINUTE) }))).toBeUndefined();
  });
  test('when it was enabled three times within a day, it is left as it is, and that is said', () => {
    const twice = { reenabled_at: [ago(2 * HOUR), ago(HOUR)] };
    const next = changed(item(twice));
    expect(driftOf(next)).toMatchObject({ drift: 'reenabled', outcome: 'unchanged', error: FIGHT });
    expect(FIGHT).toEqual({
      code: 'reenabled_repeatedly',
      message: 'Enabled again three times within a day; it is left as it is until somebody stops what enables it',
    });
    expect(next.ledger[0]?.reenabled_at).toEqual([ago(2 * HOUR), ago(HOUR), ago(0)]);
    expect(called(item({ reenabled_at: [ago(DAY), ago(HOUR)] })).item.ledger[0]?.reenabled_at).toEqual([
      ago(HOUR),
      ago(0),
    ]);
    expect(changed(item({ reenabled_at: [ago(DAY - 1), ago(HOUR)] }))).toBeDefined();
    const again = changed(item({ reenabled_at: [ago(3 * HOUR), ago(2 * HOUR), ago(HOUR)] }));
    expect(again.ledger[0]?.reenabled_at).toEqual([ago(2 * HOUR), ago(HOUR), ago(0)]);
  });
  test('when only another one of two is to be disabled again, the first is reported', () => {
    const requests = [
      watched('A', {}, { connection_ids: ['con_1'] }),
      watched('B', {}, { ...AGAIN, connection_ids: ['con_2'] }),
    ];
    const next = changed(organization({ requests }), listing(['con_1', 'con_2']));
    expect(events(next)).toEqual(['drifted A']);
    expect(called(next, listing(['con_1', 'con_2'])).entry.id).toBe('con_2');
  });
});

describe('what is quiet again', () => {
  test('when one of two is quiet and the other is not, the quiet one alone is', () => {
    const drifted = { drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)] };
    const ledger = [left('con_1', ['A'], drifted), left('con_2', ['A'], drifted)];
    const next = changed(organization({ requests: [watched('A')], ledger }), listing(['con_1', off('con_2')]));
    expect(next.ledger.map(({ drifted_at }) => drifted_at)).toEqual([ago(HOUR), undefined]);
  });
  test('when what was new is enabled for the second time, it is enabled again', () => {
    const ledger = [left('con_1', ['A'], { added: true, reenabled_at: [ago(HOUR)] })];
    expect(driftOf(changed(organization({ requests: [watched('A')], ledger })))?.drift).toBe('reenabled');
  });
  test('when somebody disabled it, it is quiet, without an event', () => {
    const item = organization({
      requests: [watched('A')],
      ledger: [left('con_1', ['A'], { drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)] })],
    });
    const next = changed(item, listing([off('con_1')]));
    expect(next.ledger[0]).toEqual(left('con_1', ['A'], { reenabled_at: [ago(HOUR)] }));
    expect(next.outbox).toEqual([]);
  });
  test('when a call of ours was uncertain, it is told as disabled', () => {
    const intent = { goal: 'disabled' as const, offboarding_id: 'A', is_uncertain: true as const };
    const ledger = [left('con_1', ['A'], { drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)], intent })];
    const next = changed(organization({ requests: [watched('A')], ledger }), listing([off('con_1')]));
    expect(driftOf(next)).toEqual({ key: 'con_1', drift: 'reenabled', outcome: 'disabled', error: null, now: null });
    expect(next.ledger[0]?.intent).toBeUndefined();
    const certain = [
      left('con_1', ['A'], { drifted_at: ago(HOUR), intent: { goal: 'disabled', offboarding_id: 'A' } }),
    ];
    expect(
      changed(organization({ requests: [watched('A')], ledger: certain }), listing([off('con_1')])).outbox,
    ).toEqual([]);
  });
  test('when the list may be too old to tell, it is not quiet yet', () => {
    const ledger = [left('con_1', ['A'], { drifted_at: ago(HOUR), changed: { goal: 'disabled', at: NOW } })];
    expect(step(organization({ requests: [watched('A')], ledger }), listing([off('con_1')]))).toBeUndefined();
  });
  test('when what was new once is gone, it makes room', () => {
    const ledger = [left('con_1', ['A'], { added: true }), left('con_2', ['A'])];
    expect(changed(organization({ requests: [watched('A')], ledger }), listing([])).ledger.map(({ id }) => id)).toEqual(
      ['con_2'],
    );
    for (const changes of [{ disabled_by_us: true }, { added: undefined }]) {
      const kept = [left('con_1', ['A'], { added: true, ...changes })];
      expect(step(organization({ requests: [watched('A')], ledger: kept }), listing([]))).toBeUndefined();
    }
    expect(
      step(organization({ requests: [watched('A')], ledger: [ledger[0] as LedgerEntry] }), listing([off('con_1')])),
    ).toBeUndefined();
  });
});

describe('client grants', () => {
  const machines = (of = {}) => watched('A', {}, { end_machine_access: true, ...of });
  const list = listing([], { grants: [listedGrant('cgr_1')] });
  test('when an offboarding ended machine access, a grant that is there is drift, as added', () => {
    const item = changed(organization({ requests: [machines()] }), list);
    expect(driftOf(item)).toEqual({ key: 'grant cgr_1', drift: 'added', outcome: 'unchanged', error: null, now: null });
    expect(item.ledger).toMatchObject([{ kind: 'client_grant', id: 'cgr_1' }]);
    expect(called(organization({ requests: [machines(AGAIN)] }), list).entry).toMatchObject({
      ...{ id: 'cgr_1', intent: { goal: 'disabled' } },
    });
  });
  test('when none did, or a grant was removed a moment before, or nobody listed them, it is not', () => {
    expect(step(organization({ requests: [watched('A')] }), list)).toBeUndefined();
    const ledger = [grant('cgr_1', ['A'], { disabled_by_us: false, changed: { goal: 'disabled', at: NOW } })];
    expect(step(organization({ requests: [machines()], ledger }), list)).toBeUndefined();
    for (const grants of [null, undefined])
      expect(step(organization({ requests: [machines()] }), listing([], { grants }))).toBeUndefined();
  });
});

describe('what a call of a check made', () => {
  const intent = { goal: 'disabled' as const, offboarding_id: 'A' };
  const item = (of: Partial<LedgerEntry> = {}, changes: Partial<Organization> = {}) =>
    organization({
      requests: [watched('A', {}, AGAIN)],
      ledger: [left('con_1', ['A'], { drifted_at: ago(MINUTE), reenabled_at: [ago(MINUTE)], intent, ...of })],
      ...changes,
    });
  const CONFLICT = { code: 'conflict', message: 'x' };
  const after = (before: Organization, error?: typeof CONFLICT, isFinal = false) =>
    afterDriftCall(before, before.ledger[0] as LedgerEntry, found(before, 'A'), error, isFinal, NOW);

  test('when it succeeded, it is disabled, which is told', () => {
    const next = after(item());
    expect(next.ledger[0]).toEqual(
      left('con_1', ['A'], { reenabled_at: [ago(MINUTE)], changed: { goal: 'disabled', at: NOW } }),
    );
    expect(driftOf(next)).toMatchObject({ outcome: 'disabled', error: null });
    expect(found(next, 'A').drift_count).toBe(1);
  });
  test('when the offboarding is still pending, what it disabled again is its own to give back', () => {
    const scheduled = item({}, { requests: [watched('A', { status: 'scheduled' }, AGAIN)] });
    expect(after(scheduled).ledger[0]?.disabled_by_us).toBe(true);
    expect(after(item({ disabled_by_us: true })).ledger[0]?.disabled_by_us).toBe(true);
    expect(after(item()).ledger[0]?.disabled_by_us).toBe(false);
  });
  test('when it failed for something that may pass, that is told once, and it is tried again', () => {
    const next = after(item(), CONFLICT);
    expect(driftOf(next)).toMatchObject({ key: 'con_1', outcome: 'unchanged', error: CONFLICT });
    expect(next.ledger[0]?.intent).toEqual({ ...intent, is_reported: true });
    expect(after(next, CONFLICT).outbox.length).toBe(1);
    expect(after({ ...next, outbox: [] }, CONFLICT).outbox).toEqual([]);
    const published = item(
      {},
      {
        outbox: [
          outbox('drifted', 'A', {
            drift: { key: 'con_1', drift: 'reenabled', outcome: 'unchanged', error: null, now: null },
          }),
        ],
      },
    );
    expect(after(published, CONFLICT).outbox.length).toBe(1);
    const other = item(
      {},
      {
        outbox: [
          outbox('drifted', 'A', {
            drift: { key: 'con_2', drift: 'reenabled', outcome: 'unchanged', error: null, now: null },
          }),
        ],
      },
    );
    expect(after(other, CONFLICT).outbox.length).toBe(2);
  });
  test('when it failed for good, it is told, and not tried again', () => {
    const next = after(item(), CONFLICT, true);
    expect(next.ledger[0]).toMatchObject({ drifted_at: ago(MINUTE) });
    expect(next.ledger[0]?.intent).toBeUndefined();
    expect(driftOf(next)).toMatchObject({ outcome: 'unchanged', error: CONFLICT });
  });
});
