import type { EventBus } from './event-bus.ts';
import type { Log } from './log.ts';
import type { ConnectionRecord, Offboarding, OffboardingRecords } from './offboarding-record.ts';
import type { RequestOrigin } from './offboarding-request.ts';

export type Outcome = 'completed' | 'scheduled' | 'cancelled' | 'failed' | 'drifted';

type ConnectionOutcome = Pick<
  ConnectionRecord,
  'connection_id' | 'name' | 'strategy' | 'outcome' | 'before' | 'error'
> & {
  /** Of a connection that is enabled again: its settings now. */
  now?: Record<string, unknown>;
};

/** Detail of an outcome event, `organization.offboarding.{outcome}`. Null is what a malformed request did not say. */
export interface OutcomeDetail {
  offboarding_id: string | null;
  batch_id?: string | undefined;
  organization_id: string | null;
  action: string | null;
  requested_by: string | null;
  reason: string | null;
  request: RequestOrigin | null;
  dry_run: boolean;
  removal_due_at?: string | undefined;
  correlation_id?: string | undefined;
  /** Why nothing, or nothing more, could be done. */
  error?: { code: string; message: string } | undefined;
  connections: ConnectionOutcome[];
}

/** What a record tells of itself in an outcome event. */
export function outcomeDetail(record: Offboarding): OutcomeDetail {
  const { offboarding_id, organization_id, action, requested_by, reason, request, dry_run } = record;
  const { removal_due_at, correlation_id, error, batch_id } = record;
  const asked = { offboarding_id, organization_id, action, requested_by, reason, request, dry_run };
  return { ...asked, batch_id, removal_due_at, correlation_id, error, connections: outcomesOf(record) };
}

/** What was done to each connection, as callers and consumers see it. */
export const outcomesOf = (record: Offboarding): OutcomeDetail['connections'] =>
  record.connections.map(({ connection_id, name, strategy, outcome, before, error }) => ({
    connection_id,
    name,
    strategy,
    outcome: outcome ?? 'unchanged',
    before,
    error,
  }));

/** Publishes outcomes: on the bus, in the log and as a metric, all three the same. */
export function createOutcomePublisher(eventBus: EventBus, records: OffboardingRecords) {
  async function publish(outcome: Outcome, detail: OutcomeDetail, log: Log): Promise<void> {
    await eventBus.put(`organization.offboarding.${outcome}`, [detail]);
    log.metrics(`offboarding_${outcome}`, { Offboardings: [1, 'Count'] }, { detail }, ['outcome', outcome]);
  }

  return {
    publish,

    /** Publishes the outcome that the record's status is, once: a record says whether its outcome is out. */
    async publishStatus(record: Offboarding, log: Log): Promise<void> {
      if (!record.unpublished) return;
      const failed = record.connections.some(({ outcome }) => outcome === 'failed');
      const wouldBeScheduled = record.dry_run && record.removal_due_at !== undefined;
      const status = failed ? 'failed' : wouldBeScheduled ? 'scheduled' : (record.status as Outcome);
      await publish(status, outcomeDetail(record), log);
      await records.published(record);
    },
  };
}

export type OutcomePublisher = ReturnType<typeof createOutcomePublisher>;
