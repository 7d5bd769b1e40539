import { dynamoDb } from '../lib/aws.ts';
import { required } from '../lib/environment.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { managementApiOfEnvironment } from '../lib/management-api.ts';
import { createOffboardingQueries, currentOf, hasEnded } from '../lib/offboarding-record.ts';

const managementApi = managementApiOfEnvironment();
const records = createOffboardingQueries(required('OFFBOARDINGS_TABLE'), dynamoDb());

export const handler = httpApi(getOffboarding, { organization: true });

/** `GET /organizations/{organization_id}/offboarding`: 200, the current offboarding if there is one, and each connection as it is in Auth0 now. */
async function getOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const [all, associations] = await Promise.all([
    records.ofOrganization(organizationId),
    managementApi.list(organizationId, calls),
  ]);
  const current = currentOf(all);
  const pending = current && !hasEnded(current.status) ? current : undefined;
  const removal = pending?.status === 'cancelling' ? undefined : pending?.removal_due_at;
  const known = new Map(pending?.connections.map((connection) => [connection.connection_id, connection]));
  return {
    status: 200,
    body: {
      organization_id: organizationId,
      offboarding_id: current?.offboarding_id ?? null,
      status: current?.status ?? null,
      action: current?.action ?? null,
      removal_due_at: removal ?? null,
      requested_by: current?.requested_by ?? null,
      reason: current?.reason ?? null,
      last_error: pending?.last_error ?? null,
      next_try_at: pending?.next_try_at ?? null,
      connections: associations.map(({ connection_id, is_enabled, connection }) => ({
        connection_id,
        name: connection?.name ?? null,
        strategy: connection?.strategy ?? null,
        is_enabled: is_enabled ?? null,
        removal_pending: removal !== undefined && known.has(connection_id) && is_enabled === false,
        disabled_by_offboarding: known.get(connection_id)?.disabled_by_offboarding ?? false,
      })),
    },
  };
}
