/** The codes of every problem response, with the status and the title that each has (RFC 9457; the contract's table). */
const PROBLEMS = {
  invalid_path: [400, 'A path id is not an id'],
  invalid_header: [400, 'A header is not what this route takes'],
  invalid_query: [400, 'A query parameter is not what this route takes'],
  invalid_body: [400, 'The body is not what this route takes'],
  idempotency_key_reused: [422, 'The idempotency key was used with another request'],
  unsupported_media_type: [415, 'The content type is not JSON'],
  rejected_by_auth0: [400, 'Auth0 rejected the request'],
  management_token_rejected: [502, 'Auth0 does not accept the Management API token'],
  management_token_scope_missing: [502, 'The Management API token lacks a scope'],
  forbidden_by_auth0: [502, 'Auth0 forbids the request'],
  not_found: [404, 'Not found'],
  conflict: [409, 'Conflict'],
  rate_limited: [429, 'The rate limit of the Auth0 tenant is reached'],
  auth0_unavailable: [502, 'Auth0 gave no usable answer'],
  auth0_timeout: [504, 'Auth0 did not answer in time'],
  management_token_unavailable: [503, 'The Management API token is not available'],
  record_unavailable: [503, 'The record of offboardings is not available'],
  internal_error: [500, 'Internal error'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** What Auth0 said, as far as it may be shown: its status, its `errorCode` and its message. */
export interface Upstream {
  status: number;
  error_code: string | null;
  message: string | null;
}

export interface ProblemOptions {
  /** Overrides the code's usual status (`invalid_body` is 400 when it can not be read and 422 when it says the wrong thing). */
  status?: number;
  upstream?: Upstream;
  /** Seconds after which trying again makes sense; becomes the `Retry-After` header. */
  retryAfter?: number;
  /** For the log alone; never part of a response. */
  cause?: unknown;
}

/** The one kind of error that is meant for callers: everything in it but `cause` may leave the process. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly upstream: Upstream | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.status = options.status ?? PROBLEMS[code][0];
    this.upstream = options.upstream;
    this.retryAfter = options.retryAfter === undefined ? undefined : Math.max(1, Math.ceil(options.retryAfter));
  }

  /** The problem as members of an `application/problem+json` body; `instance` is the request's id. */
  toMembers(instance: string) {
    return {
      type: `urn:problem:org-connections:${this.code}`,
      title: PROBLEMS[this.code][1],
      status: this.status,
      detail: this.message,
      instance,
      code: this.code,
      ...(this.upstream && { upstream: this.upstream }),
    };
  }
}

/** Whatever was thrown, as a problem: what is not one already is an internal error of which nothing is shown. */
export function asProblem(thrown: unknown): Problem {
  return thrown instanceof Problem
    ? thrown
    : new Problem('internal_error', 'The request failed inside org-connections; its id finds the log line', {
        cause: thrown,
      });
}
