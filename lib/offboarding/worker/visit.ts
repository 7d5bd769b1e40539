import { LATE_MS } from '../../late-writes.ts';
import type { Core, EffectError, SingleEffect } from '../model/effects.ts';
import { REQUESTED } from '../model/messages.ts';
import type { OpenRequest, Organization } from '../model/organization.ts';
import { entryOf, keyOf, requestOf } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { iso } from '../model/stage.ts';
import { hasEnded } from '../model/status.ts';
import { FRESH_LIST_MS } from '../rules/connections.ts';
import { BATCH_IS_OPEN_MS } from '../rules/due-work.ts';
import { priorityOf } from '../rules/priority.ts';
import { acceptMember, isVoid, withoutMember } from '../rules/progress.ts';
import { recordOf } from '../rules/projection.ts';
import { isAccepted, publishableOf } from '../rules/requests.ts';
import { toOutgoingEvent } from '../views/outcome.ts';
import { learn, letterOf, MAX_EVENTS, WAIT_FOR_TURN_MS, withError, withFact } from './learn.ts';
import {
  ended,
  endOf,
  isSaved,
  isStoredAsShown,
  type Next,
  NOBODY,
  OUT_OF_TIME,
  otherLeaseMs,
  save,
  versionOf,
  withoutAbandonedLease,
} from './lease.ts';
import { isWaitingForGrants, nextCheckAt, nextStep, type Step } from './next-step.ts';
import { isWorkPostponed, startVisit, type VisitEnd, type VisitInput, type VisitState } from './visit-state.ts';

/** A visit begins a call of Auth0 only when this much time is left, milliseconds. */
const TIME_FOR_A_CALL_MS = 3000;

const RETRY_PAUSE_MS = 1000;

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

/** The next effect of a visit, by what it knows. */
export function nextEffect(given: VisitState): Next {
  let state = given;
  const { organization_id, nonce } = state.input;
  if (state.end) return { state };
  if (!state.isRead) return { state, effect: { do: 'readOrganization', organization_id } };
  if (!state.item) return ended(state, { is: 'done' });
  const { lease } = state.item;
  const others = otherLeaseMs(state.item, state);
  if (others !== undefined) {
    const wait_ms = lease?.owner === NOBODY ? others : WAIT_FOR_TURN_MS;
    return ended(state, { is: 'later', wait_ms, error: state.error });
  }
  // Somebody else may be at work already, and what is published now would come out of order.
  if (lease?.owner === nonce && lease.until <= state.now)
    return ended(state, { is: 'later', wait_ms: 0, error: state.error });
  state = { ...state, item: withoutAbandonedLease(state.item, state) };
  const batch = toResolve(state);
  if (batch) return batch;
  for (let turns = 0; turns < MOST_CHANGES; turns++) {
    const step = nextStep(state.item as Organization, state);
    if (step.do !== 'change') return effectOf(step, state);
    state = { ...state, item: step.item };
  }
  return ended(state, { is: 'later', wait_ms: state.input.waitMs, error: ENDLESS });
}

/** Two rules that undo each other would go round for ever: that is ours to mend, and others have their turn. */
const MOST_CHANGES = 1000;
const ENDLESS: EffectError = {
  code: 'internal_error',
  message: 'The rules come to no end for this organization',
  is_transient: true,
  may_be_done: false,
};

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
      if (!isStoredAsShown(state, step.request)) return save(state, true);
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
  const leaseEnds = state.stored.lease.until - LATE_MS;
  // What waits for the tenant's limit longer than its list is good for is not removed by that list.
  const send_before = goal === 'removed' ? Math.min(leaseEnds, listedAt(state) + FRESH_LIST_MS) : leaseEnds;
  return { state, effect: { do: 'change', organization_id, kind: entry.kind, id: entry.id, goal, level, send_before } };
}

const listedAt = ({ listing, now }: VisitState) => listing?.at ?? now;

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

/** The event that a request came as, so that its dead letter, moved back, is the same request. */
const detailOf = ({ organization_id }: Organization, { parameters, idempotency_key }: OpenRequest) => ({
  organization_id,
  ...parameters,
  ...(idempotency_key && { idempotency_key }),
});

/** The account that EventBridge vouched for: the caller of an event is its account and its source. */
const accountOf = ({ caller }: OpenRequest) => (/^\d+ /.test(caller) ? { account: caller.split(' ')[0] } : {});

/** What is in the outbox goes to the bus, in its order. A failed event has its dead letter first. */
export function publish(state: VisitState): Next {
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
      const body = {
        ...request.request,
        ...accountOf(request),
        'detail-type': REQUESTED,
        detail: detailOf(item, request),
      };
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

/** Whether a request, or a drift check that is due, waits for client grants that could not be listed. */
function areGrantsAwaited(state: VisitState): boolean {
  const { item, grantsError, now } = state;
  const isCheckDue = (item?.next_drift_check_at ?? '~') <= iso(now) && grantsError?.is_transient === true;
  const isAwaited = item?.requests.some((one) => isAccepted(one) && isWaitingForGrants(one, state));
  return isAwaited === true || (isCheckDue && item?.requests.some(({ watch }) => watch === 'on') === true);
}

/** Ends the visit: the lease is given back with what the organization waits for, or kept where Auth0 may still carry out a call. */
function rest(state: VisitState): Next {
  const { error, input } = state;
  const isLeft = isWorkPostponed(state);
  if (isLeft && !error && state.retriesLeft > 0 && state.now + RETRY_PAUSE_MS < input.deadline - TIME_FOR_A_CALL_MS)
    return { state, effect: { do: 'pause', ms: RETRY_PAUSE_MS } };
  if (isLeft && !error && state.passing) return nextEffect(withError(state, state.passing));
  if (!error && state.grantsError && areGrantsAwaited(state)) return nextEffect(withError(state, state.grantsError));
  const item = state.item as Organization;
  const isOurs = item.lease?.owner === input.nonce;
  const isUncertain = (state.uncertainUntil ?? 0) > state.now;
  if (isOurs || item !== state.stored) return save(state, false);
  return ended(state, endOf(state, isUncertain));
}
