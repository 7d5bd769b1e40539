import { eventBridge } from '../lib/aws.ts';
import { required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { OffboardingBody, REQUESTED } from '../lib/offboarding.ts';
import { Problem } from '../lib/problem.ts';

const eventBus = createEventBus(required('EVENT_BUS_NAME'), eventBridge());

export const handler = httpApi(requestOffboarding, { body: true });

/** `POST /organizations/{organization_id}/offboarding`: 202 once the request is on the bus, with the id that its outcome will carry. */
async function requestOffboarding(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId: organization_id, correlationId, caller, calls } = request;
  const order = parseBody(OffboardingBody, request.body);
  if ((order.organization_id ?? organization_id) !== organization_id) {
    throw new Problem('invalid_body', 'organization_id: must be the one of the path, or left out', { status: 422 });
  }
  const offboarding_id = await eventBus.put(REQUESTED, {
    ...order,
    organization_id,
    requested_by: order.requested_by ?? caller ?? 'unknown',
    ...(correlationId && { correlation_id: correlationId }),
  });
  calls.log.info('offboarding_requested', { offboarding_id, caller, ...order });
  return { status: 202, body: { offboarding_id, organization_id, action: order.action, dry_run: order.dry_run } };
}
