import type { Act, LedgerEntry, OpenRequest, Organization, OutboxEntry, OutcomeEvent } from '../model/organization.ts';
import { keyOf, withRequest } from '../model/organization.ts';
import { areMembersLeft } from '../model/sessions.ts';
import { iso } from '../model/stage.ts';
import { hasEnded, withStatus } from '../model/status.ts';

// What every rule asks about the requests of an organization, and the ends that a request can come to.

/** Requests are ordered by when they were made, then by id. In which order the worker carries them out changes nothing. */
export const byRequestedAt = (a: OpenRequest, b: OpenRequest): number => (orderOf(a) < orderOf(b) ? -1 : 1);
const orderOf = ({ requested_at, offboarding_id }: OpenRequest) => `${requested_at} ${offboarding_id}`;

/** Whether a request counts. A member of a batch does so once the batch's item says that it is accepted. */
export const isAccepted = ({ batch }: OpenRequest): boolean => batch === undefined || batch.is_accepted;

/** Whether an offboarding still changes something, or will. */
export const isPending = (request: OpenRequest): boolean => isAccepted(request) && !hasEnded(request);

/** Whether an offboarding has ended, and was neither cancelled nor taken over. */
export const isCarriedOut = ({ status }: OpenRequest): boolean => status === 'completed' || status === 'failed';

/** The requests that count, in their order. */
export const acceptedOf = (item: Organization): OpenRequest[] => item.requests.filter(isAccepted).sort(byRequestedAt);

/** Whether its connections are being removed: from here on nobody can cancel it. */
export const isRemoving = ({ status, parameters }: OpenRequest): boolean =>
  status === 'removing' || (status === 'working' && parameters.action === 'remove' && !parameters.dry_run);

/** Whether a request wants what it claims to stay disabled: nobody cancelled it, and it has not ended its watch. */
export const isInForce = ({ status, watch }: OpenRequest): boolean =>
  !['cancelling', 'cancelled', 'superseded'].includes(status) && watch !== 'ended';

/** Whether what a request disabled is its own to give back: not disabled for good, given back, or another one's. */
const givesBack = ({ status, parameters }: OpenRequest): boolean =>
  !parameters.dry_run && !['completed', 'cancelled', 'superseded'].includes(status);

/** The connections and grants that `request` disabled, or may have, and that its cancellation gives back. */
export const disabledBy = ({ ledger }: Organization, request: OpenRequest): LedgerEntry[] =>
  givesBack(request)
    ? ledger.filter(({ claims, disabled_by_us }) => disabled_by_us && claims.includes(request.offboarding_id))
    : [];

/** Whether the sessions of the members are still to be ended. */
export const areSessionsLeft = ({ parameters, status, sessions, watch }: OpenRequest): boolean =>
  parameters.end_sessions &&
  (['completed', 'scheduled', 'superseded'].includes(status) || (status === 'failed' && watch === 'on')) &&
  watch !== 'ended' &&
  areMembersLeft(sessions);

/** Whether a cancellation has something to do here. A dry run changes nothing. */
export const isCancellable = (item: Organization, request: OpenRequest): boolean =>
  !request.parameters.dry_run &&
  ((isPending(request) && request.status !== 'cancelling') ||
    (request.status === 'failed' && disabledBy(item, request).length > 0));

/** The organization with an event of `request` in the outbox, and its record out of date. */
export function withEvent(item: Organization, request: OpenRequest, event: OutcomeEvent, now: number): Organization {
  const at = iso(now);
  const entry: OutboxEntry = { event, offboarding_id: request.offboarding_id, at, outcomes: request.outcomes };
  const next = withRequest(item, { ...request, updated_at: at, is_unrecorded: true });
  return { ...next, outbox: [...item.outbox, entry] };
}

/** The events that may be published: a member of a batch has none before the batch is accepted. */
export function publishableOf({ outbox, requests }: Pick<Organization, 'outbox' | 'requests'>): OutboxEntry[] {
  const waiting = new Set(requests.filter((one) => !isAccepted(one)).map(({ offboarding_id }) => offboarding_id));
  return outbox.filter(({ offboarding_id }) => !waiting.has(offboarding_id));
}

/** A request in its next status; what it waited for belongs to the status before, and so does its end. */
export const inStatus = (request: OpenRequest, status: OpenRequest['status'], now: number): OpenRequest => ({
  ...withStatus(request, status),
  attempts: 0,
  last_error: undefined,
  next_try_at: undefined,
  notice_due_at: status === 'scheduled' ? request.notice_due_at : undefined,
  ended_at: hasEnded({ status }) ? iso(now) : undefined,
  updated_at: iso(now),
  is_unrecorded: true,
});

/** Who did something, as it is kept: what people did not say is null. */
export const actOf = ({ at, caller, requested_by = null, reason = null }: Act): Act => ({
  at,
  caller,
  requested_by,
  reason,
});

/** The claims of a ledger entry that keep it disabled, but for those of `except`. */
export function claimantsOf(item: Organization, entry: LedgerEntry, except?: OpenRequest): OpenRequest[] {
  return item.requests.filter(
    (one) =>
      one.offboarding_id !== except?.offboarding_id &&
      entry.claims.includes(one.offboarding_id) &&
      isInForce(one) &&
      !one.parameters.dry_run &&
      one.outcomes[keyOf(entry)]?.outcome !== 'failed',
  );
}

/** After this a list of Auth0's shows what we changed, milliseconds. */
const LIST_IS_SURE_MS = 60_000;

/**
 * The organization in which the rest of the ledger is final: what no pending or failed offboarding could give back is disabled
 * for good, and what nobody claims is forgotten.
 */
export function withFinalLedger(item: Organization, now: number): Organization {
  const idsOf = (requests: OpenRequest[]) => new Set(requests.map(({ offboarding_id }) => offboarding_id));
  const [known, giving] = [idsOf(item.requests), idsOf(item.requests.filter(givesBack))];
  const ledger = item.ledger.flatMap((entry): LedgerEntry[] => {
    const claims = entry.claims.filter((id) => known.has(id));
    const isOurs = entry.disabled_by_us && claims.some((id) => giving.has(id));
    const isRecent = entry.changed !== undefined && entry.changed.at > now - LIST_IS_SURE_MS;
    if (claims.length === 0 && !entry.intent && !isRecent) return [];
    return [{ ...entry, claims, disabled_by_us: isOurs }];
  });
  return { ...item, ledger };
}
