import type { Batch } from '../model/batch.ts';
import type {
  Core,
  Effect,
  EffectError,
  ListedConnection,
  ListedGrant,
  Result,
  SingleEffect,
} from '../model/effects.ts';
import type { Organization } from '../model/organization.ts';
import { entryOf, keyOf, requestOf } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { iso } from '../model/stage.ts';
import { hasEnded } from '../model/status.ts';
import { LIST_IS_OLD_MS } from '../rules/connections.ts';
import { BATCH_IS_OPEN_MS, dueOf } from '../rules/due-work.ts';
import { acceptMember, isVoid, withoutMember } from '../rules/lifecycle.ts';
import { recordOf } from '../rules/projection.ts';
import { isPending, priorityOf, publishableOf } from '../rules/requests.ts';
import { toOutgoingEvent } from '../views/outcome.ts';
import { CRASHED, nextCheckAt, nextStep, type Step } from './next-step.ts';
import {
  applyFact,
  applyFacts,
  type CallResult,
  type Fact,
  levelAfter,
  startVisit,
  type VisitEnd,
  type VisitInput,
  type VisitState,
} from './visit-state.ts';

/** So long Auth0 may still carry out a call whose outcome nobody knows, milliseconds. */
export const LATE_MS = 60_000;
/** The clocks of two processes may differ by this much, milliseconds. */
export const CLOCKS_APART_MS = 120_000;
/** A visit begins a call of Auth0 only when this much time is left, milliseconds. */
const TIME_FOR_A_CALL_MS = 3000;
/** Somebody else's visit ends soon, milliseconds. */
const WAIT_FOR_TURN_MS = 2000;
const RETRY_PAUSE_MS = 1000;
/** How long a message is taken to be on its way before another one says the same, milliseconds. */
const MESSAGE_TAKES_MS = 300_000;
const MAX_FAILURES = 3;
const MAX_CONFLICTS = 30;
const NOBODY = 'nobody';

/** Works on one organization, alone, until nothing is left to be done now, or until an error or the deadline ends the visit. */
export function* visit(input: VisitInput, now: number): Core<VisitEnd> {
  let state = startVisit(input, now);
  while (!state.end) state = yield* oneStep(state);
  return state.end;
}

/** One effect of a visit, and what it learns from the result. */
function* oneStep(given: VisitState): Core<VisitState> {
  const { state, effect } = nextEffect(given);
  return effect ? learn(state, effect as SingleEffect, yield effect) : state;
}

type Next = { state: VisitState; effect?: Effect | undefined };

const ended = (state: VisitState, end: VisitEnd): Next => ({ state: { ...state, end } });

/** The next effect of a visit, by what it knows. */
export function nextEffect(given: VisitState): Next {
  let state = given;
  const { organization_id, nonce } = state.input;
  if (state.end) return { state };
  if (!state.isRead) return { state, effect: { do: 'readOrganization', organization_id } };
  if (!state.item) return ended(state, { is: 'done' });
  const { lease } = state.item;
  if (lease && lease.owner !== nonce && lease.until + CLOCKS_APART_MS > state.now) {
    const wait_ms = lease.owner === NOBODY ? lease.until + CLOCKS_APART_MS - state.now : WAIT_FOR_TURN_MS;
    return ended(state, { is: 'later', wait_ms, error: state.error });
  }
  // Somebody else may be at work already, and what is published now would come out of order.
  if (lease?.owner === nonce && lease.until <= state.now)
    return ended(state, { is: 'later', wait_ms: 0, error: state.error });
  state = { ...state, item: withoutAbandonedLease(state.item, state) };
  const batch = toResolve(state);
  if (batch) return batch;
  for (;;) {
    const step = nextStep(state.item as Organization, state);
    if (step.do !== 'change') return effectOf(step, state);
    state = { ...state, item: step.item };
  }
}

/** Who had the lease before has crashed: what it was about to do it may have done, and Auth0 may have carried it out. */
function withoutAbandonedLease(item: Organization, { input, now }: VisitState): Organization {
  const { lease } = item;
  if (!lease || lease.owner === input.nonce) return item;
  const ledger = item.ledger.map((entry) => {
    if (!entry.intent) return entry;
    const request = requestOf(item, entry.intent.offboarding_id);
    const isOurs = entry.disabled_by_us || (entry.intent.goal === 'disabled' && (!request || isPending(request)));
    const level = levelAfter(entry.intent.goal, entry.intent.level, entry);
    return {
      ...entry,
      ...(entry.intent.goal === 'disabled' && level),
      disabled_by_us: isOurs,
      intent: { ...entry.intent, is_uncertain: true as const },
    };
  });
  if (lease.owner === NOBODY) return { ...item, ledger, lease: undefined };
  const requests = item.requests.map((one) =>
    ['working', 'removing', 'cancelling'].includes(one.status) && isPending(one)
      ? { ...one, attempts: one.attempts + 1, last_error: one.last_error ?? CRASHED, next_try_at: iso(now) }
      : one,
  );
  return { ...item, ledger, requests, lease: undefined };
}

/** Members of batches of which nobody knows yet whether they count. */
function toResolve(state: VisitState): Next | undefined {
  for (const request of state.item?.requests ?? []) {
    const { batch } = request;
    if (!batch || batch.is_accepted) continue;
    const known = state.batches[batch.id];
    // What was read of an earlier attempt says nothing of this one.
    const found = known !== undefined && known !== 'none' && known.attempt < batch.attempt ? undefined : known;
    if (!found) return { state, effect: { do: 'readBatch', batch_id: batch.id } };
    const item = state.item as Organization;
    if (found === 'none' || isVoid(found, batch)) return nextEffectAfter(state, withoutMember(item, request));
    if (found.status === 'open') {
      if (Date.parse(found.created_at) + BATCH_IS_OPEN_MS > state.now) continue;
      return {
        state,
        effect: {
          do: 'writeBatch',
          batch: { ...found, status: 'void', version: versionOf(state) },
          expected: found.version,
        },
      };
    }
    const cancelled = found.status === 'cancelled' && found.cancelled;
    const member = cancelled ? { ...request, cancelled } : request;
    return nextEffectAfter(state, acceptMember(item, member, state.now));
  }
  return undefined;
}

const nextEffectAfter = (state: VisitState, item: Organization): Next => nextEffect({ ...state, item });

/** A version that nobody else writes, and this visit never again. */
const versionOf = ({ input, writes }: VisitState) => `${input.nonce}.${writes + 1}`;

/** Whether everything that is known is stored, under the lease of this visit. */
const isSaved = ({ stored, item, input }: VisitState) => stored?.lease?.owner === input.nonce && item === stored;

/** The effect that a step takes; before what others see or what cannot be taken back, what was decided is stored. */
function effectOf(step: Exclude<Step, { do: 'change' }>, state: VisitState): Next {
  const { organization_id } = state.input;
  switch (step.do) {
    case 'rest':
      return rest(state);
    case 'list':
      if (step.isCheck && state.stored?.lease?.owner !== state.input.nonce) return save(state, true);
      return step.grants
        ? { state, effect: { do: 'listGrants', organization_id } }
        : { state, effect: { do: 'listConnections', organization_id } };
    case 'name':
      return { state, effect: { do: 'readName', organization_id } };
    case 'checked': {
      const at = state.listing?.at ?? state.now;
      const nextAt = nextCheckAt(state.item as Organization, state);
      return nextEffect(withFact(state, { is: 'checked', at, checks: state.listing?.checks ?? 0, nextAt }));
    }
    case 'call':
      return callEffect(step, state);
    case 'schedule':
      return { state, effect: { do: 'scheduleRemoval', organization_id, at: step.at } };
    case 'send sessions':
      return isSaved(state)
        ? { state, effect: { do: 'sendSessionsDue', organization_id, offboarding_id: step.request.offboarding_id } }
        : save(state, true);
    case 'publish':
      return isSaved(state) ? publish(state) : save(state, true);
    case 'record': {
      if (!isSaved(state)) return save(state, true);
      const known = recordBefore(state, step.request.offboarding_id);
      if (known.effect) return known;
      return {
        state,
        effect: { do: 'writeRecord', record: recordOf(state.item as Organization, step.request, known.record) },
      };
    }
  }
}

/** A call of Auth0, once its intent is stored under the lease of this visit. */
function callEffect(step: Extract<Step, { do: 'call' }>, given: VisitState): Next {
  const state = { ...given, item: step.item };
  const { entry, goal, level } = step.change;
  const { organization_id, nonce, deadline } = state.input;
  if (state.now > deadline - TIME_FOR_A_CALL_MS) return rest({ ...state, error: state.error ?? OUT_OF_TIME });
  const stored = state.stored && entryOf(state.stored, keyOf(entry))?.intent;
  const request = state.stored && requestOf(state.stored, step.request.offboarding_id);
  const isStored =
    stored?.goal === goal &&
    stored.offboarding_id === step.request.offboarding_id &&
    request?.status === step.request.status;
  if (state.stored?.lease?.owner !== nonce || !isStored) return save(state, true);
  const send_before = state.stored.lease.until - LATE_MS;
  return { state, effect: { do: 'change', organization_id, kind: entry.kind, id: entry.id, goal, level, send_before } };
}

/** The visit goes on at once, in another message. */
const OUT_OF_TIME: EffectError = {
  code: 'out_of_time',
  message: "The function's time is used up",
  is_transient: true,
  may_be_done: false,
};

/** The record of an offboarding that had ended before: what its item no longer has. */
function recordBefore(state: VisitState, offboarding_id: string): Next & { record?: OffboardingRecord | undefined } {
  const { organization_id } = state.input;
  const request = state.item && requestOf(state.item, offboarding_id);
  const stored = state.records[offboarding_id];
  // An organization of a batch that took no more has a record alone.
  const isFinal =
    !request || (hasEnded(request) && request.ended_at !== undefined && request.ended_at !== request.updated_at);
  if (!isFinal) return { state };
  if (stored === undefined) return { state, effect: { do: 'readRecord', organization_id, offboarding_id } };
  return { state, record: stored === 'none' ? undefined : stored };
}

/** PutEvents takes ten entries. */
const MAX_EVENTS = 10;

/** What is in the outbox goes to the bus, in its order. A failed event has its dead letter first. */
function publish(state: VisitState): Next {
  const item = state.item as Organization;
  const entries = publishableOf(item).slice(0, MAX_EVENTS);
  const events = [];
  for (const entry of entries) {
    const request = requestOf(item, entry.offboarding_id);
    const needsLetter =
      entry.event === 'failed' &&
      !request?.cancelled &&
      request?.request.source !== 'org-connections' &&
      !request?.parameters.dry_run;
    if (request && needsLetter && !state.sent.includes(letterOf(entry.offboarding_id, entry.at))) {
      const { id, source, time } = request.request;
      const detail = { organization_id: item.organization_id, ...request.parameters };
      const body = { id, source, time, 'detail-type': 'organization.offboarding.requested', detail };
      const error = request.error ?? { code: 'failed', message: 'A connection could not be changed' };
      return {
        state,
        effect: {
          do: 'sendDeadLetter',
          body,
          priority: priorityOf(request),
          reason: `${error.code}: ${error.message}`,
        },
      };
    }
    const known = recordBefore(state, entry.offboarding_id);
    if (known.effect) return known;
    events.push(toOutgoingEvent(item, entry, known.record));
  }
  return { state, effect: { do: 'publish', events } };
}

const letterOf = (id: string, at: string) => `letter ${id} ${at}`;

/** Ends the visit: the lease is given back with what the organization waits for, or kept where Auth0 may still carry out a call. */
function rest(state: VisitState): Next {
  const { error, input, postponed } = state;
  if (
    postponed.some((key) => !state.tried.includes(key)) &&
    !error &&
    state.retriesLeft > 0 &&
    state.now + RETRY_PAUSE_MS < input.deadline - TIME_FOR_A_CALL_MS
  )
    return { state, effect: { do: 'pause', ms: RETRY_PAUSE_MS } };
  const isLeft = postponed.some((key) => !state.tried.includes(key));
  if (isLeft && !error && state.passing) return nextEffect(withError(state, state.passing));
  const item = state.item as Organization;
  const isOurs = item.lease?.owner === input.nonce;
  const isUncertain = (state.uncertainUntil ?? 0) > state.now;
  if (isOurs || item !== state.stored) return save(state, false);
  return ended(state, endOf(state, isUncertain));
}

function endOf(state: VisitState, isUncertain: boolean): VisitEnd {
  const { error, now, uncertainUntil = 0, item } = state;
  if (error?.code === 'out_of_time') return { is: 'later', wait_ms: 0 };
  if (error) return { is: 'later', wait_ms: waitAfter(error, state), error };
  const due = item ? dueOf(item).due_at : undefined;
  const isLeft = due !== undefined && due <= iso(now);
  const isSoon = item !== undefined && due !== undefined && isCheckedAgainSoon(item, due);
  if (isSoon && !isLeft && state.input.mode === 'work') return { is: 'later', wait_ms: Date.parse(due) - now };
  if (isLeft && isUncertain) return { is: 'later', wait_ms: uncertainUntil + CLOCKS_APART_MS - now };
  return isLeft && state.input.mode === 'work' ? { is: 'later', wait_ms: state.input.waitMs } : { is: 'done' };
}

/** Whether what is due is the drift check that a list could not answer yet: it is waited for in place. */
const isCheckedAgainSoon = ({ ledger }: Organization, due: string): boolean =>
  ledger.some(({ changed }) => changed && due === iso(changed.at + LIST_IS_OLD_MS + 1));

/** The rate limit says how long it takes; an error is waited out. */
const waitAfter = ({ code, retry_after = 1 }: EffectError, { input }: VisitState) =>
  code === 'rate_limited' ? retry_after * 1000 : input.waitMs;

/** Writes what is known: with the lease of this visit, or, at its end, without. */
function save(state: VisitState, keeps: boolean): Next {
  const { input, now, uncertainUntil = 0 } = state;
  const own = { owner: input.nonce, until: input.deadline + LATE_MS };
  const left = uncertainUntil > now ? { owner: NOBODY, until: uncertainUntil } : undefined;
  const item = keeps ? (state.item as Organization) : withNotice(withoutIntents(state.item as Organization), state);
  const lease = keeps ? own : left;
  const next = { ...item, lease, version: versionOf(state), revision: item.revision + 1 };
  return {
    state: { ...state, item: next },
    effect: { do: 'writeOrganization', item: next, expected: state.stored?.version },
  };
}

/** What was planned and not begun is planned anew by the next visit. */
const withoutIntents = (item: Organization): Organization => ({
  ...item,
  ledger: item.ledger.map((entry) =>
    entry.intent && !entry.intent.is_uncertain && !entry.drifted_at ? { ...entry, intent: undefined } : entry,
  ),
});

function withNotice(item: Organization, state: VisitState): Organization {
  const { error, now } = state;
  const { due_at } = dueOf(item);
  const at = error ? now + waitAfter(error, state) : Date.parse(due_at ?? '');
  return { ...item, notice_at: due_at === undefined ? undefined : Math.max(at, now) + MESSAGE_TAKES_MS };
}

const withFact = (state: VisitState, fact: Fact): VisitState => ({
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
      return afterRead(next, effect, result.value as Organization | undefined);
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
  withFact({ ...state, listing: state.listing && { ...state.listing, grants } }, { is: 'listed grants', grants });

/** After a pause: an effect that failed is repeated, and what was postponed is tried again, by a new list. */
function afterPause(state: VisitState): VisitState {
  if (state.failures > 0) return state;
  return { ...state, postponed: [], listing: undefined, retriesLeft: state.retriesLeft - 1 };
}

function afterRead(state: VisitState, _: SingleEffect, found: Organization | undefined): VisitState {
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
function withError(state: VisitState, error: EffectError): VisitState {
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
  const isUncertain = wasUncertain || result === 'uncertain' || error?.may_be_done === true;
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
      if (error.code === 'lease_ended') return { ...state, error: OUT_OF_TIME };
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
      if (needsGrants(state) && error.is_transient) return withError(state, error);
      return withGrants(state, null);
    case 'scheduleRemoval':
      // The dispatcher finds it by its date.
      return { ...state, sent: [...state.sent, `schedule ${effect.at}`] };
    case 'writeOrganization':
      return afterFailedWrite(state, error);
    case 'publish':
    case 'writeRecord':
    case 'sendDeadLetter':
    case 'sendSessionsDue':
      return repeated(state, error, (given) => ({
        ...given,
        end: { is: 'later', wait_ms: state.input.waitMs, error },
      }));
    default:
      return repeated(state, error, (given) => ({
        ...given,
        end: { is: 'later', wait_ms: state.input.waitMs, error },
      }));
  }
}

const hasRequested = ({ item }: VisitState) => item?.requests.some(({ status }) => status === 'requested') === true;
const needsGrants = ({ item }: VisitState) =>
  item?.requests.some((one) => one.parameters.end_machine_access && (isPending(one) || one.watch === 'on')) === true;

/** A write whose outcome is unknown is looked up; one that will never pass ends the visit. */
function afterFailedWrite(state: VisitState, error: EffectError): VisitState {
  if (!error.is_transient) return { ...state, end: { is: 'later', wait_ms: state.input.waitMs, error } };
  return repeated(
    {
      ...state,
      isRead: !error.may_be_done,
      item: error.may_be_done ? state.item : state.stored && applyFacts(state.stored, state.facts),
    },
    error,
    (given) => ({
      ...given,
      end: { is: 'later', wait_ms: state.input.waitMs, error },
    }),
  );
}

/** The effect is performed again; after a few failures in a row that is for later. */
function repeated(state: VisitState, error: EffectError, giveUp: (state: VisitState) => VisitState): VisitState {
  const failures = state.failures + 1;
  return failures >= MAX_FAILURES ? giveUp({ ...state, error }) : { ...state, failures };
}
