import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { list } from '../lib/management-api.ts';
import { currentOf, hasEnded, recordsOf } from '../lib/offboarding-record.ts';

export const handler = httpApi(getOffboarding, { organization: true });

/** `GET /organizations/{organization_id}/offboarding`: 200, the current offboarding if there is one, and each connection as it is in Auth0 now. */
async function getOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const [all, associations] = await Promise.all([recordsOf(organizationId), list(organizationId, calls)]);
  const current = currentOf(all);
  const pending = current && !hasEnded(current) ? current : undefined;
  const removal = pending?.status === 'cancelling' ? undefined : pending?.removal_due_at;
  const known = new Map(pending?.connections.map((connection) => [connection.connection_id, connection]));
  const { offboarding_id = null, status = null, action = null, requested_by = null, reason = null } = current ?? {};
  const { last_error = null, next_try_at = null } = pending ?? {};
  const about = { offboarding_id, status, action, removal_due_at: removal ?? null, requested_by, reason };
  const connections = associations.map(({ connection_id, is_enabled = null, connection }) => ({
    connection_id,
    name: connection?.name ?? null,
    strategy: connection?.strategy ?? null,
    is_enabled,
    removal_pending: removal !== undefined && known.has(connection_id) && is_enabled === false,
    disabled_by_offboarding: known.get(connection_id)?.disabled_by_offboarding ?? false,
  }));
  return { status: 200, body: { organization_id: organizationId, ...about, last_error, next_try_at, connections } };
}
