/** Marks an error that ends by itself, or once somebody has repaired its cause: the work is tried again. All others are final. */
const TRANSIENT = true;

/** When trying a transient problem of a gateway (502, 503, 504) again makes sense, unless it says so itself. */
const RETRY_AFTER_S = 5;

/** The codes of every problem, with the status and the title of its response (RFC 9457; the contract's table). */
const PROBLEMS = {
  invalid_path: [400, 'A path id is not an id'],
  invalid_header: [400, 'A header is not what this route takes'],
  invalid_query: [400, 'A query parameter is not what this route takes'],
  invalid_body: [400, 'The body is not what this route takes'],
  irreversible_not_permitted: [403, 'Not permitted here'],
  idempotency_key_reused: [422, 'The idempotency key was used with another request'],
  unsupported_media_type: [415, 'The content type is not JSON'],
  rejected_by_auth0: [400, 'Auth0 rejected the request'],
  forbidden_by_auth0: [502, 'Auth0 forbids the request'],
  unknown_organization: [404, 'Auth0 has no such organization'],
  unknown_connection: [404, 'The organization has no such connection'],
  not_found: [404, 'Not found'],
  conflict: [409, 'Conflict'],
  management_token_rejected: [502, 'Auth0 does not accept the Management API token', TRANSIENT],
  management_token_scope_missing: [502, 'The Management API token lacks a scope', TRANSIENT],
  management_token_unavailable: [503, 'The Management API token is not available', TRANSIENT],
  rate_limited: [429, 'The rate limit of the Auth0 tenant is reached', TRANSIENT],
  auth0_unavailable: [502, 'Auth0 gave no usable answer', TRANSIENT],
  auth0_timeout: [504, 'Auth0 did not answer in time', TRANSIENT],
  acceptance_unknown: [503, 'Whether the request was accepted is not known', TRANSIENT],
  end_sessions_not_enabled: [422, 'This stage does not end sessions'],
  machine_access_not_enabled: [422, 'This stage does not end machine access'],
  // A write was not sent to Auth0: its lease is over, or the list that a removal is based on is too old. No response has it.
  lease_ended: [500, 'The lease of the organization is over', TRANSIENT],
  record_unavailable: [503, 'The record of offboardings is not available', TRANSIENT],
  internal_error: [500, 'Internal error', TRANSIENT],
} as const satisfies Record<string, readonly [status: number, title: string, transient?: true]>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemOptions {
  /** Overrides the code's usual status (`invalid_body` is 400 when it cannot be read and 422 when it says the wrong thing). */
  status?: number;
  /** What Auth0 said, as far as it may be shown: its status, its `errorCode` and its message. */
  upstream?: { status: number; error_code: string | null; message: string | null } | undefined;
  /** Seconds after which trying again makes sense; becomes the `Retry-After` header. */
  retryAfter?: number | undefined;
  /** Whether Auth0 may have carried out what was asked of it, although it failed. */
  mayBeDone?: boolean;
  /** Further members of the response: what to look up. */
  members?: Record<string, string> | undefined;
  /** For the log alone; never part of a response. */
  cause?: unknown;
}

/** The one kind of error that is meant for callers: everything in it but `cause` may leave the process. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly upstream: ProblemOptions['upstream'];
  readonly retryAfter: number | undefined;
  readonly members: ProblemOptions['members'];
  /** Whether the same may succeed later. */
  readonly isTransient: boolean;
  /**
   * Of a write: whether an attempt may have been carried out all the same (nobody answered, a 5xx, a success that is not what
   * Auth0 documents). False means that it certainly was not.
   */
  readonly mayBeDone: boolean;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? PROBLEMS[code][0];
    this.upstream = options.upstream;
    this.isTransient = PROBLEMS[code].length === 3;
    this.members = options.members;
    this.mayBeDone = options.mayBeDone ?? false;
    const retryAfter = options.retryAfter ?? (this.isTransient && this.status > 500 ? RETRY_AFTER_S : undefined);
    this.retryAfter = retryAfter === undefined ? undefined : Math.max(1, Math.ceil(retryAfter));
  }

  /** This problem, of a write that an earlier attempt may have carried out. A copy: several callers may hold the original. */
  asMayBeDone(): Problem {
    return new Problem(this.code, this.message, { ...this, cause: this.cause, mayBeDone: true });
  }

  /** The problem as members of an `application/problem+json` body; `instance` is the request's id. */
  toMembers(instance: string) {
    const { code, status, message: detail, upstream } = this;
    const type = `urn:problem:org-connections:${code}`;
    return { type, title: PROBLEMS[code][1], status, detail, instance, code, upstream, ...this.members };
  }
}

/** Whatever was thrown, as a problem: what is not one already is an internal error of which nothing is shown. */
export function asProblem(cause: unknown): Problem {
  const detail = 'The request failed inside org-connections; its id finds the log line';
  return cause instanceof Problem ? cause : new Problem('internal_error', detail, { cause });
}

/** For `catch`: what Auth0 does not have is undefined, and no failure. */
export function ignoreUnknown(error: unknown): undefined {
  if (!(error instanceof Problem && /^(unknown_connection|unknown_organization|not_found)$/.test(error.code)))
    throw error;
}
