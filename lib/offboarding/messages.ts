import * as v from 'valibot';
import { OrganizationId } from '../ids.ts';
import { CancellationRequest, OffboardingRequest } from './request.ts';

export const REQUESTED = 'organization.offboarding.requested';
export const CANCELLATION_REQUESTED = 'organization.offboarding.cancellation_requested';
/** Something of the organization is due: by the schedule of an offboarding's removal, the watch, or what could not be finished at once. */
export const DUE = 'organization.offboarding.due';

/** Of the items beside the records (lib/offboarding/organization.ts, record.ts). */
const RESERVED = ['organization', 'batch'];
const Id = v.pipe(
  v.string('must be text'),
  v.minLength(1, 'must not be empty'),
  v.maxLength(128, 'is too long'),
  v.check((id) => !RESERVED.includes(id), 'must be the id of an event'),
);
const ENVELOPE = {
  id: Id,
  source: v.string('must be text'),
  account: v.optional(v.string(), ''),
  time: v.string('must be text'),
  'replay-name': v.optional(v.string()),
};

/** A message of the offboarding queue: a whole EventBridge event that asks for something, or a notice that something is due. */
export const OffboardingMessage = v.variant(
  'detail-type',
  [
    v.object({ ...ENVELOPE, 'detail-type': v.literal(REQUESTED), detail: OffboardingRequest }),
    v.object({ ...ENVELOPE, 'detail-type': v.literal(CANCELLATION_REQUESTED), detail: CancellationRequest }),
    v.object({
      'detail-type': v.literal(DUE),
      detail: v.object({
        organization_id: OrganizationId,
        offboarding_id: v.optional(Id),
        // An operator's: to be looked at whatever its date.
        asked: v.optional(v.literal(true)),
      }),
    }),
  ],
  'is not one that this queue takes',
);
export type OffboardingMessage = v.InferOutput<typeof OffboardingMessage>;
export type RequestMessage = Extract<OffboardingMessage, { 'detail-type': typeof REQUESTED }>;
export type CancellationMessage = Extract<OffboardingMessage, { 'detail-type': typeof CANCELLATION_REQUESTED }>;

/** The version of each outcome's detail: it grows by members, and gets another number when one changes or goes. */
export const VERSION = 1;

/** What a message that may be malformed says of itself, as the detail of its `failed` event: as much as can be read. */
export function readableDetail(raw: unknown) {
  const text = <T>(value: unknown, none: T) => (typeof value === 'string' ? [...value].slice(0, 1000).join('') : none);
  const { id, source, account, time, detail } = Object(raw);
  const { organization_id, action, requested_by, reason, correlation_id, dry_run } = Object(detail);
  const request = { id: text(id, ''), source: text(source, ''), time: text(time, '') };
  return {
    version: VERSION,
    offboarding_id: text(id, null),
    organization_id: text(organization_id, null),
    action: text(action, null),
    requested_by: text(requested_by, null),
    reason: text(reason, null),
    caller: `${text(account, '')} ${request.source}`.trim(),
    correlation_id: text(correlation_id, undefined),
    request: typeof id === 'string' ? request : null,
    dry_run: dry_run === true,
    connections: [],
  };
}
