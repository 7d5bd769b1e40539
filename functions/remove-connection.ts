import { secretsManager } from '../lib/aws.ts';
import { auth0Tenant, required } from '../lib/environment.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { createManagementApi } from '../lib/management-api.ts';
import { createManagementTokenSource } from '../lib/management-token.ts';

const tokens = createManagementTokenSource(required('MANAGEMENT_TOKEN_SECRET_ID'), secretsManager());
const managementApi = createManagementApi(auth0Tenant().origin, tokens);

export const handler = httpApi(removeConnection, { connection: true });

/** `DELETE /organizations/{organization_id}/connections/{connection_id}`: 204, also when the connection was gone already. */
async function removeConnection({ organizationId, connectionId, calls }: HttpRequest): Promise<HttpResponse> {
  await managementApi.remove(organizationId, connectionId, calls);
  return { status: 204 };
}
