// How a pending offboarding stands: what it waits for and since when, and whether somebody should look at it.

import { FIGHTING } from '../../../lib/offboarding/rules/drift.ts';
import { waitOf } from './polling.ts';
import { type Offboarding, PENDING } from './records.ts';
import { dateOf, lengthOf, plain } from './terminal.ts';

/** The service finds lost work within the hour; what is later than this is worth a line, milliseconds. */
const LATE_MS = 10 * 60_000;

/** Lines about connections that were enabled again and again, and are left as they are. */
export function leftEnabled({ on_reenable, watch, connections }: Offboarding): string[] {
  if (on_reenable !== 'disable_again' || watch !== 'on') return [];
  return connections
    .filter(({ drifted_at, reenabled_at = [] }) => drifted_at && reenabled_at.length >= FIGHTING)
    .map(
      ({ name, connection_id }) =>
        `! ${plain(name ?? connection_id)} is left enabled: it was enabled ${FIGHTING} times within a day. Stop what enables it, then ask for the offboarding anew.`,
    );
}

/** Lines about a pending offboarding at `now` (Unix ms); none for one that has ended. */
export function standingOf(record: Offboarding, where: string, now = Date.now()): string[] {
  const { status, organization_id, requested_at, updated_at, removal_due_at, next_try_at, last_error } = record;
  if (!PENDING.includes(status)) return [];
  const since = (time: string | null | undefined) => now - Date.parse(time ?? '');
  const requeue = `npm run offboard -- requeue ${organization_id}${where}`;
  if (status === 'scheduled') {
    const late = since(removal_due_at);
    return late > LATE_MS
      ? [
          `! Overdue: the removal was due on ${dateOf(removal_due_at)}, ${lengthOf(late)} ago. The service finds this within the hour; at once: ${requeue}`,
        ]
      : [];
  }
  const waiting = `${status} for ${lengthOf(since(requested_at))}`;
  if (last_error) {
    const late = since(next_try_at);
    const overdue =
      late > LATE_MS ? [`! Overdue: the next try was due ${lengthOf(late)} ago. At once: ${requeue}`] : [];
    return [`${waiting}. ${waitOf(record)}`, ...overdue];
  }
  const idle = since(updated_at ?? requested_at);
  if (idle > LATE_MS)
    return [
      `${waiting}.`,
      `! Overdue: nothing has happened for ${lengthOf(idle)}, as when a message is lost. The service finds this within the hour; at once: ${requeue}`,
    ];
  return [`${waiting}.`];
}
