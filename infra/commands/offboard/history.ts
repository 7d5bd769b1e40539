// What offboardings took from an organization and did not give back, by its records. Nothing is read from the service here.
import type { ClientGrant, Connection, Offboarding } from './records.ts';

/** A connection that is gone or off, with the settings that it had before. */
export interface Taken {
  connection: Connection;
  /** A removed connection is made anew; a disabled one is enabled. */
  is: 'removed' | 'disabled';
  settings: Record<string, unknown>;
  /** The offboarding that did it last. */
  record: Offboarding;
}
export interface TakenGrant {
  grant: ClientGrant;
  record: Offboarding;
}

/** What one organization's records say was taken; of later records the last one counts, and what was enabled again is not taken. */
export function takenFrom(all: Offboarding[]): { connections: Taken[]; grants: TakenGrant[] } {
  const connections = new Map<string, Taken>();
  const grants = new Map<string, TakenGrant>();
  const endOf = ({ ended_at, updated_at, requested_at }: Offboarding) =>
    Date.parse(ended_at ?? updated_at ?? requested_at);
  const real = all.filter(({ dry_run, status }) => !dry_run && status !== 'superseded');
  for (const record of real.sort((a, b) => endOf(a) - endOf(b))) {
    for (const connection of record.connections) {
      const id = connection.connection_id;
      const taken = next(connections.get(id), connection, record);
      if (taken) connections.set(id, taken);
      else connections.delete(id);
    }
    for (const grant of record.client_grants ?? []) {
      const id = grant.grant_id ?? `${grant.client_id} ${grant.audience}`;
      if (grant.outcome === 'removed') grants.set(id, { grant, record });
      if (grant.outcome === 'restored') grants.delete(id);
    }
  }
  return { connections: [...connections.values()], grants: [...grants.values()] };
}

/** What is taken of a connection after `record`, which followed `taken`. */
function next(taken: Taken | undefined, connection: Connection, record: Offboarding): Taken | undefined {
  const { outcome, before, disabled_by_offboarding } = connection;
  if (outcome === 'removed') return { connection, is: 'removed', settings: settingsBefore(taken, before), record };
  if (outcome === 'enabled') return undefined;
  const isDisabled = (outcome === 'disabled' && record.status !== 'cancelled') || disabled_by_offboarding;
  if (isDisabled) return { connection, is: 'disabled', settings: settingsBefore(taken, before), record };
  // Somebody had enabled it again, or had put it back and left it off.
  if (before?.is_enabled === true) return undefined;
  if (before && taken?.is === 'removed') return { ...taken, is: 'disabled' };
  return taken;
}

/**
 * The last settings before it was taken. Where it was off already because an earlier offboarding had disabled it, that one's record
 * says that it was on, and has the access level that was lowered with it.
 */
function settingsBefore(taken: Taken | undefined, before: Record<string, unknown> | null | undefined) {
  if (!before) return taken?.settings ?? {};
  if (before.is_enabled !== false || !taken) return before;
  const { is_enabled, organization_access_level: earlier } = taken.settings;
  const isLowered = before.organization_access_level === 'readonly' && earlier !== undefined;
  return { ...before, is_enabled, ...(isLowered && { organization_access_level: earlier }) };
}
