import type { Act, Cancellation, OpenRequest, Organization } from '../model/organization.ts';
import { OWN_SOURCE, withRequest } from '../model/organization.ts';
import { latestOf } from '../model/stage.ts';
import {
  actOf,
  areSessionsLeft,
  inStatus,
  isAccepted,
  isCancellable,
  isPending,
  isRemoving,
  withEvent,
} from './requests.ts';

/** A cancellation is about everything that was requested before `at`; by event `at` has whole seconds. */
export interface CancellationRequest extends Act {
  isEvent: boolean;
}

/** Whether a cancellation that is accepted now covers a request that the organization has accepted. */
function isInScope(request: OpenRequest, { at, isEvent }: CancellationRequest): boolean {
  // An event of the same second was accepted before the cancellation, or it would not be here.
  const isEventItself = request.request.source !== OWN_SOURCE;
  return isEvent && !isEventItself ? request.requested_at < at : request.requested_at <= at;
}

/** Whether a recorded cancellation covers a request by event that arrives after it: its time, in whole seconds, is an earlier one. */
export const isCoveredOnArrival = ({ requested_at }: OpenRequest, { at }: Cancellation): boolean => requested_at < at;

export type CancellationResult =
  | { is: 'found' | 'nothing'; item: Organization }
  | { is: 'removing'; since: string; offboarding_id: string };

/**
 * Accepts a cancellation: one write of the resulting item makes all that it covers cancelled or being cancelled, and ends the
 * watches. Where it finds nothing, it is recorded all the same, for requests that are still on their way.
 */
export function acceptCancellation(item: Organization, request: CancellationRequest, now: number): CancellationResult {
  const scope = cancellationScope(item, request);
  const removing = scope.find((one) => isPending(one) && isRemoving(one));
  if (removing) return { is: 'removing', since: removing.updated_at, offboarding_id: removing.offboarding_id };
  const found = scope.filter((one) => isAccepted(one));
  const act = actOf(request);
  const ids = (all: OpenRequest[]) => all.map(({ offboarding_id }) => offboarding_id);
  const reenabled = found.filter((one) => isCancellable(item, one) || one.status === 'cancelling');
  const recorded: Cancellation = {
    ...act,
    found: ids(found),
    reenabled: ids(reenabled),
    ...(found.length > 0 && { has_found: true }),
  };
  const isLatest = !item.cancellation || item.cancellation.at < act.at;
  const replaces = isLatest && (found.length > 0 || !wouldForget(item.cancellation));
  const kept = replaces ? recorded : item.cancellation && { ...item.cancellation, ...(isLatest && { at: act.at }) };
  const last_requested_at = latestOf(item.last_requested_at, act.at);
  let next: Organization = { ...item, last_requested_at, cancellation: kept ?? recorded };
  for (const one of scope) next = cancelRequest(next, one, act, now);
  // An event may be delivered again: what it found the first time is not nothing.
  const isAgain = request.isEvent && hasFound(item, act);
  return { is: found.length > 0 || isAgain ? 'found' : 'nothing', item: next };
}

/** Whether this very cancellation found something before, as far as the item still tells. */
const hasFound = ({ cancellation, requests }: Organization, { at, caller }: Act): boolean =>
  (cancellation?.at === at && cancellation.caller === caller && cancellation.has_found === true) ||
  requests.some(({ cancelled }) => cancelled?.at === at && cancelled.caller === caller);

/** Whether the result of a cancellation that found something would be lost: a repetition answers with it. */
const wouldForget = (cancellation: Cancellation | undefined) => (cancellation?.found.length ?? 0) > 0;

/** What a cancellation is about: what is pending, disabled something, is watched, or is not accepted yet, and was requested before it. */
export const cancellationScope = (item: Organization, request: CancellationRequest): OpenRequest[] =>
  item.requests.filter(
    (one) =>
      isInScope(one, request) &&
      !one.parameters.dry_run &&
      (isCancellable(item, one) ||
        one.status === 'cancelling' ||
        one.watch === 'on' ||
        areSessionsLeft(one) ||
        isUnaccepted(one)),
  );

const isUnaccepted = (one: OpenRequest) => !isAccepted(one) && one.status === 'requested' && !one.cancelled;

/** One request of the organization, cancelled by `act` as far as that takes no call of Auth0. */
export function cancelRequest(item: Organization, request: OpenRequest, act: Act, now: number): Organization {
  // The worker finds `cancelled` when it learns that the batch is accepted.
  if (!isAccepted(request)) return withRequest(item, { ...request, cancelled: act });
  if (isCancellable(item, request)) return toCancelling(item, { ...request, cancelled: act }, now);
  if (request.watch === 'on') return endWatch(item, request, act, now);
  return request.status === 'superseded' ? toCancelling(item, { ...request, cancelled: act }, now) : item;
}

/** A cancellation of what has not begun and disabled nothing has nothing left to do. */
export function toCancelling(item: Organization, request: OpenRequest, now: number): Organization {
  const hasBegun = item.ledger.some(({ claims }) => claims.includes(request.offboarding_id));
  const over = { ...request, watch: undefined, superseded_by: undefined, error: undefined };
  const cancelling = inStatus({ ...over, outcomes: removedOf(request) }, 'cancelling', now);
  if (hasBegun) return withRequest(item, cancelling);
  return withEvent(item, inStatus(cancelling, 'cancelled', now), 'cancelled', now);
}

/** What is removed stays shown as removed. All else is decided anew. */
const removedOf = ({ outcomes }: OpenRequest) =>
  Object.fromEntries(Object.entries(outcomes).filter(([, { outcome }]) => outcome === 'removed'));

/** The watch of an offboarding is over. Nothing is enabled. */
export function endWatch(item: Organization, request: OpenRequest, act: Act, now: number): Organization {
  return withEvent(item, { ...request, watch: 'ended', watch_ended: actOf(act) }, 'watch_ended', now);
}
