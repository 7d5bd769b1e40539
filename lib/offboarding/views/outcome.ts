import { pick } from '../../json.ts';
import type { OutgoingEvent } from '../model/effects.ts';
import { entryOf, type OpenRequest, type Organization, type OutboxEntry, requestOf } from '../model/organization.ts';
import type { ConnectionRecord, OffboardingRecord } from '../model/record.ts';
import { connectionsOf, grantsOf, recordOf, remainingAccessOf } from '../rules/projection.ts';

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
    connections: connectionsShown(item, request, entry, record),
    ...machinesShown(item, request, entry, record),
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

function connectionsShown(
  item: Organization,
  request: OpenRequest,
  entry: OutboxEntry,
  record?: OffboardingRecord,
): object[] {
  if (entry.event === 'requested' || entry.event === 'sessions_ended') return [];
  const { drift } = entry;
  if (!drift) {
    const isFinal = record?.ended_at !== undefined && record.status === request.status;
    const all = isFinal ? record.connections : connectionsOf(item, request, entry.outcomes);
    return all.map(connectionShown);
  }
  const found = entryOf(item, drift.key);
  if (found?.kind === 'client_grant') return [];
  const { outcome, error, now, changed_by } = drift;
  const before =
    record?.connections.find(({ connection_id }) => connection_id === drift.key)?.before ?? found?.before ?? null;
  const about = { connection_id: drift.key, name: found?.name ?? null, strategy: found?.strategy ?? null };
  return [
    { ...about, outcome, before, drift: drift.drift, error, ...(now && { now }), ...(changed_by && { changed_by }) },
  ];
}

function machinesShown(
  item: Organization,
  request: OpenRequest,
  entry: OutboxEntry,
  record?: OffboardingRecord,
): object {
  const found = entry.drift && entryOf(item, entry.drift.key);
  if (entry.drift && found?.kind === 'client_grant') {
    const { outcome, error, drift } = entry.drift;
    return {
      client_grants: [
        { grant_id: found.id, ...found.before, outcome: outcome === 'disabled' ? 'removed' : outcome, drift, error },
      ],
    };
  }
  const grants = record?.client_grants ?? grantsOf(item, request, entry.outcomes);
  return {
    ...(grants && { client_grants: grants.map((one) => ({ ...one, outcome: one.outcome ?? 'unchanged' })) }),
    ...(['completed', 'scheduled'].includes(entry.event) && { remaining_access: remainingAccessOf(item, request) }),
  };
}

function sessionsShown({ sessions, error }: OpenRequest): object {
  return { error: sessions?.error ?? error, ...pick(sessions, 'members revocations_requested skipped failed') };
}
