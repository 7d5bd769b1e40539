// What a visit makes of a result: what an error means, and what is tried again.
import { LATE_MS } from '../../late-writes.ts';
import type { Batch } from '../model/batch.ts';
import type { EffectError, ListedConnection, ListedGrant, Result, SingleEffect } from '../model/effects.ts';
import type { Organization } from '../model/organization.ts';
import { entryOf, keyOf, requestOf } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { iso } from '../model/stage.ts';
import { whyFull } from '../rules/bounds.ts';
import { failWith } from '../rules/progress.ts';
import { acceptedOf, isPending, publishableOf } from '../rules/requests.ts';
import { endOf, OUT_OF_TIME, waitAfter } from './lease.ts';
import { applyFact, applyFacts, type CallResult, type Fact, type VisitState } from './visit-state.ts';

/** Somebody else's visit ends soon, milliseconds. */
export const WAIT_FOR_TURN_MS = 2000;

const MAX_FAILURES = 3;

const MAX_CONFLICTS = 30;

/** PutEvents takes ten entries. */
export const MAX_EVENTS = 10;

export const letterOf = (id: string, at: string) => `letter ${id} ${at}`;

export const withFact = (state: VisitState, fact: Fact): VisitState => ({
  ...state,
  facts: [...state.facts, fact],
  item: state.item && applyFact(state.item, fact),
});

/** What a visit knows after an effect. Here it is decided what an error means, and whether the effect is repeated. */
export function learn(given: VisitState, effect: SingleEffect, result: Result): VisitState {
  const state = { ...given, now: Math.max(given.now, result.at) };
  if (result.error) return afterError(state, effect, result.error);
  const next = { ...state, failures: effect.do === 'pause' ? state.failures : 0 };
  switch (effect.do) {
    case 'readOrganization':
      return afterRead(next, result.value as Organization | undefined);
    case 'writeOrganization':
      return afterWrite(next, effect.item, result.value as boolean);
    case 'readBatch':
      return {
        ...next,
        batches: { ...next.batches, [effect.batch_id]: (result.value as Batch | undefined) ?? 'none' },
      };
    case 'writeBatch':
      // Whether it was written or somebody was quicker: it is read again.
      return {
        ...next,
        writes: next.writes + 1,
        batches: Object.fromEntries(Object.entries(next.batches).filter(([id]) => id !== effect.batch.batch_id)),
      };
    case 'listConnections': {
      const checks = next.item?.drift_checks_requested ?? 0;
      return {
        ...next,
        listing: {
          at: given.now,
          connections: result.value as ListedConnection[],
          checks,
          grants: next.listing?.grants,
        },
      };
    }
    case 'readName':
      return withFact(next, { is: 'named', name: result.value as string | null });
    case 'listGrants':
      return withGrants(next, result.value as ListedGrant[] | null);
    case 'change':
      return afterCall(next, effect, 'done', undefined, (result.value as { is_uncertain: boolean }).is_uncertain);
    case 'publish':
      return withFact(next, {
        is: 'published',
        entries: next.item ? publishableOf(next.item).slice(0, MAX_EVENTS) : [],
      });
    case 'readRecord':
      return {
        ...next,
        records: {
          ...next.records,
          [effect.offboarding_id]: (result.value as OffboardingRecord | undefined) ?? 'none',
        },
      };
    case 'writeRecord':
      return afterRecord(next, effect.record.offboarding_id);
    case 'scheduleRemoval':
      return { ...next, sent: [...next.sent, `schedule ${effect.at}`] };
    case 'sendSessionsDue':
      return {
        ...withFact(next, { is: 'sessions sent', offboarding_id: effect.offboarding_id, at: next.now }),
        sent: [...next.sent, `sessions ${effect.offboarding_id}`],
      };
    case 'sendDeadLetter':
      return { ...next, sent: [...next.sent, ...letters(next, effect.body.id as string)] };
    case 'pause':
      return afterPause(next);
    default:
      return next;
  }
}

function afterRecord(state: VisitState, offboarding_id: string): VisitState {
  const request = state.item && requestOf(state.item, offboarding_id);
  return request ? withFact(state, { is: 'recorded', request }) : state;
}

const letters = ({ item }: VisitState, eventId: string) =>
  (item?.outbox ?? []).flatMap(({ event, offboarding_id, at }) => {
    const request = item && requestOf(item, offboarding_id);
    return event === 'failed' && request?.request.id === eventId ? [letterOf(offboarding_id, at)] : [];
  });

const withGrants = (state: VisitState, grants: ListedGrant[] | null): VisitState =>
  withFact(
    { ...state, listing: state.listing && { ...state.listing, grants }, grantsError: undefined },
    { is: 'listed grants', grants },
  );

/** After a pause: an effect that failed is repeated, and what was postponed is tried again, by a new list. */
function afterPause(state: VisitState): VisitState {
  if (state.failures > 0) return state;
  return { ...state, postponed: [], listing: undefined, retriesLeft: state.retriesLeft - 1 };
}

function afterRead(state: VisitState, found: Organization | undefined): VisitState {
  const { stored, item, input } = state;
  const mine = item?.version && item.version === found?.version;
  // A write whose answer was lost, and that was carried out.
  if (mine) return afterWrite({ ...state, isRead: true }, item, true);
  const hadLease = stored?.lease?.owner === input.nonce;
  // A list that was made before somebody else's visit says nothing any more.
  const listing = hadLease ? state.listing : undefined;
  const fresh = { ...state, isRead: true, stored: found, item: found && applyFacts(found, state.facts), listing };
  const isLost = hadLease && found?.lease?.owner !== input.nonce;
  return isLost ? { ...fresh, end: { is: 'later', wait_ms: 0, error: state.error } } : fresh;
}

function afterWrite(state: VisitState, item: Organization, isWritten: boolean): VisitState {
  const writes = state.writes + 1;
  if (!isWritten) {
    // Somebody else has written it, or this is the refusal of what was written already: the item tells.
    const hasGivenUp = writes > MAX_CONFLICTS;
    return hasGivenUp
      ? { ...state, end: { is: 'later', wait_ms: WAIT_FOR_TURN_MS } }
      : { ...state, writes, isRead: false };
  }
  const saved = { ...state, writes, stored: item, item, facts: [] };
  if (item.lease?.owner === state.input.nonce) return saved;
  return { ...saved, end: endOf(saved, item.lease !== undefined) };
}

/** What the request that is being worked on waits for, in the order in which a visit goes about them. */
const WORK_ORDER = ['cancelling', 'removing', 'working', 'requested'];

/** The visit ends with `error`, and the request that it was at says so. */
export function withError(state: VisitState, error: EffectError): VisitState {
  const pending = state.item?.requests.filter(isPending) ?? [];
  const request = WORK_ORDER.flatMap((status) => pending.filter((one) => one.status === status))[0];
  if (!request) return { ...state, error };
  const failure = { code: error.code, message: error.message.slice(0, 200) };
  const nextTryAt = iso(state.now + waitAfter(error, state));
  return withFact(
    { ...state, error },
    { is: 'failed', offboarding_id: request.offboarding_id, error: failure, nextTryAt },
  );
}

/** What became of a call of Auth0. */
function afterCall(
  given: VisitState,
  effect: Extract<SingleEffect, { do: 'change' }>,
  result: CallResult,
  error: EffectError | undefined,
  wasUncertain = false,
): VisitState {
  const key = keyOf(effect);
  const entry = given.item && entryOf(given.item, key);
  const offboarding_id = entry?.intent?.offboarding_id ?? '';
  const request = given.item && requestOf(given.item, offboarding_id);
  const isDrift = request !== undefined && request.watch === 'on' && effect.goal === 'disabled';
  const isUncertain = wasUncertain || error?.may_be_done === true;
  const until = isUncertain ? Math.max(given.uncertainUntil ?? 0, given.now + LATE_MS) : given.uncertainUntil;
  const failure = error && { code: error.code, message: (error.upstream?.message ?? error.message).slice(0, 200) };
  // A conflict may pass: somebody works on the same connection.
  const canPass = isDrift && error?.code === 'conflict';
  const actual = canPass ? 'not done' : result;
  const fact: Fact = {
    is: 'called',
    key,
    offboarding_id,
    goal: effect.goal,
    level: effect.level,
    result: actual,
    error: failure,
    isDrift,
    at: given.now,
  };
  const unsettled = isUncertain ? { ...given.unsettled, [key]: effect.goal } : given.unsettled;
  const state = withFact({ ...given, uncertainUntil: until, unsettled }, fact);
  const isOpen =
    actual === 'not done' || actual === 'uncertain' || (actual === 'refused' && entry?.intent?.is_uncertain === true);
  const tried = isDrift ? [...state.tried, key] : state.tried;
  const changed = {
    ...state,
    tried,
    passing: error ?? state.passing,
    postponed: isOpen ? [...state.postponed, key] : state.postponed,
  };
  if (!isOpen || !error?.is_transient) return changed;
  // A first failure stops no other connection; a second one, or the tenant's limit, ends the visit.
  const isFirst = given.postponed.length === 0 && error.code === 'auth0_unavailable';
  return isFirst ? changed : withError(changed, error);
}

const GONE = ['unknown_connection', 'unknown_organization', 'not_found'];

/** What an error means: it is repeated, it ends the visit, or it is an answer. */
function afterError(state: VisitState, effect: SingleEffect, error: EffectError): VisitState {
  switch (effect.do) {
    case 'change': {
      // Not sent: the lease is over, or the list that a removal is based on is too old.
      if (error.code === 'lease_ended')
        return isLeaseOver(state) ? { ...state, error: OUT_OF_TIME } : withoutList(state);
      if (GONE.includes(error.code) && !error.is_transient)
        return afterCall(state, effect, 'gone', error.may_be_done ? error : undefined);
      const result = error.may_be_done ? 'uncertain' : error.is_transient ? 'not done' : 'refused';
      return afterCall(state, effect, result, error);
    }
    case 'listConnections':
      if (error.code === 'unknown_organization')
        return { ...state, listing: { at: state.now, connections: [], grants: [], checks: 0, isUnknown: true } };
      if (!error.is_transient && hasRequested(state))
        return { ...state, listFailure: { code: error.code, message: error.message } };
      return withError(state, error);
    case 'readName':
      return withFact(state, { is: 'named', name: null });
    case 'listGrants':
      // What remains is shown where it is known; only who is to end it needs it.
      return { ...withGrants(state, null), grantsError: error };
    case 'scheduleRemoval':
      // The dispatcher finds it by its date.
      return { ...state, sent: [...state.sent, `schedule ${effect.at}`] };
    case 'writeOrganization':
      return afterFailedWrite(state, error);
    default:
      return repeated(state, error);
  }
}

const isLeaseOver = ({ stored, now }: VisitState) => now >= (stored?.lease?.until ?? 0) - LATE_MS;
const withoutList = (state: VisitState): VisitState => ({ ...state, listing: undefined });

const hasRequested = ({ item }: VisitState) => item?.requests.some(({ status }) => status === 'requested') === true;

/** A write whose outcome is unknown is looked up; one that will never pass ends the visit. */
function afterFailedWrite(state: VisitState, error: EffectError): VisitState {
  if (!error.is_transient) return afterRejectedWrite(state, error);
  const isRead = !error.may_be_done;
  const item = isRead ? state.stored && applyFacts(state.stored, state.facts) : state.item;
  return repeated({ ...state, isRead, item }, error);
}

/** An item that the table never takes: what begins now has no room, and fails. What was done at Auth0 is not forgotten for that. */
function afterRejectedWrite(state: VisitState, error: EffectError): VisitState {
  const { stored, facts, now, failures } = state;
  const first = stored && acceptedOf(stored).find(({ status }) => status === 'requested');
  const isDone = facts.some(({ is }) => is === 'called');
  if (!first || isDone || failures > 0) return endedBy(state, error);
  const failure = { code: 'conflict', message: whyFull(stored) };
  return { ...state, facts: [], item: failWith(stored, first, failure, now), failures: 1 };
}

/** The effect is performed again; after a few failures in a row that is for later. */
function repeated(state: VisitState, error: EffectError): VisitState {
  const failures = state.failures + 1;
  return failures >= MAX_FAILURES ? endedBy({ ...state, error }, error) : { ...state, failures };
}

const endedBy = (state: VisitState, error: EffectError): VisitState => ({
  ...state,
  end: { is: 'later', wait_ms: state.input.waitMs, error },
});
