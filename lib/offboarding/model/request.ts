import * as v from 'valibot';
import { addDuration } from '../../duration.ts';
import { ConnectionId, CorrelationId, OrganizationId } from '../../ids.ts';
import { lenient } from '../../json.ts';

/** At most `most` characters, as JSON Schema counts them: code points. */
const atMost = (most: number, words: string) => v.check<string, string>((text) => [...text].length <= most, words);
/** Text with more than blanks in it; what is longer than `most` characters is no reason and no name. */
const Words = (most: number) =>
  v.pipe(
    v.string('must be text'),
    atMost(most, `must be at most ${most} characters long`),
    v.trim(),
    v.nonEmpty('must not be empty or blank'),
  );

/** A list whose length is checked before its items are: five million numbers are refused at once. */
const boundedArray = <S extends v.GenericSchema>(
  item: S,
  { least, most, words: [none, few, many] }: { least: number; most: number; words: [string, string, string] },
) =>
  v.pipe(
    v.custom<unknown[]>(Array.isArray, none),
    v.check((list) => list.length >= least, few),
    v.check((list) => list.length <= most, many),
    v.array(item),
  );

const [SHORTEST_MS, LONGEST_MS] = [60_000, 366 * 86_400_000];
/** Any leap year will do: whether a duration is too long does not depend on the day. */
const SOME_DAY = new Date('2028-01-01T00:00:00Z');
/** An ISO 8601 duration from one minute to one year. */
const GracePeriod = v.pipe(
  v.string(),
  v.check((duration) => {
    const ms = (addDuration(SOME_DAY, duration)?.getTime() ?? Number.NaN) - SOME_DAY.getTime();
    return ms >= SHORTEST_MS && ms <= LONGEST_MS;
  }, 'must be an ISO 8601 duration from one minute to one year'),
);
const Flag = v.boolean('must be true or false');
const ConnectionIds = boundedArray(ConnectionId, {
  least: 1,
  most: 50,
  words: [
    'must be a list of connection ids',
    'must name a connection, or be left out for all of them',
    'must name 50 connections at most',
  ],
});

const PARAMETERS = {
  action: v.picklist(['disable', 'remove', 'disable_then_remove'], 'must be disable, remove or disable_then_remove'),
  grace_period: v.optional(GracePeriod),
  // An empty list names nothing; it must never be taken for "all".
  connection_ids: v.optional(ConnectionIds),
  reason: Words(1000),
  dry_run: v.optional(Flag, false),
  // What becomes of a connection that somebody enables again afterwards.
  on_reenable: v.optional(v.picklist(['report', 'disable_again'], 'must be report or disable_again'), 'report'),
  // Where the stage has it switched on: afterwards the sessions of the organization's members are ended, too.
  end_sessions: v.optional(Flag, false),
  // Where the stage has it switched on: the organization's client grants are removed, too.
  end_machine_access: v.optional(Flag, false),
};
/** What a body says; IAM knows the caller. */
const OF_BODY = { ...PARAMETERS, requested_by: v.optional(Words(200)) };

const graceInPlace = <T extends { action: string; grace_period?: string | undefined }>() =>
  v.check<T, string>(
    ({ action, grace_period }) => grace_period === undefined || action === 'disable_then_remove',
    'grace_period belongs to disable_then_remove alone',
  );
const wholeForMachines = <T extends { connection_ids?: string[] | undefined; end_machine_access: boolean }>() =>
  v.check<T, string>(
    ({ connection_ids, end_machine_access }) => !(connection_ids && end_machine_access),
    'end_machine_access belongs to a request for all connections of an organization',
  );

/** The parameters of a request, whichever way it came. */
export type Parameters = v.InferOutput<v.ObjectSchema<typeof PARAMETERS, undefined>> & {
  requested_by: string;
  correlation_id?: string | undefined;
};

/** What names a request, so that its repetition is the same offboarding: visible ASCII. */
export const IdempotencyKey = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 visible ASCII characters'),
);

/** Detail of `organization.offboarding.requested`, as a publisher puts it on the bus. Unknown members are let through unread. */
export const EventParameters = v.pipe(
  v.object({
    organization_id: OrganizationId,
    ...PARAMETERS,
    requested_by: Words(200),
    correlation_id: lenient(CorrelationId),
    idempotency_key: v.optional(IdempotencyKey),
    // Only the service's own events have it.
    offboarding_id: lenient(v.pipe(v.string(), v.uuid())),
  }),
  graceInPlace(),
  wholeForMachines(),
);
export type EventParameters = v.InferOutput<typeof EventParameters>;

/** Body of `POST /organizations/{organization_id}/offboarding`: the same, but strict; the path names the organization. */
export const OffboardingBody = v.pipe(
  v.strictObject({ organization_id: v.optional(OrganizationId), ...OF_BODY }),
  graceInPlace(),
  wholeForMachines(),
);

/** Something like an organization id. One that is none is rejected and stops no other. */
const AnyId = v.pipe(v.string('must be text'), atMost(100, 'is too long for an id'));
const OrganizationIds = boundedArray(AnyId, {
  least: 1,
  most: 1000,
  words: ['must be a list of organization ids', 'must name an organization', 'must name 1,000 organizations at most'],
});
/** Body of `POST /offboardings`: the same for many organizations. An `urgent` batch does not give way to single requests. */
export const BatchBody = v.pipe(
  v.strictObject({ organization_ids: OrganizationIds, ...OF_BODY, urgent: v.optional(Flag) }),
  graceInPlace(),
  wholeForMachines(),
);

export const BatchId = v.pipe(v.string(), v.uuid('must be the batch_id that POST /offboardings answered'));

/** Detail of `organization.offboarding.cancellation_requested`. */
export const CancellationRequest = v.object({
  organization_id: OrganizationId,
  requested_by: Words(200),
  reason: Words(1000),
  correlation_id: lenient(CorrelationId),
});

/** What the `DELETE` of offboardings says of itself. */
export const CancellationQuery = { reason: v.optional(Words(1000)), requested_by: v.optional(Words(200)) };
