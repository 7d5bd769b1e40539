import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { remove } from '../lib/management-api.ts';

export const handler = httpApi(removeConnection, { organization: true, connection: true });

/** `DELETE /organizations/{organization_id}/connections/{connection_id}`: 204, also when the connection was gone already. */
async function removeConnection({ organizationId, connectionId, calls }: HttpRequest): Promise<HttpResponse> {
  await remove(organizationId, connectionId, calls);
  return { status: 204 };
}
