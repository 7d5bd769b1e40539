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

type Play = (input: unknown) => string;

/** A play of `schema`'s input; `run` returns the sentence that the visitor reads and the timeline keeps. */
const createPlay =
  (timeline: Timeline) =>
  <Schema extends v.GenericSchema>(schema: Schema, run: (input: v.InferOutput<Schema>) => string): Play =>
  (input) => {
    const given = v.parse(schema, input);
    const text = run(given);
    const { organization_id } = given as { organization_id?: string };
    const organization_ids = organization_id ? [organization_id] : [];
    timeline.add({ kind: 'play', organization_ids, text, detail: '', failed: false });
    return text;
  };

function enableAll(tenant: Auth0Tenant): number {
  const disabled = Object.entries(tenant.state().organizations).flatMap(([organizationId, connections]) =>
    connections.flatMap(({ connection_id, is_enabled }) =>
      is_enabled ? [] : [[organizationId, connection_id] as const],
    ),
  );
  for (const [organizationId, connectionId] of disabled) tenant.enableConnection(organizationId, connectionId);
  return disabled.length;
}

function createOutage(tenant: Auth0Tenant) {
  let current: { until: number; timer: NodeJS.Timeout } | undefined;
  function end(): void {
    clearTimeout(current?.timer);
    current = undefined;
    tenant.clearFaults();
  }
  return {
    start() {
      end();
      tenant.addFaults({ status: 503, times: Number.POSITIVE_INFINITY });
      current = { until: Date.now() + OUTAGE_MS, timer: setTimeout(end, OUTAGE_MS).unref() };
    },
    end,
    until: () => (current ? new Date(current.until).toISOString() : null),
  };
}

/** Each play by its name: it takes a JSON object, and throws where that is not what it takes. */
export function createPlays(tenant: Auth0Tenant, timeline: Timeline) {
  const play = createPlay(timeline);
  const outage = createOutage(tenant);
  const named: Record<string, Play> = {
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
    terraformApplies: play(None, () => `Terraform applied: it enabled ${enableAll(tenant)} disabled connections.`),
    startOutage: play(None, () => {
      outage.start();
      return `Auth0 answers 503 for ${OUTAGE_MS / 1000} seconds.`;
    }),
    endOutage: play(None, () => {
      outage.end();
      return 'Auth0 answers as usual.';
    }),
    reset: play(None, () => {
      setDemoTenant(tenant);
      return 'The demo organizations are as they were at the start.';
    }),
  };
  /** `outageUntil`: until when Auth0 answers 503 (ISO 8601); null when it answers as usual. */
  return { named, outageUntil: outage.until };
}
