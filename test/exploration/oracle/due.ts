import type { World } from '../world.ts';
import type { Check, StepCheck } from './check.ts';

// When the next step of an organization is due, whose turn it is, and what the dispatcher makes of that.

type Item = World['items'][string];
type Request = Item['requests'][number];
type Entry = { at: string; turn: string };

const [MINUTE_MS, DAY_MS] = [60_000, 86_400_000];
const iso = (ms: number) => new Date(ms).toISOString();
const later = (at: string, minutes: number) => iso(Date.parse(at) + minutes * MINUTE_MS);

/** A member of a batch gives way to single requests, and a dry run to all others. */
const turnOf = ({ batch, parameters, urgent }: Request) =>
  !batch || (urgent && !parameters.dry_run) ? 'single' : parameters.dry_run ? 'watch' : 'batch';
/** A member counts once its batch does. */
const counts = ({ batch }: Request) => batch?.is_accepted !== false;

/** Sessions are due at once, and again half an hour after the last message or page. */
function sessionsDue({ sessions, status, watch, parameters, updated_at }: Request): string[] {
  const isPast = ['completed', 'scheduled', 'superseded'].includes(status) || (status === 'failed' && watch === 'on');
  const areOver = sessions && !['due', 'ending'].includes(sessions.status);
  if (!parameters.end_sessions || !isPast || watch === 'ended' || areOver) return [];
  if (!sessions?.sent_at) return [sessions?.updated_at ?? updated_at];
  return [later([sessions.sent_at, sessions.updated_at].sort()[1] as string, 30)];
}

function stepDue({ status, cancelled, accepted_at, removal_due_at, notice_due_at }: Request): string {
  if (status === 'cancelling') return cancelled?.at ?? accepted_at;
  const dates = [status === 'scheduled' ? notice_due_at : undefined, removal_due_at].filter((one) => one !== undefined);
  const isWaiting = status === 'scheduled' || status === 'removing';
  return isWaiting ? (dates.map((one) => later(one, 0)).sort()[0] ?? accepted_at) : accepted_at;
}

const ENDED = ['completed', 'failed', 'cancelled', 'superseded'];

function workOf({ requests, outbox }: Item): Entry[] {
  const known = requests.filter(counts);
  const open = requests.filter((one) => !counts(one));
  const old = known.filter(({ is_unrecorded }) => is_unrecorded);
  const isTold = ({ offboarding_id }: { offboarding_id: string }) =>
    !open.some((one) => one.offboarding_id === offboarding_id);
  return [
    ...outbox.filter(isTold).map(({ at }) => ({ at, turn: old[0] ? turnOf(old[0]) : 'single' })),
    ...old.map((one) => ({ at: one.updated_at, turn: turnOf(one) })),
    ...open.map((one) => ({ at: later(one.accepted_at, 2), turn: turnOf(one) })),
    ...known.filter(({ status }) => !ENDED.includes(status)).map((one) => ({ at: stepDue(one), turn: turnOf(one) })),
    ...known.flatMap((one) => sessionsDue(one).map((at) => ({ at, turn: 'batch' }))),
  ];
}

/** What an item's attributes say of what is due is what it has left to do. */
export const duesAreRight: StepCheck = ({ items, dues }, _, before) => {
  if (items === before.items) return undefined;
  for (const [id, item] of Object.entries(items)) {
    if (item === before.items[id]) continue;
    const work = workOf(item).sort((a, b) => (a.at < b.at ? -1 : 1));
    const isWatched = item.requests.some((one) => counts(one) && one.watch === 'on');
    const check = isWatched ? item.next_drift_check_at : undefined;
    const all = [...work.map(({ at }) => at), ...(check ? [check] : [])].sort();
    const { due_at, work_due_at, priority } = dues[id] ?? {};
    if (due_at !== all[0]) return `${id} has something to do at ${all[0]}, and is due at ${due_at}`;
    if (work_due_at !== work[0]?.at) return `${id} has work at ${work[0]?.at}, and it is due at ${work_due_at}`;
    const turns = work.filter(({ at }) => at === work_due_at).map(({ turn }) => turn);
    const isTurn = work.length > 0 ? turns.includes(String(priority)) : priority === (check && 'watch');
    if (!isTurn) return `The turn of ${id} is taken to be that of ${priority}`;
  }
  return undefined;
};

/** What the dispatcher finds in the index as it is now. */
function foundBy({ dues, batches, notices, now }: World) {
  const isPast = (at: string | undefined) => at !== undefined && at <= iso(now);
  const due = Object.entries(dues).filter(([, { due_at }]) => isPast(due_at));
  const work = [
    ...due.flatMap(([, { work_due_at = '~' }]) => (isPast(work_due_at) ? [work_due_at] : [])),
    ...Object.values(batches).flatMap(({ due_at = '~' }) => (isPast(due_at) ? [due_at] : [])),
  ];
  const checks = due.filter(([, { work_due_at }]) => !isPast(work_due_at));
  return {
    sent: due.filter(([id]) => !((notices[id] ?? 0) > now)).length,
    checks: checks.length,
    late: checks.filter(([, { due_at = '~' }]) => due_at < iso(now - DAY_MS)).length,
    oldest: Math.min(now, ...work.map((at) => Date.parse(at))),
    // The index always answers here.
    isWhole: true,
  };
}

/** What the dispatcher reported is what was there when it began; what it could not send it does not count. */
export const dispatchIsTold: Check = ({ story: { dispatched } }) => {
  if (!dispatched) return undefined;
  const { sent, ...reported } = dispatched.reported;
  const { sent: due, ...found } = foundBy(dispatched.since);
  const isSame = JSON.stringify(reported) === JSON.stringify(found) && (sent === due || sent === 0);
  return isSame
    ? undefined
    : `The dispatcher reported ${JSON.stringify({ sent, ...reported })}, and found ${JSON.stringify({ sent: due, ...found })}`;
};
