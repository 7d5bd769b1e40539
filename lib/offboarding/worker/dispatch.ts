import { cancelBatch } from '../intake/cancel-batch.ts';
import { type FinishInput, finishRefused } from '../intake/full-organizations.ts';
import { BATCH } from '../model/batch.ts';
import { type Core, type DueItem, perform, performAll } from '../model/effects.ts';
import { OWN_SOURCE } from '../model/organization.ts';
import { iso } from '../model/stage.ts';

/** How long a message that was sent is waited for before another says the same, milliseconds. */
const NOTICE_AGAIN_MS = 1_800_000;
/** So many drift checks are sent at a time: more would wait in the queue, at whatever limit the tenant has. */
const CHECKS_AT_ONCE = 3000;
/** A drift check is late after this, milliseconds. */
const CHECK_IS_LATE_MS = 86_400_000;

export interface DispatchInput extends FinishInput {
  shards: readonly number[];
  /** Also what a message is on its way for. */
  all: boolean;
}

/** What was found: notices sent, drift checks that are due and late, and since when the oldest work is due (Unix ms). */
export interface Dispatched {
  sent: number;
  checks: number;
  late: number;
  oldest: number;
  /** Whether all of the index was read. */
  isWhole: boolean;
}

/**
 * Finds everything that is due and sends a message that says so, where none is on its way: for a removal, its notice or a drift
 * check, and for whatever a lost message, a lost schedule or a crash has left behind. The index may be late; a message more or
 * less decides nothing.
 */
export function* dispatchDueWork(input: DispatchInput, now: number): Core<Dispatched> {
  const found: Dispatched = { sent: 0, checks: 0, late: 0, oldest: now, isWhole: true };
  for (const shard of input.shards) {
    let cursor: string | undefined;
    do {
      const page = yield* perform({ do: 'readDue', shard, before: iso(now), cursor });
      // What is not found now is found by the next run.
      if (page.error) return { ...found, isWhole: false };
      cursor = page.value.cursor;
      const isToSend = ({ notice_at = 0 }: DueItem) => input.all || notice_at <= now;
      const due = page.value.due.filter((item) => count(found, item, now) && isToSend(item));
      const batches = due.filter(({ offboarding_id }) => offboarding_id === BATCH);
      for (const { organization_id: id } of batches)
        yield* finishBatch(id, { ...input, nonce: `${input.nonce}.${id}` }, now);
      found.sent += yield* sendNotices(
        due.filter((item) => !batches.includes(item)),
        now,
      );
    } while (cursor);
  }
  return found;
}

/** Goes on with what was cut off of a batch: its cancellation, or the records of those that took no more. */
function* finishBatch(batch_id: string, input: FinishInput, now: number): Core<void> {
  const { value: batch } = yield* perform({ do: 'readBatch', batch_id });
  if (batch?.status === 'accepted') yield* finishRefused(batch, input, now);
  const act = { at: iso(now), caller: OWN_SOURCE };
  if (batch?.status === 'cancelled') yield* cancelBatch({ ...input, batch_id, act }, now);
}

/** Sends a notice for each of these organizations. Returns how many. */
function* sendNotices(due: DueItem[], now: number): Core<number> {
  if (due.length === 0) return 0;
  const notices = due.map(({ organization_id, priority, work_due_at = '~' }) => ({
    organization_id,
    priority: work_due_at <= iso(now) ? priority : ('watch' as const),
  }));
  const sent = yield* perform({ do: 'sendDue', notices });
  if (sent.error) return 0;
  const notice_at = now + NOTICE_AGAIN_MS;
  yield* performAll(
    due.map(({ organization_id, offboarding_id, due_at }) => ({
      ...{ do: 'markNoticed' as const, organization_id, offboarding_id, due_at, notice_at },
    })),
  );
  return due.length;
}

/** Counts what is due, and says whether a message is to be sent about it. */
function count(found: Dispatched, { due_at, work_due_at = '~' }: DueItem, now: number): boolean {
  if (work_due_at <= iso(now)) {
    found.oldest = Math.min(found.oldest, Date.parse(work_due_at));
    return true;
  }
  found.checks += 1;
  if (Date.parse(due_at) < now - CHECK_IS_LATE_MS) found.late += 1;
  return found.checks <= CHECKS_AT_ONCE;
}
