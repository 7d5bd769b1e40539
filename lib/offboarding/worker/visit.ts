import { LATE_MS } from '../../late-writes.ts';
import type { Core, EffectError, SingleEffect } from '../model/effects.ts';
import { entryOf, keyOf, type PlannedEntry, requestOf } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { FRESH_LIST_MS } from '../rules/connections.ts';
import { isAccepted } from '../rules/requests.ts';
import { nextCheckAt } from './check-steps.ts';
import { learn, withError } from './learn.ts';
import { ended, endOf, hasLease, type Next, OUT_OF_TIME, save, waitForLease, withoutAbandonedLease } from './lease.ts';
import { nextStep } from './next-step.ts';
import { publish, record } from './publish.ts';
import { isWaitingForGrants } from './request-steps.ts';
import type { Step } from './step.ts';
import type { VisitEnd, VisitInput, VisitState } from './visit-state.ts';
import { isWorkPostponed, startVisit, withFact } from './visit-state.ts';

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

/** Two rules that undo each other would go round for ever: that is ours to mend, and others have their turn. */
const MOST_CHANGES = 1000;
const ENDLESS: EffectError = {
  code: 'internal_error',
  message: 'The rules come to no end for this organization',
  is_transient: true,
  may_be_done: false,
};

/** The next effect of a visit, by what it knows. */
export function nextEffect(given: VisitState): Next {
  const { input, end, isRead, error } = given;
  if (end) return { state: given };
  if (!isRead) return { state: given, effect: { do: 'readOrganization', organization_id: input.organization_id } };
  const wait_ms = waitForLease(given);
  if (wait_ms !== undefined) return ended(given, { is: 'later', wait_ms, error });
  let state = { ...given, item: withoutAbandonedLease(given) };
  for (let turns = 0; turns < MOST_CHANGES; turns++) {
    const step = nextStep(state);
    if (step.do !== 'change') return effectOf(step, state);
    state = { ...state, item: step.item };
  }
  return ended(state, { is: 'later', wait_ms: input.waitMs, error: ENDLESS });
}

/** The effect that a step takes. */
function effectOf(step: Exclude<Step, { do: 'change' }>, state: VisitState): Next {
  switch (step.do) {
    case 'rest':
      return rest(state);
    case 'save':
      return save(state, true);
    case 'checked': {
      const { at, checks } = state.listing ?? { at: state.now, checks: 0 };
      return nextEffect(withFact(state, { is: 'checked', at, checks, nextAt: nextCheckAt(state) }));
    }
    case 'call':
      return callEffect(step.entry, { ...state, item: step.item });
    case 'publish':
      return publish(state);
    case 'record':
      return record(step.request, state);
    default:
      return { state, effect: step };
  }
}

/** A call of Auth0, once its intent is stored under the lease of this visit. */
function callEffect(entry: PlannedEntry, state: VisitState): Next {
  const { now, item, stored, listing, input } = state;
  if (now > input.deadline - TIME_FOR_A_CALL_MS) return rest({ ...state, error: state.error ?? OUT_OF_TIME });
  const { kind, id, intent } = entry;
  const { goal, level, offboarding_id } = intent;
  const before = entryOf(stored, keyOf(entry))?.intent;
  const isStored =
    before?.goal === goal &&
    before.offboarding_id === offboarding_id &&
    requestOf(stored, offboarding_id)?.status === requestOf(item, offboarding_id)?.status;
  if (!isStored || !stored.lease || !hasLease(state, stored)) return save(state, true);
  const leaseEnds = stored.lease.until - LATE_MS;
  // What waits for the tenant's limit longer than its list is good for is not removed by that list.
  const listIsGood = goal === 'removed' ? (listing?.at ?? now) + FRESH_LIST_MS : leaseEnds;
  const about = { organization_id: input.organization_id, kind, id, goal, level };
  return { state, effect: { do: 'change', ...about, send_before: Math.min(leaseEnds, listIsGood) } };
}

/** Whether a request, or a drift check that is due, waits for client grants that could not be listed. */
function areGrantsAwaited(state: VisitState): boolean {
  const { item, grantsError, now } = state;
  const isCheckDue = (item.next_drift_check_at ?? '~') <= iso(now) && grantsError?.is_transient === true;
  return item.requests.some(
    (one) => (isAccepted(one) && isWaitingForGrants(one, state)) || (isCheckDue && one.watch === 'on'),
  );
}

/** Ends the visit: the lease is given back with what the organization waits for, or kept where Auth0 may still carry out a call. */
function rest(state: VisitState): Next {
  const { error, input, now, item, stored, passing, grantsError, retriesLeft } = state;
  if (!error) {
    const isLeft = isWorkPostponed(state);
    if (isLeft && retriesLeft > 0 && now + RETRY_PAUSE_MS < input.deadline - TIME_FOR_A_CALL_MS)
      return { state, effect: { do: 'pause', ms: RETRY_PAUSE_MS } };
    if (isLeft && passing) return nextEffect(withError(state, passing));
    if (grantsError && areGrantsAwaited(state)) return nextEffect(withError(state, grantsError));
  }
  if (hasLease(state, item) || item !== stored) return save(state, false);
  return ended(state, endOf(state));
}
