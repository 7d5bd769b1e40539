import { primeCalls } from '../lib/auth0/management-api.ts';
import { primeTable } from '../lib/aws/table.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http/http-api.ts';
import { currentOffboarding } from '../lib/offboarding/views/current.ts';
import { prime } from '../lib/priming.ts';

export const handler = httpApi(getOffboarding, { organization: true });

/** `GET /organizations/{organization_id}/offboarding`: 200, the current offboarding, and each connection as it is in Auth0 now. */
async function getOffboarding({ organizationId, context }: HttpRequest): Promise<HttpResponse> {
  return { status: 200, body: await currentOffboarding(organizationId, context) };
}

await prime(primeCalls(), primeTable());
