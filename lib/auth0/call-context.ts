import { LATE_MS } from '../late-writes.ts';
import type { Log } from '../log.ts';
import type { Pacer } from './rate-limit.ts';

/** The context of one unit of work: what its calls of Auth0 need, and what they learn. One object a request or message; never shared. */
export interface CallContext {
  /** When the work began, and when every wait and every call ends; Unix time in milliseconds. */
  started: number;
  deadline: number;
  /** After this moment (Unix ms) no write is sent: a call throws `lease_ended` instead. No limit when left out. */
  writeBefore?: number;
  log: Log;
  /** Holds calls back until the tenant's limit allows them. */
  pacer: Pacer;
  /** The longest wait for the limit that is worth staying for, milliseconds; a longer one ends the call with `rate_limited`. */
  longestWait?: number;
  /** Attempts of a call that fails with a transient error; four when left out. */
  maxAttempts?: number;
  /** Attempts of a call that Auth0 answers with 429; five when left out. */
  maxRateLimited?: number;
  /**
   * Set by a write attempt with an unknown outcome, also where a later attempt of the same call succeeds or is refused: until
   * then (Unix ms) Auth0 may still carry that attempt out.
   */
  unknownUntil?: number;
  /** Set by each call: Auth0's statuses (0: no response), the time spent with it in milliseconds, and what is left of the limit. */
  statuses: number[];
  auth0Ms: number;
  remaining?: number | undefined;
  /** How often Auth0 answered 401, or 403 where the call does not do without its scope. */
  rejections: number;
}

type Given = Pick<CallContext, 'deadline' | 'log' | 'pacer'> & Partial<CallContext>;

/** The context of a unit of work that begins now. */
export function createCallContext(given: Given): CallContext {
  return { started: Date.now(), statuses: [], auth0Ms: 0, rejections: 0, ...given };
}

/** Notes that from now on Auth0 may still carry out a write whose outcome is unknown. */
export function noteUnknownOutcome(context: CallContext): void {
  context.unknownUntil = Date.now() + LATE_MS;
}

let isColdStart = true;

/** How long the work took and what Auth0 answered, as fields of its log line. */
export function workFields({ started, statuses, auth0Ms, remaining }: CallContext) {
  const cold_start = isColdStart || undefined;
  isColdStart = false;
  const auth0 = { auth0_statuses: statuses, auth0_ms: auth0Ms || undefined, rate_limit_remaining: remaining };
  return { duration_ms: Date.now() - started, cold_start, ...auth0 };
}

/** The metric that an alarm reads: Auth0's 401 and 403, where there were any (a metric that is not written costs nothing). */
export function workMetrics({ rejections }: CallContext): Record<string, number> {
  return rejections > 0 ? { Auth0Rejected: rejections } : {};
}
