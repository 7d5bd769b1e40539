import * as v from 'valibot';
import { lenient, parseAs, parseJson } from '../json.ts';
import { redact } from '../log.ts';
import { Problem, type ProblemCode } from '../problem.ts';
import type { Response } from './http-client.ts';

/** What a call does after an attempt without success: `final` ends it, all others may be gone at the next attempt. */
export type Verdict = 'rate_limited' | 'token_rejected' | 'transient' | 'final';

/** An attempt that failed. `problem.mayBeDone`: Auth0 may have carried out this attempt, or may still do so. */
export interface Failed {
  verdict: Verdict;
  problem: Problem;
}

/** What the meaning of a response depends on. */
interface Attempt {
  method: string;
  scope: string;
  /** What Auth0 does not have when it answers 404. */
  unknown: ProblemCode;
  /** When the call must be over, Unix time in milliseconds. */
  deadline: number;
}

const text = lenient(v.string());
/** An error as the Management API writes it: with its own status, and in words or by the name of that status at the least. */
const Auth0Error = v.pipe(
  v.looseObject({ statusCode: v.number(), message: text, error: text, errorCode: text }),
  v.check(({ message, error }) => message !== undefined || error !== undefined),
);
type Auth0Error = v.InferOutput<typeof Auth0Error>;

/**
 * The response's body as an error of Auth0's own; undefined when somebody else wrote it. Proxies and firewalls answer in JSON, too, and
 * with a message: only the status in the body, the same as the response's, tells Auth0 from them.
 */
export function auth0ErrorOf(response: Response): Auth0Error | undefined {
  const error = parseAs(Auth0Error, jsonOf(response));
  return error?.statusCode === response.status ? error : undefined;
}

/** The response's body as JSON; undefined when nobody could read it, an empty object where it is empty. */
export function jsonOf({ headers, body }: Response): unknown {
  const { 'content-type': type = 'application/json' } = headers;
  if (body.trim() === '') return {};
  return /^application\/([\w.+-]+\+)?json\b/i.test(type) ? parseJson(body) : undefined;
}

export const isSuccess = (status: number) => status >= 200 && status < 300;

/** Whether a 403 of Auth0's says that the token was not granted the scope. */
export const lacksScope = ({ errorCode, message }: Auth0Error) =>
  errorCode === 'insufficient_scope' || message?.startsWith('Insufficient scope') === true;

export const scopeMissing = (scope: string, upstream?: Problem['upstream']) =>
  new Problem('management_token_scope_missing', `The Management API token lacks the scope ${scope}`, { upstream });

export const rateLimited = (waitMs: number, upstream?: Problem['upstream']) =>
  new Problem('rate_limited', "The tenant's rate limit leaves no room within the time that this call can wait", {
    retryAfter: waitMs / 1000,
    upstream,
  });

/** What Auth0 said in words, for the caller: without control characters, not endless, and never with the token in it. */
const toDisplayText = (words: string | undefined) =>
  words ? redact(words.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')).slice(0, 500) : null;

/** What Auth0 refuses by its own words; anybody may answer these statuses. A 404 means what the call says. */
const REFUSALS = new Map<number, { verdict?: Verdict; code?: ProblemCode; detail: string }>([
  [400, { code: 'rejected_by_auth0', detail: 'Auth0 rejected the request' }],
  [401, { verdict: 'token_rejected', code: 'management_token_rejected', detail: 'Auth0 rejected the token' }],
  [403, { code: 'forbidden_by_auth0', detail: 'Auth0 forbids this; the upstream message says why' }],
  [404, { detail: 'Auth0 has nothing by this id' }],
  [409, { code: 'conflict', detail: 'Auth0 reports a conflict' }],
]);

/** What an attempt without success means (the contract's table of problems), and what follows from it. */
export function failureOf(attempt: Attempt, response: Response): Failed {
  const mayBeDone = attempt.method !== 'GET' && isOutcomeUnknown(response);
  if (response.failure) return withoutResponse(response.failure, attempt, mayBeDone);
  const { status } = response;
  const own = auth0ErrorOf(response);
  const upstream = { status, error_code: toDisplayText(own?.errorCode), message: toDisplayText(own?.message) };
  // The pace knows how long; who gives up says so.
  if (status === 429) return { verdict: 'rate_limited', problem: rateLimited(0, upstream) };
  if (status === 403 && own && lacksScope(own))
    return { verdict: 'final', problem: scopeMissing(attempt.scope, upstream) };
  const refusal = own && REFUSALS.get(status);
  if (refusal) {
    const { verdict = 'final', code = attempt.unknown, detail } = refusal;
    return { verdict, problem: new Problem(code, detail, { upstream }) };
  }
  const why = status < 500 ? `Auth0 answered ${status}, not as it documents` : `Auth0 answered ${status}`;
  const problem = new Problem('auth0_unavailable', why, { upstream, mayBeDone });
  // Redirects, and errors of Auth0's own that this API does not have, will be the same again.
  return { verdict: status >= 300 && status < (own ? 500 : 400) ? 'final' : 'transient', problem };
}

/**
 * Whether Auth0 may have carried out a write, or may still do so: the request was sent and nobody answered; a 5xx, whoever wrote
 * it; a gateway's own 408; a success that is not what Auth0 documents.
 */
function isOutcomeUnknown(response: Response): boolean {
  const { status, failure } = response;
  if (failure) return failure.sent;
  return status >= 500 || isSuccess(status) || (status === 408 && !auth0ErrorOf(response));
}

function withoutResponse(
  { kind, cause }: NonNullable<Response['failure']>,
  attempt: Attempt,
  mayBeDone: boolean,
): Failed {
  const options = { cause, mayBeDone };
  if (kind === 'timeout' && Date.now() >= attempt.deadline - 1)
    return {
      verdict: 'final',
      problem: new Problem('auth0_timeout', 'Auth0 did not answer before the deadline', options),
    };
  const problem = new Problem('auth0_unavailable', 'The connection to Auth0 failed', options);
  // A peer that is not trusted will not be at the next attempt.
  return { verdict: kind === 'tls' ? 'final' : 'transient', problem };
}
