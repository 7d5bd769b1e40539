import { putEvents } from './event-bus.ts';
import type { Log } from './log.ts';
import { type Offboarding, published } from './offboarding-record.ts';

export type Outcome = 'completed' | 'scheduled' | 'cancelled' | 'failed' | 'drifted';

/** What a record tells of itself in an outcome event, `organization.offboarding.{outcome}` (infra/schemas). */
export function outcomeDetail(record: Offboarding, connections: object[] = outcomesOf(record)) {
  const { offboarding_id, batch_id, organization_id, action, requested_by, reason, request, dry_run } = record;
  const { removal_due_at, correlation_id, error } = record;
  const asked = { offboarding_id, batch_id, organization_id, action, requested_by, reason, request, dry_run };
  return { ...asked, removal_due_at, correlation_id, error, connections };
}

/** What was done to each connection, as callers and consumers see it. */
export const outcomesOf = ({ connections }: Offboarding) =>
  connections.map(({ connection_id, name, strategy, outcome, before, error }) => {
    return { connection_id, name, strategy, outcome: outcome ?? 'unchanged', before, error };
  });

/** Publishes an outcome: on the bus, in the log and as a metric, all three the same. */
export async function publishOutcome(outcome: Outcome, detail: object, log: Log): Promise<void> {
  await putEvents(`organization.offboarding.${outcome}`, [detail]);
  log.metrics(`offboarding_${outcome}`, { Offboardings: 1 }, { detail }, ['outcome', outcome]);
}

/** Publishes the outcome that the record's status is, once: a record says whether its outcome is out. */
export async function publishStatus(record: Offboarding, log: Log): Promise<void> {
  if (!record.unpublished) return;
  const failed = record.connections.some(({ outcome }) => outcome === 'failed');
  const wouldBeScheduled = record.dry_run && record.removal_due_at !== undefined;
  const status = failed ? 'failed' : wouldBeScheduled ? 'scheduled' : (record.status as Outcome);
  await publishOutcome(status, outcomeDetail(record), log);
  await published(record);
}
