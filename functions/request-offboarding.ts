import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { fingerprintOf, idOf } from '../lib/http/idempotency.ts';
import { OffboardingBody } from '../lib/offboarding/request.ts';
import { assertPermitted, submit } from '../lib/offboarding/submission.ts';
import { Problem } from '../lib/problem.ts';

export const handler = httpApi(requestOffboarding, { organization: true, body: true });

/**
 * `POST /organizations/{organization_id}/offboarding`: 202 once the request is on record and on the bus. With an
 * `Idempotency-Key` the same request is one offboarding however often it is sent, and a repetition goes on where it was cut off.
 */
async function requestOffboarding(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId: organization_id, correlationId: correlation_id, apiStage, context } = request;
  const caller = request.caller ?? 'unknown';
  const asked = parseBody(OffboardingBody, request.body);
  if ((asked.organization_id ?? organization_id) !== organization_id)
    throw new Problem('invalid_body', 'organization_id: must be the one of the path, or left out', { status: 422 });
  assertPermitted(asked, apiStage);
  const fingerprint = fingerprintOf(asked);
  const offboarding_id = idOf(request);
  const about = { organization_id, requested_by: asked.requested_by ?? caller, correlation_id, caller };
  const offboarding = { ...asked, ...about, offboarding_id, fingerprint };
  const {
    submitted: [submitted],
  } = await submit([offboarding], request.idempotencyKey !== undefined, context.deadline);
  const { action, dry_run } = asked;
  const status = submitted?.record.status;
  const body = { offboarding_id, organization_id, action, dry_run, status, replayed: !submitted?.isNew };
  context.log.info('offboarding_requested', { ...asked, caller, ...body });
  return { status: 202, body };
}
