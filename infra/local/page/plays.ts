// What a visitor may have the stand-ins play: what people and tools do to a tenant behind the service's back.
import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import type { Auth0Tenant } from '../auth0-tenant.ts';
import { setDemoTenant } from './demo-tenant.ts';
import type { Timeline } from './timeline.ts';

/** How long Auth0 answers 503 when somebody has it do so, milliseconds. */
const OUTAGE_MS = 30_000;

const Id = (kind: string) => v.pipe(v.string(), v.regex(new RegExp(`^${kind}_[A-Za-z0-9]{1,50}$`)));
const OrganizationId = Id('org');
const None = v.strictObject({});
const OfConnection = v.strictObject({ organization_id: OrganizationId, connection_id: Id('con') });
const OfOrganization = v.strictObject({ organization_id: OrganizationId });

/** Each play by its name: takes a JSON object, tells the timeline, and returns the sentence that the visitor reads. */
export function createPlays(tenant: Auth0Tenant, timeline: Timeline) {
  let outage: { until: number; timer: NodeJS.Timeout } | undefined;

  const play =
    <Schema extends v.GenericSchema>(schema: Schema, run: (input: v.InferOutput<Schema>) => string) =>
    (input: unknown): string => {
      const given = v.parse(schema, input);
      const text = run(given);
      const { organization_id } = given as { organization_id?: string };
      const organization_ids = organization_id ? [organization_id] : [];
      timeline.add({ kind: 'play', organization_ids, text, detail: '', failed: false });
      return text;
    };

  function enableAll(): number {
    let count = 0;
    for (const [organizationId, connections] of Object.entries(tenant.state().organizations))
      for (const { connection_id, is_enabled } of connections) {
        if (is_enabled) continue;
        tenant.enableConnection(organizationId, connection_id);
        count += 1;
      }
    return count;
  }

  function endOutage(): void {
    clearTimeout(outage?.timer);
    outage = undefined;
    tenant.clearFaults();
  }

  return {
    named: {
      enableConnection: play(OfConnection, ({ organization_id, connection_id }) => {
        tenant.enableConnection(organization_id, connection_id);
        return `Somebody enabled ${connection_id} by hand.`;
      }),
      customerEnables: play(OfConnection, ({ organization_id, connection_id }) =>
        tenant.customerEnables(organization_id, connection_id)
          ? `The customer's administrator enabled ${connection_id}.`
          : `Auth0 refused the customer's administrator: the access level of ${connection_id} does not allow it.`,
      ),
      customerAdds: play(OfOrganization, ({ organization_id }) => {
        const connectionId = `con_${randomBytes(8).toString('hex')}`;
        tenant.customerAdds(organization_id, connectionId);
        return `The customer's administrator added ${connectionId}.`;
      }),
      terraformApplies: play(None, () => `Terraform applied: it enabled ${enableAll()} disabled connections.`),
      startOutage: play(None, () => {
        endOutage();
        tenant.addFaults({ status: 503, times: Number.POSITIVE_INFINITY });
        outage = { until: Date.now() + OUTAGE_MS, timer: setTimeout(endOutage, OUTAGE_MS).unref() };
        return `Auth0 answers 503 for ${OUTAGE_MS / 1000} seconds.`;
      }),
      endOutage: play(None, () => {
        endOutage();
        return 'Auth0 answers as usual.';
      }),
      reset: play(None, () => {
        setDemoTenant(tenant);
        return 'The demo organizations are as they were at the start.';
      }),
    } as Record<string, (input: unknown) => string>,
    /** Until when Auth0 answers 503 (ISO 8601); null when it answers as usual. */
    outageUntil: () => (outage ? new Date(outage.until).toISOString() : null),
  };
}
