import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { cancelOrganization } from '../lib/offboarding/cancelling.ts';
import { CancellingQuery } from '../lib/offboarding/request.ts';

const Query = v.strictObject(CancellingQuery);

export const handler = httpApi(cancelOffboarding, { organization: true });

/**
 * `DELETE /organizations/{organization_id}/offboarding`: from its response on nothing of this organization is removed. 200: what
 * its offboardings had disabled, and is still disabled, is enabled again, and what is completed is watched no more. 202: that
 * goes on by itself, and ends in its event.
 */
async function cancelOffboarding({ organizationId, query, caller, context }: HttpRequest): Promise<HttpResponse> {
  const act = { at: new Date().toISOString(), caller: caller ?? 'unknown', ...parseQuery(Query, query) };
  const body = await cancelOrganization(organizationId, act, context);
  context.log.info('cancelling_requested', { ...body, ...act });
  return { status: body.status === 'cancelling' ? 202 : 200, body };
}
