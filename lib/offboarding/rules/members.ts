import type { Batch } from '../model/batch.ts';
import { type OpenRequest, type Organization, withRequest } from '../model/organization.ts';
import { cancellationAfter } from './acceptance.ts';
import { cancelRequest } from './cancellation.ts';

// The members of a batch that an organization has: they count once the batch's own item says so.

/** The organization with a member as its batch's item has it, which is null where it is gone; the same where that is still open. */
export function withMember(item: Organization, member: OpenRequest, batch: Batch | null, now: number): Organization {
  const { attempt = 0 } = member.batch ?? {};
  // It was given up, or is at a later attempt: this one never counts.
  if (!batch || batch.attempt > attempt) return withoutMember(item, member);
  if (batch.attempt < attempt || batch.status === 'open') return item;
  if (batch.status === 'void') return withoutMember(item, member);
  return acceptMember(item, batch.cancelled ? { ...member, cancelled: batch.cancelled } : member, now);
}

/** A member of a batch counts from now on; one that was cancelled meanwhile is so at once. */
export function acceptMember(item: Organization, request: OpenRequest, now: number): Organization {
  const batch = request.batch && { ...request.batch, is_accepted: true };
  const accepted = { ...request, batch, cancelled: undefined };
  const cancellation = cancellationAfter(item.cancellation, accepted);
  const next = { ...withRequest(item, accepted), cancellation };
  return request.cancelled ? cancelRequest(next, accepted, request.cancelled, now) : next;
}

/** The organization without a member whose batch was given up: it never counted, and leaves no trace. */
const withoutMember = (item: Organization, { offboarding_id }: OpenRequest): Organization => ({
  ...item,
  requests: item.requests.filter((one) => one.offboarding_id !== offboarding_id),
  outbox: item.outbox.filter((one) => one.offboarding_id !== offboarding_id),
});
