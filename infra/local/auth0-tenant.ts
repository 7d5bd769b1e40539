// A stand-in for an Auth0 tenant: organization connections of the Management API and /oauth/token, on a real socket.
// Not a mock of calls: it holds state, checks tokens and scopes, and counts token buckets as Auth0 documents them.
import { createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Association {
  connection_id: string;
  is_enabled: boolean;
  assign_membership_on_login: boolean;
  show_as_button: boolean;
  is_signup_enabled?: boolean;
  organization_access_level: string;
  connection: { name: string; strategy: string };
}

interface BucketSize {
  burst: number;
  perMinute: number;
}

/** The documented limits by plan: `read` and `write` of organization connections, or one bucket for the `whole` API. */
export const PLANS = {
  free: { whole: { burst: 2, perMinute: 120 } },
  professional: { read: { burst: 5, perMinute: 50 }, write: { burst: 5, perMinute: 25 } },
  enterprise: { read: { burst: 10, perMinute: 100 }, write: { burst: 5, perMinute: 150 } },
  unlimited: {},
} satisfies Record<string, Partial<Record<'read' | 'write' | 'whole', BucketSize>>>;
export type Plan = keyof typeof PLANS;

/** One way to fail on purpose. It meets the requests that `method` and `path` (a part of it) name, `times` of them. */
export interface Fault {
  method?: string;
  path?: string;
  times?: number;
  /** Chance of meeting a request that fits, 1 when left out. */
  chance?: number;
  /** Milliseconds before the first byte; the request is then answered as usual unless another member says otherwise. */
  delay?: number;
  /** Answer as usual, but in one of these shapes, each from a public bug report. */
  shape?: keyof typeof SHAPES;
  /** Answer with this status and `body` (text as it is, JSON otherwise) instead. */
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Close the connection: without having done anything, half-way through the answer, or after it was done but before the answer. */
  reset?: 'before' | 'during' | 'after';
  /** Announce more than is sent, then end. */
  truncate?: boolean;
  /** Send the answer one byte each this many milliseconds. */
  drip?: number;
}

export interface Call {
  method: string;
  path: string;
  status: number;
  body: string;
  authorization: string;
  /** Unix time in milliseconds. */
  at: number;
}

/** A change of a connection: only where there was one. */
export interface Effect {
  organizationId: string;
  connectionId: string;
  to: 'enabled' | 'disabled' | 'removed';
}

interface Client {
  client_secret?: string;
  /** PEM; the client authenticates by a signed assertion. */
  public_key?: string;
  scope: string;
}

export interface TenantState {
  organizations: Record<string, Association[]>;
}

interface Page {
  connections: Record<string, unknown>[];
  total?: number;
}
const isPage = (body: unknown): body is Page => Array.isArray((body as Page | undefined)?.connections);
/** A change to each association of an answer, listed or alone. */
const each = (change: (association: Record<string, unknown>) => object) => (reply: Reply) => {
  if (reply.status !== 200) return reply;
  const body = isPage(reply.body)
    ? { ...reply.body, connections: reply.body.connections.map(change) }
    : change(reply.body as Record<string, unknown>);
  return { ...reply, body };
};
const list = (change: (page: Page, target: URL) => unknown) => (reply: Reply, target: URL) =>
  isPage(reply.body) ? { ...reply, body: change(reply.body, target) } : reply;
const now = (offset: number) => String(Math.floor(Date.now() / 1000) + offset);
const limited = (headers: Record<string, string>, body: unknown) => () => ({ status: 429, headers, body });

/** How answers have looked, by name. */
const SHAPES = {
  'connection id alone': each(({ connection_id }) => ({ connection_id })),
  'is_enabled missing': each(({ is_enabled: _, ...rest }) => rest),
  'is_enabled null': each((association) => ({ ...association, is_enabled: null })),
  'connection null': each((association) => ({ ...association, connection: null })),
  'connection missing': each(({ connection: _, ...rest }) => rest),
  'name and strategy null': each((association) => ({ ...association, connection: { name: null, strategy: null } })),
  'unknown members': each((association) => ({ ...association, organization_member_access_level: 'full', x: [{}] })),
  'still enabled': each((association) => ({ ...association, is_enabled: true })),
  'empty body': (reply: Reply) => ({ status: reply.status, ...(reply.headers && { headers: reply.headers }) }),
  'byte order mark': (reply: Reply) => ({ ...reply, body: `\uFEFF${JSON.stringify(reply.body)}` }),
  '200 instead of 204': (reply: Reply) => (reply.status === 204 ? { ...reply, status: 200, body: {} } : reply),
  'gone since it was listed': () => error(404, 'No connection found', 'inexistent_connection'),
  'gone, without a message': () => ({ status: 404, body: { statusCode: 404, error: 'Not Found', message: null } }),
  'bare list': list(({ connections }) => connections),
  'total missing': list(({ connections }) => ({ connections })),
  'total null': list((page) => ({ ...page, total: null })),
  'pages with next': list(({ connections }, { searchParams }) => {
    const from = Number(searchParams.get('from') ?? 0);
    const all = searchParams.has('from') || connections.length > 0 ? connections : [];
    return { connections: all.slice(from, from + 1), ...(from < all.length && { next: String(from + 1) }) };
  }),
  'total of more than is listed': list((page) => ({ ...page, total: (page.total ?? 0) + 1 })),
  'an empty list that is none': list(() => ({ connections: [] })),
  '429, reset in this second': (_: Reply) => limited({ 'x-ratelimit-reset': now(0) }, { statusCode: 429 })(),
  '429, reset just past': (_: Reply) => limited({ 'x-ratelimit-reset': now(-1) }, undefined)(),
  '429 without headers': limited({}, { error: 'too_many_requests', message: 'x' }),
  '429, Retry-After: 0': limited({ 'retry-after': '0' }, '<html>'),
} satisfies Record<string, (reply: Reply, target: URL) => Reply>;

const CONTROL = '/_tenant/';
const NAMES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
};

/**
 * Starts a tenant on a loopback port (a free one when `port` is 0). Everything that tests and demos may do to it is a
 * method here and, for other processes, `POST /_tenant/{method}` with the arguments as a JSON array.
 */
export async function startAuth0Tenant({
  port = 0,
  plan = 'unlimited' as Plan,
  tokenLifetime = 86_400,
  random = Math.random,
} = {}) {
  const signingKey = randomBytes(32);
  const organizations = new Map<string, Map<string, Association>>();
  const clients = new Map<string, Client>();
  let faults: Fault[] = [];
  let calls: Call[] = [];
  const effects: Effect[] = [];
  const streams: ((organizationId: string, connectionId: string) => void)[] = [];
  let revokedBefore = 0;
  let issued = 0;
  let clock = 0;
  let buckets = new Map<string, { size: BucketSize; tokens: number; at: number }>();

  const control = {
    /** Adds or replaces organizations; a connection needs an id, the rest has defaults. */
    setOrganizations(wanted: Record<string, (Partial<Association> & { connection_id: string })[]>) {
      for (const [id, connections] of Object.entries(wanted)) {
        organizations.set(
          id,
          new Map(connections.map((connection) => [connection.connection_id, association(connection)])),
        );
      }
    },
    /** Somebody else's tool enables a connection, or adds it again; the tenant's Event Stream tells of it. */
    enableConnection(organizationId: string, connectionId: string) {
      const all = organizations.get(organizationId) ?? new Map<string, Association>();
      organizations.set(organizationId, all);
      all.set(connectionId, {
        ...association({ connection_id: connectionId }),
        ...all.get(connectionId),
        is_enabled: true,
      });
      for (const listener of streams) listener(organizationId, connectionId);
    },
    deleteOrganization: (id: string) => organizations.delete(id),
    setClient(id: string, client: Client) {
      clients.set(id, client);
    },
    /** The tenant as an administrator sees it. */
    state: (): TenantState => ({
      organizations: Object.fromEntries([...organizations].map(([id, all]) => [id, [...all.values()]])),
    }),
    addFaults(...more: Fault[]) {
      faults.push(...more.map((fault) => ({ ...fault })));
    },
    clearFaults() {
      faults = [];
    },
    /** The calls of the Management API and of /oauth/token since the start or the last `clearCalls`. */
    calls: () => calls,
    clearCalls() {
      calls = [];
    },
    /** What the Management API has changed, in order. */
    effects: () => effects,
    setPlan(name: Plan) {
      buckets = new Map(
        Object.entries(PLANS[name] as Record<string, BucketSize>).map(([bucket, size]) => [
          bucket,
          { size, tokens: size.burst, at: Date.now() },
        ]),
      );
    },
    /** Every token issued until now is refused from now on, but for the newest `keep`. */
    revokeTokens(keep = 0) {
      revokedBefore = issued - keep;
    },
    /** A token as /oauth/token gives it out. `lifetime` in seconds. */
    issueToken: (scope: string, lifetime = tokenLifetime) => jwt(scope, lifetime),
    tokensIssued: () => issued,
    /** Sets the tenant's clock this many milliseconds ahead of the machine's. */
    setClock(ahead: number) {
      clock = ahead;
    },
  };
  control.setPlan(plan);

  function jwt(scope: string, lifetime: number): string {
    issued += 1;
    const now = Math.floor(Date.now() / 1000);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = {
      aud: `${url}/api/v2/`,
      gty: 'client-credentials',
      scope,
      iat: now,
      exp: now + lifetime,
      n: issued,
    };
    const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
    return `${signed}.${createHmac('sha256', signingKey).update(signed).digest('base64url')}`;
  }

  /** The scopes of a token that is good, or why it is not. */
  function scopesOf(authorization = ''): string[] | string {
    const [, header, claims, signature] = authorization.match(/^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/) ?? [];
    if (!header || !claims) return 'Invalid token';
    const expected = createHmac('sha256', signingKey).update(`${header}.${claims}`).digest('base64url');
    if (signature !== expected) return 'Invalid signature received for JSON Web Token validation';
    const { exp, n, scope } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    if (exp * 1000 <= Date.now()) return 'Expired token received for JSON Web Token validation';
    if (n <= revokedBefore) return 'Invalid token';
    return scope.split(' ');
  }

  /** Takes a token of the buckets that a call counts against; the headers tell of the scarcer one. */
  function take(kind: 'read' | 'write'): { allowed: boolean; headers: Record<string, string> } {
    const found = ['whole', kind].flatMap((name) => buckets.get(name) ?? []);
    for (const bucket of found) {
      const perMs = bucket.size.perMinute / 60_000;
      bucket.tokens = Math.min(bucket.size.burst, bucket.tokens + (Date.now() - bucket.at) * perMs);
      bucket.at = Date.now();
    }
    const allowed = found.every((bucket) => bucket.tokens >= 1);
    if (allowed) for (const bucket of found) bucket.tokens -= 1;
    const scarce = found.sort((a, b) => a.tokens - b.tokens)[0];
    if (!scarce) return { allowed, headers: {} };
    const untilNext = (Math.floor(scarce.tokens) + 1 - scarce.tokens) / (scarce.size.perMinute / 60_000);
    return {
      allowed,
      headers: {
        'x-ratelimit-limit': String(scarce.size.burst),
        'x-ratelimit-remaining': String(Math.floor(scarce.tokens)),
        'x-ratelimit-reset': String(Math.ceil((Date.now() + untilNext) / 1000)),
      },
    };
  }

  function manage(request: IncomingMessage, target: URL, body: string): Reply {
    const { method = 'GET' } = request;
    const [, organizationId = '', connectionId] =
      target.pathname.match(/^\/api\/v2\/organizations\/([^/]+)\/connections(?:\/([^/]+))?$/) ?? [];
    const scopes = scopesOf(request.headers.authorization);
    if (typeof scopes === 'string') return error(401, scopes);
    const verb = { GET: 'read', PATCH: 'update', DELETE: 'delete', POST: 'create' }[method];
    if (!organizationId || !verb || (method !== 'GET' && method !== 'POST' && !connectionId))
      return error(404, 'Not Found');
    const scope = `${verb}:organization_connections`;
    if (!scopes.includes(scope))
      return error(403, `Insufficient scope, expected any of: ${scope}`, 'insufficient_scope');
    const { allowed, headers } = take(method === 'GET' ? 'read' : 'write');
    if (!allowed) return { ...error(429, 'Global limit has been reached', 'too_many_requests'), headers };
    return {
      ...connections(
        method,
        target,
        decodeURIComponent(organizationId),
        connectionId && decodeURIComponent(connectionId),
        body,
      ),
      headers,
    };
  }

  function connections(
    method: string,
    { searchParams }: URL,
    organizationId: string,
    connectionId: string | undefined,
    body: string,
  ): Reply {
    if (!/^org_[A-Za-z0-9]{16}$/.test(organizationId)) {
      return error(400, "Path validation error: 'String does not match pattern' on property id", 'invalid_uri');
    }
    const all = organizations.get(organizationId);
    if (!all) return error(404, 'No organization found by that id or name');
    const found = all.get(connectionId ?? '');
    if (method === 'GET' && connectionId === undefined) {
      const enabled = searchParams.get('is_enabled');
      const [page, size] = [Number(searchParams.get('page') ?? 0), Number(searchParams.get('per_page') ?? 50)];
      const fitting = [...all.values()].filter(({ is_enabled }) => enabled === null || String(is_enabled) === enabled);
      const shown = fitting.slice(page * size, (page + 1) * size);
      const totals = { start: page * size, limit: size, total: fitting.length };
      return {
        status: 200,
        body: searchParams.get('include_totals') === 'true' ? { connections: shown, ...totals } : shown,
      };
    }
    if (method === 'DELETE') {
      if (found) effects.push({ organizationId, connectionId: found.connection_id, to: 'removed' });
      all.delete(connectionId as string);
      return { status: 204 };
    }
    if (method === 'GET')
      return found ? { status: 200, body: found } : error(404, 'No connection found', 'inexistent_connection');
    return write(method, organizationId, all, found, body);
  }

  function write(
    method: string,
    organizationId: string,
    all: Map<string, Association>,
    found: Association | undefined,
    body: string,
  ): Reply {
    const settings = parse(body);
    if (method === 'POST') {
      if (typeof settings?.connection_id !== 'string')
        return error(400, "Payload validation error: 'Missing required property: connection_id'", 'invalid_body');
      if (all.has(settings.connection_id)) return error(409, 'The connection is enabled for this organization already');
      const created = association(settings as { connection_id: string });
      all.set(created.connection_id, created);
      return { status: 201, body: created };
    }
    const known = [
      'is_enabled',
      'show_as_button',
      'assign_membership_on_login',
      'is_signup_enabled',
      'organization_access_level',
    ];
    const unknown = Object.keys(settings ?? {}).find((name) => !known.includes(name));
    if (!settings || unknown || typeof (settings.is_enabled ?? true) !== 'boolean') {
      return error(
        400,
        `Payload validation error: 'Additional properties not allowed' on property ${unknown}`,
        'invalid_body',
      );
    }
    if (!found) return error(404, 'No connection found by that id for the organization', 'inexistent_connection');
    if (typeof settings.is_enabled === 'boolean' && settings.is_enabled !== found.is_enabled) {
      effects.push({
        organizationId,
        connectionId: found.connection_id,
        to: settings.is_enabled ? 'enabled' : 'disabled',
      });
    }
    return { status: 200, body: Object.assign(found, settings) };
  }

  function token(body: string, type = ''): Reply {
    const form = type.includes('json') ? parse(body) : Object.fromEntries(new URLSearchParams(body));
    const oauthError = (status: number, name: string, description: string): Reply => ({
      status,
      body: { error: name, error_description: description },
    });
    const assertion = typeof form?.client_assertion === 'string' ? form.client_assertion : undefined;
    const claims = assertion && parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString());
    const id = String((claims ? claims.sub : undefined) ?? form?.client_id ?? '');
    const client = clients.get(id);
    if (form?.grant_type !== 'client_credentials')
      return oauthError(403, 'unauthorized_client', 'Grant type not allowed for the client');
    if (
      !client ||
      !(assertion
        ? assertionHolds(assertion, claims, client)
        : client.client_secret && form.client_secret === client.client_secret)
    ) {
      return oauthError(401, 'access_denied', 'Unauthorized');
    }
    if (form.audience !== `${url}/api/v2/`)
      return oauthError(403, 'access_denied', `Service not enabled within domain: ${form.audience}`);
    return {
      status: 200,
      body: {
        access_token: jwt(client.scope, tokenLifetime),
        scope: client.scope,
        expires_in: tokenLifetime,
        token_type: 'Bearer',
      },
    };
  }

  function assertionHolds(
    assertion: string,
    claims: Record<string, unknown> | '' | undefined,
    client: Client,
  ): boolean {
    const [header = '', payload = '', signature = ''] = assertion.split('.');
    const algorithm = parse(Buffer.from(header, 'base64url').toString())?.alg;
    const now = (Date.now() + clock) / 1000;
    return Boolean(
      client.public_key &&
        claims &&
        algorithm === 'RS256' &&
        claims.iss === claims.sub &&
        // The official SDK always names the tenant by https.
        [`${url}/`, `${url.replace('http:', 'https:')}/`].includes(String(claims.aud)) &&
        claims.jti &&
        Number(claims.iat) <= now &&
        Number(claims.exp) > now &&
        Number(claims.exp) - Number(claims.iat) <= 300 &&
        verify(
          'RSA-SHA256',
          Buffer.from(`${header}.${payload}`),
          createPublicKey(client.public_key),
          Buffer.from(signature, 'base64url'),
        ),
    );
  }

  const server = createServer(async (request, response) => {
    response.sendDate = false;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks).toString();
    const target = new URL(request.url ?? '/', url);
    if (target.pathname.startsWith(CONTROL)) {
      const method = control[target.pathname.slice(CONTROL.length) as keyof typeof control] as
        | ((...of: unknown[]) => unknown)
        | undefined;
      return respond(
        response,
        method
          ? { status: 200, body: method(...(body ? JSON.parse(body) : [])) ?? null }
          : error(404, 'No such control'),
      );
    }
    const entry: Call = {
      method: request.method ?? '',
      path: request.url ?? '',
      status: 0,
      body,
      authorization: request.headers.authorization ?? '',
      at: Date.now(),
    };
    calls.push(entry);
    const fault = meets(entry);
    if (fault?.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
    if (fault?.reset === 'before') return request.socket.resetAndDestroy();
    const replaced = fault?.status === undefined ? undefined : { status: fault.status, body: fault.body };
    const reply: Reply =
      replaced ??
      (target.pathname === '/oauth/token'
        ? token(body, request.headers['content-type'])
        : manage(request, target, body));
    if (fault?.shape) Object.assign(reply, { body: undefined, ...SHAPES[fault.shape](reply, target) });
    entry.status = reply.status;
    if (fault?.reset === 'after') return request.socket.resetAndDestroy();
    respond(response, { ...reply, headers: { ...reply.headers, ...fault?.headers } }, fault);
  });

  function meets(call: Call): Fault | undefined {
    const fault = faults.find(
      ({ method, path, times = 1, chance = 1 }) =>
        times > 0 && (!method || method === call.method) && (!path || call.path.includes(path)) && random() < chance,
    );
    if (fault) fault.times = (fault.times ?? 1) - 1;
    return fault;
  }

  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    ...control,
    /** Event Stream: `listener` gets what somebody else has enabled. */
    stream(listener: (organizationId: string, connectionId: string) => void) {
      streams.push(listener);
    },
    /** The origin, as `AUTH0_DOMAIN` takes it. */
    url,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Auth0Tenant = Awaited<ReturnType<typeof startAuth0Tenant>>;

interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

function error(statusCode: number, message: string, errorCode?: string): Reply {
  return {
    status: statusCode,
    body: { statusCode, error: NAMES[statusCode], message, ...(errorCode && { errorCode }) },
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function association(given: Partial<Association> & { connection_id: string }): Association {
  return {
    assign_membership_on_login: false,
    show_as_button: true,
    is_enabled: true,
    organization_access_level: 'none',
    connection: { name: given.connection_id.toLowerCase().replace('_', '-'), strategy: 'okta' },
    ...given,
  };
}

function respond(response: ServerResponse, { status, body, headers }: Reply, fault: Fault = {}): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' && !/^\s*[[{]/.test(body) ? 'text/html' : 'application/json; charset=utf-8';
  const length = Buffer.byteLength(text);
  response.writeHead(status, {
    ...(length > 0 && { 'content-type': type }),
    ...(status !== 204 && { 'content-length': String(fault.truncate ? length + 10 : length) }),
    ...headers,
  });
  if (fault.truncate || fault.reset === 'during') {
    response.write(text.slice(0, Math.ceil(length / 2)), () =>
      response.socket?.[fault.truncate ? 'end' : 'resetAndDestroy'](),
    );
  } else if (fault.drip) {
    let sent = 0;
    const timer = setInterval(() => {
      if (response.destroyed || sent >= text.length) {
        clearInterval(timer);
        response.end();
      } else response.write(text[sent++]);
    }, fault.drip);
  } else response.end(text);
}
