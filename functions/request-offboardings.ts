import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { fingerprintOf, idOf } from '../lib/http/idempotency.ts';
import { BatchBody } from '../lib/offboarding/request.ts';
import { assertPermitted, submitBatch } from '../lib/offboarding/submission.ts';

export const handler = httpApi(requestOffboardings, { body: true });

/**
 * `POST /offboardings`: 202 once each organization's request is on record and on the bus; what is no organization's id, or was
 * named before, is rejected. With an `Idempotency-Key` the same call is one batch, and goes on where it was cut off.
 */
async function requestOffboardings(request: HttpRequest): Promise<HttpResponse> {
  const { correlationId: correlation_id, idempotencyKey, apiStage, context } = request;
  const caller = request.caller ?? 'unknown';
  const { organization_ids, ...asked } = parseBody(BatchBody, request.body);
  assertPermitted(asked, apiStage);
  const fingerprint = fingerprintOf({ organization_ids, ...asked });
  const about = { requested_by: asked.requested_by ?? caller, correlation_id, caller, fingerprint };
  const batch = { ...asked, ...about, batch_id: idOf(request) };
  const body = await submitBatch(organization_ids, batch, idempotencyKey !== undefined, context.deadline);
  context.log.info('offboardings_requested', { ...asked, caller, ...body, rejected: body.rejected.length });
  return { status: 202, body };
}
