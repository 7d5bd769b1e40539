import type { CallContext } from '../../auth0/call-context.ts';
import { listClientGrants } from '../../auth0/client-grants.ts';
import { getOrganizationName, list, type OrganizationConnection } from '../../auth0/management-api.ts';
import { asProblem } from '../../problem.ts';
import { emptyOrganization, type Organization } from '../model/organization.ts';
import type { ConnectionRecord, OffboardingRecord } from '../model/record.ts';
import { hasEnded } from '../model/status.ts';
import { recordOf, remainingAccessOf, remainingIn } from '../rules/projection.ts';
import { isCarriedOut } from '../rules/requests.ts';
import { readOrganization, readRecord } from '../store/table-shell.ts';
import { countedOf } from './counted.ts';
import { sessionsView } from './list.ts';

/** A read gives way to what ends access, milliseconds: no longer than this it waits for the tenant's limit. */
const LONGEST_WAIT_MS = 2000;

/**
 * The view of an organization: its current offboarding, null in each member where there is none, and each connection as it is in
 * Auth0 now; where Auth0 does not answer (`connections_source: "record"`), as the record has it. Throws `unknown_organization`,
 * `record_unavailable`, and Auth0's failure where nothing is on record.
 */
export async function currentOffboarding(organization_id: string, context: CallContext) {
  const briefly = { ...context, longestWait: LONGEST_WAIT_MS, maxAttempts: 2 };
  const listing = list(organization_id, briefly).catch((error) => error as Error);
  const grants = listClientGrants(organization_id, briefly).catch(() => null);
  const name = getOrganizationName(organization_id, briefly);
  const item = (await readOrganization(organization_id)) ?? emptyOrganization(organization_id);
  const current = await currentOf(item);
  const listed = await listing;
  // A mistyped organization is an error; an outage hides nothing of what is on record.
  if (listed instanceof Error && !(current && asProblem(listed).isTransient)) throw listed;
  const isFromAuth0 = !(listed instanceof Error);
  // What a later cancellation enabled, this record does not say.
  const isCancelledSince = current !== undefined && (item.cancellation?.at ?? '') > current.requested_at;
  const connections = isFromAuth0 ? inAuth0(listed, current) : onRecord(current, isCancelledSince);
  const remaining_access = remainingIn(isFromAuth0 ? await grants : null);
  return {
    ...viewOf(item, current),
    organization_id,
    organization_name: await name,
    connections_source: isFromAuth0 ? 'auth0' : 'record',
    connections: connections.map((one) => withPlans(one, current)),
    remaining_access: remainingAccessOf({ remaining_access, ledger: [] }),
  };
}

/** The newest offboarding that is pending, or else that was carried out; a dry run is none. */
async function currentOf(item: Organization): Promise<OffboardingRecord | undefined> {
  const requests = (await countedOf(item.requests)).filter(({ parameters }) => !parameters.dry_run);
  const pending = requests.findLast((one) => !hasEnded(one));
  const ended = requests.findLast(isCarriedOut);
  const isNewer = ended && ended.requested_at > (item.current?.requested_at ?? '');
  const open = pending ?? (isNewer ? ended : undefined);
  const offboarding_id = open ? open.offboarding_id : item.current?.offboarding_id;
  if (!offboarding_id || (open && !hasEnded(open))) return open && recordOf(item, open);
  const record = await readRecord({ organization_id: item.organization_id, offboarding_id });
  return open ? recordOf(item, open, record) : record;
}

/** What is shown of the current offboarding as its record has it. */
const SHOWN = 'offboarding_id status action requested_at requested_by caller reason watch';

/** The members of the current offboarding; each null where there is none. */
function viewOf(item: Organization, current: OffboardingRecord | undefined) {
  const pending = current && !hasEnded(current) ? current : undefined;
  const watched = current?.watch === 'on' ? item : undefined;
  return {
    ...Object.fromEntries(SHOWN.split(' ').map((name) => [name, Object(current)[name] ?? null])),
    removal_due_at: (pending?.status !== 'cancelling' && pending?.removal_due_at) || null,
    last_error: (pending ? pending.last_error : current?.error) ?? null,
    next_try_at: pending?.next_try_at ?? null,
    drift_count: current?.drift_count ?? 0,
    next_drift_check_at: watched?.next_drift_check_at ?? null,
    last_drift_check_at: watched?.last_drift_check_at ?? null,
    sessions: current ? sessionsView(current) : null,
    ...(current?.client_grants && { client_grants: current.client_grants }),
  };
}

type Connection = Pick<ConnectionRecord, 'connection_id' | 'name' | 'strategy'> & { is_enabled: boolean | null };

const inAuth0 = (listed: OrganizationConnection[], current: OffboardingRecord | undefined): Connection[] =>
  listed.map(({ connection_id, is_enabled = null, connection }) => {
    const known = current?.connections.find((one) => one.connection_id === connection_id);
    const name = connection?.name ?? known?.name ?? null;
    return { connection_id, name, strategy: connection?.strategy ?? null, is_enabled };
  });

const onRecord = (current: OffboardingRecord | undefined, isOld: boolean): Connection[] =>
  (current?.connections ?? []).map(({ connection_id, name, strategy, outcome }) => {
    const is_enabled = isOld ? null : outcome === 'disabled' ? false : outcome === 'enabled' ? true : null;
    return { connection_id, name, strategy, is_enabled };
  });

/** What the current offboarding will do with a connection, and what its cancellation would. */
function withPlans(one: Connection, current: OffboardingRecord | undefined) {
  const known = current?.connections.find(({ connection_id }) => connection_id === one.connection_id);
  const isPending = current !== undefined && !hasEnded(current);
  const isDue = isPending && current.removal_due_at !== undefined && current.status !== 'cancelling';
  return {
    ...one,
    removal_pending: isDue && known !== undefined && one.is_enabled === false,
    disabled_by_offboarding: known?.disabled_by_offboarding ?? false,
  };
}
