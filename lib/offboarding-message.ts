import * as v from 'valibot';
import { OrganizationId } from './management-api.ts';
import { OffboardingRequest, REQUESTED } from './offboarding-request.ts';

export const REMOVAL_DUE = 'organization.offboarding.removal_due';
export const LOOK = 'organization.offboarding.look';

const Id = v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'), v.maxLength(128, 'is too long'));
const ENVELOPE = { id: Id, source: v.string('must be text'), time: v.string('must be text') };

/** A message of the offboarding queue: a whole EventBridge event with a request, Scheduler's word that a removal is due, or a look. */
export const OffboardingMessage = v.variant(
  'detail-type',
  [
    v.object({ ...ENVELOPE, 'detail-type': v.literal(REQUESTED), detail: OffboardingRequest }),
    v.object({
      'detail-type': v.literal(REMOVAL_DUE),
      detail: v.object({ organization_id: OrganizationId, offboarding_id: Id }),
    }),
    v.object({
      'detail-type': v.literal(LOOK),
      detail: v.object({ organization_id: OrganizationId, look_at: v.string() }),
    }),
  ],
  'is not one that this queue takes',
);
export type OffboardingMessage = v.InferOutput<typeof OffboardingMessage>;

const Text = v.fallback(
  v.nullable(
    v.pipe(
      v.string(),
      v.transform((text) => text.slice(0, 1000)),
    ),
  ),
  null,
);
const Detail = v.object({
  organization_id: Text,
  action: Text,
  requested_by: Text,
  reason: Text,
  correlation_id: v.fallback(v.optional(v.string()), undefined),
  dry_run: v.fallback(v.boolean(), false),
});
const Anything = v.object({ id: Text, source: Text, time: Text, detail: v.fallback(Detail, v.parse(Detail, {})) });

/** What a message that may be malformed says of itself, as the detail of its `failed` event: a best-effort parse. */
export function detailOfMalformed(raw: unknown) {
  const { id, source, time, detail } = v.parse(v.fallback(Anything, v.parse(Anything, {})), raw);
  const request = id === null ? null : { id, source: source ?? '', time: time ?? '' };
  return { ...detail, offboarding_id: id, request, connections: [] };
}
