import * as v from 'valibot';
import { CorrelationId } from './correlation-id.ts';
import { ConnectionId, OrganizationId } from './management-api.ts';

/** Text with more than blanks in it; what is longer than `most` characters is no reason and no name. */
const Words = (most: number) =>
  v.pipe(
    v.string('must be text'),
    v.trim(),
    v.nonEmpty('must not be empty or blank'),
    v.maxLength(most, `must be at most ${most} characters long`),
  );
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
  action: v.picklist(['disable', 'remove', 'disable_then_remove'], 'must be disable, remove or disable_then_remove'),
  grace_period: v.optional(GracePeriod),
  // An empty list names nothing; it must never be taken for "all".
  connection_ids: v.optional(
    v.pipe(
      v.array(ConnectionId, 'must be a list of connection ids'),
      v.minLength(1, 'must name a connection, or be left out for all of them'),
      v.maxLength(50, 'must name 50 connections at most'),
    ),
  ),
  reason: Words(1000),
  dry_run: v.optional(v.boolean('must be true or false'), false),
  // What becomes of a connection that somebody enables again afterwards.
  on_reenable: v.optional(v.picklist(['report', 'disable_again'], 'must be report or disable_again'), 'report'),
};
const GRACE_ELSEWHERE = 'grace_period belongs to disable_then_remove alone';
const graceIsInPlace = ({ action, grace_period }: { action: string; grace_period?: string | undefined }) =>
  grace_period === undefined || action === 'disable_then_remove';

const OwnId = v.fallback(v.optional(v.pipe(v.string(), v.uuid())), undefined);

/** Detail of `organization.offboarding.requested`, as any source may put it on the bus; unknown members are let through unread. */
export const OffboardingRequest = v.pipe(
  v.object({
    organization_id: OrganizationId,
    ...ORDER,
    requested_by: Words(200),
    correlation_id: v.fallback(v.optional(CorrelationId), undefined),
    // The service's own: a request over HTTP is on record before its event.
    offboarding_id: OwnId,
    batch_id: OwnId,
  }),
  v.check((order) => graceIsInPlace(order), GRACE_ELSEWHERE),
);
export type OffboardingRequest = v.InferOutput<typeof OffboardingRequest>;

/** Body of `POST /organizations/{organization_id}/offboarding`: the same, but strict; the path has the organization and IAM knows the caller. */
export const OffboardingBody = v.pipe(
  v.strictObject({ organization_id: v.optional(OrganizationId), ...ORDER, requested_by: v.optional(Words(200)) }),
  v.check((order) => graceIsInPlace(order), GRACE_ELSEWHERE),
);

/** Body of `POST /offboardings`: one order for many organizations. An id that is none is told, and stops no other. */
export const BatchBody = v.pipe(
  v.strictObject({
    organization_ids: v.pipe(
      v.array(
        v.pipe(v.string('must be text'), v.maxLength(100, 'is too long for an id')),
        'must be a list of organization ids',
      ),
      v.minLength(1, 'must name an organization'),
      v.maxLength(1000, 'must name 1,000 organizations at most'),
    ),
    ...ORDER,
    requested_by: v.optional(Words(200)),
  }),
  v.check((order) => graceIsInPlace(order), GRACE_ELSEWHERE),
);

/** Where a request came from: the event's id, source and time. */
export interface RequestOrigin {
  id: string;
  source: string;
  time: string;
}

export const REQUESTED = 'organization.offboarding.requested';

/** When the removal that `request` asks for falls due: after its grace period or the stage's default, in whole seconds. */
export function dueAt({ grace_period }: { grace_period?: string | undefined }): string {
  const now = new Date(Math.ceil(Date.now() / 1000) * 1000);
  const due = addDuration(now, grace_period ?? (process.env.DEFAULT_GRACE_PERIOD || 'P30D'));
  if (!due) throw new Error('Environment variable DEFAULT_GRACE_PERIOD is not an ISO 8601 duration');
  return due.toISOString().replace('.000Z', 'Z');
}
