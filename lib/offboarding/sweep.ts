import * as v from 'valibot';
import { readIndex, SHARDS } from '../aws/table.ts';
import { OrganizationId } from '../ids.ts';
import { chunksOf } from '../json.ts';
import type { Log } from '../log.ts';
import type { Priority } from './offboarding.ts';
import { getOrganization, noticed } from './organization.ts';
import { sendDue } from './queue.ts';

/** How long a message that was sent is waited for before another says the same, milliseconds. */
const NOTICE_AGAIN_MS = 30 * 60_000;
/** So many drift checks are asked for and not made at a time: more would wait in the queue, at whatever limit the tenant has. */
const CHECKS_AT_ONCE = 3000;
/** A drift check is late after this, milliseconds. */
const CHECK_LATE_MS = 86_400_000;
const CHUNK = 100;

type Due = { organization_id: string; due_at: string; notice_at: number; priority: Priority };

/**
 * Finds every organization whose next step is due, and sends a message that says so where none is on its way: for a drift check,
 * and for whatever was left lying (a message or a schedule lost, a caller gone, a delivery killed). The index may be late; a
 * message more or less decides nothing. `all` sends one for each that is due. Returns how many were sent.
 */
export async function sendWhatIsDue(log: Log, all = false): Promise<number> {
  const now = new Date();
  const range = { index: 'by_due', attribute: 'due_shard', position: 'due_at', below: now.toISOString() };
  let [oldest, late, checks, sent] = [now.getTime(), 0, 0, 0];
  for (const shard of SHARDS) {
    const due: Due[] = [];
    for await (const item of readIndex({ ...range, value: `due ${shard}` })) {
      const found = item as object as Due;
      const since = Date.parse(found.due_at);
      const isCheck = found.priority === 'watch';
      if (isCheck && since < now.getTime() - CHECK_LATE_MS) late += 1;
      if (!isCheck) oldest = Math.min(oldest, since);
      if (isCheck) checks += 1;
      const isOnItsWay = !all && found.notice_at > now.getTime();
      if (!isOnItsWay && !(isCheck && checks > CHECKS_AT_ONCE)) due.push(found);
    }
    for (const chunk of chunksOf(due, CHUNK)) {
      // First this: written later, it would have whoever works on it already begin anew.
      await Promise.all(chunk.map(({ organization_id, due_at }) => noticed(organization_id, due_at, NOTICE_AGAIN_MS)));
      await sendDue(chunk);
    }
    sent += due.length;
  }
  const overdue_s = Math.round((now.getTime() - oldest) / 1000);
  const metrics = { ...(overdue_s > 0 && { OldestOverdue: overdue_s }), ...(late > 0 && { DriftChecksLate: late }) };
  log.metrics('due_noticed', metrics, { sent, checks_due: checks });
  return sent;
}

/** What an operator wants looked at now: one organization, or all that is overdue. Returns how many; throws when it is neither. */
export async function sendWhatIsAskedFor(asked: unknown, log: Log): Promise<number> {
  if (asked === 'overdue') return sendWhatIsDue(log, true);
  const { organization_id } = Object(asked);
  if (!v.is(OrganizationId, organization_id))
    throw new Error('requeue: must be "overdue" or {"organization_id": "org_…"}');
  const { due_at } = await getOrganization(organization_id);
  if (due_at === undefined) return 0;
  await sendDue([{ organization_id, priority: 'single' }], true);
  log.info('requeued', { organization_id });
  return 1;
}
