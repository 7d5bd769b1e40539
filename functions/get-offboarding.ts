import { createPacer, HEADROOM } from '../lib/auth0/rate-limit.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http/http-api.ts';
import { currentOffboarding } from '../lib/offboarding/views/current.ts';

// One for all requests of a container: it leaves room in the bucket for the worker.
export const handler = httpApi(getOffboarding, { organization: true, pacer: createPacer(HEADROOM.batch) });

/** `GET /organizations/{organization_id}/offboarding`: 200, the current offboarding, and each connection as it is in Auth0 now. */
async function getOffboarding({ organizationId, context }: HttpRequest): Promise<HttpResponse> {
  return { status: 200, body: await currentOffboarding(organizationId, context) };
}
