import type { EffectOf } from '../model/effects.ts';
import type { LedgerEntry, OpenRequest, Organization, PlannedEntry } from '../model/organization.ts';
import { keyOf, requestOf, withEntry, withRequest } from '../model/organization.ts';
import { after } from '../model/stage.ts';
import type { ConnectionStep, Listing } from '../rules/connections.ts';
import { FRESH_LIST_MS, nextConnectionStep, unfinishedOf, withIntent } from '../rules/connections.ts';
import { asDryRun } from '../rules/dry-run.ts';
import { stepDueAt } from '../rules/due-work.ts';
import { begin, failWith, finish } from '../rules/progress.ts';
import { acceptedOf } from '../rules/requests.ts';
import type { Rule, Step } from './step.ts';
import type { VisitState } from './visit-state.ts';

// The steps of one request: it begins, its connections are brought to its goal, and it ends.

/** A list serves one visit for this long, milliseconds. */
const LIST_SERVES_MS = 20_000;

export const NOT_ENABLED = {
  sessions: { code: 'end_sessions_not_enabled', message: 'This stage does not end sessions' },
  machines: { code: 'machine_access_not_enabled', message: 'This stage does not end machine access' },
};

export const hasStatus = (item: Organization, status: OpenRequest['status']) =>
  acceptedOf(item).filter((one) => one.status === status);

/** The next step of what has this status. */
export const toGoOn =
  (status: OpenRequest['status']): Rule =>
  (state) =>
    firstStep(hasStatus(state.item, status), (request) => toGiveUp(request, state) ?? toConnections(request, state));

export const toBegin: Rule = (state) =>
  firstStep(hasStatus(state.item, 'requested'), (request) => toGiveUp(request, state) ?? toBeginOne(request, state));

function firstStep(requests: OpenRequest[], stepOf: (request: OpenRequest) => Step | undefined): Step | undefined {
  for (const request of requests) {
    const step = stepOf(request);
    if (step) return step;
  }
  return undefined;
}

function toBeginOne(request: OpenRequest, state: VisitState): Step | undefined {
  const { item, now, input, listFailure, listing, grantsError } = state;
  const { end_sessions, end_machine_access, dry_run } = request.parameters;
  const refusal =
    (end_sessions && !input.stage.canEndSessions && NOT_ENABLED.sessions) ||
    (end_machine_access && !input.stage.canEndMachineAccess && NOT_ENABLED.machines) ||
    listFailure;
  if (refusal) return { do: 'change', item: failWith(item, request, refusal, now) };
  const list = toList(state, true);
  if (list || !listing) return list;
  if (isWaitingForGrants(request, state)) return undefined;
  if (end_machine_access && !dry_run && grantsError) {
    const { code, message } = grantsError;
    return { do: 'change', item: failWith(item, request, { code, message }, now) };
  }
  if (dry_run && item.name === undefined) return { do: 'readName', organization_id: item.organization_id };
  return { do: 'change', item: begin(item, request, listing, now, input.stage) };
}

/** Whether a request is to end client grants that could not be listed for now. Others do not wait for that. */
export const isWaitingForGrants = (
  { status, parameters }: OpenRequest,
  { grantsError }: Pick<VisitState, 'grantsError'>,
): boolean =>
  status === 'requested' && parameters.end_machine_access && !parameters.dry_run && grantsError?.is_transient === true;

/** The list, where there is none that is new enough. Client grants are listed once a visit. */
export function toList(
  { listing, now, input }: VisitState,
  needsGrants: boolean,
): EffectOf<'listConnections' | 'listGrants'> | undefined {
  const { organization_id } = input;
  if (!listing || listing.at < now - LIST_SERVES_MS) return { do: 'listConnections', organization_id };
  return needsGrants && listing.grants === undefined ? { do: 'listGrants', organization_id } : undefined;
}

/** The next step for the connections of a request, or its end. */
function toConnections(request: OpenRequest, state: VisitState): Step | undefined {
  const { item, now } = state;
  const unfinished = unfinishedOf(item, request);
  const isEnabling = request.status === 'cancelling';
  // What we disabled is enabled whatever a list says; a list tells of access levels alone.
  const needsList = isEnabling
    ? unfinished.some(({ lowered_level, disabled_by_us }) => disabled_by_us && lowered_level)
    : unfinished.length > 0;
  // The event shows what remains at the removal, too.
  const needsGrants = !isEnabling && (request.parameters.end_machine_access || request.status === 'removing');
  const list = needsList ? toList(state, needsGrants) : undefined;
  if (list) return list;
  const listing = state.listing ?? { at: now, connections: [] };
  const planned = planCalls(request, listing, state);
  if (planned.next) {
    const isOld = planned.next.intent.goal === 'removed' && listing.at < now - FRESH_LIST_MS;
    return isOld
      ? { do: 'listConnections', organization_id: item.organization_id }
      : { do: 'call', item: planned.item, entry: planned.next };
  }
  if (planned.isPostponed) return planned.item === item ? undefined : { do: 'change', item: planned.item };
  return { do: 'change', item: finish(planned.item, currentOf(planned.item, request), now) };
}

/** A request as the item has it by now. */
const currentOf = (item: Organization, request: OpenRequest) => requestOf(item, request.offboarding_id) ?? request;

/** The outcomes that are known without a call, the intents of all calls that are left, and the first of these that was not postponed. */
function planCalls(request: OpenRequest, listing: Listing, { item, postponed, unsettled }: VisitState) {
  const { dry_run } = request.parameters;
  const { offboarding_id } = request;
  let planned = item;
  let next: PlannedEntry | undefined;
  let isPostponed = false;
  for (const entry of unfinishedOf(item, request)) {
    const key = keyOf(entry);
    const real = nextConnectionStep(planned, request, entry, listing);
    const step = dry_run ? asDryRun(real, planned, entry, listing) : real;
    if (step.is === 'known') {
      const own = currentOf(planned, request);
      planned = withRequest(planned, { ...own, outcomes: { ...own.outcomes, [key]: step.outcome } });
      // A dry run changes nothing of what others did, or may have done.
      if (!dry_run) planned = withEntry(planned, settledEntry(entry, step));
    } else if (step.is === 'wait' || postponed.includes(key) || (unsettled[key] ?? step.goal) !== step.goal) {
      // Another request may be about the same: the intent of a call that is not made now stays as it is.
      isPostponed = true;
    } else {
      const call = withIntent(entry, { goal: step.goal, offboarding_id, level: step.level });
      if (call !== entry) planned = withEntry(planned, call);
      next ??= call;
    }
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

/** A temporary error never ends a request. Its age does, after an error that is not the rate limit. */
function toGiveUp(request: OpenRequest, { item, now, input }: VisitState): Step | undefined {
  const { attempts, last_error } = request;
  if (attempts === 0 || !last_error || last_error.code === 'rate_limited') return undefined;
  if (after(stepDueAt(request), input.stage.giveUpAfter) >= now) return undefined;
  return { do: 'change', item: failWith(item, request, last_error, now) };
}
