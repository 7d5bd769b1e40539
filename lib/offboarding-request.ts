import * as v from 'valibot';
import { addDuration, addStageDuration } from './duration.ts';
import { ConnectionId, CorrelationId, OrganizationId } from './ids.ts';
import { Optional } from './json.ts';

/** Text with more than blanks in it; what is longer than `most` characters is no reason and no name. */
const Words = (most: number) =>
  v.pipe(
    v.string('must be text'),
    v.trim(),
    v.nonEmpty('must not be empty or blank'),
    v.maxLength(most, `must be at most ${most} characters long`),
  );
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
const graceInPlace = <T extends { action: string; grace_period?: string | undefined }>() =>
  v.check<T, string>(
    ({ action, grace_period }) => grace_period === undefined || action === 'disable_then_remove',
    'grace_period belongs to disable_then_remove alone',
  );
const OwnId = Optional(v.pipe(v.string(), v.uuid()));

/** Detail of `organization.offboarding.requested`, as any source may put it on the bus; unknown members are let through unread. */
export const OffboardingRequest = v.pipe(
  v.object({
    organization_id: OrganizationId,
    ...ORDER,
    requested_by: Words(200),
    correlation_id: Optional(CorrelationId),
    // The service's own: a request over HTTP is on record before its event.
    offboarding_id: OwnId,
    batch_id: OwnId,
  }),
  graceInPlace(),
);
export type OffboardingRequest = v.InferOutput<typeof OffboardingRequest>;

/** Body of `POST /organizations/{organization_id}/offboarding`: the same, but strict; the path has the organization and IAM knows the caller. */
export const OffboardingBody = v.pipe(
  v.strictObject({ organization_id: v.optional(OrganizationId), ...ORDER, requested_by: v.optional(Words(200)) }),
  graceInPlace(),
);

/** Something like an organization id; one that is none is rejected, and stops no other. */
const AnyId = v.pipe(v.string('must be text'), v.maxLength(100, 'is too long for an id'));
const OrganizationIds = v.pipe(
  v.array(AnyId, 'must be a list of organization ids'),
  v.minLength(1, 'must name an organization'),
  v.maxLength(1000, 'must name 1,000 organizations at most'),
);
/** Body of `POST /offboardings`: one order for many organizations. */
export const BatchBody = v.pipe(
  v.strictObject({ organization_ids: OrganizationIds, ...ORDER, requested_by: v.optional(Words(200)) }),
  graceInPlace(),
);

export const REQUESTED = 'organization.offboarding.requested';

/** When the removal that `request` asks for falls due: after its grace period or the stage's default, in whole seconds. */
export function dueAt({ grace_period }: { grace_period?: string | undefined }): string {
  const now = new Date(Math.ceil(Date.now() / 1000) * 1000);
  const due = (grace_period && addDuration(now, grace_period)) || addStageDuration(now, 'DEFAULT_GRACE_PERIOD');
  return due.toISOString().replace('.000Z', 'Z');
}
