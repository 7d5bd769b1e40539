// What a visit makes of a call of Auth0: done, gone, refused, not made, or of unknown end.
import { describe, expect, test } from 'vitest';
import type { EffectError, EffectOf, SingleEffect } from '../../../lib/offboarding/model/effects.ts';
import type { LedgerEntry, Organization } from '../../../lib/offboarding/model/organization.ts';
import { learn } from '../../../lib/offboarding/worker/learn.ts';
import { OUT_OF_TIME } from '../../../lib/offboarding/worker/lease.ts';
import type { VisitState } from '../../../lib/offboarding/worker/visit-state.ts';
import { ago, entry, found, MINUTE, NOW, ORG, organization, request } from '../items.ts';
import { AWAY, REJECTED } from '../play.ts';
import { stateOf, working } from './states.ts';

const given = (state: VisitState, effect: SingleEffect, value: unknown, at = NOW) =>
  learn(state, effect, { at, value });
const failed = (state: VisitState, effect: SingleEffect, error: EffectError) =>
  learn(state, effect, { at: NOW, error });
const failure = (code: string, changes: Partial<EffectError> = {}): EffectError => ({ ...AWAY, code, ...changes });
const withOne = (one = working(), changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });

describe('a call of Auth0', () => {
  const intent = { goal: 'disabled' as const, offboarding_id: 'A' };
  const CALL: EffectOf<'change'> = {
    ...{ do: 'change', organization_id: ORG, kind: 'connection', id: 'con_1', goal: 'disabled', level: 'readonly' },
    send_before: NOW + MINUTE,
  };
  const planned = (changes: Partial<LedgerEntry> = {}, one = working()) =>
    withOne(one, { ledger: [entry('con_1', ['A'], { disabled_by_us: false, intent, ...changes })] });
  const after = (error: EffectError, changes: Partial<VisitState> = {}, item = planned()) =>
    failed(stateOf(item, changes), CALL, error);

  test('when it succeeded, the connection is disabled, and nothing is open', () => {
    const next = given(stateOf(planned()), CALL, { is_uncertain: false });
    expect(next.facts).toEqual([
      {
        ...{ is: 'called', key: 'con_1', offboarding_id: 'A', goal: 'disabled', level: 'readonly', result: 'done' },
        ...{ error: undefined, isDrift: false, at: NOW },
      },
    ]);
    expect(next).toMatchObject({ postponed: [], tried: [], unsettled: {} });
    expect([next.uncertainUntil, next.passing, next.error]).toEqual([undefined, undefined, undefined]);
  });
  test('when it succeeded after an attempt of unknown end, nothing is open any more', () => {
    const item = planned({ intent: { ...intent, is_uncertain: true } });
    expect(given(stateOf(item), CALL, { is_uncertain: false }).postponed).toEqual([]);
  });
  test('when it succeeded after an attempt that may still be carried out, no other goal is called before that is over', () => {
    const next = given(stateOf(planned()), CALL, { is_uncertain: true });
    expect(next).toMatchObject({ uncertainUntil: NOW + MINUTE, unsettled: { con_1: 'disabled' }, postponed: [] });
    const earlier = given(stateOf(planned(), { uncertainUntil: NOW, unsettled: { con_0: 'enabled' } }), CALL, {
      is_uncertain: false,
    });
    expect([earlier.uncertainUntil, earlier.unsettled]).toEqual([NOW, { con_0: 'enabled' }]);
  });
  test('when it may be done, that is unknown until its time is over', () => {
    const next = after(failure('auth0_unavailable', { may_be_done: true }));
    expect(next).toMatchObject({
      uncertainUntil: NOW + MINUTE,
      unsettled: { con_1: 'disabled' },
      postponed: ['con_1'],
    });
    expect(next.item?.ledger[0]?.intent).toMatchObject({ is_uncertain: true });
  });
  test('when Auth0 refused it for good, it failed, in Auth0’s own words; the visit goes on', () => {
    const error = { ...REJECTED, upstream: { status: 400, error_code: null, message: 'y'.repeat(300) } };
    const next = after(error);
    expect(found(next.item as Organization, 'A').outcomes.con_1).toEqual({
      ...{ outcome: 'failed', error: { code: 'rejected', message: 'y'.repeat(200) } },
    });
    expect(next).toMatchObject({ postponed: [], passing: error });
    expect(next.error).toBeUndefined();
    expect(next.uncertainUntil).toBeUndefined();
    expect(found(after(REJECTED).item as Organization, 'A').outcomes.con_1?.error?.message).toBe('Rejected');
  });
  test('when Auth0 refused it after an attempt of unknown end, it stays open, without an end of the visit', () => {
    const next = after(REJECTED, {}, planned({ intent: { ...intent, is_uncertain: true } }));
    expect([next.postponed, next.error]).toEqual([['con_1'], undefined]);
  });
  test.each(['unknown_connection', 'unknown_organization', 'not_found'])(
    'when Auth0 answers %s, it is gone',
    (code) => {
      const next = after(failure(code, { is_transient: false }));
      expect(next.facts).toMatchObject([{ result: 'gone', error: undefined }]);
      expect([next.passing, next.uncertainUntil]).toEqual([undefined, undefined]);
      expect(after(failure(code, { is_transient: false, may_be_done: true })).uncertainUntil).toBe(NOW + MINUTE);
      expect(after(failure(code)).facts[0]).toMatchObject({ result: 'not done' });
    },
  );
  test('when Auth0 fails for the first connection, the others go on; for a second one, the visit ends', () => {
    const first = after(failure('auth0_unavailable'));
    expect(first).toMatchObject({ postponed: ['con_1'], passing: { code: 'auth0_unavailable' } });
    expect(first.error).toBeUndefined();
    const second = after(failure('auth0_unavailable'), { postponed: ['con_0'] });
    expect(second).toMatchObject({ postponed: ['con_0', 'con_1'], error: { code: 'auth0_unavailable' } });
    expect(found(second.item as Organization, 'A').attempts).toBe(1);
  });
  test('when Auth0 limits the rate, the visit ends', () => {
    expect(after(failure('rate_limited')).error?.code).toBe('rate_limited');
  });
  test('when the lease left no time for it, it was not made, and the visit ends', () => {
    const next = after(failure('lease_ended'));
    expect(next).toMatchObject({ error: OUT_OF_TIME, facts: [], postponed: [] });
  });
  test('when the ledger has nothing of it any more, it is of no request', () => {
    const next = given(stateOf(withOne()), CALL, { is_uncertain: false });
    expect(next.facts).toMatchObject([{ offboarding_id: '', isDrift: false }]);
  });

  describe('of a drift check', () => {
    const watched = request('A', { status: 'completed', watch: 'on' });
    const drifting = planned({ drifted_at: ago(MINUTE) }, watched);
    test('when it was made, the check has tried this connection', () => {
      const next = given(stateOf(drifting, { tried: ['con_0'] }), CALL, { is_uncertain: false });
      expect(next).toMatchObject({ tried: ['con_0', 'con_1'], facts: [{ isDrift: true, result: 'done' }] });
    });
    test('when somebody works on the same connection, that may pass; of a request it does not', () => {
      const conflict = failure('conflict', { is_transient: false });
      const next = after(conflict, {}, drifting);
      expect(next).toMatchObject({ facts: [{ result: 'not done' }], postponed: ['con_1'], tried: ['con_1'] });
      expect(next.error).toBeUndefined();
      expect(after(conflict).facts).toMatchObject([{ result: 'refused' }]);
      expect(after(REJECTED, {}, drifting).facts).toMatchObject([{ result: 'refused' }]);
    });
    test('when the watched offboarding enables, or is watched no more, it is no check’s', () => {
      const enabling = given(stateOf(drifting), { ...CALL, goal: 'enabled' }, { is_uncertain: false });
      expect(enabling.tried).toEqual([]);
      const ended = planned({}, request('A', { status: 'completed', watch: 'ended' }));
      expect(given(stateOf(ended), CALL, { is_uncertain: false }).tried).toEqual([]);
    });
  });
});
