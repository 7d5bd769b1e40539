import type { ListedGrant } from '../model/effects.ts';
import type { LedgerEntry, OpenRequest, Organization, Outcome, RemainingAccess } from '../model/organization.ts';
import { keyOf } from '../model/organization.ts';
import type { ConnectionRecord, GrantRecord, OffboardingRecord } from '../model/record.ts';
import { hasEnded } from '../model/status.ts';
import { isOver } from './leaving.ts';
import { disabledBy, isAccepted } from './requests.ts';
import { recordExpiresAt } from './retention.ts';

/** The ledger entries that a request is or was about, in the order of its outcomes. */
function entriesOf(
  { ledger }: Organization,
  request: OpenRequest,
  outcomes: Record<string, Outcome>,
): { key: string; entry?: LedgerEntry | undefined }[] {
  const own = ledger.filter(({ claims }) => claims.includes(request.offboarding_id)).map(keyOf);
  const keys = [...new Set([...own, ...Object.keys(outcomes)])];
  return keys.map((key) => ({ key, entry: ledger.find((one) => keyOf(one) === key) }));
}

const isGrant = (key: string) => key.startsWith('grant ');

/** What nobody has an outcome for is not known yet; what is new since is left as it is. */
const untouched = (entry: LedgerEntry | undefined) => (entry?.added ? 'unchanged' : null);

/** What was done to each connection of a request, by the outcomes that it has now or had when an event was decided. */
export function connectionsOf(
  item: Organization,
  request: OpenRequest,
  outcomes = request.outcomes,
): ConnectionRecord[] {
  const held = new Set(disabledBy(item, request).map(keyOf));
  return entriesOf(item, request, outcomes)
    .filter(({ key }) => !isGrant(key))
    .map(({ key, entry }) => ({
      connection_id: key,
      name: entry?.name ?? null,
      strategy: entry?.strategy ?? null,
      before: outcomes[key]?.before !== undefined ? outcomes[key].before : (entry?.before ?? null),
      outcome: outcomes[key]?.outcome ?? untouched(entry),
      error: outcomes[key]?.error ?? null,
      disabled_by_offboarding: held.has(key),
      ...(entry?.added && { added: true as const }),
      ...(entry?.drifted_at && { drifted_at: entry.drifted_at }),
      ...(entry?.reenabled_at && { reenabled_at: entry.reenabled_at }),
    }));
}

const GRANT_OUTCOMES = {
  disabled: 'removed',
  removed: 'removed',
  enabled: 'restored',
  unchanged: 'unchanged',
  failed: 'failed',
} as const;

/** The same of its client grants: disabled is removed, and enabled is restored. Undefined where the request is not about them. */
export function grantsOf(
  item: Organization,
  request: OpenRequest,
  outcomes = request.outcomes,
): GrantRecord[] | undefined {
  const entries = entriesOf(item, request, outcomes).filter(({ key }) => isGrant(key));
  // It may have taken over those of an earlier offboarding.
  if (!request.parameters.end_machine_access && entries.length === 0) return undefined;
  return entries.map(({ key, entry }) => {
    const { client_id = '', audience = '', scope = [], is_shortened } = (entry?.before ?? {}) as Partial<GrantRecord>;
    const { outcome, error = null } = outcomes[key] ?? {};
    return {
      grant_id: key.slice('grant '.length),
      client_id,
      audience,
      scope,
      ...(is_shortened && { is_shortened }),
      outcome: outcome ? GRANT_OUTCOMES[outcome] : untouched(entry),
      error,
    };
  });
}

/** What remains of an organization's access by the client grants that Auth0 lists as its own. */
export const remainingIn = (grants: ListedGrant[] | null): Organization['remaining_access'] =>
  grants?.map(({ id, client_id, audience, scope }) => ({ id, kind: 'client_grant', client_id, audience, scope })) ??
  null;

/** The client grants that remain after what was removed, or after what the dry run `request` would remove; null where nobody knows. */
export function remainingAccessOf(
  { remaining_access, ledger }: Pick<Organization, 'remaining_access' | 'ledger'>,
  request?: OpenRequest,
): RemainingAccess[] | null {
  const wouldBe = request?.parameters.dry_run ? request.outcomes : {};
  const isRemoved = (id: string) =>
    wouldBe[`grant ${id}`]?.outcome === 'disabled' ||
    ledger.some((entry) => entry.kind === 'client_grant' && entry.id === id && entry.changed?.goal === 'disabled');
  return remaining_access?.filter(({ id }) => !isRemoved(id)).map(({ id: _, ...rest }) => rest) ?? null;
}

/**
 * A request as its record shows it. `existing` is the record of one that had ended before: what was done to its connections is
 * final there, while the ledger has moved on.
 */
export function recordOf(item: Organization, request: OpenRequest, existing?: OffboardingRecord): OffboardingRecord {
  const { parameters, batch, outcomes: _, notice_due_at: __, is_unrecorded: ___, ...own } = request;
  const isFinal = isFinalRecord(existing, request);
  const connections = connectionsOf(item, request);
  const isLeaving = hasEnded(request) && isOver(item, { ...request, is_unrecorded: undefined });
  return {
    ...(isFinal ? { ...parameters, ...pickParameters(existing) } : parameters),
    ...own,
    organization_id: item.organization_id,
    revision: item.revision,
    ...(item.name !== undefined && { organization_name: item.name }),
    batch_id: batch?.id,
    last_drift_check_at: request.watch === 'on' ? item.last_drift_check_at : undefined,
    connections: isFinal ? withDrift(existing.connections, connections) : connections,
    client_grants: isFinal ? existing.client_grants : grantsOf(item, request),
    remaining_access: isFinal
      ? existing.remaining_access
      : hasEnded(request) || request.status === 'scheduled'
        ? remainingAccessOf(item, request)
        : undefined,
    expires_at: isLeaving ? recordExpiresAt(request) : undefined,
  };
}

/** Of a watched request the item keeps no text: its record has it. */
const pickParameters = ({ reason, requested_by }: OffboardingRecord) => ({ reason, requested_by });

/** Whether a record has what became of a request: it shows the end that the request has now. */
export const isFinalRecord = (
  record: OffboardingRecord | undefined,
  { status }: OpenRequest,
): record is OffboardingRecord => record?.ended_at !== undefined && record.status === status;

/** Final connections with what drift checks have found since. */
function withDrift(final: ConnectionRecord[], now: ConnectionRecord[]): ConnectionRecord[] {
  const known = final.map((one) => {
    const own = now.find(({ connection_id }) => connection_id === one.connection_id);
    const { drifted_at, reenabled_at, disabled_by_offboarding = false } = own ?? {};
    return { ...one, drifted_at, reenabled_at, disabled_by_offboarding };
  });
  const added = now.filter(
    (one) => one.added && !final.some(({ connection_id }) => connection_id === one.connection_id),
  );
  return [...known, ...added];
}

/** Whether a request has a record to be written: it counts, and its record does not show it as it is. */
export const isToRecord = (request: OpenRequest): boolean => request.is_unrecorded === true && isAccepted(request);
