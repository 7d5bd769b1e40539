/** API Gateway gives up on an integration after 30 s; a response later than this is nobody's. */
const GATEWAY_LIMIT_MS = 29_000;
/** What it takes to turn an error into a response and to write the log. */
const MARGIN_MS = 700;

/** When a request behind API Gateway must be answered (Unix time in milliseconds): the smaller of what Lambda has left and what API Gateway allows, less a margin. */
export function requestDeadline(remainingMs: number | undefined): number {
  return Date.now() + Math.max(0, Math.min(remainingMs ?? GATEWAY_LIMIT_MS, GATEWAY_LIMIT_MS) - MARGIN_MS);
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * `promise`, or a rejection with `late()` at `deadline` (Unix time in milliseconds). The promise itself goes on, for
 * others who wait for it.
 */
export function withDeadline<T>(deadline: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), Math.max(0, deadline - Date.now()));
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** A doubling pause with full jitter over its upper half: about `base` ms the first time (`times` = 1), never above `most`. */
export function backoff(times: number, base: number, most: number): number {
  return Math.min(most, base * 2 ** (times - 1)) * (0.5 + Math.random() / 2);
}

/**
 * What `work` resolves to. Where it fails and `isWorthRetrying` says so of the error, it is done again after a growing pause:
 * `maxAttempts` times at most, and not beyond `deadline` (Unix time in milliseconds), when nobody is asked any more.
 */
export async function retry<T>(
  work: () => Promise<T>,
  isWorthRetrying: (error: unknown, attempts: number) => boolean,
  deadline: number,
  maxAttempts = 4,
): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await work();
    } catch (error) {
      const pause = backoff(attempts, 200, 2000);
      if (attempts >= maxAttempts || Date.now() + pause >= deadline || !isWorthRetrying(error, attempts)) throw error;
      await sleep(pause);
    }
  }
}
