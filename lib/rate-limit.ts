import type { IncomingHttpHeaders } from 'node:http';

/** Waits that a header may ask for; a longer one is taken for nonsense (Auth0's slowest bucket gains a token every 2.4 s). */
const LONGEST_WAIT_MS = 3_600_000;

/** What an answer's headers say of its token bucket, as far as it makes sense; times in milliseconds from now. */
export interface RateLimit {
  limit: number | undefined;
  remaining: number | undefined;
  /** Until tokens are added next, by `x-ratelimit-reset`. */
  reset: number | undefined;
  /** What the server asks for, by `Retry-After`. */
  retryAfter: number | undefined;
}

function wholeNumber(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header.trim()) ? Number(header) : undefined;
}

function wait(ms: number): number | undefined {
  return ms >= 0 && ms <= LONGEST_WAIT_MS ? ms : undefined;
}

/**
 * The rate limit's headers of `headers`: `x-ratelimit-limit`, `-remaining`, `-reset` (Unix seconds, read against the
 * answer's own `Date` so that a wrong clock on this side does no harm) and `Retry-After` (seconds or a date).
 */
export function readRateLimit(headers: IncomingHttpHeaders): RateLimit {
  const date = Date.parse(headers.date ?? '');
  // The Date header has whole seconds: a difference below two is its rounding, not a clock that is off.
  const now = Math.abs(date - Date.now()) >= 2000 ? date : Date.now();
  const reset = wholeNumber(headers['x-ratelimit-reset']);
  const retryAfter = headers['retry-after'];
  const retrySeconds = wholeNumber(retryAfter);
  const retryAt = retrySeconds === undefined ? Date.parse(retryAfter ?? '') - now : retrySeconds * 1000;
  return {
    limit: wholeNumber(headers['x-ratelimit-limit']),
    remaining: wholeNumber(headers['x-ratelimit-remaining']),
    // A moment that has just passed is one that has come; only what is long gone is nonsense.
    reset:
      reset === undefined
        ? undefined
        : wait(reset * 1000 - now < 0 && reset * 1000 - now > -5000 ? 0 : reset * 1000 - now),
    retryAfter: wait(retryAt),
  };
}

/** Milliseconds to wait after a 429: what its headers say, or a doubling pause with jitter where they say nothing of use. */
export function waitAfter429({ retryAfter, reset }: RateLimit, times: number): number {
  const asked = retryAfter ?? reset;
  return asked === undefined ? backoff(times, 1000, 30_000) : asked + Math.random() * 100;
}

/** A doubling pause with full jitter over its upper half: about `base` ms the first time (`times` = 1), never above `most`. */
export function backoff(times: number, base: number, most: number): number {
  return Math.min(most, base * 2 ** (times - 1)) * (0.5 + Math.random() / 2);
}

/** Auth0 counts reads and writes of organization connections in buckets of their own. */
export type Bucket = 'read' | 'write';

/**
 * Keeps a worker within the tenant's limit: what the last answers said of their buckets tells when the next call may go.
 * One token stays in the bucket (where it holds more than a few), so that an urgent request of another client finds one.
 */
export function createPacer() {
  const buckets = { read: { next: 0, empty: false, refused: 0 }, write: { next: 0, empty: false, refused: 0 } };

  return {
    /** Milliseconds until a call of `bucket` may go; 0 is now. Where reads and writes share one bucket, the other's being empty counts, too. */
    delay(bucket: Bucket): number {
      const own = buckets[bucket];
      const other = buckets[bucket === 'read' ? 'write' : 'read'];
      return Math.max(0, own.next - Date.now(), other.empty ? other.next - Date.now() : 0);
    },

    /** Takes note of an answer's status and headers. */
    note(bucket: Bucket, status: number, rateLimit: RateLimit): void {
      const state = buckets[bucket];
      const { limit, remaining, reset } = rateLimit;
      const reserve = limit !== undefined && limit > 3 ? 1 : 0;
      state.refused = status === 429 ? state.refused + 1 : 0;
      state.empty = status === 429 || remaining === 0;
      if (status === 429) {
        state.next = Date.now() + waitAfter429(rateLimit, state.refused) + reserve * 1000;
      } else if (remaining === undefined || remaining > reserve) {
        state.next = 0;
      } else {
        // At the reserve the next token is ours; below it one more second fills the reserve again.
        state.next = Date.now() + (reset ?? 1000) + (remaining < reserve ? 1000 : 0);
      }
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;
