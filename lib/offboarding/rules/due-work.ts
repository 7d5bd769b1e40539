import type { OpenRequest, Organization, Priority } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { hasEnded } from '../model/status.ts';
import { watchedOf } from './drift.ts';
import { priorityOf } from './priority.ts';
import { areSessionsLeft, isAccepted, publishableOf } from './requests.ts';

/** A POST of a batch ends within this time; what is not accepted by then never is, milliseconds. */
export const BATCH_IS_OPEN_MS = 120_000;
/** A message that sessions are due is sent again after this, unless a page was done since, milliseconds. */
export const SESSIONS_AGAIN_MS = 1_800_000;

/** When the next step of an organization is, or was, due, and whose turn it is. `work_due_at` leaves drift checks out. */
export interface Due {
  due_at?: string | undefined;
  work_due_at?: string | undefined;
  priority?: Priority | undefined;
}

type Entry = { at: string; priority: Priority };

/** What is due of an organization, and when: everything that a lost message or a crashed worker could leave behind. */
export function dueOf(item: Organization): Due {
  const byDate = (a: Entry, b: Entry) => (a.at < b.at ? -1 : 1);
  const work = [...outboxDue(item), ...item.requests.flatMap(requestDue)].sort(byDate);
  const check = watchedOf(item).length > 0 ? entryAt(item.next_drift_check_at, 'watch') : [];
  const [first] = work;
  const [next] = [...work, ...check].sort(byDate);
  return { due_at: next?.at, work_due_at: first?.at, priority: (first ?? next)?.priority };
}

const entryAt = (at: string | undefined, priority: Priority): Entry[] => (at === undefined ? [] : [{ at, priority }]);

/** Events that are not published, and records that are not written. */
function outboxDue({ outbox, requests }: Pick<Organization, 'outbox' | 'requests'>): Entry[] {
  const unrecorded = requests
    .filter((one) => one.is_unrecorded && isAccepted(one))
    .map((one) => ({ at: one.updated_at, priority: priorityOf(one) }));
  const [event] = publishableOf({ outbox, requests });
  return [...entryAt(event?.at, unrecorded[0]?.priority ?? 'single'), ...unrecorded];
}

function requestDue(request: OpenRequest): Entry[] {
  const priority = priorityOf(request);
  if (!isAccepted(request)) return entryAt(openUntil(request), priority);
  const step = hasEnded(request) ? undefined : stepDueAt(request);
  return [...entryAt(step, priority), ...entryAt(sessionsDueAt(request), 'batch')];
}

const openUntil = ({ accepted_at }: OpenRequest) => iso(Date.parse(accepted_at) + BATCH_IS_OPEN_MS);

/** Since when the next step of a pending request should have been made. */
export function stepDueAt({ status, removal_due_at, notice_due_at, cancelled, accepted_at }: OpenRequest): string {
  if (status === 'cancelling') return cancelled?.at ?? accepted_at;
  if (status !== 'scheduled' && status !== 'removing') return accepted_at;
  const next = status === 'scheduled' ? [notice_due_at, removal_due_at] : [removal_due_at];
  return momentsOf(...next).sort()[0] ?? accepted_at;
}

/** Those of `dates` that there are, to the millisecond, as all times that they are compared with. */
export const momentsOf = (...dates: (string | undefined)[]): string[] =>
  dates.flatMap((one) => (one ? [iso(Date.parse(one))] : []));

/** When a message is to say that the sessions of the members are due; undefined where there are none to end. */
export function sessionsDueAt(request: OpenRequest): string | undefined {
  const { sessions, updated_at } = request;
  if (!areSessionsLeft(request)) return undefined;
  if (!sessions) return updated_at;
  if (!sessions.sent_at) return sessions.updated_at;
  const last = sessions.sent_at > sessions.updated_at ? sessions.sent_at : sessions.updated_at;
  return iso(Date.parse(last) + SESSIONS_AGAIN_MS);
}
