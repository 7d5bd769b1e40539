import type { IncomingHttpHeaders } from 'node:http';
import { backoff } from '../deadline.ts';

/** Waits that a header may ask for; a longer one is taken for nonsense (Auth0's slowest bucket gains a token every 2.4 s). */
const LONGEST_WAIT_MS = 3_600_000;

/** What a response's headers say of its token bucket, as far as it makes sense. */
export type RateLimit = ReturnType<typeof readRateLimit>;

const numberOf = (header: string | string[] | undefined) =>
  typeof header === 'string' && /^\d{1,15}(\.\d{1,9})?$/.test(header.trim()) ? Number(header) : undefined;
const wait = (ms: number) => (ms >= 0 && ms <= LONGEST_WAIT_MS ? ms : undefined);

/**
 * The rate limit's headers of `headers`: `x-ratelimit-limit`, `-remaining`, `-reset` (Unix seconds, read against the
 * response's own `Date` so that a wrong clock on this side does no harm) and `Retry-After` (seconds or a date). Times are milliseconds from
 * now: `reset` until tokens are added next, `retryAfter` what the server asks for.
 */
export function readRateLimit(headers: IncomingHttpHeaders) {
  const date = Date.parse(headers.date ?? '');
  // The Date header has whole seconds: a difference below two is its rounding, not a clock that is off.
  const now = Math.abs(date - Date.now()) >= 2000 ? date : Date.now();
  // A moment that has just passed is one that has come; only what is long gone is nonsense.
  const untilReset = (numberOf(headers['x-ratelimit-reset']) ?? Number.NaN) * 1000 - now;
  const retryAfter = headers['retry-after'];
  const retrySeconds = numberOf(retryAfter);
  const retryAt = retrySeconds === undefined ? Date.parse(retryAfter ?? '') - now : retrySeconds * 1000;
  return {
    limit: numberOf(headers['x-ratelimit-limit']),
    remaining: numberOf(headers['x-ratelimit-remaining']),
    reset: wait(untilReset < 0 && untilReset > -5000 ? 0 : untilReset),
    retryAfter: wait(retryAt),
  };
}

/**
 * Milliseconds to wait after a 429, the `times`th in a row: what its headers say, and never less than a doubling pause with
 * jitter, for they may speak of this second or of one that has just passed.
 */
export function waitAfter429({ retryAfter, reset }: RateLimit, times: number): number {
  return Math.max(retryAfter ?? reset ?? 0, backoff(times, 1000, 60_000)) + Math.random() * 100;
}

/** The token buckets in which Auth0 counts calls ("Rate Limit Configurations"); `whole` is the Management API as a whole. */
export type Bucket =
  | 'connections_read'
  | 'connections_write'
  | 'client_grants_read'
  | 'client_grants_write'
  | 'members'
  | 'whole';

/**
 * The work that shares a tenant's limit, each with its headroom: the tokens that it leaves in a bucket. `single`, `batch` and `watch`
 * are the worker's message groups, `route` is what a function does while its HTTP caller waits. The bucket is where they meet: who
 * leaves more gives way to who leaves fewer, and loses nothing when it is alone. So a caller who floods a route leaves the worker
 * what it needs. One token is always left, so that an urgent request of another client finds one.
 */
export const HEADROOM = { single: 1, batch: 3, route: 3, watch: 5 };

/** Tokens that must have come in before the interval between two is known well enough, at first and later on. */
const TOKENS_FOR_FIRST_ESTIMATE = 4;
const TOKENS_FOR_ESTIMATE = 16;
/** Of the tokens that came in, the part of one that may have been there when the counting began. */
const PARTIAL_TOKEN = 0.5;
/** A call that goes so much later than it might comes from an idle worker, and nothing is learned from that, milliseconds. */
const IDLE_MS = 3000;
/** After a 429 the interval was taken for too short, or others have come. */
const LENGTHENED = 1.1;
/** What is waited beyond the interval: the headers tell of whole tokens only. */
const ALLOWANCE = 1.02;
/** The interval as long as nothing is known of it, and the reset time where the headers have none, milliseconds. */
const ASSUMED_INTERVAL_MS = 1000;
/** After this pause one call asks again: a wrong header, or somebody else's storm, stops no container for longer, milliseconds. */
const LONGEST_PAUSE_MS = 60_000;
/** The one bucket that holds so little is the Free plan's, which counts the whole API together; no headroom is left in it. */
const SMALL_BUCKET = 3;

/**
 * Estimates in how many milliseconds a bucket gains a token, from what comes in between responses, other clients' share included:
 * the reset time in the headers has whole seconds only.
 */
function createIntervalEstimate() {
  let interval: number | undefined;
  /** Where the counting began, and the calls that took a token since. */
  let count: { at: number; remaining: number; calls: number } | undefined;

  return {
    interval: () => interval,

    /** A response said that `remaining` tokens are left; `wasIdle`: nothing was asked for while tokens came in. */
    observe(remaining: number, wasIdle: boolean): void {
      if (count && !wasIdle) {
        count.calls += 1;
        const gained = remaining - count.remaining + count.calls;
        // What came in while the bucket was full is not seen: the interval is then taken for too long, and less so each time.
        if (gained < (interval === undefined ? TOKENS_FOR_FIRST_ESTIMATE : TOKENS_FOR_ESTIMATE)) return;
        interval = (Date.now() - count.at) / (gained - PARTIAL_TOKEN);
        if (gained < TOKENS_FOR_ESTIMATE) return;
      }
      count = { at: Date.now(), remaining, calls: 0 };
    },

    /** A call was rejected with 429: longer from now on, until enough tokens have been seen to know better. */
    lengthen(): void {
      count = undefined;
      if (interval !== undefined) interval *= LENGTHENED;
    },
  };
}

/** When the next call of a bucket may go (Unix ms), and how many 429 it had in a row. */
type BucketState = { next: number; throttled: number; estimate: ReturnType<typeof createIntervalEstimate> };

/** In how many milliseconds `missing` tokens come in: at the headroom the next token is ours; below it others fill it again. */
function untilOurs(missing: number, { estimate }: BucketState, reset: number): number {
  const interval = estimate.interval();
  const byHeader = reset + (missing - 1) * (interval ?? Math.max(ASSUMED_INTERVAL_MS, reset));
  return interval === undefined ? byHeader : Math.min(missing * interval * ALLOWANCE, byHeader);
}

/**
 * Keeps a function within the tenant's limit: what the responses say of their buckets tells when the next call may go. It leaves
 * `headroom` tokens in a bucket. It knows what it was told: it lives as long as its container, and gives way from the second call on.
 * After a success a call waits for `longestCourtesy` milliseconds at most: Auth0 has refused nothing yet, and its headers may be wrong.
 */
export function createPacer(headroom = HEADROOM.single, longestCourtesy = LONGEST_PAUSE_MS) {
  const states = new Map<Bucket, BucketState>();
  let isOneForAll = false;
  const stateOf = (bucket: Bucket): BucketState => {
    const name = isOneForAll ? 'whole' : bucket;
    const state = states.get(name) ?? { next: 0, throttled: 0, estimate: createIntervalEstimate() };
    states.set(name, state);
    return state;
  };

  return {
    /** Milliseconds until a call of `bucket` may go; 0 is now. */
    delay: (bucket: Bucket): number => Math.max(0, stateOf(bucket).next - Date.now()),

    /** Takes note of a response's status and headers. */
    note(bucket: Bucket, status: number, rateLimit: RateLimit): void {
      const { limit, remaining, reset = ASSUMED_INTERVAL_MS } = rateLimit;
      if (limit !== undefined) isOneForAll = limit <= SMALL_BUCKET;
      const state = stateOf(bucket);
      const left = limit !== undefined && limit > SMALL_BUCKET ? Math.min(headroom, limit - 1) : 0;
      const wasIdle = Date.now() >= state.next + IDLE_MS;
      state.throttled = status === 429 ? state.throttled + 1 : 0;
      state.next = Date.now();
      if (status === 429) {
        state.estimate.lengthen();
        // One 429 may be a moment's burst. After two in a row others need the bucket: the headroom comes in first.
        const isContended = state.throttled > 1;
        state.next += waitAfter429(rateLimit, state.throttled) + (isContended ? left * ASSUMED_INTERVAL_MS : 0);
      } else if (remaining !== undefined) {
        state.estimate.observe(remaining, wasIdle);
        const missing = left + 1 - remaining;
        if (missing > 0) state.next += Math.min(untilOurs(missing, state, reset), longestCourtesy);
      }
      state.next = Math.min(state.next, Date.now() + LONGEST_PAUSE_MS);
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;
