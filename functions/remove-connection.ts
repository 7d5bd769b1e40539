import { explainUnknown, primeCalls, remove } from '../lib/auth0/management-api.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http/http-api.ts';
import { prime } from '../lib/priming.ts';
import { Problem } from '../lib/problem.ts';

export const handler = httpApi(removeConnection, { organization: true, connection: true });

/** `DELETE /organizations/{organization_id}/connections/{connection_id}`: 204, also when the connection was gone already. */
async function removeConnection(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId, connectionId, caller, apiStage, context } = request;
  if (apiStage === 'reversible')
    throw new Problem('irreversible_not_permitted', 'This address takes only what can be undone, and no removal');
  await remove(organizationId, connectionId, context)
    .catch(explainUnknown(organizationId, context))
    .catch(ignoreOwnRemoval);
  // The event connection.removed is made of this line, whatever the log level is.
  context.log.metrics('connection_removed', {}, { caller });
  return { status: 204 };
}

/** For `catch`: after an attempt of which nobody knows whether it was carried out, Auth0's 404 says that it was. */
function ignoreOwnRemoval(error: unknown): void {
  if (!(error instanceof Problem && error.code === 'unknown_connection' && error.mayBeDone)) throw error;
}

await prime(primeCalls());
