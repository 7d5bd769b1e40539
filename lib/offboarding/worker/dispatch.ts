import { finishBatch } from '../intake/finish-batch.ts';
import { BATCH } from '../model/batch.ts';
import { type Core, type DueItem, perform, performAll } from '../model/effects.ts';
import { iso, type Stage } from '../model/stage.ts';

/** How long a message that was sent is waited for before another says the same, milliseconds. */
const NOTICE_AGAIN_MS = 1_800_000;
/** So many drift checks are sent at a time: more would wait in the queue, at whatever limit the tenant has. */
const CHECKS_AT_ONCE = 3000;
/** A drift check is late after this, milliseconds. */
const CHECK_IS_LATE_MS = 86_400_000;

export interface DispatchInput {
  nonce: string;
  deadline: number;
  shards: readonly number[];
  /** Also what a message is on its way for. */
  all: boolean;
  stage: Stage;
  /** The id of a batch's offboarding of an organization. */
  memberIdOf: (batch_id: string, organization_id: string) => string;
}

/** What was found: notices sent, drift checks that are due and late, and since when the oldest work is due (Unix ms). */
export interface Dispatched {
  sent: number;
  checks: number;
  late: number;
  oldest: number;
}

/**
 * Finds everything that is due and sends a message that says so, where none is on its way: for a removal, its notice or a drift
 * check, and for whatever a lost message, a lost schedule or a crash has left behind. The index may be late; a message more or
 * less decides nothing.
 */
export function* dispatchDueWork(input: DispatchInput, now: number): Core<Dispatched> {
  const { nonce, deadline, shards, all, memberIdOf, stage } = input;
  const found: Dispatched = { sent: 0, checks: 0, late: 0, oldest: now };
  for (const shard of shards) {
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor; isFirst = false) {
      const page = yield* perform<'readDue'>({ do: 'readDue', shard, before: iso(now), cursor });
      // What is not found now is found by the next run.
      if (page.error) return found;
      cursor = page.value.cursor;
      const due = page.value.due.filter((item) => count(found, item, now) && (all || !((item.notice_at ?? 0) > now)));
      const organizations = due.filter(({ offboarding_id }) => offboarding_id !== BATCH);
      for (const batch of due.filter(({ offboarding_id }) => offboarding_id === BATCH))
        yield* finishBatch(
          batch.organization_id,
          {
            offboardingIdOf: (organization_id) => memberIdOf(batch.organization_id, organization_id),
            nonce: `${nonce}.${batch.organization_id}`,
            deadline,
            stage,
          },
          now,
        );
      if (organizations.length === 0) continue;
      const sent = yield* perform<'sendDue'>({
        do: 'sendDue',
        notices: organizations.map(({ organization_id, priority, work_due_at }) => ({
          organization_id,
          priority: work_due_at && work_due_at <= iso(now) ? priority : 'watch',
        })),
      });
      if (sent.error) continue;
      found.sent += organizations.length;
      yield* performAll(
        organizations.map(({ organization_id, offboarding_id, due_at }) => ({
          do: 'markNoticed' as const,
          organization_id,
          offboarding_id,
          due_at,
          notice_at: now + NOTICE_AGAIN_MS,
        })),
      );
    }
  }
  return found;
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
