import * as v from 'valibot';
import { retry, sleep } from '../deadline.ts';
import { auth0Tenant } from '../environment.ts';
import { lenient, parseAs, parseJson } from '../json.ts';
import { redact } from '../log.ts';
import { asProblem, Problem, type ProblemCode, type ProblemOptions } from '../problem.ts';
import { type Calls, LATE_MS } from './calls.ts';
import { type Response, send } from './http-client.ts';
import type { TokenSource } from './management-token.ts';
import { type Bucket, readRateLimit } from './rate-limit.ts';

/** One attempt may take this long: long for Auth0, and short enough that a stalled one leaves time for another. */
const ATTEMPT_MS = 10_000;
/** Responses of 429 in a row after which a call is for later, whatever their headers say. */
const MAX_THROTTLED = 4;

/** A call of the Management API; it must be idempotent, for it is made again while that can help. */
export interface ApiRequest<T> {
  /** Whose token it carries. */
  tokens: TokenSource;
  method: 'GET' | 'PATCH' | 'DELETE';
  /** Path and query, of validated parts. */
  path: string;
  body?: object | undefined;
  /** What the token needs for it (Management API reference). */
  scope: string;
  /** What Auth0 does not have when it answers 404. */
  unknown: ProblemCode;
  /** The meaning of a success; undefined when it is not what Auth0 documents. */
  read(status: number, body: unknown): T | undefined;
}

/** A problem that may be gone at the next attempt. */
class PassingProblem extends Problem {}

const { origin } = auth0Tenant();

/**
 * Makes a call, again while that can help, and keeps to `calls.deadline`. Resolves to what `read` makes of the response; throws a
 * `Problem` of the contract's table, which says whether any attempt may have been carried out.
 */
export async function call<T>(request: ApiRequest<T>, calls: Calls): Promise<T> {
  const { deadline, log, maxAttempts } = calls;
  let token = await request.tokens.get(deadline);
  let [refreshed, mayBeDone] = [false, false];

  /** With the token in memory, and once more with a newer one when Auth0 rejects that. */
  async function withToken(): Promise<T> {
    try {
      return await withinLimit(request, token.value, calls);
    } catch (error) {
      if (asProblem(error).code !== 'management_token_rejected') throw error;
    }
    const newest = refreshed ? token : await request.tokens.get(deadline, token);
    // Half-open, the call is not made again with what was just rejected.
    if (refreshed || (maxAttempts === 1 && newest.value === token.value))
      throw await request.tokens.rejected(token, deadline, log);
    [token, refreshed] = [newest, true];
    return withToken();
  }

  const isPassing = (error: unknown, attempts: number) => {
    if (!(error instanceof PassingProblem)) return false;
    mayBeDone ||= error.mayBeDone;
    log.warn('auth0_call_retried', { code_of_problem: error.code, attempts });
    return true;
  };
  return retry(withToken, isPassing, deadline, maxAttempts).catch((error) => {
    throw mayBeDone ? asProblem(error).asMayBeDone() : error;
  });
}

/** At the tenant's pace, and again when that was too fast. */
async function withinLimit<T>(request: ApiRequest<T>, token: string, calls: Calls): Promise<T> {
  let throttled: Problem | undefined;
  for (let times = 0; ; times++) {
    await untilAllowed(bucketOf(request), calls, throttled);
    try {
      return await attempt(request, token, calls);
    } catch (error) {
      throttled = asProblem(error);
      if (throttled.code !== 'rate_limited' || times >= MAX_THROTTLED) throw error;
    }
  }
}

async function attempt<T>(request: ApiRequest<T>, token: string, calls: Calls): Promise<T> {
  const { method, path, body } = request;
  const started = Date.now();
  const timeout = Math.min(ATTEMPT_MS, calls.deadline - started);
  const response = await send({ method, origin, path, headers: { authorization: `Bearer ${token}` }, body, timeout });
  const { status } = response;
  const ms = Date.now() - started;
  calls.statuses.push(status);
  calls.auth0Ms += ms;
  calls.log.debug('auth0_answered', { method, path, status, ms });
  if (!response.failure) {
    const rateLimit = readRateLimit(response.headers);
    calls.remaining = rateLimit.remaining ?? calls.remaining;
    calls.pacer.note(bucketOf(request), status, rateLimit);
  }
  const value = isSuccess(status) ? request.read(status, jsonOf(response)) : undefined;
  if (value === undefined) throw problemOf(request, response, calls);
  return value;
}

const isSuccess = (status: number) => status >= 200 && status < 300;
const bucketOf = ({ method }: { method: string }): Bucket => (method === 'GET' ? 'read' : 'write');

/** Waits for the pacer; throws `rate_limited` when that would take longer than is worth staying for. */
async function untilAllowed(bucket: Bucket, calls: Calls, throttled: Problem | undefined) {
  const { pacer, deadline, longestWait = Number.POSITIVE_INFINITY } = calls;
  for (let wait = pacer.delay(bucket); wait > 0; wait = pacer.delay(bucket)) {
    if (wait > longestWait || Date.now() + wait >= deadline) throw throttled ?? rateLimited(wait);
    await sleep(wait);
  }
  if (Date.now() >= deadline)
    throw new Problem('auth0_timeout', 'The time for this request was over before Auth0 was asked');
}

function rateLimited(waitMs: number, upstream?: ProblemOptions['upstream']) {
  const detail = "The tenant's limit leaves no room before this request's deadline";
  return new Problem('rate_limited', detail, { retryAfter: waitMs / 1000, upstream });
}

/** The response's body as JSON; undefined when nobody could read it, an empty object where it is empty. */
function jsonOf({ headers, body }: Response): unknown {
  const { 'content-type': type = 'application/json' } = headers;
  if (body.trim() === '') return {};
  return /^application\/([\w.+-]+\+)?json\b/i.test(type) ? parseJson(body) : undefined;
}

const text = lenient(v.string());
/** An error as Auth0 writes it: in words, or by the name of its status at the least. What stands in front of Auth0 does not. */
const Auth0Error = v.pipe(
  v.looseObject({ message: text, error: text, errorCode: text }),
  v.check(({ message, error }) => message !== undefined || error !== undefined),
);

/** The response's body as an error of Auth0's own; undefined when it is somebody else's (a proxy's, a firewall's page). */
export const auth0ErrorOf = (response: Response) => parseAs(Auth0Error, jsonOf(response));

/** Whether a 403 of Auth0's says that the token was not granted the scope. */
export const lacksScope = ({ errorCode, message }: v.InferOutput<typeof Auth0Error>) =>
  errorCode === 'insufficient_scope' || message?.startsWith('Insufficient scope') === true;

/** What Auth0 said in words, for the caller: without control characters, not endless, and never with the token in it. */
const shown = (said: string | undefined) =>
  said ? redact(said.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')).slice(0, 500) : null;

/** What an attempt without success is to the caller (the contract's table of problems). */
function problemOf(request: ApiRequest<unknown>, response: Response, calls: Calls): Problem {
  const { status, failure } = response;
  const isWrite = request.method !== 'GET';
  const mayBeDone = isWrite && (failure ? failure.sent : status >= 500 || isSuccess(status));
  if (mayBeDone && (failure || status === 504)) calls.unknownUntil = Date.now() + LATE_MS;
  if (failure) {
    const { kind, cause } = failure;
    if (kind === 'timeout' && Date.now() >= calls.deadline - 1)
      return new Problem('auth0_timeout', 'Auth0 did not answer before the deadline', { cause, mayBeDone });
    // A peer that could not be trusted will not be at the next attempt.
    const Kind = kind === 'tls' ? Problem : PassingProblem;
    return new Kind('auth0_unavailable', 'The connection to Auth0 failed', { cause, mayBeDone });
  }
  const own = auth0ErrorOf(response);
  const upstream = { status, error_code: shown(own?.errorCode), message: shown(own?.message) };
  if (status === 429) return rateLimited(calls.pacer.delay(bucketOf(request)), upstream);
  if (status === 401) return new Problem('management_token_rejected', 'Auth0 rejected the token', { upstream });
  const final: Record<number, [code: ProblemCode, detail: string]> = {
    400: ['rejected_by_auth0', 'Auth0 rejected the request'],
    403:
      own && lacksScope(own)
        ? ['management_token_scope_missing', `The Management API token lacks the scope ${request.scope}`]
        : ['forbidden_by_auth0', 'Auth0 forbids this; the upstream message says why'],
    404: [request.unknown, 'Auth0 has nothing by this id'],
    409: ['conflict', 'Auth0 reports a conflict'],
  };
  // Anybody may answer these: they end nothing unless the body is Auth0's.
  if (own && final[status]) return new Problem(...final[status], { upstream });
  // Redirects, and errors of Auth0's own that this API does not have, will be the same again.
  const Kind = status >= 300 && status < (own ? 500 : 400) ? Problem : PassingProblem;
  return new Kind('auth0_unavailable', `Auth0 answered ${status}, not as it documents`, { upstream, mayBeDone });
}
