import type { Problem, ProblemCode } from './problem.ts';

/** Faults that end by themselves, or once somebody has repaired their cause: the work is tried again. All others are final. */
const TRANSIENT: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'rate_limited',
  'auth0_unavailable',
  'auth0_timeout',
  'management_token_unavailable',
  'management_token_rejected',
  'management_token_scope_missing',
  'record_unavailable',
  'internal_error',
]);

export const isTransient = ({ code }: Problem) => TRANSIENT.has(code);

/** Ends a delivery whose work goes on in a later one, in `waitMs` at the earliest; no fault. */
export class RetryLater extends Error {
  readonly waitMs: number;
  constructor(message: string, waitMs: number) {
    super(message);
    this.name = 'RetryLater';
    this.waitMs = waitMs;
  }
}

/** Ends work that can never be done; `code` is for alarms and searches. */
export class NonRetryableError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'NonRetryableError';
    this.code = code;
  }
}
