import { list, type OrganizationConnection } from '../lib/auth0/management-api.ts';
import { createPacer, HEADROOM } from '../lib/auth0/rate-limit.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http/http-api.ts';
import { shownSessions } from '../lib/offboarding/list.ts';
import { type ConnectionRecord, hasEnded, type Offboarding } from '../lib/offboarding/offboarding.ts';
import { getOrganization, openRecords } from '../lib/offboarding/organization.ts';
import { currentOf, statusOf } from '../lib/offboarding/rules.ts';
import { asProblem } from '../lib/problem.ts';

/** What looks goes after what ends access, milliseconds: no longer than this it waits for the tenant's limit. */
const LONGEST_WAIT_MS = 2000;

// One for all requests of a container: it leaves room in the bucket for the worker.
export const handler = httpApi(getOffboarding, { organization: true, pacer: createPacer(HEADROOM.batch) });

/**
 * `GET /organizations/{organization_id}/offboarding`: 200, the current offboarding if there is one, and each connection as it is
 * in Auth0 now; where Auth0 can not be asked (`auth0: "not_asked"`), as the record has it.
 */
async function getOffboarding({ organizationId: organization_id, calls }: HttpRequest): Promise<HttpResponse> {
  const briefly = { ...calls, longestWait: LONGEST_WAIT_MS, maxAttempts: 2 };
  const asked = list(organization_id, briefly).catch((error) => error);
  const organization = await getOrganization(organization_id);
  const current = currentOf(await openRecords(organization));
  const listed = await asked;
  // A mistyped organization is told; an outage is not the end of what is on record.
  if (listed instanceof Error && !(current && asProblem(listed).isTransient)) throw listed;
  const status = current ? statusOf(current, organization) : null;
  const pending = current && !hasEnded(current) ? current : undefined;
  const removal_due_at = (status !== 'cancelling' && pending?.removal_due_at) || null;
  const known: Partial<Offboarding> = current ?? {};
  const { offboarding_id = null, action = null, asked_at = null, watch = null, drifted = 0 } = known;
  const { requested_by = null, reason = null, caller = null } = known;
  const { look_at = null, looked_at = null } = watch === 'on' ? organization : {};
  const connections = listed instanceof Error ? onRecord(current) : inAuth0(listed, current);
  const body = {
    ...{ organization_id, status, removal_due_at, offboarding_id, action, requested_by, reason, caller, asked_at },
    ...{ watch, drifted, look_at, looked_at },
    last_error: (pending ? pending.last_error : current?.error) ?? null,
    next_try_at: pending?.next_try_at ?? null,
    sessions: current ? shownSessions(current) : null,
    auth0: listed instanceof Error ? 'not_asked' : 'asked',
    connections: connections.map(({ held, ...one }) => ({
      ...one,
      removal_pending: removal_due_at !== null && held !== undefined && one.is_enabled === false,
      disabled_by_offboarding: pending !== undefined && (held ?? false),
    })),
  };
  return { status: 200, body };
}

type Connection = Pick<ConnectionRecord, 'connection_id' | 'name' | 'strategy'> & {
  is_enabled: boolean | null;
  /** Whether the current offboarding holds it; undefined when it does not name it. */
  held: boolean | undefined;
};

function inAuth0(listed: OrganizationConnection[], current: Offboarding | undefined): Connection[] {
  const known = new Map(current?.connections.map((one) => [one.connection_id, one.disabled_by_offboarding]));
  return listed.map(({ connection_id, is_enabled = null, connection }) => {
    const names = { name: connection?.name ?? null, strategy: connection?.strategy ?? null };
    return { connection_id, ...names, is_enabled, held: known.get(connection_id) };
  });
}

const onRecord = (current: Offboarding | undefined): Connection[] =>
  (current?.connections ?? []).map(({ connection_id, name, strategy, outcome, disabled_by_offboarding: held }) => {
    const is_enabled = outcome === 'disabled' ? false : outcome === 'enabled' ? true : null;
    return { connection_id, name, strategy, is_enabled, held };
  });
