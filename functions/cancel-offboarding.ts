import { sleep } from '../lib/deadline.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import type { Calls } from '../lib/management-api.ts';
import { outcomeDetail, outcomesOf, publishOutcome, publishStatus } from '../lib/offboarding-outcome.ts';
import type { Offboarding } from '../lib/offboarding-record.ts';
import * as records from '../lib/offboarding-record.ts';
import { applyToConnections, associationsLeft } from '../lib/organization-connections.ts';
import { Problem } from '../lib/problem.ts';

/** How long a caller waits for a worker that is at the organization, and between two reads of the records, milliseconds. */
const WAIT_FOR_WORKER_MS = 13_000;
const READ_AGAIN_MS = 500;
/** Seconds after which a caller that found a worker at the organization may try again. */
const RETRY_AFTER_S = 10;

export const handler = httpApi(cancelOffboarding, { organization: true });

/**
 * `DELETE /organizations/{organization_id}/offboarding`: 200, nothing of this organization is pending any more, and what its
 * offboarding had disabled, and is still disabled, is enabled again; of one that is completed the watch ends. Throws
 * `not_found` where there is neither, and `conflict` while a worker is at the organization. Cut off, asking again goes on.
 */
async function cancelOffboarding({ organizationId, calls }: HttpRequest): Promise<HttpResponse> {
  const done = new Map<string, Offboarding>();
  for (const end = Date.now() + WAIT_FOR_WORKER_MS; ; ) {
    // Who was quicker has changed a record: the next read shows what there is to do.
    const left = await step(await records.recordsOf(organizationId), done, calls).catch(unlessChanged);
    if (left === 'nothing') break;
    if (left === 'more' && Date.now() < calls.deadline) continue;
    if (Date.now() + READ_AGAIN_MS > Math.min(end, calls.deadline)) {
      const detail = 'Connections of this organization are being changed right now; try again';
      throw new Problem('conflict', detail, { retryAfter: RETRY_AFTER_S });
    }
    await sleep(READ_AGAIN_MS);
  }
  const ended = [...done.values()];
  const cancelled = ended.filter(({ status }) => status !== 'completed');
  const last = cancelled.at(-1) ?? ended.at(-1);
  if (!last) throw new Problem('not_found', 'No offboarding of this organization is pending or watched');
  const { organization_id, offboarding_id, status } = last;
  const watch = ended.length > cancelled.length ? 'ended' : null;
  const cancelled_removal_due_at = cancelled.at(-1)?.removal_due_at ?? null;
  const connections = cancelled.flatMap(outcomesOf);
  const body = { organization_id, offboarding_id, status, watch, cancelled_removal_due_at, connections };
  return { status: 200, body };
}

type Left = 'more' | 'nothing' | 'worker';

/**
 * What there is to do, as the records are now, one thing after the other: first of all nothing is removed any more, for good;
 * then a check that is disabling something is waited for; then connections are enabled. Says what is left: `more`, `nothing`,
 * or a worker to be waited for.
 */
async function step(all: Offboarding[], done: Map<string, Offboarding>, calls: Calls): Promise<Left> {
  const pending = all.filter(({ status }) => status === 'requested' || status === 'scheduled');
  for (const record of pending) await records.startCancelling(record);
  if (pending.length > 0) return 'more';
  if (all.some(records.isDisablingAgain)) return 'worker';
  for (const record of all.filter(isCancelling))
    if (!done.has(record.offboarding_id)) done.set(record.offboarding_id, await cancel(record, calls));
  if (all.some(({ status }) => status === 'working' || status === 'removing')) return 'worker';
  // Whoever cancels has the customer back: nothing that is completed is watched any more, either.
  const watched = records.watchedOf(all).reverse();
  for (const record of watched) done.set(record.offboarding_id, await records.endWatch(record));
  // A check that was disabling something when the watch ended shows in the next turn.
  return watched.length > 0 ? 'more' : 'nothing';
}

/** What is being cancelled, or was cancelled and not published. */
const isCancelling = ({ status, unpublished }: Offboarding) =>
  status === 'cancelling' || (status === 'cancelled' && unpublished);

/** cancelling → cancelled: enables what this offboarding had disabled, and publishes it. */
async function cancel(found: Offboarding, calls: Calls): Promise<Offboarding> {
  let record = found;
  if (record.status === 'cancelling') {
    const disabled = record.connections.some((connection) => connection.disabled_by_offboarding);
    const associations = disabled ? await associationsLeft(record.organization_id, calls) : [];
    const again = record.connections.map((one) => (one.outcome === 'failed' ? records.fresh(one) : one));
    record = await applyToConnections({ ...record, connections: again }, associations, calls);
    if (record.connections.some(({ outcome }) => outcome === 'failed')) {
      // It stays `cancelling`: asking again tries those again.
      await publishOutcome('failed', outcomeDetail(record), calls.log);
      return record;
    }
    record = await records.finishCancelling(record);
  }
  await publishStatus(record, calls.log);
  return record;
}

function unlessChanged(error: unknown): 'more' {
  if (error instanceof records.RecordChanged) return 'more';
  throw error;
}
