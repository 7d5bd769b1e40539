// Who works on an organization, and until when: the lease, and what an organization is given back with.
import { LATE_MS } from '../../late-writes.ts';
import type { Effect, EffectError } from '../model/effects.ts';
import { type Failure, type OpenRequest, type Organization, requestOf } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { dueOf } from '../rules/due-work.ts';
import { isPending } from '../rules/requests.ts';
import { uncertainEntry } from './facts.ts';
import type { VisitEnd, VisitState } from './visit-state.ts';

/** The clocks of two processes may differ by this much, milliseconds. */
export const CLOCKS_APART_MS = 120_000;

/** How long a message is taken to be on its way before another one says the same, milliseconds. */
const MESSAGE_TAKES_MS = 300_000;

/** Owns the lease of an organization that nobody works on, while Auth0 may still carry out a call. */
export const NOBODY = 'nobody';

/** Somebody else's visit ends soon, milliseconds. */
export const WAIT_FOR_TURN_MS = 2000;

export type Next = { state: VisitState; effect?: Effect | undefined };

export const ended = (state: VisitState, end: VisitEnd): Next => ({ state: { ...state, end } });

/** Whether `item` has the lease of this visit. */
export const hasLease = ({ input }: VisitState, { lease }: Organization): boolean => lease?.owner === input.nonce;

/**
 * How long this visit waits before it goes on, milliseconds; undefined where nobody else works on the organization. Somebody else's
 * lease is taken to be over only when it is over by a clock that is as much behind as two can be apart.
 */
export function waitForLease(state: VisitState): number | undefined {
  const { item, now } = state;
  if (!item.lease) return undefined;
  const { owner, until } = item.lease;
  // Once its own is over, somebody else may be at work already, and what is published now would come out of order.
  if (hasLease(state, item)) return until <= now ? 0 : undefined;
  const left = until + CLOCKS_APART_MS - now;
  if (left <= 0) return undefined;
  return owner === NOBODY ? left : WAIT_FOR_TURN_MS;
}

const CRASHED: Failure = {
  code: 'internal_error',
  message: 'The worker crashed or timed out before it had finished',
};

/** Who had the lease before has crashed: what it was about to do it may have done, and Auth0 may have carried it out. */
export function withoutAbandonedLease(state: VisitState): Organization {
  const { item, now } = state;
  if (!item.lease || hasLease(state, item)) return item;
  const ledger = item.ledger.map((entry) => (entry.intent ? uncertainEntry(item, entry, entry.intent) : entry));
  const isAtWork = (one: OpenRequest) => isPending(one) && ['working', 'removing', 'cancelling'].includes(one.status);
  const crashed = (one: OpenRequest): OpenRequest => ({
    ...one,
    attempts: one.attempts + 1,
    last_error: one.last_error ?? CRASHED,
    next_try_at: iso(now),
  });
  const isCrash = item.lease.owner !== NOBODY;
  const requests = item.requests.map((one) => (isCrash && isAtWork(one) ? crashed(one) : one));
  return { ...item, ledger, requests, lease: undefined };
}

/** A version that nobody else writes, and this visit never again. */
export const versionOf = ({ input, writes }: VisitState) => `${input.nonce}.${writes + 1}`;

/** Whether everything that is known is stored, under the lease of this visit. */
export const isSaved = (state: VisitState) => hasLease(state, state.stored) && state.item === state.stored;

/**
 * Whether everything that a record shows of `request` is stored, under the lease of this visit. Events that are published since, and
 * other requests that are recorded, show in none: they are stored with what comes next.
 */
export function isStoredAsShown(state: VisitState, request: OpenRequest): boolean {
  const { stored, item } = state;
  const names = Object.keys({ ...stored, ...item }) as (keyof Organization)[];
  const isSame = (name: keyof Organization) => name === 'outbox' || name === 'requests' || item[name] === stored[name];
  return hasLease(state, stored) && names.every(isSame) && requestOf(stored, request.offboarding_id) === request;
}

/** The visit goes on at once, in another message. */
export const OUT_OF_TIME: EffectError = {
  code: 'out_of_time',
  message: "The function's time is used up",
  is_transient: true,
  may_be_done: false,
};

/** What is due so soon is waited for where the message is, milliseconds. */
const SOON_MS = 10_000;

/** How a visit ends that has stored all it knows: where a lease is left, Auth0 may still carry out a call. */
export function endOf(state: VisitState): VisitEnd {
  const { error, now, item, input } = state;
  if (error?.code === 'out_of_time') return { is: 'later', wait_ms: 0 };
  if (error) return { is: 'later', wait_ms: waitAfter(error, state), error };
  const { due_at: due = '~' } = dueOf(item);
  const isLeft = due <= iso(now);
  if (isLeft && item.lease) return { is: 'later', wait_ms: item.lease.until + CLOCKS_APART_MS - now };
  if (input.mode === 'cancel') return { is: 'done' };
  if (isLeft) return { is: 'later', wait_ms: input.waitMs };
  return due < iso(now + SOON_MS) ? { is: 'later', wait_ms: Date.parse(due) - now } : { is: 'done' };
}

/** The rate limit says how long it takes; an error is waited out. */
export const waitAfter = ({ code, retry_after = 1 }: EffectError, { input }: VisitState) =>
  code === 'rate_limited' ? retry_after * 1000 : input.waitMs;

/** Writes what is known: with the lease of this visit, or, at its end, without. */
export function save(state: VisitState, keeps: boolean): Next {
  const { input, now, uncertainUntil = 0, stored } = state;
  const own = { owner: input.nonce, until: input.deadline + LATE_MS };
  const left = uncertainUntil > now ? { owner: NOBODY, until: uncertainUntil } : undefined;
  const known = keeps ? state.item : withNotice(withoutIntents(state.item), state);
  const lease = keeps ? own : left;
  const item = { ...known, lease, version: versionOf(state), revision: known.revision + 1 };
  return { state: { ...state, item }, effect: { do: 'writeOrganization', item, expected: stored.version } };
}

/** What was planned and not begun is planned anew by the next visit. */
const withoutIntents = (item: Organization): Organization => ({
  ...item,
  ledger: item.ledger.map((entry) =>
    entry.intent && !entry.intent.is_uncertain && !entry.drifted_at ? { ...entry, intent: undefined } : entry,
  ),
});

function withNotice(item: Organization, state: VisitState): Organization {
  const { error, now } = state;
  const { due_at } = dueOf(item);
  const at = error ? now + waitAfter(error, state) : Date.parse(due_at ?? '');
  return { ...item, notice_at: due_at === undefined ? undefined : Math.max(at, now) + MESSAGE_TAKES_MS };
}
