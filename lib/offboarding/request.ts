import * as v from 'valibot';
import { addDuration, addStageDuration } from '../duration.ts';
import { ConnectionId, CorrelationId, OrganizationId } from '../ids.ts';
import { lenient } from '../json.ts';

/** At most so many characters, as JSON Schema counts them: code points. */
const atMost = (most: number, words: string) => v.check<string, string>((text) => [...text].length <= most, words);
/** Text with more than blanks in it; what is longer than `most` characters is no reason and no name. */
const Words = (most: number) =>
  v.pipe(
    v.string('must be text'),
    atMost(most, `must be at most ${most} characters long`),
    v.trim(),
    v.nonEmpty('must not be empty or blank'),
  );
/** An ISO 8601 duration from one minute to one year. */
const GracePeriod = v.pipe(
  v.string(),
  v.check((duration) => {
    const now = new Date();
    const after = (given: string) => addDuration(now, given)?.getTime() ?? Number.NaN;
    return after(duration) >= after('PT1M') && after(duration) <= after('P1Y');
  }, 'must be an ISO 8601 duration from one minute to one year'),
);
const Flag = v.boolean('must be true or false');

const PARAMETERS = {
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
  dry_run: v.optional(Flag, false),
  // What becomes of a connection that somebody enables again afterwards.
  on_reenable: v.optional(v.picklist(['report', 'disable_again'], 'must be report or disable_again'), 'report'),
  // Where the stage has it switched on: afterwards the sessions of the organization's members are ended, too.
  end_sessions: v.optional(Flag, false),
};
/** What a body says; IAM knows the caller. */
const OF_BODY = { ...PARAMETERS, requested_by: v.optional(Words(200)) };
const graceInPlace = <T extends { action: string; grace_period?: string | undefined }>() =>
  v.check<T, string>(
    ({ action, grace_period }) => grace_period === undefined || action === 'disable_then_remove',
    'grace_period belongs to disable_then_remove alone',
  );
const OwnId = lenient(v.pipe(v.string(), v.uuid()));

/** Detail of `organization.offboarding.requested`, as any source may put it on the bus; unknown members are let through unread. */
export const OffboardingRequest = v.pipe(
  v.object({
    organization_id: OrganizationId,
    ...PARAMETERS,
    requested_by: Words(200),
    correlation_id: lenient(CorrelationId),
    // The service's own: a request over HTTP is on record before its event.
    offboarding_id: OwnId,
    batch_id: OwnId,
  }),
  graceInPlace(),
);
export type OffboardingRequest = v.InferOutput<typeof OffboardingRequest>;

/** Body of `POST /organizations/{organization_id}/offboarding`: the same, but strict; the path has the organization. */
export const OffboardingBody = v.pipe(
  v.strictObject({ organization_id: v.optional(OrganizationId), ...OF_BODY }),
  graceInPlace(),
);

/** Something like an organization id; one that is none is rejected, and stops no other. */
const AnyId = v.pipe(v.string('must be text'), atMost(100, 'is too long for an id'));
const OrganizationIds = v.pipe(
  v.array(AnyId, 'must be a list of organization ids'),
  v.minLength(1, 'must name an organization'),
  v.maxLength(1000, 'must name 1,000 organizations at most'),
);
/** Body of `POST /offboardings`: the same for many organizations; `urgent`, they do not give way to single requests. */
export const BatchBody = v.pipe(
  v.strictObject({ organization_ids: OrganizationIds, ...OF_BODY, urgent: v.optional(Flag) }),
  graceInPlace(),
);
export const BatchId = v.pipe(v.string(), v.uuid('must be the batch_id that POST /offboardings answered'));

/** Detail of `organization.offboarding.cancellation_requested`, as any source may put it on the bus. */
export const CancellationRequest = v.object({
  organization_id: OrganizationId,
  requested_by: Words(200),
  reason: Words(1000),
  correlation_id: lenient(CorrelationId),
});

/** What the `DELETE` of offboardings says of itself. */
export const CancellingQuery = { reason: v.optional(Words(1000)), requested_by: v.optional(Words(200)) };

/** When the removal that `request` asks for falls due: after its grace period or the stage's default, in whole seconds. */
export function dueAt({ grace_period }: { grace_period?: string | undefined }): string {
  const now = new Date(Math.ceil(Date.now() / 1000) * 1000);
  const due = (grace_period && addDuration(now, grace_period)) || addStageDuration(now, 'DEFAULT_GRACE_PERIOD');
  return due.toISOString().replace('.000Z', 'Z');
}
