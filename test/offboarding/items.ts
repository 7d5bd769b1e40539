// Items of one organization as the rules take them, each with defaults: a test says only what it is about.

import {
  emptyOrganization,
  type LedgerEntry,
  type OpenRequest,
  type Organization,
  type OutboxEntry,
} from '../../lib/offboarding/model/organization.ts';
import { iso, type Stage } from '../../lib/offboarding/model/stage.ts';
import type { Listing } from '../../lib/offboarding/rules/connections.ts';

export const ORG = 'org_bCE84ZIRjtX58FeO';
export const NOW = Date.parse('2026-11-24T09:00:00.500Z');
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** A moment `ms` before now, as the items have it. */
export const ago = (ms: number): string => iso(NOW - ms);

export const STAGE: Stage = {
  defaultGracePeriod: 'P30D',
  minimumGracePeriod: 'P1D',
  removalNotice: 'P3D',
  giveUpAfter: 'P7D',
  watchInterval: 'P1D',
  watchFor: 'P400D',
  canEndSessions: true,
  canEndMachineAccess: true,
};

type Parameters = OpenRequest['parameters'];
export const parameters = (changes: Partial<Parameters> = {}): Parameters => ({
  action: 'disable_then_remove',
  reason: 'contract ended',
  requested_by: 'billing',
  dry_run: false,
  on_reenable: 'report',
  end_sessions: false,
  end_machine_access: false,
  ...changes,
});

/** A request over HTTP, made a minute ago; `of` are changes of its parameters. */
export function request(
  offboarding_id: string,
  changes: Partial<OpenRequest> = {},
  of: Partial<Parameters> = {},
): OpenRequest {
  const at = ago(MINUTE);
  return {
    offboarding_id,
    requested_at: at,
    accepted_at: at,
    parameters: parameters(of),
    request: { id: offboarding_id, source: 'org-connections', time: at },
    caller: 'arn:caller',
    status: 'requested',
    updated_at: at,
    attempts: 0,
    outcomes: {},
    ...changes,
  };
}

/** A request that came as an event. */
export const byEvent = (offboarding_id: string, changes: Partial<OpenRequest> = {}, of: Partial<Parameters> = {}) =>
  request(
    offboarding_id,
    { request: { id: `event-${offboarding_id}`, source: 'billing', time: '2026-11-24T08:59:00Z' }, ...changes },
    of,
  );

/** A connection on the ledger that `claims` have disabled. */
export const entry = (id: string, claims: string[], changes: Partial<LedgerEntry> = {}): LedgerEntry => ({
  kind: 'connection',
  id,
  name: `name of ${id}`,
  strategy: 'okta',
  before: { is_enabled: true },
  claims,
  disabled_by_us: true,
  ...changes,
});

export const grant = (id: string, claims: string[], changes: Partial<LedgerEntry> = {}): LedgerEntry =>
  entry(id, claims, {
    kind: 'client_grant',
    name: null,
    strategy: null,
    before: { client_id: `client of ${id}`, audience: 'api', scope: ['read'] },
    ...changes,
  });

export const outbox = (
  event: OutboxEntry['event'],
  offboarding_id: string,
  changes: Partial<OutboxEntry> = {},
): OutboxEntry => ({
  event,
  offboarding_id,
  at: ago(0),
  ...changes,
});

export const organization = (changes: Partial<Organization> = {}): Organization => ({
  ...emptyOrganization(ORG),
  revision: 3,
  version: 'v.1',
  ...changes,
});

/** A list of Auth0's, made now: ids of connections that are enabled, or whole connections. */
export const listing = (
  connections: (string | Listing['connections'][number])[],
  changes: Partial<Listing> = {},
): Listing => ({
  at: NOW,
  connections: connections.map((one) => (typeof one === 'string' ? { connection_id: one, is_enabled: true } : one)),
  ...changes,
});
export const off = (connection_id: string) => ({ connection_id, is_enabled: false });
export const listedGrant = (id: string) => ({ id, client_id: `client of ${id}`, audience: 'api', scope: ['read'] });

/** The request of an item; throws where it is not there. */
export function found(item: Organization, id: string): OpenRequest {
  const one = item.requests.find(({ offboarding_id }) => offboarding_id === id);
  if (!one) throw new Error(`${id} is not in the item`);
  return one;
}
export const events = ({ outbox: all }: Organization) =>
  all.map(({ event, offboarding_id }) => `${event} ${offboarding_id}`);
export const statuses = ({ requests }: Organization) =>
  Object.fromEntries(requests.map(({ offboarding_id, status }) => [offboarding_id, status]));
