import * as v from 'valibot';
import { CorrelationId } from './correlation-id.ts';
import { ConnectionId, OrganizationId } from './management-api.ts';

const Words = (most: number) => v.pipe(v.string(), v.trim(), v.nonEmpty(), v.maxLength(most));
const DURATION =
  /^P(?=\d|T\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$/;

/** `from` plus an ISO 8601 duration, by the calendar in UTC: a month after the 31st is the next month's last day. Undefined when it is not one. */
export function addDuration(from: Date, duration: string): Date | undefined {
  const found = DURATION.exec(duration);
  if (!found) return undefined;
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = found
    .slice(1)
    .map((part) => Number(part ?? 0));
  const date = new Date(from);
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + years * 12 + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(from.getUTCDate(), lastDay) + weeks * 7 + days);
  date.setTime(date.getTime() + ((hours * 60 + minutes) * 60 + seconds) * 1000);
  return date;
}

/** An ISO 8601 duration from one minute to one year. */
const GracePeriod = v.pipe(
  v.string(),
  v.check((duration) => {
    const now = new Date();
    const end = addDuration(now, duration)?.getTime() ?? 0;
    const year = addDuration(now, 'P1Y')?.getTime() ?? 0;
    return end >= now.getTime() + 60_000 && end <= year;
  }, 'must be an ISO 8601 duration from one minute to one year'),
);

const ORDER = {
  action: v.picklist(['disable', 'remove', 'disable_then_remove']),
  grace_period: v.optional(GracePeriod),
  // An empty list names nothing; it must never be taken for "all".
  connection_ids: v.optional(v.pipe(v.array(ConnectionId), v.minLength(1), v.maxLength(50))),
  reason: Words(1000),
  dry_run: v.optional(v.boolean(), false),
};
const GRACE_ELSEWHERE = 'grace_period belongs to disable_then_remove alone';
const graceIsInPlace = ({ action, grace_period }: { action: string; grace_period?: string | undefined }) =>
  grace_period === undefined || action === 'disable_then_remove';

/** Detail of `organization.offboarding.requested`, as any source may put it on the bus; unknown members are let through unread. */
export const OffboardingRequest = v.pipe(
  v.object({
    organization_id: OrganizationId,
    ...ORDER,
    requested_by: Words(200),
    correlation_id: v.fallback(v.optional(CorrelationId), undefined),
  }),
  v.check((order) => graceIsInPlace(order), GRACE_ELSEWHERE),
);
export type OffboardingRequest = v.InferOutput<typeof OffboardingRequest>;

/** Body of `POST /organizations/{organization_id}/offboarding`: the same, but strict; the path has the organization and IAM knows the caller. */
export const OffboardingBody = v.pipe(
  v.strictObject({ organization_id: v.optional(OrganizationId), ...ORDER, requested_by: v.optional(Words(200)) }),
  v.check((order) => graceIsInPlace(order), GRACE_ELSEWHERE),
);

/** A connection's settings as Auth0 has them, so that what was removed can be put back by hand. */
const Settings = v.record(v.string(), v.unknown());

const Outcome = v.object({
  connection_id: ConnectionId,
  name: v.nullable(v.string()),
  strategy: v.nullable(v.string()),
  outcome: v.picklist(['disabled', 'removed', 'enabled', 'unchanged', 'failed']),
  before: v.nullable(Settings),
  error: v.nullable(v.object({ code: v.string(), message: v.string() })),
});
/** What was done to one connection. */
export type Outcome = v.InferOutput<typeof Outcome>;

/** Where a request came from: the event's id, source and time. */
export const RequestOrigin = v.object({ id: v.string(), source: v.string(), time: v.string() });
export type RequestOrigin = v.InferOutput<typeof RequestOrigin>;

/** A removal that is pending, and the only record of it: it travels as the input of the organization's schedule. */
export const PendingRemoval = v.object({
  organization_id: OrganizationId,
  /** `disabling`: not all connections are disabled yet; `cancelled`: what is left so that late duplicates are known for what they are. */
  status: v.picklist(['disabling', 'pending', 'cancelled']),
  removal_due_at: v.string(),
  requested_by: v.string(),
  reason: v.string(),
  correlation_id: v.optional(v.string()),
  /** The last request, and the ids of all that were merged, so that a duplicate of any is recognized. */
  request: RequestOrigin,
  request_ids: v.array(v.string()),
  cancelled_ids: v.array(v.string()),
  /** Whether the `cancelled` event is out. */
  announced: v.optional(v.boolean()),
  connections: v.array(
    v.object({
      connection_id: ConnectionId,
      name: v.nullable(v.string()),
      strategy: v.nullable(v.string()),
      before: v.nullable(Settings),
      /** Only what this offboarding disabled is ever enabled again. */
      disabled_by_offboarding: v.boolean(),
    }),
  ),
});
export type PendingRemoval = v.InferOutput<typeof PendingRemoval>;

export const REQUESTED = 'organization.offboarding.requested';
export const REMOVAL_DUE = 'organization.offboarding.removal_due';
export const LOCK_EXPIRED = 'organization.offboarding.lock_expired';

/** What a message carries from one delivery to the next: how often it was tried in vain, when it may be tried, what is done. */
const Carried = v.object({ tries: v.number(), not_before: v.number(), done: v.array(Outcome) });
export type Carried = v.InferOutput<typeof Carried>;

const ENVELOPE = { id: v.string(), source: v.string(), time: v.string(), 'org-connections': v.optional(Carried) };

/** A message of the offboarding queue: a whole EventBridge event, the service's own member beside its detail. */
export const OffboardingMessage = v.variant('detail-type', [
  v.looseObject({ ...ENVELOPE, 'detail-type': v.literal(REQUESTED), detail: OffboardingRequest }),
  v.looseObject({ ...ENVELOPE, 'detail-type': v.literal(REMOVAL_DUE), detail: PendingRemoval }),
  v.looseObject({ ...ENVELOPE, 'detail-type': v.literal(LOCK_EXPIRED), detail: v.unknown() }),
]);
export type OffboardingMessage = v.InferOutput<typeof OffboardingMessage>;

/** When the removal that `request` asks for falls due: after its grace period or the stage's default, in whole seconds. */
export function dueAt({ grace_period }: { grace_period?: string | undefined }): string {
  const now = new Date(Math.ceil(Date.now() / 1000) * 1000);
  const due = addDuration(now, grace_period ?? (process.env.DEFAULT_GRACE_PERIOD || 'P30D'));
  if (!due) throw new Error('Environment variable DEFAULT_GRACE_PERIOD is not an ISO 8601 duration');
  return due.toISOString().replace('.000Z', 'Z');
}

/** The members that every outcome of a request has, beside its connections. */
export function outcomeDetail(
  { organization_id, action = 'disable_then_remove', requested_by, reason, correlation_id }: Asked,
  request: RequestOrigin,
  removalDueAt?: string,
) {
  return {
    organization_id,
    action,
    requested_by,
    reason,
    request,
    dry_run: false,
    ...(removalDueAt !== undefined && { removal_due_at: removalDueAt }),
    ...(correlation_id !== undefined && { correlation_id }),
  };
}

interface Asked {
  organization_id: string;
  action?: string;
  requested_by: string;
  reason: string;
  correlation_id?: string | undefined;
}
