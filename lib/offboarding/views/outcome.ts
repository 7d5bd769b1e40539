import { pick } from '../../json.ts';
import type { OutgoingEvent } from '../model/effects.ts';
import {
  type Drift,
  entryOf,
  type OpenRequest,
  type Organization,
  type OutboxEntry,
  requestOf,
} from '../model/organization.ts';
import type { ConnectionRecord, OffboardingRecord } from '../model/record.ts';
import { connectionsOf, grantsOf, isFinalRecord, recordOf, remainingAccessOf } from '../rules/projection.ts';

/** The version of each event's detail: it grows by members, and gets another number when one changes or goes. */
export const VERSION = 1;

/** What an event shows of an offboarding. */
const SHOWN =
  'offboarding_id batch_id organization_id organization_name action requested_by reason caller request requested_at removal_due_at superseded_by correlation_id cancelled watch_ended error';

/** A connection as events and cancellations show it. */
export const connectionShown = (one: ConnectionRecord) => ({
  ...pick(one, 'connection_id name strategy outcome before error'),
  outcome: one.outcome ?? 'unchanged',
});

/** An event of the outbox as it goes to the bus. `record` is that of an offboarding that had ended before. */
export function toOutgoingEvent(item: Organization, entry: OutboxEntry, record?: OffboardingRecord): OutgoingEvent {
  const request = requestOf(item, entry.offboarding_id);
  if (!request) return { event: entry.event, detail: { version: VERSION, ...recordShown(record) } };
  const about = recordOf(item, request, record);
  const detail = {
    version: VERSION,
    ...pick(about, SHOWN),
    dry_run: request.parameters.dry_run,
    ...outcomesShown(item, request, entry, record),
    ...(entry.drift && driftShown(item, entry.drift, record)),
    ...(entry.event === 'sessions_ended' && sessionsShown(request)),
    ...(entry.event === 'requested' && requestedShown(request)),
  };
  return { event: entry.event, detail };
}

/** An organization of a batch that took no more: it has a record alone. */
const recordShown = (record: OffboardingRecord | undefined) => ({
  ...pick(record, SHOWN),
  dry_run: record?.dry_run ?? false,
  connections: [],
});

/** A request as the archive keeps it. */
const requestedShown = ({ parameters }: OpenRequest) =>
  pick(parameters, 'grace_period connection_ids on_reenable end_sessions end_machine_access');

/** What became of each connection and each client grant, and what remains. */
function outcomesShown(item: Organization, request: OpenRequest, entry: OutboxEntry, record?: OffboardingRecord) {
  const { event, outcomes } = entry;
  const grants = record?.client_grants ?? grantsOf(item, request, outcomes);
  if (['requested', 'sessions_ended', 'drifted'].includes(event))
    return { connections: [], ...(grants && { client_grants: [] }) };
  const connections = isFinalRecord(record, request) ? record.connections : connectionsOf(item, request, outcomes);
  return {
    connections: connections.map(connectionShown),
    ...(grants && { client_grants: grants.map((one) => ({ ...one, outcome: one.outcome ?? 'unchanged' })) }),
    ...(['completed', 'scheduled'].includes(event) && { remaining_access: remainingAccessOf(item, request) }),
  };
}

/** The one connection or client grant that a drift check found. */
function driftShown(item: Organization, { key, now, changed_by, ...found }: Drift, record?: OffboardingRecord) {
  const { drift, error } = found;
  const entry = entryOf(item, key);
  if (entry?.kind === 'client_grant') {
    const outcome = found.outcome === 'disabled' ? 'removed' : found.outcome;
    return { connections: [], client_grants: [{ grant_id: entry.id, ...entry.before, outcome, drift, error }] };
  }
  const recorded = record?.connections.find(({ connection_id }) => connection_id === key);
  const before = recorded?.before ?? entry?.before ?? null;
  const about = { connection_id: key, name: entry?.name ?? null, strategy: entry?.strategy ?? null };
  return { connections: [{ ...about, ...found, before, ...(now && { now }), ...(changed_by && { changed_by }) }] };
}

function sessionsShown({ sessions, error }: OpenRequest): object {
  return { error: sessions?.error ?? error, ...pick(sessions, 'members revocations_requested skipped failed') };
}
