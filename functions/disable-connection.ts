import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { disable } from '../lib/management-api.ts';

/** Nothing but disabling: this service takes access away. */
const Body = v.strictObject({ is_enabled: v.literal(false) });

export const handler = httpApi(disableConnection, { organization: true, connection: true, body: true });

/** `PATCH /organizations/{organization_id}/connections/{connection_id}`: 200 and the association as Auth0 answered it. */
async function disableConnection({ organizationId, connectionId, body, calls }: HttpRequest): Promise<HttpResponse> {
  parseBody(Body, body);
  return { status: 200, body: await disable(organizationId, connectionId, calls) };
}
