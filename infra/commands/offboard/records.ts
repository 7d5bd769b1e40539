// The service's records, as GET /offboardings shows them, and the words for what they say.
import type { Service } from './service.ts';
import { dateOf, plain } from './terminal.ts';

export interface Failure {
  code: string;
  message: string;
}
export interface Connection {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  outcome: string | null;
  before?: Record<string, unknown> | null;
  error: Failure | null;
  disabled_by_offboarding?: boolean;
}
export interface Offboarding {
  organization_id: string;
  offboarding_id: string;
  batch_id?: string;
  correlation_id?: string;
  action: string;
  status: string;
  requested_by: string;
  caller?: string;
  reason: string;
  dry_run: boolean;
  request?: { time?: string };
  asked_at?: string;
  created_at: string;
  ended_at?: string;
  removal_due_at?: string;
  watch?: string;
  last_error?: Failure;
  next_try_at?: string;
  error?: Failure;
  connections: Connection[];
}

/** What is not as far as it goes; `scheduled` waits for its grace period. */
export const PENDING = ['requested', 'working', 'scheduled', 'removing', 'cancelling'];
export const STATUSES = [...PENDING, 'completed', 'failed', 'cancelled', 'superseded'];
export const ORGANIZATION_ID = /^org_[A-Za-z0-9]{1,46}$/;
export const CONNECTION_ID = /^con_[A-Za-z0-9]{1,46}$/;
export const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** What to do about a failure, by its code. */
export const ADVICE: Record<string, string> = {
  unknown_organization:
    'the tenant of this stage has no such organization: check the id; if it was deleted, nothing is left to do',
  unknown_connection: 'the organization has no such connection (any more): nothing is left to do',
  rejected_by_auth0: "Auth0 does not take this for the connection's strategy: look at it in the Dashboard",
  forbidden_by_auth0: "the tenant's plan or policy forbids it: Auth0's words say which",
  management_token_scope_missing: 'grant the scope to the application, rotate the token, plan anew',
  management_token_rejected: 'rotate the management token, plan anew',
  management_token_unavailable: 'rotate the management token, plan anew',
  auth0_unavailable: 'Auth0 failed for as long as the stage waits: plan anew when it is well',
  auth0_timeout: 'Auth0 did not answer for as long as the stage waits: plan anew when it is well',
  rate_limited: "the tenant's rate limit was used up for as long as the stage waits: plan anew later",
  end_sessions_not_enabled: 'the stage does not end sessions: plan anew without it',
  enabled_meanwhile: 'somebody enabled it again before the removal was due: find out who, then plan anew',
};

/** Every record that `query` fits, page by page. */
export async function* records(service: Service, query: Record<string, string>): AsyncGenerator<Offboarding> {
  let cursor: string | null | undefined;
  do {
    const page = await service.call('GET', listOf({ ...query, ...(cursor && { cursor }) }));
    yield* (page.offboardings ?? []) as Offboarding[];
    cursor = page.cursor as string | null | undefined;
  } while (cursor);
}

export const listOf = (query: Record<string, string>) => `/offboardings?${new URLSearchParams(query)}`;

/** How many of a batch have each status. */
export async function countsOf(service: Service, batch_id: string): Promise<Record<string, number>> {
  const { counts } = await service.call('GET', listOf({ batch_id, limit: '1' }));
  return (counts ?? {}) as Record<string, number>;
}

/** What a connection is called: its name, else its id. */
export const nameOf = ({ name, strategy, connection_id }: Connection) =>
  `${plain(name || connection_id)}${strategy ? ` (${plain(strategy)})` : ''}`;

/** Whether the customer's own administrators may enable the connection again. */
export const isCustomers = ({ before }: Connection) =>
  before?.organization_access_level === 'limited' || before?.organization_access_level === 'full';

const DONE: Record<string, string> = { disabled: 'disabled', removed: 'removed', enabled: 'enabled again' };

/** What became of a connection, or would: "disabled now, removed on 25 December 2026". */
export function whatBecame(record: Offboarding, connection: Connection): string {
  const { outcome, before, error } = connection;
  const would = record.dry_run ? 'would be ' : '';
  const isDue = record.removal_due_at !== undefined && (record.dry_run || record.status === 'scheduled');
  const later = isDue && before !== null ? `, ${would ? '' : 'to be '}removed on ${dateOf(record.removal_due_at)}` : '';
  if (outcome === 'failed') return `failed: ${plain(error?.message ?? 'no more was said')}`;
  if (outcome === 'unchanged') {
    if (!before) return 'not there: nothing to do';
    // At the date all that is still disabled is removed, whoever disabled it.
    return before.is_enabled === false ? `${would ? 'is ' : 'was '}disabled already${later}` : 'left as it is';
  }
  if (outcome && DONE[outcome])
    return `${would}${DONE[outcome]}${would ? ' now' : ''}${outcome === 'disabled' ? later : ''}`;
  return 'not known yet';
}

/** When it was asked for. */
export const askedAt = (record: Offboarding) => record.asked_at ?? record.request?.time ?? record.created_at;
