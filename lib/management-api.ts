import * as v from 'valibot';
import { secretsManager } from './aws.ts';
import { backoff, sleep } from './deadline.ts';
import { auth0Tenant, required } from './environment.ts';
import { type Answer, type Exchange, ExchangeError, exchangeOrError } from './http-client.ts';
import { parseJson } from './json.ts';
import { type Log, redact } from './log.ts';
import { createManagementTokenSource, type ManagementTokenSource } from './management-token.ts';
import { Problem, type ProblemCode, type Upstream } from './problem.ts';
import { type Bucket, type Pacer, readRateLimit, waitAfter429 } from './rate-limit.ts';

const ORGANIZATION_ID = /^org_[A-Za-z0-9]{1,46}$/;
const CONNECTION_ID = /^con_[A-Za-z0-9]{1,46}$/;

/** Ids as Auth0 gives them out: a prefix, letters and digits. Nothing else ever becomes part of a URL. */
export const OrganizationId = v.pipe(v.string(), v.regex(ORGANIZATION_ID, 'must be org_ and letters and digits'));
export const ConnectionId = v.pipe(v.string(), v.regex(CONNECTION_ID, 'must be con_ and letters and digits'));

/** The scope that each kind of call needs (Management API reference, organization connections). */
export const REQUIRED_SCOPES = {
  list: 'read:organization_connections',
  update: 'update:organization_connections',
  remove: 'delete:organization_connections',
} as const;

/** One try may take this long: long for Auth0, and short enough that a stalled one leaves time for another. */
const ATTEMPT_MS = 10_000;
/** Tries of a call that fails for a transient reason. */
const MAX_TRIES = 4;
/** Answers of 429 in a row after which a call is for later, whatever their headers say. */
const MAX_REFUSALS = 4;
/** An organization has ten connections at most; a listing that goes on for longer than this is not one. */
const MAX_PAGES = 4;

/** What Auth0 may leave out, or set to null or to something new, without the job being the worse for it. */
const Optional = <S extends v.GenericSchema>(schema: S) => v.fallback(v.optional(schema), undefined);

/** An organization's connection with its settings, as Auth0 has it; members beyond these are kept as they are. */
const AssociationShape = v.looseObject({
  connection_id: ConnectionId,
  /** Undefined where Auth0 does not say, also when it was asked for this one. */
  is_enabled: Optional(v.boolean()),
  connection: Optional(v.looseObject({ name: Optional(v.string()), strategy: Optional(v.string()) })),
});
export type Association = v.InferOutput<typeof AssociationShape>;

/** A page of associations: with its total, with what to ask for next, or bare. */
const PageShape = v.union([
  v.looseObject({
    connections: v.pipe(v.array(AssociationShape), v.maxLength(1000)),
    total: Optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
    next: Optional(v.pipe(v.string(), v.minLength(1), v.maxLength(1000))),
  }),
  v.pipe(
    v.array(AssociationShape),
    v.maxLength(1000),
    v.transform((connections) => ({ connections, total: undefined, next: undefined })),
  ),
]);
const ErrorShape = v.looseObject({ message: Optional(v.string()), errorCode: Optional(v.string()) });

/** What a piece of work gives to its calls, and what it learns from them. One object a request, shared with no other. */
export interface Calls {
  /** Unix time in milliseconds; every wait and every call ends by then. */
  deadline: number;
  log: Log;
  /** Holds calls back until the tenant's limit allows them; without one a call goes at once. */
  pacer?: Pacer;
  /** The longest wait for the limit that is worth staying for; a longer one ends the call with `rate_limited`. */
  longestWait?: number;
  /** Tries of a call that fails for a transient reason; `MAX_TRIES` when left out. */
  maxTries?: number;
  /** Filled in by each call: Auth0's statuses (0: no answer), milliseconds spent with it, and what is left of the limit. */
  statuses: number[];
  auth0Ms: number;
  remaining?: number;
}

interface Operation<T> {
  method: Exchange['method'];
  path: string;
  body?: object;
  scope: string;
  /** The answer's meaning, or undefined when a success is not what Auth0 documents. */
  read: (status: number, body: unknown) => T | undefined;
}

/** A failed try: the problem that it is to the caller, and how to recover from it. */
interface Failure {
  problem: Problem;
  recovery?: 'retry' | 'token' | { waitMs: number };
}

/**
 * The calls of Auth0's Management API that this service makes. Each one carries the token, is tried again while that can
 * help (all of them are idempotent), keeps to `calls.deadline`, and throws a `Problem` of the contract's table.
 */
export function createManagementApi(origin: URL, tokens: ManagementTokenSource) {
  async function attempt<T>(operation: Operation<T>, token: string, calls: Calls): Promise<Answer | ExchangeError> {
    const { method, path, body } = operation;
    const started = Date.now();
    const answer = await exchangeOrError({
      method,
      origin,
      path,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      timeout: Math.min(ATTEMPT_MS, calls.deadline - started),
    });
    const status = answer instanceof ExchangeError ? 0 : answer.status;
    calls.statuses.push(status);
    calls.auth0Ms += Date.now() - started;
    calls.log.debug('auth0_answered', { method, path, status, ms: Date.now() - started });
    return answer;
  }

  async function call<T>(operation: Operation<T>, calls: Calls): Promise<T> {
    const bucket: Bucket = operation.method === 'GET' ? 'read' : 'write';
    let token = await tokens.get(calls.deadline);
    let refreshed = false;
    let refused = 0;
    for (let tries = 1; ; ) {
      await untilAllowed(bucket, calls);
      const answer = await attempt(operation, token.value, calls);
      if (!(answer instanceof ExchangeError)) {
        const rateLimit = readRateLimit(answer.headers);
        if (rateLimit.remaining !== undefined) calls.remaining = rateLimit.remaining;
        calls.pacer?.note(bucket, answer.status, rateLimit);
        const value = succeeded(operation, answer);
        if (value !== undefined) return value;
        if (answer.status === 429) refused += 1;
      }
      const { problem, recovery } = failure(operation, answer, refused, calls);
      if (recovery === 'token') {
        if (refreshed) throw await tokens.rejected(calls.deadline, calls.log);
        refreshed = true;
        const newest = await tokens.refresh(token, calls.deadline);
        // A probe does not ask again with what was just refused.
        if (calls.maxTries === 1 && newest.value === token.value)
          throw await tokens.rejected(calls.deadline, calls.log);
        token = newest;
      } else if (recovery === 'retry') {
        const pause = backoff(tries, 150, 2000);
        if (tries++ >= (calls.maxTries ?? MAX_TRIES) || Date.now() + pause >= calls.deadline) throw problem;
        calls.log.warn('auth0_call_retried', { code_of_problem: problem.code, tries });
        await sleep(pause);
      } else if (!recovery || refused > MAX_REFUSALS) {
        throw problem;
      } else if (!calls.pacer) {
        if (Date.now() + recovery.waitMs >= calls.deadline) throw problem;
        await sleep(recovery.waitMs);
      }
    }
  }

  const organization = (id: string) => `/api/v2/organizations/${v.parse(OrganizationId, id)}/connections`;
  const association = (org: string, con: string) => `${organization(org)}/${v.parse(ConnectionId, con)}`;

  /** The association as it is now; throws `not_found` when the organization has none. */
  const get = (organizationId: string, connectionId: string, calls: Calls) =>
    call<Association>(
      {
        method: 'GET',
        path: association(organizationId, connectionId),
        scope: REQUIRED_SCOPES.list,
        read: (status, body) => (status === 200 ? associationOf(connectionId, body) : undefined),
      },
      calls,
    );

  const setEnabled = (enabled: boolean) => async (organizationId: string, connectionId: string, calls: Calls) => {
    const operation: Operation<Association> = {
      method: 'PATCH',
      path: association(organizationId, connectionId),
      body: { is_enabled: enabled },
      scope: REQUIRED_SCOPES.update,
      // An answer that says otherwise means that it was not done; one that does not say leaves it open.
      read: (_, body) => {
        const found = associationOf(connectionId, body);
        return found?.is_enabled === !enabled ? undefined : found;
      },
    };
    const answered = await call(operation, calls);
    const found = answered.is_enabled === undefined ? await get(organizationId, connectionId, calls) : answered;
    if (found.is_enabled === enabled) return found;
    throw new Problem(
      'auth0_unavailable',
      `Auth0 does not say that the connection is ${enabled ? 'enabled' : 'disabled'}`,
    );
  };

  /** The pages of the organization's connections, each asked for as the one before it says. */
  async function* pages(organizationId: string, calls: Calls) {
    let next: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const from = next === undefined ? `page=${page}&per_page=50` : `from=${encodeURIComponent(next)}&take=50`;
      const read = (status: number, body: unknown) =>
        status === 200 && v.is(PageShape, body) ? v.parse(PageShape, body) : undefined;
      const path = `${organization(organizationId)}?include_totals=true&${from}`;
      const found = await call({ method: 'GET', path, scope: REQUIRED_SCOPES.list, read }, calls);
      yield { ...found, isLast: next !== undefined && found.next === undefined };
      next = found.next;
    }
  }

  return {
    /** Disables a connection of an organization; its settings stay. Returns the association as Auth0 answered it. */
    disable: setEnabled(false),

    /** Enables a connection again; only for the cancelling of this service's own disabling. */
    enable: setEnabled(true),

    /** Removes a connection from an organization. Auth0 answers alike when it was gone already. */
    async remove(organizationId: string, connectionId: string, calls: Calls): Promise<void> {
      const operation = {
        method: 'DELETE' as const,
        path: association(organizationId, connectionId),
        scope: REQUIRED_SCOPES.remove,
        read: (status: number, body: unknown) => (status === 204 || body !== undefined ? { status } : undefined),
      };
      const { status } = await call(operation, calls);
      if (status === 204) return;
      const left = await get(organizationId, connectionId, calls).catch(unlessNotFound);
      if (left) throw new Problem('auth0_unavailable', 'Auth0 does not say that the connection is removed');
    },

    /**
     * All connections of an organization with their settings, and never a part of them: one call where `total` says that
     * there is no second page, else until a page is the last or brings nothing new. One that does not say whether it is
     * enabled is asked for itself.
     */
    async list(organizationId: string, calls: Calls): Promise<Association[]> {
      const all = new Map<string, Association>();
      const incomplete = () =>
        new Problem('auth0_unavailable', 'Auth0 does not list all connections of the organization');
      let whole = false;
      for await (const { connections, total, next, isLast } of pages(organizationId, calls)) {
        const known = all.size;
        for (const connection of connections) all.set(connection.connection_id, connection);
        const nothingNew = all.size === known && next === undefined;
        // An empty list is taken for one only where Auth0 says that there is none.
        whole = total === undefined ? all.size > 0 && (isLast || nothingNew) : all.size >= total;
        if (whole || nothingNew) break;
      }
      if (!whole) throw incomplete();
      for (const { connection_id } of [...all.values()].filter(({ is_enabled }) => is_enabled === undefined)) {
        const found = await get(organizationId, connection_id, calls).catch(unlessNotFound);
        if (found) all.set(connection_id, found);
        else all.delete(connection_id);
      }
      return [...all.values()];
    },
  };
}

function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof Problem && error.code === 'not_found')) throw error;
}

export type ManagementApi = ReturnType<typeof createManagementApi>;

/** The Management API of the environment's tenant, with the token that rotation keeps in the environment's secret. */
export function managementApiOfEnvironment(): ManagementApi {
  const tokens = createManagementTokenSource(required('MANAGEMENT_TOKEN_SECRET_ID'), secretsManager());
  return createManagementApi(auth0Tenant().origin, tokens);
}

/** Waits for the pacer; throws `rate_limited` when that would take longer than is worth staying for. */
async function untilAllowed(bucket: Bucket, { pacer, deadline, longestWait = Number.POSITIVE_INFINITY }: Calls) {
  for (let wait = pacer?.delay(bucket) ?? 0; wait > 0; wait = pacer?.delay(bucket) ?? 0) {
    if (wait > longestWait || Date.now() + wait >= deadline) throw rateLimited(wait);
    await sleep(wait);
  }
  if (Date.now() >= deadline)
    throw new Problem('auth0_timeout', 'The time for this request was over before Auth0 was asked');
}

const rateLimited = (waitMs: number, upstream?: Upstream) =>
  new Problem('rate_limited', "The tenant's limit leaves no room before this request's deadline", {
    retryAfter: waitMs / 1000,
    ...(upstream && { upstream }),
  });

/** The answer's body as JSON; undefined when nobody could read it, an empty object where it is empty. */
function jsonOf({ headers, body }: Answer): unknown {
  if (body.trim() === '') return {};
  const type = headers['content-type'];
  if (type !== undefined && !/^application\/([\w.+-]+\+)?json\b/i.test(type)) return undefined;
  return parseJson(body);
}

function succeeded<T>(operation: Operation<T>, answer: Answer): T | undefined {
  if (answer.status < 200 || answer.status > 299) return undefined;
  return operation.read(answer.status, jsonOf(answer));
}

/** `body` as the association of `connectionId`, whose id it may leave out; undefined when it is another's, or no object. */
function associationOf(connectionId: string, body: unknown): Association | undefined {
  const parsed = v.safeParse(
    AssociationShape,
    v.is(v.record(v.string(), v.unknown()), body) ? { connection_id: connectionId, ...body } : body,
  );
  return parsed.success && parsed.output.connection_id === connectionId ? parsed.output : undefined;
}

/** What Auth0 said in words, for the caller: without control characters, not endless, and never with the token in it. */
function upstreamOf(answer: Answer): Upstream {
  const body = jsonOf(answer);
  const { message, errorCode } = v.is(ErrorShape, body) ? v.parse(ErrorShape, body) : {};
  const shown = (text: string | undefined) =>
    text ? redact(text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')).slice(0, 500) : null;
  return { status: answer.status, error_code: shown(errorCode), message: shown(message) };
}

/** The codes of Auth0 statuses that mean the same to the caller as to this service; their bodies must be Auth0's own JSON. */
const PASSED_ON: Partial<Record<number, [ProblemCode, string]>> = {
  400: ['rejected_by_auth0', 'Auth0 rejected the request'],
  404: ['not_found', 'Auth0 knows no such organization or no such connection of it'],
  409: ['conflict', 'Auth0 reports a conflict'],
};

function failure(
  operation: Operation<unknown>,
  answer: Answer | ExchangeError,
  refused: number,
  calls: Calls,
): Failure {
  if (answer instanceof ExchangeError) return noAnswer(answer, calls);
  const { status } = answer;
  const upstream = upstreamOf(answer);
  const passedOn = PASSED_ON[status];
  if (passedOn && answer.body.trim() !== '' && v.is(ErrorShape, jsonOf(answer)))
    return { problem: new Problem(...passedOn, { upstream }) };
  if (status === 401)
    return {
      problem: new Problem('management_token_rejected', 'Auth0 refused the token', { upstream }),
      recovery: 'token',
    };
  if (status === 403) return { problem: forbidden(operation.scope, upstream) };
  if (status === 429) {
    const waitMs = waitAfter429(readRateLimit(answer.headers), refused);
    return { problem: rateLimited(waitMs, upstream), recovery: { waitMs } };
  }
  // Redirects and statuses that this API does not have will be the same again; 5xx and a wrong body are transient.
  const transient = status >= 500 || status < 300 || passedOn !== undefined;
  const problem = new Problem('auth0_unavailable', `Auth0 answered ${status}, not as it documents`, { upstream });
  return transient ? { problem, recovery: 'retry' } : { problem };
}

function noAnswer(cause: ExchangeError, { deadline }: Calls): Failure {
  if (cause.kind === 'timeout' && Date.now() >= deadline - 1) {
    return { problem: new Problem('auth0_timeout', 'Auth0 did not answer before the deadline', { cause }) };
  }
  const problem = new Problem('auth0_unavailable', 'The connection to Auth0 failed', { cause });
  return cause.kind === 'tls' ? { problem } : { problem, recovery: 'retry' };
}

function forbidden(scope: string, upstream: Upstream): Problem {
  const { error_code, message } = upstream;
  if (error_code !== 'insufficient_scope' && !message?.startsWith('Insufficient scope')) {
    return new Problem('forbidden_by_auth0', 'Auth0 forbids this; the upstream message says why', { upstream });
  }
  return new Problem('management_token_scope_missing', `The Management API token lacks the scope ${scope}`, {
    upstream,
  });
}
