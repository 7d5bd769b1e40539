import type { Batch } from '../model/batch.ts';
import type { Failure, LedgerEntry, OpenRequest, Organization, Outcome, OutcomeEvent } from '../model/organization.ts';
import { areMembersLeft, keyOf, requestOf, withRequest } from '../model/organization.ts';
import { after, iso, type Stage } from '../model/stage.ts';
import type { Status } from '../model/status.ts';
import { cancellationAfter } from './acceptance.ts';
import { cancelRequest, endWatch } from './cancellation.ts';
import { beginRequest, type Listing, unfinishedOf } from './connections.ts';
import {
  acceptedOf,
  actOf,
  disabledBy,
  inStatus,
  isCarriedOut,
  isPending,
  withEvent,
  withFinalLedger,
} from './requests.ts';

// What becomes of a request: pure changes of the organization's item, one for each status that it can reach.

/** When the removal of a request that begins now is due: whole seconds, after its grace period or the stage's. */
function removalDueAt({ parameters }: OpenRequest, now: number, stage: Stage): string {
  const start = Math.ceil(now / 1000) * 1000;
  return iso(after(start, parameters.grace_period ?? stage.defaultGracePeriod)).replace('.000Z', 'Z');
}

/** When `removal_upcoming` is due: the stage's notice ahead of the removal, or at half of a shorter grace period; whole seconds. */
function noticeDueAt(removal: string, now: number, stage: Stage): string {
  const due = Date.parse(removal);
  const notice = after(now, stage.removalNotice) - now;
  const at = due - notice > now ? due - notice : now + (due - now) / 2;
  return iso(Math.floor(at / 1000) * 1000);
}

/** requested → working: what the request is about is on the ledger; nothing is done yet. */
export function begin(
  item: Organization,
  request: OpenRequest,
  listing: Listing,
  now: number,
  stage: Stage,
): Organization {
  const begun = beginRequest(item, inStatus(request, 'working', now), listing);
  const isThere = begun.ledger.some(({ claims, before }) => before !== null && claims.includes(request.offboarding_id));
  if (request.parameters.action !== 'disable_then_remove' || !isThere) return begun;
  const removal_due_at = removalDueAt(request, now, stage);
  const own = requestOf(begun, request.offboarding_id) ?? request;
  return withRequest(begun, { ...own, removal_due_at, notice_due_at: noticeDueAt(removal_due_at, now, stage) });
}

/** scheduled → removing. What could not be disabled is not removed. */
export function beginRemoval(item: Organization, request: OpenRequest, now: number): Organization {
  const isFinal = (key: string, { outcome }: Outcome) => outcome === 'failed' || key.startsWith('grant ');
  const outcomes = Object.fromEntries(Object.entries(request.outcomes).filter(([key, one]) => isFinal(key, one)));
  return withRequest(item, { ...inStatus(request, 'removing', now), outcomes, notice_due_at: undefined });
}

/** The request at the end of its status, now that each of its connections has an outcome. */
export function finish(item: Organization, request: OpenRequest, now: number): Organization {
  const outcomes = Object.values(request.outcomes).map(({ outcome }) => outcome);
  const hasFailed = outcomes.includes('failed');
  const failure = hasFailed ? firstFailure(request) : undefined;
  if (request.status === 'cancelling')
    return endAs(item, { ...request, error: failure }, hasFailed ? 'failed' : 'cancelled', 'cancelled', now);
  const isDisabled =
    request.status === 'working' && request.removal_due_at !== undefined && !request.parameters.dry_run;
  const someAre = outcomes.some((outcome) => outcome !== 'failed');
  if (isDisabled && someAre) return schedule(item, request, now);
  const wouldBeScheduled = request.parameters.dry_run && request.removal_due_at !== undefined;
  return endAs(
    item,
    { ...request, error: failure },
    hasFailed ? 'failed' : 'completed',
    wouldBeScheduled ? 'scheduled' : 'completed',
    now,
  );
}

const firstFailure = ({ outcomes }: OpenRequest): Failure | undefined =>
  Object.values(outcomes).find(({ outcome }) => outcome === 'failed')?.error;

/** The request failed for `error`: what was not done yet of it did. */
export function failWith(item: Organization, request: OpenRequest, error: Failure, now: number): Organization {
  const left = unfinishedOf(item, request).map((entry) => [keyOf(entry), { outcome: 'failed', error }] as const);
  const outcomes = { ...request.outcomes, ...Object.fromEntries(left) };
  return endAs(item, { ...request, outcomes, error }, 'failed', 'failed', now);
}

/** The request in its last status, its event in the outbox, and the ledger as it is from now on. */
function endAs(
  item: Organization,
  request: OpenRequest,
  status: Status,
  event: OutcomeEvent,
  now: number,
): Organization {
  const hasEndedSome = Object.values(request.outcomes).some(
    ({ outcome }) => outcome === 'disabled' || outcome === 'removed',
  );
  const isWatched =
    !request.parameters.dry_run && request.status !== 'cancelling' && (status === 'completed' || hasEndedSome);
  const watch = isWatched ? ('on' as const) : undefined;
  const ended = { ...inStatus(request, status, now), watch, ended_at: iso(now), notice_due_at: undefined };
  const reported = withEvent(withRequest(item, ended), ended, status === 'failed' ? 'failed' : event, iso(now));
  return withFinalLedger(status === 'cancelled' ? reported : withRemoved(reported, ended), now);
}

/** What was removed is known by name alone; whoever claimed it has nothing left to claim. */
function withRemoved(item: Organization, { outcomes, parameters }: OpenRequest): Organization {
  if (parameters.dry_run) return item;
  const isRemoved = (key: string) => outcomes[key]?.outcome === 'removed';
  const ended = Object.keys(outcomes).filter((key) => outcomes[key]?.outcome !== 'failed' && key.startsWith('con_'));
  const known = [...item.known.filter((id) => !ended.includes(id)), ...ended].slice(-MOST_KNOWN);
  return {
    ...item,
    known,
    ledger: item.ledger.map((entry) => (isRemoved(keyOf(entry)) ? { ...entry, disabled_by_us: false } : entry)),
  };
}
const MOST_KNOWN = 100;

/** working → scheduled; of several that disable now and remove later the one requested last decides, and the others are superseded. */
function schedule(item: Organization, request: OpenRequest, now: number): Organization {
  const scheduled = { ...inStatus(request, 'scheduled', now), watch: 'on' as const };
  const published = withEvent(withRequest(item, scheduled), scheduled, 'scheduled', iso(now));
  const pending = acceptedOf(published).filter(({ status }) => status === 'scheduled');
  const last = pending.at(-1) ?? scheduled;
  const earlier = pending.filter((one) => one.offboarding_id !== last.offboarding_id);
  return earlier.reduce((next, one) => supersede(next, one, last, now), published);
}

/** scheduled → superseded: what this one claimed, `later` claims. */
function supersede(item: Organization, request: OpenRequest, later: OpenRequest, now: number): Organization {
  const ids = [request.offboarding_id, later.offboarding_id];
  const moved = (claims: string[]) => [...claims.filter((id) => !ids.includes(id)), later.offboarding_id];
  const ledger = item.ledger.map((entry) =>
    entry.claims.includes(request.offboarding_id) ? { ...entry, claims: moved(entry.claims) } : entry,
  );
  const superseded = { ...inStatus(request, 'superseded', now), superseded_by: later.offboarding_id, watch: undefined };
  const ended = { ...superseded, ended_at: iso(now), notice_due_at: undefined };
  return withEvent(withOutcomesOf({ ...item, ledger }, later, ids), ended, 'superseded', iso(now));
}

/** The later offboarding shows what it took over, as it will be removed with it. */
function withOutcomesOf(item: Organization, later: OpenRequest, [earlierId = '']: string[]): Organization {
  const own = requestOf(item, later.offboarding_id) ?? later;
  const earlier = requestOf(item, earlierId);
  const taken = Object.entries(earlier?.outcomes ?? {}).filter(([key]) => own.outcomes[key] === undefined);
  // What could not be disabled is not removed, whoever removes.
  const handedOver = taken.map(([key, one]): [string, Outcome] => [
    key,
    one.outcome === 'failed' ? one : { outcome: 'unchanged' },
  ]);
  return withRequest(item, {
    ...own,
    outcomes: { ...own.outcomes, ...Object.fromEntries(handedOver) },
    is_unrecorded: true,
  });
}

/** A member of a batch counts from now on; one that was cancelled meanwhile is so at once. */
export function acceptMember(item: Organization, request: OpenRequest, now: number): Organization {
  const batch = request.batch && { ...request.batch, is_accepted: true };
  const accepted = { ...request, batch, cancelled: undefined };
  const cancellation = cancellationAfter(item.cancellation, accepted);
  const next = { ...withRequest(item, accepted), cancellation };
  return request.cancelled ? cancelRequest(next, accepted, request.cancelled, now) : next;
}

/** Whether a member of this attempt never counts: its batch was given up, is at a later attempt, or is gone. */
export const isVoid = (batch: Batch | undefined, { attempt }: { attempt: number }): boolean =>
  batch === undefined || batch.attempt > attempt || (batch.attempt === attempt && batch.status === 'void');

/** The organization without a member whose batch was given up: it never counted, and leaves no trace. */
export const withoutMember = (item: Organization, { offboarding_id }: OpenRequest): Organization => ({
  ...item,
  requests: item.requests.filter((one) => one.offboarding_id !== offboarding_id),
  outbox: item.outbox.filter((one) => one.offboarding_id !== offboarding_id),
});

/** The organization without the watches that are over: by their date, or because the organization has newer ones. */
export function withoutOverdueWatches(item: Organization, now: number, stage: Stage): Organization {
  const watched = acceptedOf(item).filter(
    ({ watch, status }) => watch === 'on' && status !== 'scheduled' && status !== 'removing',
  );
  const tooMany = watched
    .filter((one, index) => isCovered(one, watched.slice(index + 1)) && !areSessionsLeft(one))
    .slice(0, Math.max(0, watched.length - MOST_WATCHED));
  const over = watched.filter(
    (one) => tooMany.includes(one) || after(one.ended_at ?? one.accepted_at, stage.watchFor) < now,
  );
  const reason = (one: OpenRequest) =>
    tooMany.includes(one) ? 'later offboardings are watched' : 'watched for long enough';
  return over.reduce(
    (next, one) => endWatch(next, one, actOf({ at: iso(now), caller: 'org-connections', reason: reason(one) }), now),
    item,
  );
}
const MOST_WATCHED = 10;

/**
 * The organization in which the newest of many failed offboardings alone claim what was disabled: an older one gives its claims up
 * where newer ones have them, too. A cancellation gives all of it back by these.
 */
export function withoutOldClaims(item: Organization, now: number): Organization {
  const failed = acceptedOf(item).filter((one) => one.status === 'failed' && disabledBy(item, one).length > 0);
  const old = failed.slice(0, Math.max(0, failed.length - MOST_FAILED));
  const given = old.find((one, index) => areClaimedBy(disabledBy(item, one), failed.slice(index + 1)));
  if (!given) return item;
  const { offboarding_id } = given;
  const disabled = disabledBy(item, given);
  const ledger = item.ledger.map((entry) =>
    disabled.includes(entry) ? { ...entry, claims: entry.claims.filter((id) => id !== offboarding_id) } : entry,
  );
  return withRequest({ ...item, ledger }, { ...given, updated_at: iso(now), is_unrecorded: true });
}
const MOST_FAILED = 10;

const areClaimedBy = (entries: LedgerEntry[], newer: OpenRequest[]): boolean =>
  entries.every(({ claims }) => newer.some(({ offboarding_id }) => claims.includes(offboarding_id)));

/** Whether newer watches are about everything that this one is about. */
function isCovered({ parameters }: OpenRequest, newer: OpenRequest[]): boolean {
  const isWhole = newer.some(
    (one) => !one.parameters.connection_ids && (one.parameters.end_machine_access || !parameters.end_machine_access),
  );
  const named = new Set(newer.flatMap((one) => one.parameters.connection_ids ?? []));
  return isWhole || (parameters.connection_ids?.every((id) => named.has(id)) ?? false);
}

/** Whether a request has nothing left to say or to do: its record is all that remains. */
export function isOver(item: Organization, request: OpenRequest): boolean {
  if (isPending(request) || request.batch?.is_accepted === false || request.is_unrecorded || request.watch === 'on')
    return false;
  if (item.outbox.some(({ offboarding_id }) => offboarding_id === request.offboarding_id)) return false;
  if (areSessionsLeft(request)) return false;
  return disabledBy(item, request).length === 0;
}

/** Whether the sessions of the members are still to be ended. */
export const areSessionsLeft = ({ parameters, status, sessions, watch }: OpenRequest): boolean =>
  parameters.end_sessions &&
  (['completed', 'scheduled', 'superseded'].includes(status) || (status === 'failed' && watch === 'on')) &&
  watch !== 'ended' &&
  areMembersLeft(sessions);

/** The organization without the requests that are over. The newest that was carried out stays known as the current one. */
export function withoutOver(item: Organization, now: number): Organization {
  const over = item.requests.filter((one) => isOver(item, one));
  if (over.length === 0) return item;
  const carriedOut = acceptedOf({ ...item, requests: over }).filter(
    (one) => !one.parameters.dry_run && isCarriedOut(one),
  );
  const requests = item.requests.filter((one) => !over.includes(one));
  const last = carriedOut.at(-1);
  const isNewer = last && last.requested_at > (item.current?.requested_at ?? '');
  const current = isNewer ? { offboarding_id: last.offboarding_id, requested_at: last.requested_at } : item.current;
  return withFinalLedger({ ...item, requests, current }, now);
}
