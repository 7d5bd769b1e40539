// What a visit makes of a result: what an error means, and what is tried again.
import { LATE_MS } from '../../late-writes.ts';
import type {
  EffectError,
  EffectOf,
  ListedGrant,
  OperationName,
  Operations,
  Result,
  SingleEffect,
} from '../model/effects.ts';
import { emptyOrganization, entryOf, keyOf, type Organization, requestOf } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { whyFull } from '../rules/bounds.ts';
import { failWith } from '../rules/progress.ts';
import { acceptedOf, isPending, publishableOf } from '../rules/requests.ts';
import { applyFact, type CallResult } from './facts.ts';
import { endOf, hasLease, OUT_OF_TIME, WAIT_FOR_TURN_MS, waitAfter } from './lease.ts';
import { type VisitState, withFact } from './visit-state.ts';

const MAX_FAILURES = 3;

const MAX_CONFLICTS = 30;

/** PutEvents takes ten entries. */
const MAX_EVENTS = 10;

/** The events that are published next. */
export const nextEvents = ({ item }: VisitState) => publishableOf(item).slice(0, MAX_EVENTS);

/** `sentAt`: when the effect was asked for. */
type Learning<N extends OperationName> = (
  state: VisitState,
  effect: EffectOf<N>,
  value: Operations[N]['gives'],
  sentAt: number,
) => VisitState;

/** What a visit knows after an effect that succeeded; after all others it knows nothing new. */
const AFTER: { [N in OperationName]?: Learning<N> } = {
  readOrganization: (state, _, found) => afterRead(state, found),
  writeOrganization: (state, { item }, isWritten) => afterWrite(state, item, isWritten),
  readBatch: (state, { batch_id }, found) => withBatch(state, batch_id, found ?? null),
  // Whether it was written or somebody was quicker: it is read again.
  writeBatch: (state, { batch }) => withBatch({ ...state, writes: state.writes + 1 }, batch.batch_id, undefined),
  readRecord: (state, { offboarding_id }, found) => ({
    ...state,
    records: { ...state.records, [offboarding_id]: found ?? null },
  }),
  writeRecord: (state, { record }) => {
    const request = requestOf(state.item, record.offboarding_id);
    return request ? withFact(state, { is: 'recorded', request }) : state;
  },
  listConnections: (state, _, connections, at) => {
    const { item, listing } = state;
    const checks = item.drift_checks_requested ?? 0;
    return { ...state, listing: { at, connections, checks, grants: listing?.grants }, listFailure: undefined };
  },
  listGrants: (state, _, grants) => withGrants(state, grants),
  readName: (state, _, name) => withFact(state, { is: 'named', name }),
  change: (state, effect, { is_uncertain }) => afterCall(state, effect, 'done', undefined, is_uncertain),
  publish: (state) => withFact(state, { is: 'published', entries: nextEvents(state) }),
  scheduleRemoval: (state, { at }) => withSent(state, `schedule ${at}`),
  sendSessionsDue: (state, { offboarding_id }) =>
    withFact(withSent(state, `sessions ${offboarding_id}`), { is: 'sessions sent', offboarding_id, at: state.now }),
  sendDeadLetter: (state, { body }) => withSent(state, `letter ${body.id}`),
  // What was postponed is tried again, by a new list.
  pause: (state) => ({ ...state, postponed: [], listing: undefined, retriesLeft: state.retriesLeft - 1 }),
};

/** What an error means, where it is an answer or ends the visit; all other effects are repeated. */
const AFTER_ERROR: {
  [N in OperationName]?: (state: VisitState, effect: EffectOf<N>, error: EffectError) => VisitState;
} = {
  change: afterFailedCall,
  listConnections: (state, _, error) => afterFailedList(state, error),
  readName: (state) => withFact(state, { is: 'named', name: null }),
  // What remains is shown where it is known; only who is to end it needs it.
  listGrants: (state, _, error) => ({ ...withGrants(state, null), grantsError: error }),
  // The dispatcher finds it by its date.
  scheduleRemoval: (state, { at }) => withSent(state, `schedule ${at}`),
  writeOrganization: (state, _, error) => afterFailedWrite(state, error),
};

/** What a visit knows after an effect. Here it is decided what an error means, and whether the effect is repeated. */
export function learn(given: VisitState, effect: SingleEffect, { at, value, error }: Result): VisitState {
  const state = { ...given, now: Math.max(given.now, at) };
  if (error) return AFTER_ERROR[effect.do]?.(state, effect as never, error) ?? repeated(state, error);
  const next = { ...state, failures: 0 };
  return AFTER[effect.do]?.(next, effect as never, value as never, given.now) ?? next;
}

const withSent = (state: VisitState, name: string): VisitState => ({ ...state, sent: [...state.sent, name] });

const withBatch = (state: VisitState, id: string, batch: VisitState['batches'][string]): VisitState => ({
  ...state,
  batches: { ...state.batches, [id]: batch },
});

const withGrants = (state: VisitState, grants: ListedGrant[] | null): VisitState =>
  withFact(
    { ...state, listing: state.listing && { ...state.listing, grants }, grantsError: undefined },
    { is: 'listed grants', grants },
  );

function afterRead(state: VisitState, found: Organization | undefined): VisitState {
  const { stored, item, facts, input } = state;
  // A write whose answer was lost, and that was carried out.
  if (item.version && item.version === found?.version) return afterWrite({ ...state, isRead: true }, item, true);
  const now = found ?? emptyOrganization(input.organization_id);
  const hadLease = hasLease(state, stored);
  // A list that was made before somebody else's visit says nothing any more.
  const listing = hadLease ? state.listing : undefined;
  const fresh = { ...state, isRead: true, stored: now, item: facts.reduce(applyFact, now), listing };
  const isLost = hadLease && !hasLease(state, now);
  return isLost ? { ...fresh, end: { is: 'later', wait_ms: 0, error: state.error } } : fresh;
}

function afterWrite(state: VisitState, item: Organization, isWritten: boolean): VisitState {
  const writes = state.writes + 1;
  if (isWritten) {
    const saved = { ...state, writes, stored: item, item, facts: [] };
    return hasLease(state, item) ? saved : { ...saved, end: endOf(saved) };
  }
  // Somebody else has written it, or this is the refusal of what was written already: the item tells.
  return writes > MAX_CONFLICTS
    ? { ...state, end: { is: 'later', wait_ms: WAIT_FOR_TURN_MS } }
    : { ...state, writes, isRead: false };
}

/** What the request that is being worked on waits for, in the order in which a visit goes about them. */
const WORK_ORDER = ['cancelling', 'removing', 'working', 'requested'];

/** The visit ends with `error`, and the request that it was at says so. */
export function withError(given: VisitState, error: EffectError): VisitState {
  const state = { ...given, error };
  const pending = state.item.requests.filter(isPending);
  const request = WORK_ORDER.flatMap((status) => pending.filter((one) => one.status === status))[0];
  if (!request) return state;
  const failure = { code: error.code, message: error.message.slice(0, 200) };
  const nextTryAt = iso(state.now + waitAfter(error, state));
  return withFact(state, { is: 'failed', offboarding_id: request.offboarding_id, error: failure, nextTryAt });
}

/** What became of a call of Auth0. */
function afterCall(
  given: VisitState,
  effect: EffectOf<'change'>,
  found: CallResult,
  error: EffectError | undefined,
  isUncertain: boolean,
): VisitState {
  const { goal, level } = effect;
  const key = keyOf(effect);
  const { offboarding_id = '', is_uncertain } = entryOf(given.item, key)?.intent ?? {};
  const isDrift = goal === 'disabled' && requestOf(given.item, offboarding_id)?.watch === 'on';
  // A conflict may pass: somebody works on the same connection.
  const result = isDrift && error?.code === 'conflict' ? 'not done' : found;
  const failure = error && { code: error.code, message: (error.upstream?.message ?? error.message).slice(0, 200) };
  const about = { key, offboarding_id, goal, level, result, error: failure, isDrift, at: given.now };
  const isOpen = ['not done', 'uncertain'].includes(result) || (result === 'refused' && is_uncertain === true);
  const state = {
    ...withFact(given, { is: 'called', ...about }),
    ...(isUncertain && { uncertainUntil: given.now + LATE_MS, unsettled: { ...given.unsettled, [key]: goal } }),
    ...(isDrift && { tried: [...given.tried, key] }),
    ...(isOpen && { postponed: [...given.postponed, key] }),
    passing: error ?? given.passing,
  };
  if (!isOpen || !error?.is_transient) return state;
  // A first failure stops no other connection; a second one, or the tenant's limit, ends the visit.
  const isFirst = given.postponed.length === 0 && error.code === 'auth0_unavailable';
  return isFirst ? state : withError(state, error);
}

const GONE = ['unknown_connection', 'unknown_organization', 'not_found'];

function afterFailedCall(state: VisitState, effect: EffectOf<'change'>, error: EffectError): VisitState {
  const { code, is_transient, may_be_done } = error;
  // Not sent: the lease is over, or the list that a removal is based on is too old.
  if (code === 'lease_ended')
    return isLeaseOver(state) ? { ...state, error: OUT_OF_TIME } : { ...state, listing: undefined };
  if (GONE.includes(code) && !is_transient) return afterCall(state, effect, 'gone', undefined, may_be_done);
  const result = may_be_done ? 'uncertain' : is_transient ? 'not done' : 'refused';
  return afterCall(state, effect, result, error, may_be_done);
}

const isLeaseOver = ({ stored, now }: VisitState) => now >= (stored.lease?.until ?? 0) - LATE_MS;

const UNKNOWN_ORGANIZATION = { code: 'unknown_organization', message: 'Auth0 has no organization with this id' };

function afterFailedList(state: VisitState, error: EffectError): VisitState {
  const { code, message, is_transient } = error;
  if (code === UNKNOWN_ORGANIZATION.code)
    return {
      ...state,
      listing: { at: state.now, connections: [], grants: [], checks: 0 },
      listFailure: UNKNOWN_ORGANIZATION,
    };
  const hasRequested = state.item.requests.some(({ status }) => status === 'requested');
  return is_transient || !hasRequested ? withError(state, error) : { ...state, listFailure: { code, message } };
}

/** A write whose outcome is unknown is looked up; one that will never pass ends the visit. */
function afterFailedWrite(state: VisitState, error: EffectError): VisitState {
  if (!error.is_transient) return afterRejectedWrite(state, error);
  const isRead = !error.may_be_done;
  return repeated({ ...state, isRead, item: isRead ? state.facts.reduce(applyFact, state.stored) : state.item }, error);
}

/** An item that the table never takes: what begins now has no room, and fails. What was done at Auth0 is not forgotten for that. */
function afterRejectedWrite(state: VisitState, error: EffectError): VisitState {
  const { stored, facts, now, failures } = state;
  const first = acceptedOf(stored).find(({ status }) => status === 'requested');
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
