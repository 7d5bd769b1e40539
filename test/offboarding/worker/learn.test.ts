// What a visit makes of each result: what an error means, what is repeated, and what ends the visit.
import { describe, expect, test } from 'vitest';
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import type { EffectError, EffectOf, SingleEffect } from '../../../lib/offboarding/model/effects.ts';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { iso } from '../../../lib/offboarding/model/stage.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { learn, withError } from '../../../lib/offboarding/worker/learn.ts';
import type { VisitState } from '../../../lib/offboarding/worker/visit-state.ts';
import {
  ago,
  byEvent,
  found,
  listedGrant,
  listing,
  MINUTE,
  NOW,
  ORG,
  organization,
  outbox,
  request,
} from '../items.ts';
import { AWAY, REJECTED, UNANSWERED } from '../play.ts';
import { stateOf, WAIT_MS, working } from './states.ts';

const READ = { do: 'readOrganization', organization_id: ORG } as const;
const LIST = { do: 'listConnections', organization_id: ORG } as const;
const GRANTS = { do: 'listGrants', organization_id: ORG } as const;
const PUBLISH = { do: 'publish', events: [] } satisfies SingleEffect;
const given = (state: VisitState, effect: SingleEffect, value: unknown, at = NOW) =>
  learn(state, effect, { at, value });
const failed = (state: VisitState, effect: SingleEffect, error: EffectError) =>
  learn(state, effect, { at: NOW, error });
const failure = (code: string, changes: Partial<EffectError> = {}): EffectError => ({ ...AWAY, code, ...changes });
const LEASE = { owner: 'n', until: NOW + 2 * MINUTE };
const withOne = (one = working(), changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });

describe('a result', () => {
  test('when it is later than what the visit knows, its time counts; an earlier one does not turn the clock back', () => {
    expect(given(stateOf(organization()), PUBLISH, undefined, NOW + 5).now).toBe(NOW + 5);
    expect(given(stateOf(organization()), PUBLISH, undefined, NOW - 5).now).toBe(NOW);
  });
  test('when an effect succeeded, its failures are forgotten', () => {
    const state = stateOf(organization(), { failures: 2 });
    expect(given(state, PUBLISH, undefined).failures).toBe(0);
    expect(given(state, { do: 'pause', ms: 1 }, undefined).failures).toBe(0);
  });
  test('when a batch or a record was read, it is known, or known to be none', () => {
    const batch = { batch_id: 'X', attempt: 1 } as Batch;
    const read = { do: 'readBatch', batch_id: 'X' } as const;
    const state = stateOf(organization(), { batches: { Y: null } });
    expect(given(state, read, batch).batches).toEqual({ X: batch, Y: null });
    expect(given(state, read, undefined).batches).toEqual({ X: null, Y: null });
    const record = recordOf(organization(), request('A'));
    const lookUp = { do: 'readRecord', organization_id: ORG, offboarding_id: 'A' } as const;
    const records = stateOf(organization(), { records: { B: null } });
    expect(given(records, lookUp, record).records).toEqual({ A: record, B: null });
    expect(given(records, lookUp, undefined).records).toEqual({ A: null, B: null });
  });
  test('when a batch was written, it is read again: somebody may have been quicker', () => {
    const batch = { batch_id: 'X', attempt: 1 } as Batch;
    const state = stateOf(organization(), { batches: { X: batch, Y: null } });
    const next = given(state, { do: 'writeBatch', batch, expected: 'v' }, true);
    expect([next.batches, next.writes]).toEqual([{ Y: null }, 1]);
  });
  test('when connections were listed, the list is as old as its request, and knows which notifications it answers', () => {
    const list = [{ connection_id: 'con_1', is_enabled: true }];
    const state = stateOf(organization({ drift_checks_requested: 2 }));
    expect(given(state, LIST, list, NOW + 500).listing).toEqual({ at: NOW, connections: list, checks: 2 });
    expect(given(stateOf(organization()), LIST, list).listing?.checks).toBe(0);
    const grants = [listedGrant('cgr_1')];
    const again = stateOf(organization(), { listing: { ...listing([]), grants, checks: 0 } });
    expect(given(again, LIST, list).listing?.grants).toBe(grants);
  });
  test('when grants or a name were read, they are in the item, and are applied again where it was overtaken', () => {
    const state = stateOf(organization(), { listing: { ...listing(['con_1']), checks: 0 } });
    const next = given(state, GRANTS, [listedGrant('cgr_1')]);
    expect(next.listing).toMatchObject({ grants: [listedGrant('cgr_1')], connections: [{ connection_id: 'con_1' }] });
    expect(next.item?.remaining_access).toHaveLength(1);
    expect(next.facts).toEqual([{ is: 'listed grants', grants: [listedGrant('cgr_1')] }]);
    expect(given(stateOf(organization()), GRANTS, null).listing).toBeUndefined();
    const named = given(next, { do: 'readName', organization_id: ORG }, 'acme');
    expect([named.item?.name, named.facts.length]).toEqual(['acme', 2]);
  });
  test('when events were published, the first ten of the outbox are gone', () => {
    const all = Array.from({ length: 12 }, (_, index) => outbox('completed', 'A', { at: ago(-index) }));
    const state = stateOf(withOne(request('A', { status: 'completed' }), { outbox: all }));
    expect(given(state, PUBLISH, undefined).item?.outbox).toEqual(all.slice(10));
    expect(given(stateOf(undefined), PUBLISH, undefined).facts).toEqual([{ is: 'published', entries: [] }]);
  });
  test('when a record was written, the request is recorded; a record of what is not in the item is none of it', () => {
    const one = working({ is_unrecorded: true });
    const record = (id: string) => recordOf(organization(), request(id));
    const next = given(stateOf(withOne(one)), { do: 'writeRecord', record: record('A') }, undefined);
    expect(found(next.item as Organization, 'A').is_unrecorded).toBeUndefined();
    expect(next.facts).toEqual([{ is: 'recorded', request: one }]);
    expect(given(stateOf(withOne(one)), { do: 'writeRecord', record: record('B') }, undefined).facts).toEqual([]);
  });
  test('when a schedule, a message about sessions or a dead letter was sent, it is sent once a visit', () => {
    const state = stateOf(withOne(working(), { outbox: [] }), { sent: ['before'] });
    const schedule = { do: 'scheduleRemoval', organization_id: ORG, at: ago(-MINUTE) } as const;
    expect(given(state, schedule, undefined).sent).toEqual(['before', `schedule ${ago(-MINUTE)}`]);
    expect(failed(state, schedule, REJECTED).sent).toEqual(['before', `schedule ${ago(-MINUTE)}`]);
    const sessions = given(
      state,
      { do: 'sendSessionsDue', organization_id: ORG, offboarding_id: 'A' },
      undefined,
      NOW + 1,
    );
    expect(sessions.sent).toEqual(['before', 'sessions A']);
    expect(sessions.item?.requests[0]?.sessions?.sent_at).toBe(ago(-1));
    const letter = stateOf(organization({ requests: [byEvent('A')], outbox: [outbox('failed', 'A')] }));
    const dead = { do: 'sendDeadLetter', body: { id: 'event-A' }, priority: 'single', reason: 'x' } as const;
    expect(given(letter, dead, undefined).sent).toEqual(['letter event-A']);
  });
  test('when a visit paused for what was postponed, it is tried again by a new list', () => {
    const list = { ...listing([]), checks: 0 };
    const state = stateOf(organization(), { postponed: ['con_1'], listing: list, retriesLeft: 2 });
    expect(given(state, { do: 'pause', ms: 1 }, undefined)).toEqual({
      ...{ ...state, postponed: [], listing: undefined, retriesLeft: 1 },
    });
  });
  test('when a message about due work was sent, the visit knows nothing new', () => {
    const state = stateOf(organization());
    expect(given(state, { do: 'sendDue', notices: [] }, undefined)).toEqual(state);
  });
});

describe('an organization that was read', () => {
  const facts = [{ is: 'named' as const, name: 'acme' }];
  const start = (item: Organization | undefined, changes: Partial<VisitState> = {}) =>
    stateOf(item, { isRead: false, facts, ...changes });
  test('when it is there, what the visit has learned is applied to it', () => {
    const next = given(start(undefined), READ, organization());
    expect(next).toMatchObject({ isRead: true, stored: { revision: 3 }, item: { name: 'acme' } });
    expect(next.stored).not.toHaveProperty('name');
    expect(given(start(undefined), READ, undefined)).toMatchObject({
      isRead: true,
      stored: { revision: 0 },
      item: { revision: 0 },
    });
  });
  test('when it shows a write whose answer was lost, that was carried out', () => {
    const written = organization({ version: 'n.1', lease: LEASE });
    const next = given(stateOf(organization(), { item: written, facts, isRead: false }), READ, written);
    expect(next).toMatchObject({ isRead: true, writes: 1, facts: [] });
    expect(next.stored).toBe(written);
  });
  test('when neither has a version, that is no write of this visit', () => {
    const none = { ...organization(), version: undefined };
    expect(given(start(none), READ, none).writes).toBe(0);
  });
  test('when somebody else has worked on it, the list is worth nothing, and a lease that is lost ends the visit', () => {
    const list = { ...listing([]), checks: 0 };
    const own = organization({ lease: LEASE, version: 'n.1' });
    const read = (before: Organization, item: Organization) =>
      given(start(before, { listing: list, error: AWAY }), READ, { ...item, version: 'other' });
    expect(read(organization(), organization()).listing).toBeUndefined();
    const kept = read(own, own);
    expect([kept.listing, kept.end]).toEqual([list, undefined]);
    const lost = { is: 'later', wait_ms: 0, error: AWAY };
    expect(read(own, organization()).end).toEqual(lost);
    expect(read(own, organization({ lease: { owner: 'other', until: NOW } })).end).toEqual(lost);
    expect(given(start(own), READ, undefined).end).toMatchObject({ is: 'later', wait_ms: 0 });
    expect(read(organization(), organization()).end).toBeUndefined();
  });
});

describe('an organization that was written', () => {
  const write = (item: Organization): EffectOf<'writeOrganization'> => ({
    do: 'writeOrganization',
    item,
    expected: 'v.1',
  });
  const own = organization({ lease: LEASE, version: 'n.1' });
  test('when the visit keeps its lease, it goes on with what is stored', () => {
    const next = given(stateOf(organization(), { facts: [{ is: 'named', name: null }] }), write(own), true);
    expect(next).toMatchObject({ writes: 1, facts: [], isRead: true });
    expect([next.stored, next.item, next.end]).toEqual([own, own, undefined]);
  });
  test('when it gave its lease back, the visit ends', () => {
    const back = { ...own, lease: undefined };
    expect(given(stateOf(own), write(back), true).end).toEqual({ is: 'done' });
    const due = { ...back, requests: [request('A')] };
    expect(given(stateOf(own), write(due), true).end).toEqual({ is: 'later', wait_ms: WAIT_MS });
    const kept = { ...due, lease: { owner: 'nobody', until: NOW + MINUTE } };
    expect(given(stateOf(own, { uncertainUntil: NOW + MINUTE }), write(kept), true).end).toEqual({
      ...{ is: 'later', wait_ms: 3 * MINUTE },
    });
  });
  test('when somebody else wrote first, it is read again, and given up after thirty times', () => {
    const next = given(stateOf(organization(), { writes: 29 }), write(own), false);
    expect(next).toMatchObject({ writes: 30, isRead: false });
    expect(next.end).toBeUndefined();
    expect(given(stateOf(organization(), { writes: 30 }), write(own), false).end).toEqual({
      is: 'later',
      wait_ms: 2000,
    });
  });
  test('when the write failed, what is known is written again; where it may be done, it is read first', () => {
    const facts = [{ is: 'named' as const, name: 'acme' }];
    const state = stateOf(organization(), { item: own, facts });
    const refused = failed(state, write(own), AWAY);
    expect(refused).toMatchObject({ isRead: true, failures: 1, item: { name: 'acme', version: 'v.1' } });
    const unanswered = failed(state, write(own), UNANSWERED);
    expect(unanswered).toMatchObject({ isRead: false, failures: 1 });
    expect(unanswered.item).toBe(own);
  });
  test('when the table will never take it, the visit ends with that', () => {
    expect(failed(stateOf(organization()), write(own), REJECTED).end).toEqual({
      ...{ is: 'later', wait_ms: WAIT_MS, error: REJECTED },
    });
  });
});

describe('an effect that failed', () => {
  test('when it fails, it is repeated; the third time in a row ends the visit', () => {
    const state = stateOf(organization());
    const first = failed(state, PUBLISH, AWAY);
    expect(first).toEqual({ ...state, failures: 1 });
    const third = failed(failed(first, PUBLISH, AWAY), READ, AWAY);
    expect(third).toMatchObject({ error: AWAY, end: { is: 'later', wait_ms: WAIT_MS, error: AWAY } });
  });
  test('when the name cannot be read, it is none', () => {
    expect(failed(stateOf(organization()), { do: 'readName', organization_id: ORG }, AWAY).item?.name).toBeNull();
  });
});

describe('a list that failed', () => {
  test('when Auth0 does not know the organization, its list is empty, and what was requested fails', () => {
    const next = failed(stateOf(withOne()), LIST, failure('unknown_organization', { is_transient: false }));
    expect(next.listing).toEqual({ at: NOW, connections: [], grants: [], checks: 0 });
    expect(next.listFailure).toEqual({
      ...{ code: 'unknown_organization', message: 'Auth0 has no organization with this id' },
    });
    expect(given(next, LIST, []).listFailure).toBeUndefined();
    expect(next.error).toBeUndefined();
  });
  test('when it will not pass, what was requested fails with it; without a request it ends the visit', () => {
    const refused = failed(stateOf(withOne(request('A'))), LIST, REJECTED);
    expect(refused.listFailure).toEqual({ code: 'rejected', message: 'Rejected' });
    expect(refused.error).toBeUndefined();
    const begun = failed(stateOf(withOne()), LIST, REJECTED);
    expect([begun.listFailure, begun.error]).toEqual([undefined, REJECTED]);
    const passing = failed(stateOf(withOne(request('A'))), LIST, AWAY);
    expect([passing.listFailure, passing.error]).toEqual([undefined, AWAY]);
    expect(failed(stateOf(undefined), LIST, REJECTED).error).toBe(REJECTED);
    const both = organization({ requests: [working(), request('B')] });
    expect(failed(stateOf(both), LIST, REJECTED).listFailure).toBeDefined();
  });
  test('when grants cannot be listed, only who is to end them waits for that', () => {
    const machines = { end_machine_access: true };
    const after = (one: OpenRequest, error = AWAY) => failed(stateOf(withOne(one)), GRANTS, error);
    expect([after(request('A', {}, machines)).error, after(request('A', {}, machines)).grantsError]).toEqual([
      undefined,
      AWAY,
    ]);
    expect(after(working({}, machines), REJECTED).grantsError).toBe(REJECTED);
    expect(failed(stateOf(undefined), GRANTS, AWAY).error).toBeUndefined();
    const listedAgain = learn(after(working()), GRANTS, { at: NOW, value: [] });
    expect(listedAgain.grantsError).toBeUndefined();
    expect(failed(stateOf(withOne()), GRANTS, AWAY).item?.remaining_access).toBeNull();
  });
});

describe('an error that ends a visit', () => {
  test('when several requests are open, the one that is being worked on says so', () => {
    const all = (['requested', 'working', 'removing', 'cancelling'] as const).map((status) =>
      request(status, { status }),
    );
    for (let count = 1; count <= all.length; count++) {
      const item = organization({ requests: [...all.slice(0, count), request('batch', { status: 'scheduled' })] });
      const next = withError(stateOf(item), AWAY);
      expect(next.item?.requests.filter(({ attempts }) => attempts === 1).map((one) => one.offboarding_id)).toEqual([
        all[count - 1]?.offboarding_id,
      ]);
    }
  });
  test('when a request is worked on, it says why, in 200 characters, and when the next visit is', () => {
    const next = withError(stateOf(withOne()), failure('rate_limited', { message: 'x'.repeat(300), retry_after: 7 }));
    expect(found(next.item as Organization, 'A')).toMatchObject({
      ...{ attempts: 1, last_error: { code: 'rate_limited', message: 'x'.repeat(200) } },
      next_try_at: iso(NOW + 7000),
    });
    expect(next.error?.code).toBe('rate_limited');
  });
  test('when nothing is open, the visit alone has the error', () => {
    const item = withOne(request('A', { status: 'completed' }));
    expect(withError(stateOf(item), AWAY)).toEqual({ ...stateOf(item), error: AWAY });
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    expect(withError(stateOf(withOne(request('A', { batch }))), AWAY).facts).toEqual([]);
    expect(withError(stateOf(undefined), AWAY).error).toBe(AWAY);
  });
});
