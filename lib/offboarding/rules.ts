import type { OrganizationConnection } from '../auth0/management-api.ts';
import { finished, plannedConnections, type Step, settled, withConnection } from './connections.ts';
import { driftOf } from './drift.ts';
import type { Cancellation, ConnectionRecord, Offboarding, Organization } from './offboarding.ts';
import { hasEnded, hasEndedIt, priorityOf } from './offboarding.ts';
import { begin, cancelling, end, handedOver, removing, superseded, withHeld, withoutWatch } from './transitions.ts';

// What several offboardings of one organization mean together. Everything here is a pure function over the organization's
// records; whoever decides asks it, and nothing else compares two records.

/** Offboardings are ordered by when they were asked for, then by id; in which order they are worked off changes nothing. */
export const byAskedAt = (a: Offboarding, b: Offboarding): number =>
  `${a.asked_at} ${a.offboarding_id}` < `${b.asked_at} ${b.offboarding_id}` ? -1 : 1;

const isLater = (a: Offboarding, b: Offboarding) => byAskedAt(b, a) < 0 && a.offboarding_id !== b.offboarding_id;

/** A request without a key that is not on the bus yet is none. */
export const isAccepted = ({ accept_by }: Offboarding) => accept_by === undefined;

/** The connections that the offboarding disabled, or took over, and that its cancelling would enable. */
export const heldBy = ({ status, connections }: Offboarding): ConnectionRecord[] =>
  ['completed', 'cancelled', 'superseded'].includes(status)
    ? []
    : connections.filter(({ disabled_by_offboarding }) => disabled_by_offboarding);

/** Whether a cancelling has something to do here: what is pending or holds something. A dry run changes nothing. */
export const isCancellable = (record: Offboarding) =>
  isAccepted(record) && !record.dry_run && (!hasEnded(record) || heldBy(record).length > 0);

/** What a cancelling of the whole organization would find: all that is pending, holds something or is watched. */
export const isFound = (record: Offboarding) => isCancellable(record) || (isAccepted(record) && record.watch === 'on');

/** What a cancelling that was asked for at `at` finds. What an earlier one is to undo stays pending, whoever has completed it meanwhile. */
export function foundBy(
  at: string,
  records: Offboarding[],
  organization: Organization,
): Pick<Cancellation, 'ids' | 'pending'> {
  const isPending = (record: Offboarding) => isCancellable(record) || statusOf(record, organization) === 'cancelling';
  const found = records.filter((record) => (isFound(record) || isPending(record)) && record.asked_at <= at);
  const idsOf = (all: Offboarding[]) => all.map(({ offboarding_id }) => offboarding_id);
  return { ids: idsOf(found), pending: idsOf(found.filter(isPending)) };
}

/** Whether a cancelling enables what the record disabled, and not only ends its watch: also of what was completed or taken over meanwhile by who did not know of it yet. What was removed stays so. */
const isToUndo = (record: Offboarding, { pending }: Cancellation) =>
  isCancellable(record) ||
  (pending.includes(record.offboarding_id) &&
    (record.status === 'superseded' || (record.status === 'completed' && record.action === 'disable')));

/** An event's time has whole seconds: what arrives afterwards was asked for before it only if it was in an earlier second. */
const wasAskedBefore = ({ asked_at }: Offboarding, { at }: Cancellation) => asked_at < `${at.slice(0, 19)}.000Z`;

/** The cancelling that covers the record and is not carried out on it yet. */
export function cancellationOf(record: Offboarding, organization: Organization): Cancellation | undefined {
  // Asked for again while it is carried out, it is the same cancelling.
  if (record.status === 'cancelling') return undefined;
  const { cancelled, cancelled_ones = [] } = organization;
  const isNew = ({ at }: Cancellation) => !(record.cancelled && record.cancelled.at >= at);
  const one = cancelled_ones.find(({ ids }) => ids.includes(record.offboarding_id));
  if (one && isNew(one) && isToUndo(record, one)) return one;
  if (!cancelled || !isNew(cancelled) || !(isFound(record) || isToUndo(record, cancelled))) return undefined;
  return cancelled.ids.includes(record.offboarding_id) || wasAskedBefore(record, cancelled) ? cancelled : undefined;
}

/** A record's status as it is to its readers: what a cancelling covers is being cancelled from the moment that this is accepted. */
export function statusOf(record: Offboarding, organization: Organization) {
  const cancellation = cancellationOf(record, organization);
  return cancellation && isToUndo(record, cancellation) ? ('cancelling' as const) : record.status;
}

/** The organization's current offboarding: the newest that is pending, or that has ended without being undone. */
export function currentOf(records: Offboarding[]): Offboarding | undefined {
  const asked = records.filter((record) => isAccepted(record) && !record.dry_run).sort(byAskedAt);
  const isUndone = ({ status }: Offboarding) => status === 'cancelled' || status === 'superseded';
  return asked.findLast((record) => !hasEnded(record)) ?? asked.findLast((record) => !isUndone(record));
}

/**
 * Who else wants a connection to stay disabled that the cancelling of `record` would enable: the newest of those that are not
 * cancelled and were asked for it. What it merely took over is no wish of its own.
 */
function keeperOf(connectionId: string, record: Offboarding, state: State): Offboarding | undefined {
  const keeps = (other: Offboarding) =>
    other.offboarding_id !== record.offboarding_id &&
    !other.dry_run &&
    ['working', 'scheduled', 'removing', 'completed'].includes(other.status) &&
    !cancellationOf(other, state.organization) &&
    other.watch !== 'ended' &&
    isAskedFor(connectionId, other) &&
    other.connections.some((one) => one.connection_id === connectionId && wants(one, other) && !one.added);
  // Who is working and has not come to it yet will see for itself.
  const wants = ({ outcome }: ConnectionRecord, { status }: Offboarding) =>
    outcome === null ? status === 'removing' : outcome !== 'failed';
  return state.records.findLast(keeps);
}

const isAskedFor = (connectionId: string, { connection_ids }: Offboarding) =>
  connection_ids === undefined || connection_ids.includes(connectionId);

/** What somebody who works on an organization, alone, knows of it. */
export interface State {
  organization: Organization;
  /** The open records, as they were asked for. */
  records: Offboarding[];
  /** The organization's connections in Auth0, once they were asked for. */
  listed: OrganizationConnection[] | undefined;
  now: Date;
  /** Connections that Auth0 failed for; they are left for a later delivery. */
  postponed: ReadonlySet<string>;
  /** Whether what was asked for then is too old to be tried again. */
  isTooOld: (since: string) => boolean;
  /** Whether who worked on it before ended without a word. */
  wasAbandoned: boolean;
  /** Whether the stage ends sessions. */
  canEndSessions: boolean;
  /** When the watch of what ended then is over. */
  isWatchOver: (since: string) => boolean;
}

/**
 * The one next step of an organization: what is to be told, cancellings, what is being removed, handed over, disabled, requested,
 * due, watched. What Auth0 failed for just now holds up nothing else.
 */
export function nextStep(state: State): Step {
  // What is not accepted yet may be at any moment: it stands in the way of a removal.
  const toRemoveNext = () => toStartRemoving(state);
  return stepOf(state, [toTell, toCancel, toRemove, toHandOver, toWorkOff, toRemoveNext, toEndSessions, toCheck]);
}

/** The same for who cancels and does nothing else. */
export const nextCancellingStep = (state: State): Step => stepOf(state, [toTell, toCancel]);

function stepOf(state: State, kinds: ((accepted: State) => Step | undefined)[]): Step {
  const accepted = { ...state, records: state.records.filter(isAccepted).sort(byAskedAt) };
  return firstOf(kinds, (kind) => kind(accepted)) ?? { do: 'nothing' };
}

/** The first step that can be made now; where there is none, one that was postponed. */
function firstOf<T>(all: T[], stepOf: (one: T) => Step | undefined): Step | undefined {
  let postponed: Step | undefined;
  for (const one of all) {
    const step = stepOf(one);
    if (step && step.do !== 'postpone') return step;
    postponed ??= step;
  }
  return postponed;
}

const write = (record: Offboarding): Step => ({ do: 'write', record });

/** Outcomes are told in order: before anything else changes. */
function toTell({ records }: State): Step | undefined {
  const record = records.find(({ unpublished }) => unpublished);
  if (record) return { do: 'publish', record };
  const drifted = records.find(({ connections }) => connections.some(({ untold }) => untold));
  return drifted && { do: 'publish', record: drifted, connection: drifted.connections.find(({ untold }) => untold) };
}

/** A cancelling that was accepted is carried out on all that it covers. */
function toCancel(state: State): Step | undefined {
  for (const record of state.records) {
    const accepted = cancellationOf(record, state.organization);
    if (accepted) return write((isToUndo(record, accepted) ? cancelling : withoutWatch)(record, accepted));
  }
  const pending = state.records.filter(({ status }) => status === 'cancelling');
  return firstOf(
    pending,
    (record) => toGiveUp(record, state) ?? toLetKeep(record, state) ?? toConnections(record, state),
  );
}

/** What another one wants disabled stays so; where that is pending, its own cancelling will enable it. */
function toLetKeep(record: Offboarding, state: State): Step | undefined {
  for (const connection of heldBy(record)) {
    if (connection.outcome !== null) continue;
    const isOther = (one: ConnectionRecord) => one.connection_id !== connection.connection_id;
    const heir = state.records.find((other) => other !== record && hasTakenOver(connection, other));
    if (heir) return write({ ...heir, connections: heir.connections.filter(isOther) });
    const keeper = keeperOf(connection.connection_id, record, state);
    if (!keeper) continue;
    const keeps = hasEnded(keeper) || !heldBy(keeper).every(isOther);
    const released = { ...connection, outcome: 'unchanged' as const, disabled_by_offboarding: false };
    return write(keeps ? withConnection(record, released) : withHeld(keeper, [connection]));
  }
  return undefined;
}

/** A later offboarding that was not asked for the connection and holds it, or is about to remove it, with others that it took over. */
const hasTakenOver = ({ connection_id }: ConnectionRecord, other: Offboarding) =>
  ['working', 'scheduled'].includes(other.status) &&
  !isAskedFor(connection_id, other) &&
  other.connections.some((one) => one.connection_id === connection_id);

/** What has begun to be removed goes on until it has ended; nobody can cancel it, and no other removal begins. */
function toRemove(state: State): Step | undefined {
  const { removing: begun } = state.organization;
  if (!begun) return undefined;
  const record = state.records.find(({ offboarding_id }) => offboarding_id === begun.offboarding_id);
  if (!record || hasEnded(record)) return { do: 'end removing' };
  if (record.status === 'scheduled') return write(removing(record));
  return toGiveUp(record, state) ?? toConnections(record, state);
}

/** The latest asked at that has reached `scheduled` holds what the earlier ones had disabled; their own dates are void. */
function toHandOver({ records }: State): Step | undefined {
  const pending = records.filter(({ status }) => status === 'scheduled');
  const last = pending.at(-1);
  const earlier = pending.find((record) => record !== last);
  return last && earlier && takeOver(earlier, last);
}

/** First the later one holds it, then the earlier is superseded: cut off in between nothing is without its holder. */
function takeOver(earlier: Offboarding, later: Offboarding, ended = superseded): Step {
  const held = new Set(heldBy(later).map(({ connection_id }) => connection_id));
  const left = heldBy(earlier).filter(({ connection_id }) => !held.has(connection_id));
  return write(left.length > 0 ? withHeld(later, left) : ended(earlier, later));
}

function toWorkOff(state: State): Step | undefined {
  const unfinished = (['working', 'requested'] as const).flatMap((status) =>
    state.records.filter((record) => record.status === status),
  );
  return firstOf(unfinished, (record) => {
    const isNew = record.status === 'requested';
    const given = toGiveUp(record, state);
    if (given) return given;
    if (isNew && record.end_sessions && !state.canEndSessions) return write(end(record, NOT_ENABLED));
    if (!state.listed) return { do: 'list', about: record };
    if (isNew) return write(begin(record, plannedConnections(record, state.listed, state.records)));
    const step = toConnections(record, state);
    // Before the first is removed, nobody can cancel any more.
    if (step.do !== 'call' || step.goal !== 'removed') return step;
    return { do: state.organization.removing ? 'postpone' : 'start removing', record };
  });
}

/** The next connection of the record, or its end. */
function toConnections(record: Offboarding, state: State): Step {
  // Where nothing is held, nothing is enabled, and Auth0 need not be asked.
  const isIdle = record.status === 'cancelling' && heldBy(record).every(({ outcome }) => outcome !== null);
  const listed = state.listed ?? (isIdle ? [] : undefined);
  if (!listed) return { do: 'list' };
  const { step, known } = settled(record, listed, state.postponed);
  if (step) return step;
  const done = finished(known);
  if (done.status !== 'scheduled') return write(done);
  const others = state.records.filter((other) => other.status === 'scheduled');
  // Worked off after a later one: it hands over what it has disabled, and that one's date is the date.
  const later = others.findLast((other) => isLater(other, record));
  if (later) return takeOver(known, later, handedOver);
  return { do: 'schedule', record: withHeld(done, others.flatMap(heldBy)) };
}

/** A removal this much ahead of its time is due: clocks differ. */
const CLOCK_TOLERANCE_MS = 2000;

/** One pending removal an organization: of those that disable now and remove later the latest asked at decides the date. */
function toStartRemoving({ records, organization, now }: State): Step | undefined {
  const isPending = (one: Offboarding) => one.action === 'disable_then_remove' && !one.dry_run && !hasEnded(one);
  const record = records.filter(isPending).sort(byAskedAt).at(-1);
  if (organization.removing || record?.status !== 'scheduled') return undefined;
  const isEarly = Date.parse(record.removal_due_at ?? '') > now.getTime() + CLOCK_TOLERANCE_MS;
  return isEarly ? undefined : { do: 'start removing', record };
}

const NOT_ENABLED = { code: 'end_sessions_not_enabled', message: 'This stage does not end sessions' };
/** A message that sessions are due is sent again after this, unless a page was done since, milliseconds. */
const SESSIONS_AGAIN_MS = 6 * 3_600_000;

/** When a message is to say that the sessions are due, now that nobody can log in anew; undefined where there is none to end. */
function sessionsDueAt({ end_sessions, status, sessions, ended_at, updated_at }: Offboarding): string | undefined {
  if (!end_sessions || !['completed', 'scheduled', 'superseded'].includes(status)) return undefined;
  if (!sessions) return ended_at ?? updated_at;
  if (!['due', 'ending'].includes(sessions.status)) return undefined;
  if (!sessions.sent_at) return sessions.updated_at;
  const last = sessions.sent_at > sessions.updated_at ? sessions.sent_at : sessions.updated_at;
  return new Date(Date.parse(last) + SESSIONS_AGAIN_MS).toISOString();
}

/** After the connections, whoever is logged in through them: by a function of its own, to which a message is sent. */
function toEndSessions({ records, now }: State): Step | undefined {
  const at = now.toISOString();
  const record = records.find((one) => (sessionsDueAt(one) ?? '~') <= at);
  if (!record) return undefined;
  const counts = { members: 0, asked: 0, skipped: 0, failed: 0 };
  if (!record.sessions) return write({ ...record, sessions: { status: 'due', ...counts, updated_at: at } });
  return { do: 'end sessions', record: { ...record, sessions: { ...record.sessions, sent_at: at } } };
}

/** A drift check belongs to the organization: it is due as long as any of its offboardings is watched. */
function toCheck({ records, organization, listed, now, postponed, isWatchOver }: State): Step | undefined {
  const { look_at } = organization;
  const watched = watchedOf(records);
  const at = now.toISOString();
  const over = watched.find(({ ended_at }) => ended_at && isWatchOver(ended_at));
  if (over) return write(withoutWatch(over, { at, caller: 'org-connections', reason: 'watched for long enough' }));
  const repeated = watched.find((record, index) => index >= MOST_WATCHED || isRepeated(record, watched, now));
  if (repeated) return write({ ...repeated, watch: undefined });
  if (watched.length === 0 || !look_at || look_at > at || postponed.size > 0) return undefined;
  if (!listed) return { do: 'list' };
  return driftOf(watched, listed, now) ?? { do: 'checked' };
}

/** An organization has ten connections at most: older ones are about what is long gone, and would leave no room for new requests. */
const MOST_WATCHED = 40;

/** The offboardings that are watched, newest first. */
export const watchedOf = (records: Offboarding[]): Offboarding[] =>
  records.filter((record) => record.watch === 'on' && isAccepted(record)).sort((a, b) => byAskedAt(b, a));

/** Who is at work has seen each cancelling that was accepted so long ago, and took for pending what was completed then, milliseconds. */
const CERTAIN_AFTER_MS = 3_600_000;

/** Whether later ones are watched for all that this one is watched for, and stay so: it has nothing to say any more. */
function isRepeated(record: Offboarding, watched: Offboarding[], now: Date): boolean {
  if (record.status !== 'completed') return false;
  const certain = new Date(now.getTime() - CERTAIN_AFTER_MS).toISOString();
  const isCertain = ({ status, ended_at = '~' }: Offboarding) => status === 'completed' && ended_at <= certain;
  const later = watched.filter((other) => isCertain(other) && isLater(other, record));
  const ended = later.flatMap(({ connections }) => connections.filter(hasEndedIt));
  const covered = new Set(ended.map(({ connection_id }) => connection_id));
  const isWhole = ({ connection_ids }: Offboarding) => connection_ids === undefined;
  if (later.length === 0 || (isWhole(record) && !later.some(isWhole))) return false;
  return record.connections.every((one) => !hasEndedIt(one) || covered.has(one.connection_id));
}

/** Nothing that passes ends a request: only its age, after an error that is not the rate limit, or a worker that ended without a word. */
function toGiveUp(record: Offboarding, { wasAbandoned, isTooOld }: State): Step | undefined {
  const { attempts, last_error = WORKER_ENDED } = record;
  const hasFailed = wasAbandoned || (attempts > 0 && last_error.code !== 'rate_limited');
  return hasFailed && isTooOld(dueSince(record)) ? write(end(record, last_error)) : undefined;
}

const WORKER_ENDED = { code: 'worker_ended', message: 'Its worker ended before it could answer' };

/** Whether a record is one of those that the organization is about: pending, not told, holding, watched, or the last that failed. */
export function isOpen(record: Offboarding, records: Offboarding[]): boolean {
  if (!hasEnded(record) || record.unpublished || record.watch === 'on' || heldBy(record).length > 0) return true;
  if (sessionsDueAt(record)) return true;
  const isLast = !records.some((other) => !other.dry_run && isLater(other, record));
  return record.status === 'failed' && !record.dry_run && record.cancelled === undefined && isLast;
}

/** When the next step of the organization is, or was, due, and whose turn that is; neither where there is none. */
export function dueOf({ look_at }: Organization, records: Offboarding[]): Pick<Organization, 'due_at' | 'priority'> {
  const dates = records.flatMap((record) => {
    const due_at = !hasEnded(record) || record.unpublished ? dueSince(record) : undefined;
    const sessions = { due_at: sessionsDueAt(record), priority: 'batch' as const };
    return [{ due_at, priority: priorityOf(record) }, sessions];
  });
  const look = { due_at: watchedOf(records).length > 0 ? look_at : undefined, priority: 'watch' as const };
  const due = [...dates, look].filter(({ due_at }) => due_at);
  const [next] = due.sort((a, b) => (String(a.due_at) < String(b.due_at) ? -1 : 1));
  return { due_at: next?.due_at, priority: next?.priority };
}

/** Since when the next step of a record should have been made. */
function dueSince({ status, removal_due_at, cancelled, created_at, accept_by }: Offboarding): string {
  if (accept_by) return accept_by;
  if (status === 'cancelling') return cancelled?.at ?? created_at;
  const isDue = (status === 'scheduled' || status === 'removing') && removal_due_at;
  // To the millisecond, as all times that it is compared with.
  return isDue ? new Date(isDue).toISOString() : created_at;
}
