// Who works on an organization, and until when: the lease, and what an organization is given back with.
import { LATE_MS } from '../../late-writes.ts';
import type { Effect, EffectError } from '../model/effects.ts';
import type { OpenRequest, Organization } from '../model/organization.ts';
import { requestOf } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { LIST_IS_OLD_MS } from '../rules/connections.ts';
import { NOTIFICATIONS_COUNT_AS_ONE_MS } from '../rules/drift.ts';
import { dueOf } from '../rules/due-work.ts';
import { isPending } from '../rules/requests.ts';
import { CRASHED } from './next-step.ts';
import { uncertainEntry, type VisitEnd, type VisitState } from './visit-state.ts';

/** The clocks of two processes may differ by this much, milliseconds. */
export const CLOCKS_APART_MS = 120_000;

/** How long a message is taken to be on its way before another one says the same, milliseconds. */
const MESSAGE_TAKES_MS = 300_000;

/**
 * How long somebody else's lease counts from now on, milliseconds: it is taken to be over only when it is over by a clock that is as
 * much behind as two can be apart. Undefined where nobody else has one.
 */
export function otherLeaseMs({ lease }: Organization, { input, now }: VisitState): number | undefined {
  if (!lease || lease.owner === input.nonce) return undefined;
  const left = lease.until + CLOCKS_APART_MS - now;
  return left > 0 ? left : undefined;
}

export const NOBODY = 'nobody';

export type Next = { state: VisitState; effect?: Effect | undefined };

export const ended = (state: VisitState, end: VisitEnd): Next => ({ state: { ...state, end } });

/** Who had the lease before has crashed: what it was about to do it may have done, and Auth0 may have carried it out. */
export function withoutAbandonedLease(item: Organization, { input, now }: VisitState): Organization {
  const { lease } = item;
  if (!lease || lease.owner === input.nonce) return item;
  const ledger = item.ledger.map((entry) => {
    const { intent } = entry;
    return intent ? uncertainEntry(item, { ...entry, intent }, intent) : entry;
  });
  if (lease.owner === NOBODY) return { ...item, ledger, lease: undefined };
  const requests = item.requests.map((one) =>
    ['working', 'removing', 'cancelling'].includes(one.status) && isPending(one)
      ? { ...one, attempts: one.attempts + 1, last_error: one.last_error ?? CRASHED, next_try_at: iso(now) }
      : one,
  );
  return { ...item, ledger, requests, lease: undefined };
}

/** A version that nobody else writes, and this visit never again. */
export const versionOf = ({ input, writes }: VisitState) => `${input.nonce}.${writes + 1}`;

/** Whether everything that is known is stored, under the lease of this visit. */
export const isSaved = ({ stored, item, input }: VisitState) => stored?.lease?.owner === input.nonce && item === stored;

/**
 * Whether everything that a record shows of `request` is stored, under the lease of this visit. Events that are published since, and
 * other requests that are recorded, show in none: they are stored with what comes next.
 */
export function isStoredAsShown({ stored, item, input }: VisitState, request: OpenRequest): boolean {
  if (!item || stored?.lease?.owner !== input.nonce) return false;
  const names = Object.keys({ ...stored, ...item }) as (keyof Organization)[];
  const isSame = (name: keyof Organization) => name === 'outbox' || name === 'requests' || item[name] === stored[name];
  return names.every(isSame) && requestOf(stored, request.offboarding_id) === request;
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

export function endOf(state: VisitState, isUncertain: boolean): VisitEnd {
  const { error, now, uncertainUntil = 0, item } = state;
  if (error?.code === 'out_of_time') return { is: 'later', wait_ms: 0 };
  if (error) return { is: 'later', wait_ms: waitAfter(error, state), error };
  const due = item ? dueOf(item).due_at : undefined;
  const isLeft = due !== undefined && due <= iso(now);
  const isSoon = item !== undefined && due !== undefined && due < iso(now + SOON_MS) && isCheckedAgainSoon(item, due);
  if (isSoon && !isLeft && state.input.mode === 'work') return { is: 'later', wait_ms: Date.parse(due) - now };
  if (isLeft && isUncertain) return { is: 'later', wait_ms: uncertainUntil + CLOCKS_APART_MS - now };
  return isLeft && state.input.mode === 'work' ? { is: 'later', wait_ms: state.input.waitMs } : { is: 'done' };
}

/** Whether what is due is the drift check that a list could not answer yet: it is waited for in place. */
function isCheckedAgainSoon({ ledger, drift_check_requested_at = '' }: Organization, due: string): boolean {
  const notified = Date.parse(drift_check_requested_at) + NOTIFICATIONS_COUNT_AS_ONE_MS;
  const moments = [notified, ...ledger.map(({ changed }) => changed?.at ?? Number.NaN)];
  return moments.some((at) => Date.parse(due) === at + LIST_IS_OLD_MS + 1);
}

/** The rate limit says how long it takes; an error is waited out. */
export const waitAfter = ({ code, retry_after = 1 }: EffectError, { input }: VisitState) =>
  code === 'rate_limited' ? retry_after * 1000 : input.waitMs;

/** Writes what is known: with the lease of this visit, or, at its end, without. */
export function save(state: VisitState, keeps: boolean): Next {
  const { input, now, uncertainUntil = 0 } = state;
  const own = { owner: input.nonce, until: input.deadline + LATE_MS };
  const left = uncertainUntil > now ? { owner: NOBODY, until: uncertainUntil } : undefined;
  const item = keeps ? (state.item as Organization) : withNotice(withoutIntents(state.item as Organization), state);
  const lease = keeps ? own : left;
  const next = { ...item, lease, version: versionOf(state), revision: item.revision + 1 };
  return {
    state: { ...state, item: next },
    effect: { do: 'writeOrganization', item: next, expected: state.stored?.version },
  };
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
