import * as v from 'valibot';
import { OrganizationId } from '../../ids.ts';
import { BATCH } from './batch.ts';
import { ORGANIZATION, OWN_SOURCE } from './organization.ts';
import { CancellationRequest, EventParameters } from './request.ts';
import { iso } from './stage.ts';

export const REQUESTED = 'organization.offboarding.requested';
export const CANCELLATION_REQUESTED = 'organization.offboarding.cancellation_requested';
/** A due notice: the organization has work. It says nothing else, and may be lost, late or doubled. */
export const DUE = 'organization.offboarding.due';

const RESERVED = [ORGANIZATION, BATCH];
const Id = v.pipe(
  v.string('must be text'),
  v.minLength(1, 'must not be empty'),
  v.maxLength(128, 'is too long'),
  v.check((id) => !RESERVED.includes(id), 'must be the id of an event'),
);
/** A source with blanks in it, or our own in another spelling, is somebody who poses as another. */
const Source = v.pipe(
  v.string('must be text'),
  v.regex(/^[\x21-\x7e]{1,256}$/, 'must be visible ASCII, without blanks'),
  v.check(
    (source) => source === OWN_SOURCE || source.toLowerCase() !== OWN_SOURCE,
    'must not be the service itself in another spelling',
  ),
);
const ENVELOPE = {
  id: Id,
  source: Source,
  account: v.optional(v.string(), ''),
  time: v.string('must be text'),
  'replay-name': v.optional(v.string()),
};

/** A message of the offboarding queue: an EventBridge event that asks for something, or a due notice. */
export const OffboardingMessage = v.variant(
  'detail-type',
  [
    v.object({ ...ENVELOPE, 'detail-type': v.literal(REQUESTED), detail: EventParameters }),
    v.object({ ...ENVELOPE, 'detail-type': v.literal(CANCELLATION_REQUESTED), detail: CancellationRequest }),
    v.object({ 'detail-type': v.literal(DUE), detail: v.object({ organization_id: OrganizationId }) }),
  ],
  'is not one that this queue takes',
);
export type OffboardingMessage = v.InferOutput<typeof OffboardingMessage>;
export type RequestMessage = Extract<OffboardingMessage, { 'detail-type': typeof REQUESTED }>;
export type CancellationMessage = Extract<OffboardingMessage, { 'detail-type': typeof CANCELLATION_REQUESTED }>;

/** An event's `time` to the millisecond, and never in the future: no publisher can ask later than everybody else. */
export function timeOf(time: string, now: number): string {
  const at = Date.parse(time);
  return iso(Number.isNaN(at) ? now : Math.min(at, now));
}
