import { remove, whichIsUnknown } from '../lib/auth0/management-api.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http/http-api.ts';

export const handler = httpApi(removeConnection, { organization: true, connection: true });

/** `DELETE /organizations/{organization_id}/connections/{connection_id}`: 204, also when the connection was gone already. */
async function removeConnection({ organizationId, connectionId, calls }: HttpRequest): Promise<HttpResponse> {
  await remove(organizationId, connectionId, calls).catch(whichIsUnknown(organizationId, calls));
  return { status: 204 };
}
