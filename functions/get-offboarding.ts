import { scheduler } from '../lib/aws.ts';
import { removalSchedulePlace } from '../lib/environment.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { managementApiOfEnvironment } from '../lib/management-api.ts';
import { createRemovalSchedule } from '../lib/removal-schedule.ts';

const managementApi = managementApiOfEnvironment();
const removals = createRemovalSchedule(removalSchedulePlace(), scheduler());

export const handler = httpApi(getOffboarding);

/** `GET /organizations/{organization_id}/offboarding`: 200, the pending removal if there is one, and each connection as it is in Auth0 now. */
async function getOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const [record, associations] = await Promise.all([
    removals.read(organizationId),
    managementApi.list(organizationId, calls),
  ]);
  const pending = record?.status === 'cancelled' ? undefined : record;
  const disabledByIt = new Map(pending?.connections.map((one) => [one.connection_id, one.disabled_by_offboarding]));
  return {
    status: 200,
    body: {
      organization_id: organizationId,
      removal_due_at: pending?.removal_due_at ?? null,
      offboarding_id: pending?.request.id ?? null,
      requested_by: pending?.requested_by ?? null,
      reason: pending?.reason ?? null,
      connections: associations.map(({ connection_id, is_enabled, connection }) => ({
        connection_id,
        name: connection?.name ?? null,
        strategy: connection?.strategy ?? null,
        is_enabled,
        removal_pending: disabledByIt.has(connection_id) && !is_enabled,
        disabled_by_offboarding: disabledByIt.get(connection_id) ?? false,
      })),
    },
  };
}
