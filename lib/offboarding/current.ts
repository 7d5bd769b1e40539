import type { CallContext } from '../auth0/call-context.ts';
import { list, type OrganizationConnection } from '../auth0/management-api.ts';
import { asProblem } from '../problem.ts';
import { shownSessions } from './list.ts';
import { type ConnectionRecord, hasEnded, type Offboarding } from './offboarding.ts';
import { getOrganization, openRecords } from './organization.ts';
import { currentOf, statusOf } from './rules.ts';

/** What looks goes after what ends access, milliseconds: no longer than this it waits for the tenant's limit. */
const LONGEST_WAIT_MS = 2000;

/**
 * An organization's current offboarding, null in each member where there is none, and each connection as it is in Auth0 now; where
 * Auth0 can not be asked (`auth0: "not_asked"`), as the record has it. Throws `unknown_organization`, `record_unavailable`, and
 * where nothing is on record what Auth0's failure is to a caller.
 */
export async function showCurrent(organization_id: string, context: CallContext) {
  const briefly = { ...context, longestWait: LONGEST_WAIT_MS, maxAttempts: 2 };
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
  return {
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
