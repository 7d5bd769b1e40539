import type { Failure, OpenRequest, Organization, Outcome } from '../model/organization.ts';
import { keyOf, requestOf, withRequest } from '../model/organization.ts';
import { after, iso, type Stage } from '../model/stage.ts';
import { beginRequest, type Listing, unfinishedOf } from './connections.ts';
import { acceptedOf, inStatus, withEvent, withFinalLedger } from './requests.ts';

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
  return withRequest(item, { ...inStatus(request, 'removing', now), outcomes });
}

/** The request at the end of its status, now that each of its connections has an outcome. */
export function finish(item: Organization, request: OpenRequest, now: number): Organization {
  const { status, removal_due_at, parameters } = request;
  const outcomes = Object.values(request.outcomes);
  const failed = outcomes.find(({ outcome }) => outcome === 'failed');
  const isLater = status === 'working' && removal_due_at !== undefined && !parameters.dry_run;
  if (isLater && outcomes.some(({ outcome }) => outcome !== 'failed')) return schedule(item, request, now);
  const end = status === 'cancelling' ? 'cancelled' : 'completed';
  return endAs(item, { ...request, error: failed?.error }, failed ? 'failed' : end, now);
}

/** The request failed for `error`: what was not done yet of it did. */
export function failWith(item: Organization, request: OpenRequest, error: Failure, now: number): Organization {
  const left = unfinishedOf(item, request).map((entry) => [keyOf(entry), { outcome: 'failed', error }] as const);
  const outcomes = { ...request.outcomes, ...Object.fromEntries(left) };
  return endAs(item, { ...request, outcomes, error }, 'failed', now);
}

/** The request in its last status, its event in the outbox, and the ledger as it is from now on. */
function endAs(
  item: Organization,
  request: OpenRequest,
  status: 'completed' | 'failed' | 'cancelled',
  now: number,
): Organization {
  const { parameters, removal_due_at } = request;
  const hasEndedSome = Object.values(request.outcomes).some(({ outcome }) => ['disabled', 'removed'].includes(outcome));
  const isWatched = !parameters.dry_run && request.status !== 'cancelling' && (status === 'completed' || hasEndedSome);
  const ended = { ...inStatus(request, status, now), watch: isWatched ? ('on' as const) : undefined };
  const wouldBeScheduled = status === 'completed' && parameters.dry_run && removal_due_at !== undefined;
  const reported = withEvent(withRequest(item, ended), ended, wouldBeScheduled ? 'scheduled' : status, now);
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
  const published = withEvent(withRequest(item, scheduled), scheduled, 'scheduled', now);
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
  return withEvent(withOutcomesOf({ ...item, ledger }, later, ids), superseded, 'superseded', now);
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
