import type { IncomingHttpHeaders } from 'node:http';
import { backoff } from './deadline.ts';

/** Waits that a header may ask for; a longer one is taken for nonsense (Auth0's slowest bucket gains a token every 2.4 s). */
const LONGEST_WAIT_MS = 3_600_000;

/** What an answer's headers say of its token bucket, as far as it makes sense. */
export type RateLimit = ReturnType<typeof readRateLimit>;

const numberOf = (header: string | string[] | undefined) =>
  typeof header === 'string' && /^\d{1,15}(\.\d{1,9})?$/.test(header.trim()) ? Number(header) : undefined;
const wait = (ms: number) => (ms >= 0 && ms <= LONGEST_WAIT_MS ? ms : undefined);

/**
 * The rate limit's headers of `headers`: `x-ratelimit-limit`, `-remaining`, `-reset` (Unix seconds, read against the
 * answer's own `Date` so that a wrong clock on this side does no harm) and `Retry-After` (seconds or a date). Times are milliseconds from
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

/** Auth0 counts reads and writes of organization connections in buckets of their own. */
export type Bucket = 'read' | 'write';

/**
 * The lanes of work that share a tenant's limit, each with the tokens that it leaves in a bucket. The bucket is where they
 * meet: a lane that leaves more gives way to one that leaves fewer, and loses nothing when it is alone. One token is always
 * left, so that an urgent request of another client finds one.
 */
export const RESERVES = { single: 1, batch: 3, watch: 5 };
export type Lane = keyof typeof RESERVES;

/** Tokens that must have come in before the time that one takes is known well enough, at first and later on. */
const LEARN_AFTER = 4;
const LEARN_AGAIN_AFTER = 16;
/** The one bucket that holds so little is the Free plan's, which counts the whole API together; nothing is left in it. */
const SMALL_BUCKET = 3;
/** A worker that comes so much later than it might has been idle, and nothing is learned from that. */
const IDLE_MS = 3000;
/** What is waited beyond the time that a token takes: the headers tell of whole tokens only. */
const ALLOWANCE = 1.02;

/**
 * Keeps a worker within the tenant's limit: what the answers say of their buckets tells when the next call may go. The reset
 * time comes in whole seconds, so the time that one token takes is learned from what comes in between answers, other
 * clients' share included. It leaves `keep` tokens in a bucket: one of `RESERVES`, or none where a caller waits.
 */
export function createPacer(keep = RESERVES.single) {
  const bucket = () => ({ next: 0, refused: 0, interval: 0, since: { at: 0, remaining: 0, calls: 0 } });
  const buckets = { read: bucket(), write: bucket() };
  let oneForAll = false;
  const stateOf = (kind: Bucket) => (oneForAll ? buckets.write : buckets[kind]);

  function learn(state: ReturnType<typeof bucket>, remaining: number): void {
    const { since } = state;
    since.calls += 1;
    const gained = remaining - since.remaining + since.calls;
    if (since.at > 0 && Date.now() < state.next + IDLE_MS) {
      // What came in while the bucket was full is not seen: the time is then taken for too long, and less so each time.
      if (gained < (state.interval > 0 ? LEARN_AGAIN_AFTER : LEARN_AFTER)) return;
      // One of them may have been there in part already.
      state.interval = (Date.now() - since.at) / (gained - 0.5);
      if (gained < LEARN_AGAIN_AFTER) return;
    }
    state.since = { at: Date.now(), remaining, calls: 0 };
  }

  return {
    /** Milliseconds until a call of `bucket` may go; 0 is now. */
    delay: (bucket: Bucket): number => Math.max(0, stateOf(bucket).next - Date.now()),

    /** Takes note of an answer's status and headers. */
    note(bucket: Bucket, status: number, rateLimit: RateLimit): void {
      const { limit, remaining, reset = 1000 } = rateLimit;
      if (limit !== undefined) oneForAll = limit <= SMALL_BUCKET;
      const state = stateOf(bucket);
      const reserve = (limit ?? 0) > SMALL_BUCKET ? Math.min(keep, (limit ?? 0) - 1) : 0;
      state.refused = status === 429 ? state.refused + 1 : 0;
      if (status === 429) {
        state.since.at = 0;
        // It was taken for too short, or others have come: longer, until enough tokens have been seen to know better.
        state.interval *= 1.1;
        state.next = Date.now() + waitAfter429(rateLimit, state.refused) + reserve * 1000;
        return;
      }
      if (remaining !== undefined) learn(state, remaining);
      // At the reserve the next token is ours; below it others fill the reserve again.
      const missing = remaining === undefined ? 0 : Math.max(0, reserve + 1 - remaining);
      const byHeader = reset + (missing - 1) * (state.interval || Math.max(1000, reset));
      const wait = state.interval > 0 ? Math.min(missing * state.interval * ALLOWANCE, byHeader) : byHeader;
      state.next = Date.now() + (missing > 0 ? wait : 0);
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;
