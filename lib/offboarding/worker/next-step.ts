import type { EffectError } from '../model/effects.ts';
import type { Failure, LedgerEntry, OpenRequest, Organization } from '../model/organization.ts';
import { keyOf, noSessions, requestOf, withEntry, withRequest } from '../model/organization.ts';
import { after, iso } from '../model/stage.ts';
import { hasEnded } from '../model/status.ts';
import {
  type Change,
  type ConnectionStep,
  FRESH_LIST_MS,
  LIST_IS_OLD_MS,
  type Listing,
  nextConnectionStep,
  unfinishedOf,
} from '../rules/connections.ts';
import { isTooNew, NOTIFICATIONS_COUNT_AS_ONE_MS, nextDriftStep, watchedOf } from '../rules/drift.ts';
import { asDryRun } from '../rules/dry-run.ts';
import { momentsOf, sessionsDueAt, stepDueAt } from '../rules/due-work.ts';
import {
  begin,
  beginRemoval,
  failWith,
  finish,
  withoutOldClaims,
  withoutOver,
  withoutOverdueWatches,
} from '../rules/progress.ts';
import { isToRecord } from '../rules/projection.ts';
import { acceptedOf, isRemoving, publishableOf, withEvent } from '../rules/requests.ts';
import { isWorkPostponed, type VisitState } from './visit-state.ts';

/**
 * What a visit does next. `change`: the rules change the item, and decide again. `call`: a call of Auth0, whose intent is stored
 * before it is made. `rest`: nothing is left to be done now.
 */
export type Step =
  | { do: 'change'; item: Organization }
  | { do: 'name' }
  /** `isCheck`: under the lease, so that a notification sees that a check is being made. */
  | { do: 'list'; grants: boolean; isCheck?: true }
  | { do: 'call'; item: Organization; change: Change; request: OpenRequest; isDrift: boolean }
  | { do: 'publish' }
  | { do: 'record'; request: OpenRequest }
  | { do: 'schedule'; request: OpenRequest; at: string }
  | { do: 'send sessions'; request: OpenRequest }
  | { do: 'checked' }
  | { do: 'rest' };

type Rule = (item: Organization, state: VisitState) => Step | undefined;

/** A removal that is this much ahead of its time is due: clocks differ, milliseconds. */
const CLOCK_TOLERANCE_MS = 2000;
/** A list serves one visit for this long, milliseconds. */
const LIST_SERVES_MS = 20_000;
/** After an error of a drift check, or what a list may not show yet, the next one is made soon, milliseconds. */
const CHECK_AGAIN_MS = 300_000;

const CHANGES: Rule[] = [
  toCancel,
  toRemove,
  toWork,
  toRecordEnded,
  toBegin,
  toNotify,
  toStartRemoval,
  toEndSessions,
  toCheck,
];

/** The one next step of an organization. What is decided is published first, and in its order. */
export function nextStep(item: Organization, state: VisitState): Step {
  if (state.input.mode === 'cancel') return (state.error ? undefined : toCancel(item, state)) ?? { do: 'rest' };
  const { now, input } = state;
  const tidy = withoutOver(withoutOldClaims(withoutOverdueWatches(item, now, input.stage), now), now);
  if (tidy !== item) return { do: 'change', item: tidy };
  const rules: Rule[] = [toSchedule, toPublish, ...(state.error ? [] : CHANGES), toPublishRest, toRecord];
  return firstOf(rules, item, state) ?? { do: 'rest' };
}

function firstOf(rules: Rule[], item: Organization, state: VisitState): Step | undefined {
  for (const rule of rules) {
    const step = rule(item, state);
    if (step) return step;
  }
  return undefined;
}

const hasStatus = (item: Organization, status: OpenRequest['status']) =>
  acceptedOf(item).filter((one) => one.status === status);

/** That a request was made is published with what follows, or when the visit ends. */
const toPublish: Rule = (item) =>
  publishableOf(item).some(({ event }) => event !== 'requested') ? { do: 'publish' } : undefined;
const toPublishRest: Rule = (item) => (publishableOf(item).length > 0 ? { do: 'publish' } : undefined);

function toRecord(item: Organization): Step | undefined {
  const request = item.requests.find(isToRecord);
  return request && { do: 'record', request };
}

/** What begins next may change what the ledger says: before that, the record of what has ended is written. */
function toRecordEnded(item: Organization): Step | undefined {
  if (hasStatus(item, 'requested').length === 0) return undefined;
  const request = item.requests.find((one) => isToRecord(one) && hasEnded(one));
  return request && { do: 'record', request };
}

/** EventBridge Scheduler makes a removal and its notice punctual; nothing depends on it. */
function toSchedule(item: Organization, { sent, now, error }: VisitState): Step | undefined {
  if (error) return undefined;
  const isNew = ({ updated_at }: OpenRequest) =>
    item.outbox.some(({ event, at }) => event === 'scheduled' && at === updated_at);
  for (const request of hasStatus(item, 'scheduled').filter(isNew)) {
    const moments = momentsOf(request.notice_due_at, request.removal_due_at);
    const at = moments.find((one) => !sent.includes(`schedule ${one}`) && Date.parse(one) > now);
    if (at) return { do: 'schedule', request, at };
  }
  return undefined;
}

/** A cancellation that was accepted is carried out on all that it covers. */
function toCancel(item: Organization, state: VisitState): Step | undefined {
  return toGoOn('cancelling', item, state);
}

/** What has begun to be removed goes on until it has ended. */
function toRemove(item: Organization, state: VisitState): Step | undefined {
  return toGoOn('removing', item, state);
}

function toWork(item: Organization, state: VisitState): Step | undefined {
  return toGoOn('working', item, state);
}

/** The next step of what has this status. */
function toGoOn(status: OpenRequest['status'], item: Organization, state: VisitState): Step | undefined {
  for (const request of hasStatus(item, status)) {
    const step = toGiveUp(item, request, state) ?? toConnections(item, request, state);
    if (step) return step;
  }
  return undefined;
}

const NOT_ENABLED = {
  sessions: { code: 'end_sessions_not_enabled', message: 'This stage does not end sessions' },
  machines: { code: 'machine_access_not_enabled', message: 'This stage does not end machine access' },
};

function toBegin(item: Organization, state: VisitState): Step | undefined {
  const { stage } = state.input;
  for (const request of hasStatus(item, 'requested')) {
    const { end_sessions, end_machine_access } = request.parameters;
    const refusal =
      (end_sessions && !stage.canEndSessions && NOT_ENABLED.sessions) ||
      (end_machine_access && !stage.canEndMachineAccess && NOT_ENABLED.machines) ||
      state.listFailure;
    const given = toGiveUp(item, request, state);
    if (given) return given;
    if (refusal) return { do: 'change', item: failWith(item, request, refusal, state.now) };
    const list = toList(state, LIST_SERVES_MS, true);
    if (list) return list;
    const { listing, grantsError } = state;
    if (!listing) continue;
    if (isWaitingForGrants(request, state)) continue;
    if (end_machine_access && !request.parameters.dry_run && grantsError)
      return { do: 'change', item: failWith(item, request, failureOf(grantsError), state.now) };
    if (listing.isUnknown) return { do: 'change', item: failWith(item, request, UNKNOWN_ORGANIZATION, state.now) };
    if (request.parameters.dry_run && item.name === undefined) return { do: 'name' };
    return { do: 'change', item: begin(item, request, listing, state.now, stage) };
  }
  return undefined;
}

/** Whether a request is to end client grants that could not be listed for now. Others do not wait for that. */
export const isWaitingForGrants = (
  { status, parameters }: OpenRequest,
  { grantsError }: Pick<VisitState, 'grantsError'>,
): boolean =>
  status === 'requested' && parameters.end_machine_access && !parameters.dry_run && grantsError?.is_transient === true;

const failureOf = ({ code, message }: EffectError): Failure => ({ code, message });

const UNKNOWN_ORGANIZATION = { code: 'unknown_organization', message: 'Auth0 has no organization with this id' };

/** The list, where there is none that is new enough. Client grants are listed once a visit. */
function toList({ listing, now }: VisitState, maxAge: number, needsGrants: boolean): Step | undefined {
  if (!listing || listing.at < now - maxAge) return { do: 'list', grants: false };
  if (listing.isUnknown) return undefined;
  return needsGrants && listing.grants === undefined ? { do: 'list', grants: true } : undefined;
}

/** The next step for the connections of a request, or its end. */
function toConnections(item: Organization, request: OpenRequest, state: VisitState): Step | undefined {
  const unfinished = unfinishedOf(item, request);
  const isEnabling = request.status === 'cancelling';
  // What we disabled is enabled whatever a list says; a list tells of access levels alone.
  const needsList = isEnabling
    ? unfinished.some(({ lowered_level, disabled_by_us }) => disabled_by_us && lowered_level)
    : unfinished.length > 0;
  // The event shows what remains at the removal, too.
  const needsGrants = !isEnabling && (request.parameters.end_machine_access || request.status === 'removing');
  const list = needsList ? toList(state, LIST_SERVES_MS, needsGrants) : undefined;
  if (list) return list;
  const listing = state.listing ?? { at: state.now, connections: [], checks: 0 };
  const planned = planCalls(item, request, listing, state);
  if (planned.next) {
    const isOld = planned.next.goal === 'removed' && listing.at < state.now - FRESH_LIST_MS;
    return isOld
      ? { do: 'list', grants: false }
      : { do: 'call', item: planned.item, change: planned.next, request, isDrift: false };
  }
  if (planned.isPostponed) return planned.item === item ? undefined : { do: 'change', item: planned.item };
  const current = requestOf(planned.item, request.offboarding_id) ?? request;
  return { do: 'change', item: finish(planned.item, current, state.now) };
}

/** The outcomes that are known without a call, the intents of all calls that are left, and the first of these that was not postponed. */
function planCalls(item: Organization, request: OpenRequest, listing: Listing, { postponed, unsettled }: VisitState) {
  let planned = item;
  let next: Change | undefined;
  let isPostponed = false;
  for (const entry of unfinishedOf(item, request)) {
    const real = nextConnectionStep(planned, request, entry, listing);
    const step = request.parameters.dry_run ? asDryRun(real, planned, entry, listing) : real;
    const key = keyOf(entry);
    if (step.is === 'known') {
      const own = requestOf(planned, request.offboarding_id) ?? request;
      planned = withRequest(planned, { ...own, outcomes: { ...own.outcomes, [key]: step.outcome } });
      // A dry run changes nothing of what others did, or may have done.
      if (!request.parameters.dry_run) planned = withEntry(planned, settledEntry(entry, step));
      continue;
    }
    if (step.is === 'wait') {
      isPostponed = true;
      continue;
    }
    const { goal, level } = step.change;
    const intent = {
      goal,
      offboarding_id: request.offboarding_id,
      level,
      ...(entry.intent?.is_uncertain && { is_uncertain: true as const }),
    };
    // Another request may be about the same: the intent of a call that is not made now stays as it is.
    if (postponed.includes(key) || (unsettled[key] ?? goal) !== goal) {
      isPostponed = true;
      continue;
    }
    const isSame = entry.intent?.goal === intent.goal && entry.intent.offboarding_id === intent.offboarding_id;
    if (!isSame) planned = withEntry(planned, { ...entry, intent });
    next ??= step.change;
  }
  return { item: planned, next, isPostponed };
}

/** A ledger entry whose outcome is known without a call. What was enabled meanwhile is left alone, and stays a drift. */
const settledEntry = (
  entry: LedgerEntry,
  { outcome, is_given_back }: ConnectionStep & { is: 'known' },
): LedgerEntry => ({
  ...entry,
  intent: undefined,
  ...(!outcome.error && { drifted_at: undefined }),
  ...(is_given_back && { disabled_by_us: false }),
});

/** Of several that disable now and remove later the one requested last decides the date; until it is scheduled none removes. */
function toStartRemoval(item: Organization, { now, postponed }: VisitState): Step | undefined {
  const request = decidingOf(item);
  if (request?.status !== 'scheduled' || postponed.length > 0 || acceptedOf(item).some(isRemoving)) return undefined;
  if (Date.parse(request.removal_due_at ?? '') > now + CLOCK_TOLERANCE_MS) return undefined;
  return { do: 'change', item: beginRemoval(item, request, now) };
}

/** The pending offboarding that decides when the organization's connections are removed. */
const decidingOf = (item: Organization): OpenRequest | undefined =>
  acceptedOf(item).findLast(
    ({ parameters, status }) =>
      parameters.action === 'disable_then_remove' &&
      !parameters.dry_run &&
      ['requested', 'working', 'scheduled', 'removing'].includes(status),
  );

function toNotify(item: Organization, { now }: VisitState): Step | undefined {
  const request = decidingOf(item);
  if (request?.status !== 'scheduled' || (request.notice_due_at ?? '~') > iso(now + CLOCK_TOLERANCE_MS))
    return undefined;
  const published = { ...request, notice_due_at: undefined };
  // The record shows nothing of it.
  return { do: 'change', item: withRequest(withEvent(item, published, 'removal_upcoming', iso(now)), published) };
}

/** After the connections, a function of its own ends the sessions of the members. */
function toEndSessions(item: Organization, { now, sent, input }: VisitState): Step | undefined {
  const request = acceptedOf(item).find(
    (one) => (sessionsDueAt(one) ?? '~') <= iso(now) && !sent.includes(`sessions ${one.offboarding_id}`),
  );
  if (!request) return undefined;
  // The function that gets the message finds them in the item.
  if (input.stage.canEndSessions && !request.sessions)
    return { do: 'change', item: withRequest(item, { ...request, sessions: noSessions(now) }) };
  if (input.stage.canEndSessions) return { do: 'send sessions', request };
  const counts = request.sessions ?? { members: 0, revocations_requested: 0, skipped: 0, failed: 0 };
  const sessions = { ...counts, status: 'failed' as const, error: NOT_ENABLED.sessions, updated_at: iso(now) };
  return { do: 'change', item: withEvent(item, { ...request, sessions }, 'sessions_ended', iso(now)) };
}

/** A drift check is due as long as any offboarding of the organization is watched. */
function toCheck(item: Organization, state: VisitState): Step | undefined {
  const { now, tried, listing, input } = state;
  const watched = watchedOf(item);
  if (watched.length === 0) return undefined;
  if (!item.next_drift_check_at)
    return { do: 'change', item: { ...item, next_drift_check_at: iso(after(now, input.stage.watchInterval)) } };
  if (item.next_drift_check_at > iso(now) || isWorkPostponed(state)) return undefined;
  const machines = watched.some(({ parameters }) => parameters.end_machine_access);
  const list = toList(state, LIST_SERVES_MS, machines);
  if (list?.do === 'list') return { ...list, isCheck: true };
  if (!listing) return undefined;
  // What a notification is about may be newer than the list.
  if (listing.checks !== (item.drift_checks_requested ?? 0)) return { do: 'list', grants: false, isCheck: true };
  // It was made too soon after a change, and a newer one tells by now.
  if ((checkedSurelyFrom(item, listing) ?? now + 1) <= now) return { do: 'list', grants: false, isCheck: true };
  const step = nextDriftStep(item, listing, now, tried);
  if (step?.is === 'changed') return { do: 'change', item: step.item };
  if (step?.is === 'call')
    return { do: 'call', item: step.item, change: step.change, request: step.request, isDrift: true };
  // Grants that are away for now are compared soon; those that the token may not read are not.
  const isAway = machines && state.grantsError?.is_transient && !isScope(state.grantsError);
  return isAway ? undefined : { do: 'checked' };
}

const isScope = ({ code }: EffectError) => code === 'management_token_scope_missing';

/**
 * From when on a list shows what this one may be too old for, Unix ms: a change of ours, or what the last notification was about.
 * Undefined where it shows all.
 */
function checkedSurelyFrom(item: Organization, listing: Listing): number | undefined {
  const changes = item.ledger
    .filter(({ kind, id }) => isTooNew(item, kind, id, listing))
    .map(({ changed }) => (changed?.at ?? 0) + LIST_IS_OLD_MS + 1);
  const notified = Date.parse(item.drift_check_requested_at ?? '') + NOTIFICATIONS_COUNT_AS_ONE_MS + LIST_IS_OLD_MS + 1;
  const all = listing.at < notified ? [...changes, notified] : changes;
  return all.length > 0 ? Math.max(...all) : undefined;
}

/** When the next drift check is due after one that has ended now. */
export function nextCheckAt(item: Organization, { now, input, tried, listing }: VisitState): string {
  const isOpen = item.ledger.some((entry) => tried.includes(keyOf(entry)) && entry.intent !== undefined);
  const sure = listing && checkedSurelyFrom(item, listing);
  if (sure !== undefined) return iso(sure);
  return iso(isOpen ? now + CHECK_AGAIN_MS : after(now, input.stage.watchInterval));
}

/** A temporary error never ends a request. Its age does, after an error that is not the rate limit. */
function toGiveUp(item: Organization, request: OpenRequest, { now, input }: VisitState): Step | undefined {
  const { attempts, last_error } = request;
  if (attempts === 0 || !last_error || last_error.code === 'rate_limited') return undefined;
  if (after(stepDueAt(request), input.stage.giveUpAfter) >= now) return undefined;
  return { do: 'change', item: failWith(item, request, last_error, now) };
}

export const CRASHED: Failure = {
  code: 'internal_error',
  message: 'The worker crashed or timed out before it had finished',
};
