// The service's records, as GET /offboardings shows them, and the words for what they say.
import { type Service, withQuery } from './service.ts';
import { dateOf, plain } from './terminal.ts';

/** What went wrong: a stable code and a sentence. */
export interface Fault {
  code: string;
  message: string;
}
export interface Connection {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  outcome: string | null;
  before?: Record<string, unknown> | null;
  error: Fault | null;
  disabled_by_offboarding?: boolean;
  /** Since when it is enabled again, and the last times that this happened. */
  drifted_at?: string;
  reenabled_at?: string[];
}
/** What lets the customer in without a connection, and stays. Kinds may be added. */
export interface RemainingAccess {
  kind: string;
  client_id?: string;
  audience?: string;
  scope?: string[];
}
export interface ClientGrant {
  grant_id?: string;
  client_id: string;
  audience: string;
  scope: string[];
  outcome: string | null;
  error: Fault | null;
}
/** Who did something, when and why. */
export interface Act {
  at: string;
  caller: string;
  requested_by?: string | null;
  reason?: string | null;
}
export interface Sessions {
  status: string;
  members: number;
  revocations_requested: number;
  skipped: number;
  failed: number;
  error?: Fault | null;
}
export interface Offboarding {
  organization_id: string;
  /** Auth0's name; null where the stage may not read it. */
  organization_name?: string | null;
  offboarding_id: string;
  batch_id?: string;
  correlation_id?: string;
  action: string;
  status: string;
  requested_by: string;
  caller?: string;
  reason: string;
  dry_run: boolean;
  grace_period?: string | null;
  on_reenable?: string;
  connection_ids?: string[] | null;
  urgent?: boolean;
  end_sessions?: boolean;
  end_machine_access?: boolean;
  requested_at: string;
  updated_at?: string;
  ended_at?: string | null;
  removal_due_at?: string | null;
  watch?: string | null;
  last_error?: Fault | null;
  next_try_at?: string | null;
  error?: Fault | null;
  cancelled?: Act | null;
  watch_ended?: Act | null;
  drift_count?: number;
  sessions?: Sessions | null;
  connections: Connection[];
  client_grants?: ClientGrant[];
  remaining_access?: RemainingAccess[] | null;
}

export const PENDING = ['requested', 'working', 'scheduled', 'removing', 'cancelling'];
const ENDED = ['completed', 'failed', 'cancelled', 'superseded'];
export const STATUSES = [...PENDING, ...ENDED];
/** How far an offboarding is watched: to its end, or until it waits for the date of its removal. */
export const SETTLED = { ended: ENDED, scheduled: [...ENDED, 'scheduled'] };
export const ORGANIZATION_ID = /^org_[A-Za-z0-9]{1,46}$/;
export const CONNECTION_ID = /^con_[A-Za-z0-9]{1,46}$/;
export const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Every record that fits `query`, page by page. */
export async function* records(service: Service, query: Record<string, string>): AsyncGenerator<Offboarding> {
  let cursor: string | null | undefined;
  do {
    const page = await service.call('GET', listOf({ ...query, ...(cursor && { cursor }) }));
    yield* (page.offboardings ?? []) as Offboarding[];
    cursor = page.cursor as string | null | undefined;
  } while (cursor);
}

export const listOf = (query: Record<string, string>) => withQuery('/offboardings', query);

/** Every record of an organization, newest first: dry runs, which come often, hide no other. */
export async function recordsOfOrganization(service: Service, organization_id: string): Promise<Offboarding[]> {
  const all: Offboarding[] = [];
  for await (const record of records(service, { organization_id })) all.push(record);
  return all;
}

/** Every record of each of `batches`. */
export async function recordsOf(service: Service, batches: string[]): Promise<Offboarding[]> {
  const all: Offboarding[] = [];
  for (const batch_id of batches) for await (const record of records(service, { batch_id })) all.push(record);
  return all;
}

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

/** "API https://api.example.com of client abc". */
export const grantOf = ({ client_id, audience, kind }: Partial<ClientGrant & RemainingAccess>) =>
  client_id === undefined ? plain(kind) : `client grant of ${plain(client_id)} for ${plain(audience)}`;

const DONE: Record<string, string> = {
  disabled: 'disabled',
  removed: 'removed',
  enabled: 'enabled again',
  restored: 'restored',
};

/** What became of a connection, or would: "disabled now, removed on 25 December 2026". */
export function whatBecame(record: Offboarding, connection: Connection): string {
  const { outcome, before, error } = connection;
  const would = record.dry_run ? 'would be ' : '';
  const due = record.dry_run || record.status === 'scheduled' ? record.removal_due_at : undefined;
  const later = due && before ? `, ${would ? '' : 'to be '}removed on ${dateOf(due)}` : '';
  if (outcome === 'failed') return `failed: ${plain(error?.message ?? 'no more was said')}`;
  if (outcome === 'unchanged') {
    if (!before) return 'not there: nothing to do';
    // At the date everything that is still disabled is removed, whoever disabled it.
    return before.is_enabled === false ? `${would ? 'is ' : 'was '}disabled already${later}` : 'left as it is';
  }
  if (outcome && DONE[outcome])
    return `${would}${DONE[outcome]}${would ? ' now' : ''}${outcome === 'disabled' ? later : ''}`;
  return 'not known yet';
}

/** What became of a client grant, or would. */
export function whatBecameOfGrant({ dry_run }: Offboarding, { outcome, error }: ClientGrant): string {
  if (outcome === 'failed') return `failed: ${plain(error?.message ?? 'no more was said')}`;
  if (outcome === 'unchanged') return 'left as it is';
  if (!outcome || !DONE[outcome]) return 'not known yet';
  return dry_run ? `would be ${DONE[outcome]} now` : DONE[outcome];
}
