// A stand-in for an Auth0 tenant: the part of the Management API that is used here, and /oauth/token, on a real socket. Not a
// mock of calls: it holds state, checks tokens and scopes, and counts token buckets as Auth0 documents them.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createBuckets, type Plan, WITH_SESSIONS } from './auth0/buckets.ts';
import { createConnections } from './auth0/connections.ts';
import { type Fault, respond, SHAPES } from './auth0/faults.ts';
import { error, type Reply } from './auth0/reply.ts';
import { createTokens } from './auth0/tokens.ts';
import { createUsers } from './auth0/users.ts';

export { PLANS, type Plan } from './auth0/buckets.ts';
export type { Fault } from './auth0/faults.ts';

export interface Call {
  method: string;
  path: string;
  status: number;
  body: string;
  authorization: string;
  /** Unix time in milliseconds. */
  at: number;
}

/** A log event as the tenant's log streams send it ("Log Event Type Codes", `sapi`): only of writes, method in lower case. */
export interface LogEvent {
  log_id: string;
  data: {
    date: string;
    type: 'sapi';
    description: string;
    client_id: string;
    details: {
      request: { method: string; path: string; query: object; body: unknown; channel: string };
      response: { statusCode: number; body: unknown };
    };
    log_id: string;
    tenant_name: string;
  };
}

const CONTROL = '/_tenant/';
const DESCRIPTIONS: Record<string, string> = {
  PATCH: 'Modify an organization connection',
  POST: 'Add a connection to an organization',
  DELETE: 'Delete a connection from an organization',
};
const descriptionOf = (method: string, path: string) =>
  (path.includes('/connections/') || method === 'POST' ? DESCRIPTIONS[method] : undefined) ?? 'Delete what a user has';

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
  let faults: Fault[] = [];
  let calls: Call[] = [];
  let currentPlan = plan;
  let latency = 0;
  const logStreams: ((event: LogEvent) => void)[] = [];
  const callListeners: ((call: Call) => void)[] = [];
  const buckets = createBuckets();
  const tokens = createTokens(() => url, tokenLifetime);
  const connections = createConnections();
  const users = createUsers(() => WITH_SESSIONS.includes(currentPlan));

  const control = {
    ...connections.control,
    ...users.control,
    ...tokens.control,
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
    /** How long each call takes at least, milliseconds. */
    setLatency(ms: number) {
      latency = ms;
    },
    setPlan(name: Plan) {
      currentPlan = name;
      buckets.fill(name);
    },
  };
  control.setPlan(plan);

  /** The Management API's paths: the bucket and the scope of a call, and what answers it. */
  function routeOf(method: string, { pathname, searchParams }: URL, body: string) {
    if (pathname === '/api/v2/organizations' && method === 'GET')
      return {
        scope: 'read:organizations',
        bucket: 'whole',
        run: () => connections.organizations(searchParams),
      } as const;
    const [, kind, encoded = '', part, last] =
      pathname.match(/^\/api\/v2\/(organizations|users)\/([^/]+)\/([\w-]+)(?:\/([^/]+))?$/) ?? [];
    const [id, inner] = [decodeURIComponent(encoded), last && decodeURIComponent(last)];
    if (kind === 'organizations' && part === 'connections') {
      const verb = { GET: 'read', PATCH: 'update', DELETE: 'delete', POST: 'create' }[method];
      if (!verb || (method !== 'GET' && method !== 'POST' && !inner)) return undefined;
      const run = () => ofOrganization(id, () => connections.answer(method, searchParams, id, inner, body));
      return { scope: `${verb}:organization_connections`, bucket: method === 'GET' ? 'read' : 'write', run } as const;
    }
    if (kind === 'organizations' && part === 'members' && method === 'GET' && !inner) {
      const run = () => ofOrganization(id, () => users.membersOf(id, searchParams));
      return { scope: 'read:organization_members', bucket: 'members', run } as const;
    }
    if (kind === 'users' && part === 'organizations' && method === 'GET' && !inner) {
      const run = () => users.organizationsOf(id, searchParams);
      return { scope: 'read:organizations', bucket: 'memberships', run } as const;
    }
    if (kind === 'users' && (part === 'sessions' || part === 'refresh-tokens') && method === 'DELETE' && !inner) {
      const scope = part === 'sessions' ? 'delete:sessions' : 'delete:refresh_tokens';
      return { scope, bucket: 'whole', run: () => users.end(id, part) } as const;
    }
    return undefined;
  }

  function ofOrganization(id: string, answer: () => Reply): Reply {
    if (!/^org_[A-Za-z0-9]{16}$/.test(id))
      return error(400, "Path validation error: 'String does not match pattern' on property id", 'invalid_uri');
    return connections.has(id) ? answer() : error(404, 'No organization found by that id or name');
  }

  function manage({ method = 'GET', headers: sent }: IncomingMessage, target: URL, body: string): Reply {
    const scopes = tokens.scopesOf(sent.authorization);
    if (typeof scopes === 'string') return error(401, scopes);
    const route = routeOf(method, target, body);
    if (!route) return error(404, 'Not Found');
    if (!scopes.includes(route.scope))
      return error(403, `Insufficient scope, expected any of: ${route.scope}`, 'insufficient_scope');
    const { allowed, headers } = buckets.take(route.bucket);
    if (!allowed) return { ...error(429, 'Global limit has been reached', 'too_many_requests'), headers };
    const reply = route.run();
    if (method !== 'GET' && reply.status < 300) logOperation(method, target, body, reply);
    return { ...reply, headers };
  }

  function logOperation(method: string, { pathname }: URL, body: string, reply: Reply): void {
    const log_id = `900${Date.now()}${randomUUID().replaceAll('-', '')}`;
    const request = {
      method: method.toLowerCase(),
      path: pathname,
      query: {},
      body: body ? JSON.parse(body) : {},
      channel: 'api',
    };
    const details = { request, response: { statusCode: reply.status, body: reply.body ?? {} } };
    const said = {
      date: new Date().toISOString(),
      type: 'sapi',
      description: descriptionOf(method, pathname),
    } as const;
    const data = { ...said, client_id: 'a-client', details, log_id, tenant_name: 'local' };
    for (const listener of logStreams) listener({ log_id, data });
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
    response.once('close', () => {
      for (const listener of callListeners) listener(entry);
    });
    const fault = meets(entry);
    const answer = (): Reply =>
      target.pathname === '/oauth/token'
        ? tokens.oauthToken(body, request.headers['content-type'])
        : manage(request, target, body);
    if (fault?.late !== undefined) return void setTimeout(answer, fault.late).unref();
    const delay = latency + (fault?.delay ?? 0);
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    if (fault?.reset === 'before') return request.socket.resetAndDestroy();
    const reply = fault?.status === undefined ? answer() : { status: fault.status, body: fault.body };
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
    stream: connections.stream,
    /** `listener` gets each call of the Management API and of /oauth/token when it is over; status 0 is no answer. */
    onCall(listener: (call: Call) => void) {
      callListeners.push(listener);
    },
    /** Log stream: `listener` gets an event for each write of the Management API that succeeded. */
    streamLogs(listener: (event: LogEvent) => void) {
      logStreams.push(listener);
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
