import * as v from 'valibot';
import { disable, explainUnknown } from '../lib/auth0/management-api.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';

/** Nothing but disabling: this service takes access away. */
const Body = v.strictObject({ is_enabled: v.literal(false) });

export const handler = httpApi(disableConnection, { organization: true, connection: true, body: true });

/** `PATCH /organizations/{organization_id}/connections/{connection_id}`: 200 and the connection as Auth0 answered it. */
async function disableConnection({ organizationId, connectionId, body, context }: HttpRequest): Promise<HttpResponse> {
  parseBody(Body, body);
  const disabled = await disable(organizationId, connectionId, context).catch(explainUnknown(organizationId, context));
  // What a DELETE that follows would take away for good: from this line it can be put back.
  context.log.info('connection_disabled', { connection: disabled });
  return { status: 200, body: disabled };
}
