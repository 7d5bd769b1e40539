import type { Cancellation, Failure, OpenRequest, Organization } from '../model/organization.ts';
import { OWN_SOURCE, requestOf } from '../model/organization.ts';
import { after, iso, latestOf, type Stage } from '../model/stage.ts';
import type { Status } from '../model/status.ts';
import { hasRoom, hasRoomForCancelled, whyFull } from './bounds.ts';
import { isCoveredOnArrival, toCancelling } from './cancellation.ts';
import { actOf, isAccepted, withEvent } from './requests.ts';

/** A request as it arrives. `requested_at` is given for an event alone: its `time`, never later than now. */
export type NewRequest = Pick<OpenRequest, 'offboarding_id' | 'parameters' | 'caller'> &
  Partial<Pick<OpenRequest, 'request' | 'batch' | 'urgent' | 'fingerprint' | 'idempotency_key'>> & {
    requested_at?: string | undefined;
  };

/**
 * What a request is that was made before: `replayed`, or, where the same key came with another body, `reused`. `known` is the
 * request or the record with its id.
 */
export const repetitionOf = (
  known: { fingerprint?: string | undefined; status: Status },
  { fingerprint }: NewRequest,
): { is: 'replayed'; status: Status } | { is: 'reused' } =>
  known.fingerprint === fingerprint ? { is: 'replayed', status: known.status } : { is: 'reused' };

/** `isForNow`: what is cancelled as it arrives waits until what was cancelled before it is published. */
export type Acceptance =
  | { is: 'accepted'; item: Organization; request: OpenRequest }
  | { is: 'refused'; failure: Failure; isForNow?: true };

/** The moment that orders a request or a cancellation over HTTP: later than all that the organization has accepted, whatever the clocks say. */
export function nextRequestedAt({ last_requested_at = '' }: Organization, now: number): string {
  const at = iso(now);
  return at > last_requested_at ? at : iso(Date.parse(last_requested_at) + 1);
}

/**
 * Accepts a request that the organization's item does not have yet; it counts from the write of that item on. A request by event
 * that a recorded cancellation covers is accepted as cancelled. Refused with `conflict` where the organization takes no more, and
 * with `request_too_old` where an event is older than the stage's `giveUpAfter`.
 */
export function acceptRequest(item: Organization, given: NewRequest, now: number, stage: Stage): Acceptance {
  const isEvent = given.requested_at !== undefined;
  if (given.requested_at && after(given.requested_at, stage.giveUpAfter) < now)
    return refused('request_too_old', 'The request is older than the service tries for');
  const request = newRequest(item, given, now);
  const requested = { ...item, requests: [...item.requests, request] };
  const { cancellation } = item;
  const counted = {
    ...requested,
    last_requested_at: latestOf(item.last_requested_at, request.requested_at),
    cancellation: isAccepted(request) ? cancellationAfter(cancellation, request) : cancellation,
  };
  if (isEvent && cancellation && !request.parameters.dry_run && isCoveredOnArrival(request, cancellation)) {
    const ended = toCancelling(counted, { ...request, cancelled: actOf(cancellation) }, now);
    return hasRoomForCancelled(ended)
      ? { is: 'accepted', item: ended, request: requestOf(ended, request.offboarding_id) ?? request }
      : { ...refused('conflict', whyFull(item)), isForNow: true };
  }
  if (!hasRoom(item, counted)) return refused('conflict', whyFull(item));
  // The event that a publisher put is in the archive already; a dry run is nobody's business there.
  return { is: 'accepted', item: isEvent ? counted : withEvent(counted, request, 'requested', now), request };
}

/** After a later request that counts, a repeated cancellation is about something new, and not answered as the last one. */
export const cancellationAfter = (
  cancellation: Cancellation | undefined,
  { parameters, requested_at }: OpenRequest,
): Cancellation | undefined =>
  cancellation && !parameters.dry_run && requested_at > cancellation.at
    ? { ...cancellation, found: [], reenabled: [] }
    : cancellation;

const refused = (code: string, message: string): Acceptance & { is: 'refused' } => ({
  is: 'refused',
  failure: { code, message },
});

function newRequest(item: Organization, given: NewRequest, now: number): OpenRequest {
  const requested_at = given.requested_at ?? nextRequestedAt(item, now);
  return {
    request: { id: given.offboarding_id, source: OWN_SOURCE, time: requested_at },
    ...given,
    ...{ requested_at, accepted_at: iso(now), updated_at: iso(now) },
    ...{ status: 'requested', attempts: 0, outcomes: {}, is_unrecorded: true },
  };
}
