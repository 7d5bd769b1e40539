import { putEvents } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { fingerprintOf, idOf } from '../lib/idempotency.ts';
import { createRecord, withdraw } from '../lib/offboarding-record.ts';
import { OffboardingBody, REQUESTED } from '../lib/offboarding-request.ts';
import { Problem } from '../lib/problem.ts';

export const handler = httpApi(requestOffboarding, { organization: true, body: true });

/**
 * `POST /organizations/{organization_id}/offboarding`: 202 once the request is on record and on the bus. With an
 * `Idempotency-Key` the same request is one offboarding however often it is sent, and a repetition goes on where it was cut off.
 */
async function requestOffboarding(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId: organization_id, correlationId: correlation_id, caller, calls } = request;
  const order = parseBody(OffboardingBody, request.body);
  if ((order.organization_id ?? organization_id) !== organization_id)
    throw new Problem('invalid_body', 'organization_id: must be the one of the path, or left out', { status: 422 });
  const offboarding_id = idOf(request);
  const { requested_by = caller ?? 'unknown', action, dry_run } = order;
  const detail = { ...order, organization_id, requested_by, correlation_id, offboarding_id };
  const fingerprint = fingerprintOf(order);
  const record = await createRecord({ ...detail, fingerprint });
  if (record.fingerprint !== fingerprint)
    throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
  if (record.status === 'requested') {
    await putEvents(REQUESTED, [detail]).catch(async (error: unknown) => {
      // Nobody can repeat it without a key: what was not accepted is not to happen.
      if (request.idempotencyKey === undefined) await withdraw(record);
      throw error;
    });
  }
  calls.log.info('offboarding_requested', { offboarding_id, caller, ...order });
  return { status: 202, body: { offboarding_id, organization_id, action, dry_run } };
}
