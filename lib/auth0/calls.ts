import type { Log } from '../log.ts';
import type { Pacer } from './rate-limit.ts';

/** So long Auth0 may still carry out a write whose request was cut off: longer than any response of it has been waited for. */
export const LATE_MS = 60_000;

/** What a piece of work gives to its calls of Auth0, and what it learns from them. One object a request, shared with no other. */
export interface Calls {
  /** When the work began, and when every wait and every call ends; Unix time in milliseconds. */
  started: number;
  deadline: number;
  log: Log;
  /** Holds calls back until the tenant's limit allows them. */
  pacer: Pacer;
  /** The longest wait for the limit that is worth staying for; a longer one ends the call with `rate_limited`. */
  longestWait?: number;
  /** Attempts of a call that fails for a transient reason; a few when left out. */
  maxAttempts?: number;
  /** Filled in by a write that ended with nobody knowing its end: until then (Unix ms) Auth0 may still carry it out. */
  unknownUntil?: number;
  /** Filled in by each call: Auth0's statuses (0: no response), milliseconds spent with it, and what is left of the limit. */
  statuses: number[];
  auth0Ms: number;
  remaining?: number | undefined;
}

/** Calls of a piece of work that begins now. */
export function startCalls(given: Pick<Calls, 'deadline' | 'log' | 'pacer'> & Partial<Calls>): Calls {
  return { started: Date.now(), statuses: [], auth0Ms: 0, ...given };
}

let isColdStart = true;

/** What a piece of work took and had to do with Auth0, as fields of its log line. */
export function workFields({ started, statuses, auth0Ms, remaining }: Calls) {
  const cold_start = isColdStart || undefined;
  isColdStart = false;
  const auth0 = { auth0_statuses: statuses, auth0_ms: auth0Ms || undefined, rate_limit_remaining: remaining };
  return { duration_ms: Date.now() - started, cold_start, ...auth0 };
}

/** What an alarm reads of it: Auth0's 401 and 403, where there were any (a metric that is not written costs nothing). */
export function workMetrics({ statuses }: Calls): Record<string, number> {
  const Auth0Rejected = statuses.filter((status) => status === 401 || status === 403).length;
  return Auth0Rejected > 0 ? { Auth0Rejected } : {};
}
