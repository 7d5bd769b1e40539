import { putEvents } from '../aws/event-bus.ts';
import { pick } from '../json.ts';
import type { Log } from '../log.ts';
import { FIGHT } from './drift.ts';
import { VERSION } from './messages.ts';
import type { ConnectionRecord, Offboarding } from './offboarding.ts';

export type Outcome = 'completed' | 'scheduled' | 'cancelled' | 'failed' | 'drifted' | 'watch_ended' | 'sessions_ended';

/** What a record tells of itself in an outcome event, `organization.offboarding.{outcome}` (infra/contracts/schemas). */
export const outcomeDetail = (record: Offboarding, connections: object[] = outcomesOf(record)) => ({
  version: VERSION,
  ...pick(record, TOLD),
  dry_run: record.dry_run,
  connections,
});

const TOLD =
  'offboarding_id batch_id organization_id action requested_by reason caller request removal_due_at superseded_by correlation_id cancelled watch_ended error';

/** What was done to each connection, as callers and consumers see it. */
export const outcomesOf = ({ connections }: Offboarding) =>
  connections.map(({ connection_id, name, strategy, outcome, before, error }) => {
    return { connection_id, name, strategy, outcome: outcome ?? 'unchanged', before, error };
  });

type Detail = { dry_run?: boolean; [member: string]: unknown };

/** Publishes an outcome: on the bus, in the log and as a metric, all three the same. A failure that nobody asked for is an error. */
export async function publishOutcome(outcome: Outcome, detail: Detail, log: Log, isCounted = !detail.dry_run) {
  await putEvents(`organization.offboarding.${outcome}`, [detail]);
  const level = outcome === 'failed' && isCounted ? 'ERROR' : outcome === 'drifted' ? 'WARN' : 'INFO';
  // A dry run is nobody's alarm.
  const metrics = isCounted ? { Offboardings: 1 } : {};
  log.metrics(`offboarding_${outcome}`, metrics, { detail }, ['outcome', outcome], level);
}

/** Publishes what is not told of a record yet: the outcome of its status, or the end of its watch. */
export async function publishRecord(record: Offboarding, log: Log): Promise<void> {
  if (record.unpublished === 'watch_ended') return publishOutcome('watch_ended', outcomeDetail(record), log);
  const wouldBeScheduled = record.dry_run && record.status === 'completed' && record.removal_due_at !== undefined;
  // Worked off after a later one it is disabled, and its removal is due when that one's is.
  const isScheduled = wouldBeScheduled || record.status === 'superseded';
  await publishOutcome(isScheduled ? 'scheduled' : (record.status as Outcome), outcomeDetail(record), log);
}

/** Publishes that a connection is enabled again, or is new. */
export async function publishDrift(record: Offboarding, connection: ConnectionRecord, log: Log): Promise<void> {
  const { connection_id, name, strategy, before, untold } = connection;
  const { drift, outcome, error, now } = untold ?? { drift: 'reenabled', outcome: 'unchanged', error: null, now: null };
  const detail = { connection_id, name, strategy, outcome, before, drift, error, ...(now && { now }) };
  await publishOutcome('drifted', outcomeDetail(record, [detail]), log);
  if (error?.code === FIGHT.code)
    log.metrics('reenabled_repeatedly', { ReenabledRepeatedly: 1 }, { connection_id }, undefined, 'ERROR');
}
