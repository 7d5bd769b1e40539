import * as v from 'valibot';
import { disable, explainUnknown, primeCalls } from '../lib/auth0/management-api.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { prime } from '../lib/priming.ts';

/** Nothing but disabling: this service takes access away. */
const Body = v.strictObject({ is_enabled: v.literal(false) });

export const handler = httpApi(disableConnection, { organization: true, connection: true, body: true });

/** `PATCH /organizations/{organization_id}/connections/{connection_id}`: 200 and the connection as Auth0 answered it. */
async function disableConnection(request: HttpRequest): Promise<HttpResponse> {
  const { organizationId, connectionId, caller, context } = request;
  parseBody(Body, request.body);
  const disabled = await disable(organizationId, connectionId, context).catch(explainUnknown(organizationId, context));
  // The event connection.disabled is made of this line, whatever the log level is. It has what a later DELETE takes away for good.
  context.log.metrics('connection_disabled', {}, { caller, connection: disabled });
  return { status: 200, body: disabled };
}

await prime(primeCalls());
