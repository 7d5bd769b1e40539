import { backoff, sleep } from '../deadline.ts';
import { auth0Tenant } from '../environment.ts';
import { asProblem, Problem, type ProblemCode } from '../problem.ts';
import { auth0ErrorOf, failureOf, isSuccess, jsonOf, rateLimited, scopeMissing, type Verdict } from './api-response.ts';
import { type CallContext, noteUnknownOutcome } from './call-context.ts';
import { type Response, send } from './http-client.ts';
import type { ManagementToken, TokenSource } from './management-token.ts';
import { type Bucket, readRateLimit } from './rate-limit.ts';

/** One attempt may take this long: long for Auth0, and short enough that a stalled one leaves time for another. */
const ATTEMPT_MS = 10_000;
/** With less time than this left, an attempt would sooner end as one of which nobody knows whether it was carried out. */
const SHORTEST_ATTEMPT_MS = 1000;
/** How often an attempt may end in each verdict before the call ends; the first two are the context's own limits. */
const DEFAULT_MAX_ATTEMPTS = 4;
const DEFAULT_MAX_RATE_LIMITED = 5;
const MAX_TOKENS = 2;

/** A call of the Management API; it must be idempotent, for it is made again while that can help. */
export interface ApiRequest<T> {
  /** Whose token it carries. */
  tokens: TokenSource;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** The bucket in which Auth0 counts it. */
  bucket: Bucket;
  /** Path and query, of validated parts. */
  path: string;
  body?: object | undefined;
  /** What the token needs for it (Management API reference). */
  scope: string;
  /** Whether the work goes on without it: a token that lacks the scope is then expected. */
  isOptional?: boolean;
  /** What Auth0 does not have when it answers 404. */
  unknown: ProblemCode;
  /** The meaning of a success; undefined when it is not what Auth0 documents. */
  read(status: number, body: unknown): T | undefined;
}

/** A call under way: the token that it carries, how often its attempts ended in each verdict, and whether one may be done. */
interface Progress {
  token: ManagementToken;
  failures: Record<Verdict, number>;
  mayBeDone: boolean;
}

const { origin } = auth0Tenant();

/**
 * Makes a call, again while that can help, and keeps to `context.deadline`. Resolves to what `read` makes of the response. Throws a
 * `Problem`, which says whether any attempt may have been carried out.
 */
export async function call<T>(request: ApiRequest<T>, context: CallContext): Promise<T> {
  const token = await request.tokens.get(context.deadline);
  const lacksScope = token.scope !== '' && !token.scope.split(' ').includes(request.scope);
  if (request.isOptional && lacksScope) throw scopeMissing(request.scope);
  const failures = { rate_limited: 0, token_rejected: 0, transient: 0, final: 0 };
  const progress = { token, failures, mayBeDone: false };
  try {
    return await untilDone(request, context, progress);
  } catch (error) {
    throw progress.mayBeDone ? asProblem(error).asMayBeDone() : error;
  }
}

/** The one loop: an attempt at the tenant's pace, and after a failure what the table below says. */
async function untilDone<T>(request: ApiRequest<T>, context: CallContext, progress: Progress): Promise<T> {
  let throttled: Problem | undefined;
  for (;;) {
    await untilAllowed(request, context, throttled);
    const response = await attempt(request, progress.token, context);
    const value = isSuccess(response.status) ? request.read(response.status, jsonOf(response)) : undefined;
    if (value !== undefined) return value;
    if (response.failure?.kind === 'too_late') throw leaseEnded();
    const { verdict, problem } = failureOf({ ...request, deadline: context.deadline }, response);
    if (problem.mayBeDone) {
      progress.mayBeDone = true;
      noteUnknownOutcome(context);
    }
    throttled = verdict === 'rate_limited' ? problem : undefined;
    progress.failures[verdict] += 1;
    await BEFORE_NEXT_ATTEMPT[verdict](problem, request, context, progress);
  }
}

const leaseEnded = () => new Problem('lease_ended', 'The lease of the organization is over');

type BeforeNextAttempt = (
  problem: Problem,
  request: ApiRequest<unknown>,
  context: CallContext,
  progress: Progress,
) => void | Promise<void>;

/** What happens between an attempt that failed and the next one; where there is to be none, it throws. */
const BEFORE_NEXT_ATTEMPT: Record<Verdict, BeforeNextAttempt> = {
  final: (problem) => {
    throw problem;
  },

  // The pacer has noted the response, and waits before the next attempt.
  rate_limited: (problem, { bucket }, { pacer, maxRateLimited = DEFAULT_MAX_RATE_LIMITED }, { failures }) => {
    if (failures.rate_limited >= maxRateLimited) throw rateLimited(pacer.delay(bucket), problem.upstream);
  },

  token_rejected: async (_, { tokens }, { deadline, log, maxAttempts }, progress) => {
    const { token, failures } = progress;
    const isLast = failures.token_rejected >= MAX_TOKENS;
    const newest = isLast ? token : await tokens.get(deadline, token);
    // With a single attempt the call is not made again with what was just rejected.
    if (isLast || (maxAttempts === 1 && newest.value === token.value))
      throw await tokens.rejected(token, deadline, log);
    progress.token = newest;
  },

  transient: async (problem, _, { deadline, log, maxAttempts = DEFAULT_MAX_ATTEMPTS }, { failures }) => {
    const attempts = failures.transient;
    const pause = backoff(attempts, 200, 2000);
    if (attempts >= maxAttempts || Date.now() + pause >= deadline) throw problem;
    log.warn('auth0_call_retried', { code_of_problem: problem.code, attempts });
    await sleep(pause);
  },
};

/** One request and its response, of which everybody takes note. */
async function attempt(request: ApiRequest<unknown>, token: ManagementToken, context: CallContext): Promise<Response> {
  const { method, path, body } = request;
  const started = Date.now();
  const timeout = Math.min(ATTEMPT_MS, context.deadline - started);
  const headers = { authorization: `Bearer ${token.value}` };
  const sendBefore = method === 'GET' ? undefined : context.writeBefore;
  const response = await send({ method, origin, path, headers, body, timeout, sendBefore });
  const { status } = response;
  const ms = Date.now() - started;
  context.statuses.push(status);
  context.auth0Ms += ms;
  const isRejection = status === 401 || (status === 403 && !request.isOptional);
  if (isRejection && auth0ErrorOf(response)) context.rejections += 1;
  context.log.debug('auth0_answered', { method, path, status, ms });
  if (!response.failure) {
    const rateLimit = readRateLimit(response.headers);
    context.remaining = rateLimit.remaining ?? context.remaining;
    context.pacer.note(request.bucket, status, rateLimit);
  }
  return response;
}

/**
 * Waits for the pacer. Throws `rate_limited` when that would take longer than is worth staying for, or a write longer than its
 * lease; `lease_ended` when that is over.
 */
async function untilAllowed({ method, bucket }: ApiRequest<unknown>, context: CallContext, throttled?: Problem) {
  const { pacer, deadline, longestWait = Number.POSITIVE_INFINITY } = context;
  const writeBefore = method === 'GET' ? Number.POSITIVE_INFINITY : (context.writeBefore ?? Number.POSITIVE_INFINITY);
  if (Date.now() >= writeBefore) throw leaseEnded();
  for (let wait = pacer.delay(bucket); wait > 0; wait = pacer.delay(bucket)) {
    const end = Math.min(deadline - SHORTEST_ATTEMPT_MS, writeBefore);
    if (wait > longestWait || Date.now() + wait >= end) throw rateLimited(wait, throttled?.upstream);
    await sleep(wait);
  }
  if (Date.now() >= deadline)
    throw new Problem('auth0_timeout', 'The time for this request was over before Auth0 was asked');
}
