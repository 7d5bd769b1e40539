import * as v from 'valibot';
import { backoff, sleep } from './deadline.ts';
import { auth0Tenant } from './environment.ts';
import { type Answer, exchange } from './http-client.ts';
import { ConnectionId, OrganizationId } from './ids.ts';
import { Optional, parseAs, parseJson } from './json.ts';
import { type Log, redact } from './log.ts';
import { managementToken, SCOPES, tokenRefused } from './management-token.ts';
import { Problem, type ProblemCode, type ProblemOptions } from './problem.ts';
import { type Bucket, type Pacer, readRateLimit } from './rate-limit.ts';

/** One try may take this long: long for Auth0, and short enough that a stalled one leaves time for another. */
const ATTEMPT_MS = 10_000;
/** Tries of a call that fails for a transient reason. */
const MAX_TRIES = 4;
/** Answers of 429 in a row after which a call is for later, whatever their headers say. */
const MAX_REFUSALS = 4;
/** An organization has ten connections at most; a listing that goes on for longer than this is not one. */
const MAX_PAGES = 4;

/** An organization's connection with its settings, as Auth0 has it; members beyond these are kept as they are. */
const AssociationShape = v.looseObject({
  connection_id: ConnectionId,
  /** Undefined where Auth0 does not say, also when it was asked for this one. */
  is_enabled: Optional(v.boolean()),
  connection: Optional(v.looseObject({ name: Optional(v.string()), strategy: Optional(v.string()) })),
});
export type Association = v.InferOutput<typeof AssociationShape>;

/** A page of associations: with its total, with what to ask for next, or bare. */
const PageShape = v.pipe(
  v.unknown(),
  v.transform((page) => (Array.isArray(page) ? { connections: page } : page)),
  v.looseObject({
    connections: v.pipe(v.array(AssociationShape), v.maxLength(1000)),
    total: Optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
    next: Optional(v.pipe(v.string(), v.minLength(1), v.maxLength(1000))),
  }),
);
const ErrorShape = v.looseObject({ message: Optional(v.string()), errorCode: Optional(v.string()) });

/** What a piece of work gives to its calls, and what it learns from them. One object a request, shared with no other. */
export interface Calls {
  /** When the work began, and when every wait and every call ends; Unix time in milliseconds. */
  started: number;
  deadline: number;
  log: Log;
  /** Holds calls back until the tenant's limit allows them. */
  pacer: Pacer;
  /** The longest wait for the limit that is worth staying for; a longer one ends the call with `rate_limited`. */
  longestWait?: number;
  /** Tries of a call that fails for a transient reason; `MAX_TRIES` when left out. */
  maxTries?: number;
  /** Filled in by each call: Auth0's statuses (0: no answer), milliseconds spent with it, and what is left of the limit. */
  statuses: number[];
  auth0Ms: number;
  remaining?: number | undefined;
}

type Method = keyof typeof SCOPES;
/** An answer's meaning, or undefined when a success is not what Auth0 documents. */
type Read<T> = (status: number, body: unknown) => T | undefined;

/** A failed try: the problem that it is to the caller, and how to recover from it, where one can. */
type Failure = { problem: Problem; recovery?: 'retry' | 'refresh token' | 'wait for pacer' | undefined };

// The calls of Auth0's Management API that this service makes. Each one carries the token that rotation keeps in the
// environment's secret, is tried again while that can help (all of them are idempotent), keeps to `calls.deadline`, and throws
// a `Problem` of the contract's table.

const { origin } = auth0Tenant();

async function attempt(method: Method, path: string, body: object | undefined, token: string, calls: Calls) {
  const started = Date.now();
  const timeout = Math.min(ATTEMPT_MS, calls.deadline - started);
  const answer = await exchange({ method, origin, path, headers: { authorization: `Bearer ${token}` }, body, timeout });
  const { status } = answer;
  const ms = Date.now() - started;
  calls.statuses.push(status);
  calls.auth0Ms += ms;
  calls.log.debug('auth0_answered', { method, path, status, ms });
  if (status === 0) return answer;
  const rateLimit = readRateLimit(answer.headers);
  calls.remaining = rateLimit.remaining ?? calls.remaining;
  calls.pacer.note(bucketOf(method), status, rateLimit);
  return answer;
}

async function call<T>(method: Method, path: string, calls: Calls, read: Read<T>, body?: object): Promise<T> {
  const { deadline, maxTries = MAX_TRIES } = calls;
  let token = await managementToken(deadline);
  let refreshed = false;
  let refusal: Problem | undefined;
  for (let tries = 1, refusals = 0; ; ) {
    await untilAllowed(method, calls, refusal);
    const answer = await attempt(method, path, body, token.value, calls);
    const succeeded = answer.status >= 200 && answer.status < 300;
    const value = succeeded ? read(answer.status, jsonOf(answer)) : undefined;
    if (value !== undefined) return value;
    const { problem, recovery } = failure(method, answer, calls);
    if (recovery === 'refresh token') {
      const newest: typeof token = refreshed ? token : await managementToken(deadline, token);
      // A probe does not ask again with what was just refused.
      if (refreshed || (maxTries === 1 && newest.value === token.value)) throw await tokenRefused(deadline, calls.log);
      [token, refreshed] = [newest, true];
    } else if (recovery === 'wait for pacer' && refusals++ < MAX_REFUSALS) {
      refusal = problem;
    } else if (recovery === 'retry') {
      const pause = backoff(tries, 150, 2000);
      if (tries++ >= maxTries || Date.now() + pause >= deadline) throw problem;
      calls.log.warn('auth0_call_retried', { code_of_problem: problem.code, tries });
      await sleep(pause);
    } else {
      throw problem;
    }
  }
}

const organization = (id: string) => `/api/v2/organizations/${v.parse(OrganizationId, id)}/connections`;
const association = (org: string, con: string) => `${organization(org)}/${v.parse(ConnectionId, con)}`;

/** The association as it is now; throws `not_found` when the organization has none. */
const get = (organizationId: string, connectionId: string, calls: Calls) => {
  const read = (status: number, body: unknown) => (status === 200 ? associationOf(connectionId, body) : undefined);
  return call('GET', association(organizationId, connectionId), calls, read);
};

const setEnabled = (enabled: boolean) => async (organizationId: string, connectionId: string, calls: Calls) => {
  // An answer that says otherwise means that it was not done; one that does not say leaves it open.
  const read = (_: number, body: unknown) => {
    const found = associationOf(connectionId, body);
    return found?.is_enabled === !enabled ? undefined : found;
  };
  const path = association(organizationId, connectionId);
  const answered = await call('PATCH', path, calls, read, { is_enabled: enabled });
  const found = answered.is_enabled === undefined ? await get(organizationId, connectionId, calls) : answered;
  if (found.is_enabled === enabled) return found;
  const state = enabled ? 'enabled' : 'disabled';
  throw new Problem('auth0_unavailable', `Auth0 does not say that the connection is ${state}`);
};

/** Disables a connection of an organization; its settings stay. Returns the association as Auth0 answered it. */
export const disable = setEnabled(false);

/** Enables a connection again; only for the cancelling of this service's own disabling. */
export const enable = setEnabled(true);

/** Removes a connection from an organization. Auth0 answers alike when it was gone already. */
export async function remove(organizationId: string, connectionId: string, calls: Calls): Promise<void> {
  const read = (status: number, body: unknown) => (status === 204 || body !== undefined ? status : undefined);
  const path = association(organizationId, connectionId);
  if ((await call('DELETE', path, calls, read)) === 204) return;
  const left = await get(organizationId, connectionId, calls).catch(unlessNotFound);
  if (left) throw new Problem('auth0_unavailable', 'Auth0 does not say that the connection is removed');
}

/**
 * All connections of an organization with their settings, and never a part of them: one call where `total` says that
 * there is no second page, else until a page is the last or brings nothing new. One that does not say whether it is
 * enabled is asked for itself.
 */
export async function list(organizationId: string, calls: Calls): Promise<Association[]> {
  const all = new Map<string, Association>();
  let next: string | undefined;
  let whole = false;
  for (let page = 0, more = true; more && page < MAX_PAGES; page++) {
    const from = next === undefined ? `page=${page}&per_page=50` : `from=${encodeURIComponent(next)}&take=50`;
    const path = `${organization(organizationId)}?include_totals=true&${from}`;
    const read = (status: number, body: unknown) => (status === 200 ? parseAs(PageShape, body) : undefined);
    const found = await call('GET', path, calls, read);
    const known = all.size;
    for (const connection of found.connections) all.set(connection.connection_id, connection);
    const nothingNew = all.size === known && found.next === undefined;
    const isLast = nothingNew || (next !== undefined && found.next === undefined);
    // An empty list is taken for one only where Auth0 says that there is none.
    whole = found.total === undefined ? isLast && all.size > 0 : all.size >= found.total;
    more = !whole && !nothingNew;
    next = found.next;
  }
  if (!whole) throw new Problem('auth0_unavailable', 'Auth0 does not list all connections of the organization');
  for (const { connection_id } of [...all.values()].filter(({ is_enabled }) => is_enabled === undefined)) {
    const found = await get(organizationId, connection_id, calls).catch(unlessNotFound);
    if (found) all.set(connection_id, found);
    else all.delete(connection_id);
  }
  return [...all.values()];
}

/** For `catch`: what Auth0 does not have is undefined, and no failure. */
export function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof Problem && error.code === 'not_found')) throw error;
}

const bucketOf = (method: Method): Bucket => (method === 'GET' ? 'read' : 'write');

/** Waits for the pacer; throws `rate_limited` when that would take longer than is worth staying for. */
async function untilAllowed(method: Method, calls: Calls, refusal: Problem | undefined) {
  const { pacer, deadline, longestWait = Number.POSITIVE_INFINITY } = calls;
  for (let wait = pacer.delay(bucketOf(method)); wait > 0; wait = pacer.delay(bucketOf(method))) {
    if (wait > longestWait || Date.now() + wait >= deadline) throw refusal ?? rateLimited(wait);
    await sleep(wait);
  }
  if (Date.now() < deadline) return;
  throw new Problem('auth0_timeout', 'The time for this request was over before Auth0 was asked');
}

const rateLimited = (waitMs: number, upstream?: ProblemOptions['upstream']) =>
  new Problem('rate_limited', "The tenant's limit leaves no room before this request's deadline", {
    retryAfter: waitMs / 1000,
    upstream,
  });

/** The answer's body as JSON; undefined when nobody could read it, an empty object where it is empty. */
function jsonOf({ headers, body }: Answer): unknown {
  if (body.trim() === '') return {};
  const type = headers['content-type'];
  if (type !== undefined && !/^application\/([\w.+-]+\+)?json\b/i.test(type)) return undefined;
  return parseJson(body);
}

/** `body` as the association of `connectionId`, whose id it may leave out; undefined when it is another's, or no object. */
function associationOf(connectionId: string, body: unknown): Association | undefined {
  const isObject = v.is(v.record(v.string(), v.unknown()), body);
  const found = parseAs(AssociationShape, isObject ? { connection_id: connectionId, ...body } : body);
  return found?.connection_id === connectionId ? found : undefined;
}

/** What Auth0 said in words, for the caller: without control characters, not endless, and never with the token in it. */
function upstreamOf(status: number, { message, errorCode }: v.InferOutput<typeof ErrorShape>) {
  const shown = (text: string | undefined) =>
    text ? redact(text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')).slice(0, 500) : null;
  return { status, error_code: shown(errorCode), message: shown(message) };
}

/** What Auth0's statuses are to the caller, and how to recover from them. */
const MEANINGS = new Map<number, [code: ProblemCode, detail: string, recovery?: Failure['recovery']]>([
  [400, ['rejected_by_auth0', 'Auth0 rejected the request']],
  [401, ['management_token_rejected', 'Auth0 refused the token', 'refresh token']],
  [403, ['forbidden_by_auth0', 'Auth0 forbids this; the upstream message says why']],
  [404, ['not_found', 'Auth0 knows no such organization or no such connection of it']],
  [409, ['conflict', 'Auth0 reports a conflict']],
]);
/** These mean what they say only in Auth0's own JSON: what stands in front of Auth0 answers them, too. */
const OWN_ONLY = [400, 404, 409];

/** What a try without success is to the caller; the contract's table of problems. */
function failure(method: Method, answer: Answer, { deadline, pacer }: Calls): Failure {
  const { status, failure: noAnswer } = answer;
  if (noAnswer) {
    const { kind, cause } = noAnswer;
    if (kind === 'timeout' && Date.now() >= deadline - 1)
      return { problem: new Problem('auth0_timeout', 'Auth0 did not answer before the deadline', { cause }) };
    const problem = new Problem('auth0_unavailable', 'The connection to Auth0 failed', { cause });
    return { problem, recovery: kind === 'tls' ? undefined : 'retry' };
  }
  const own = answer.body.trim() === '' ? undefined : parseAs(ErrorShape, jsonOf(answer));
  const upstream = upstreamOf(status, own ?? {});
  if (status === 429)
    return { problem: rateLimited(pacer.delay(bucketOf(method)), upstream), recovery: 'wait for pacer' };
  const lacksScope = upstream.error_code === 'insufficient_scope' || upstream.message?.startsWith('Insufficient scope');
  if (status === 403 && lacksScope) {
    const detail = `The Management API token lacks the scope ${SCOPES[method]}`;
    return { problem: new Problem('management_token_scope_missing', detail, { upstream }) };
  }
  // Redirects and statuses that this API does not have will be the same again; 5xx and a wrong body are transient.
  const recoverable = status >= 500 || status < 300 || OWN_ONLY.includes(status) ? ('retry' as const) : undefined;
  const known = own || !OWN_ONLY.includes(status) ? MEANINGS.get(status) : undefined;
  const unusable = `Auth0 answered ${status}, not as it documents`;
  const [code, detail, recovery] = known ?? ['auth0_unavailable', unusable, recoverable];
  return { problem: new Problem(code, detail, { upstream }), recovery };
}
