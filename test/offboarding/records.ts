// An organization on plain objects, as the rules see it: what a test does not say is as on an ordinary day.
import type { OrganizationConnection } from '../../lib/auth0/management-api.ts';
import type { ConnectionRecord, Offboarding } from '../../lib/offboarding/offboarding.ts';
import type { State } from '../../lib/offboarding/rules.ts';

export const NOW = new Date('2026-11-25T09:00:00.000Z');
/** So many hours before (or, negative, after) now. */
export const ago = (hours: number) => new Date(NOW.getTime() - hours * 3_600_000).toISOString();
export const A = 'con_A';
export const B = 'con_B';

export const listed = (connection_id: string, is_enabled: boolean | undefined = true, more: object = {}) =>
  ({
    connection_id,
    is_enabled,
    connection: { name: connection_id, strategy: 'samlp' },
    ...more,
  }) as OrganizationConnection;

export const connection = (connection_id: string, more: Partial<ConnectionRecord> = {}): ConnectionRecord => ({
  ...{ connection_id, name: connection_id, strategy: 'samlp', before: { is_enabled: true } },
  ...{ outcome: null, error: null, attempted: false, disabled_by_offboarding: false },
  ...more,
});
export const heldOne = (connection_id: string, more: Partial<ConnectionRecord> = {}) =>
  connection(connection_id, { outcome: 'disabled', disabled_by_offboarding: true, ...more });

export const record = (offboarding_id: string, more: Partial<Offboarding> = {}): Offboarding => ({
  ...{ organization_id: 'org_1', offboarding_id, action: 'disable', requested_by: 'billing', reason: 'ended' },
  ...{ dry_run: false, on_reenable: 'report', end_sessions: false, caller: 'test' },
  request: { id: offboarding_id, source: 'test', time: ago(10) },
  ...{ asked_at: ago(10), created_at: ago(10), updated_at: ago(9), status: 'requested', version: '1' },
  ...{ attempts: 0, connections: [], ...more },
});
export const scheduled = (id: string, more: Partial<Offboarding> = {}) =>
  record(id, {
    ...{ status: 'scheduled', action: 'disable_then_remove', removal_due_at: ago(-100), watch: 'on' },
    ...{ connections: [heldOne(A)], ...more },
  });
export const completed = (id: string, more: Partial<Offboarding> = {}) =>
  record(id, {
    ...{ status: 'completed', watch: 'on', ended_at: ago(8) },
    ...{ connections: [heldOne(A)], ...more },
  });

export const cancellation = (ids: string[], more: object = {}) => ({
  ...{ at: ago(1), caller: 'support', reason: 'renewed', ids, pending: ids },
  ...more,
});

export const state = (
  records: Offboarding[],
  {
    organization = {},
    ...more
  }: Partial<Omit<State, 'organization'>> & { organization?: Partial<State['organization']> } = {},
): State => ({
  organization: { organization_id: 'org_1', open: records.map((one) => one.offboarding_id), ...organization },
  records,
  ...{ listed: [listed(A), listed(B)], now: NOW, postponed: new Set<string>() },
  ...{ isTooOld: () => false, isWatchOver: () => false, wasAbandoned: false, canEndSessions: true },
  ...more,
});
