import { dynamoDb, eventBridge } from '../lib/aws.ts';
import { required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { fingerprintOf, idOf } from '../lib/idempotency.ts';
import { createOffboardingRecords } from '../lib/offboarding-record.ts';
import { OffboardingBody, REQUESTED } from '../lib/offboarding-request.ts';
import { Problem } from '../lib/problem.ts';

const eventBus = createEventBus(required('EVENT_BUS_NAME'), eventBridge());
const records = createOffboardingRecords(required('OFFBOARDINGS_TABLE'), dynamoDb());

export const handler = httpApi(requestOffboarding, { organization: true, body: true });

/**
 * `POST /organizations/{organization_id}/offboarding`: 202 once the request is on record and on the bus. With an
 * `Idempotency-Key` the same request is one offboarding however often it is sent, and a repetition goes on where it was cut off.
 */
async function requestOffboarding(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId: organization_id, correlationId: correlation_id, caller, calls } = request;
  const order = parseBody(OffboardingBody, request.body);
  if ((order.organization_id ?? organization_id) !== organization_id) {
    throw new Problem('invalid_body', 'organization_id: must be the one of the path, or left out', { status: 422 });
  }
  const offboarding_id = idOf(request);
  const detail = { ...order, organization_id, requested_by: order.requested_by ?? caller ?? 'unknown', correlation_id };
  const origin = { id: offboarding_id, source: 'org-connections', time: new Date().toISOString() };
  const fingerprint = fingerprintOf(order);
  const { record } = await records.create({ ...detail, offboarding_id, request: origin, fingerprint });
  if (record.fingerprint !== fingerprint) {
    throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
  }
  if (record.status === 'requested') {
    await eventBus.put(REQUESTED, [{ ...detail, offboarding_id }]).catch(async (error: unknown) => {
      // Nobody can come back for it without a key: what was not accepted is not carried out.
      if (request.idempotencyKey === undefined) await records.withdraw(record);
      throw error;
    });
  }
  calls.log.info('offboarding_requested', { offboarding_id, caller, ...order });
  return { status: 202, body: { offboarding_id, organization_id, action: order.action, dry_run: order.dry_run } };
}
