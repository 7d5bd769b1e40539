// A stand-in for an Auth0 tenant: the part of the Management API that is used here, and /oauth/token, on a real socket. Not a
// mock of calls: it holds state, checks tokens and scopes, and counts token buckets as Auth0 documents them.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createBuckets, type Plan, WITH_SESSIONS } from './auth0/buckets.ts';
import { createClientGrants } from './auth0/client-grants.ts';
import { createConnections } from './auth0/connections.ts';
import { type Fault, respond, SHAPES } from './auth0/faults.ts';
import { type LogEvent, logEventOf } from './auth0/log-stream.ts';
import { error, type Reply } from './auth0/reply.ts';
import { createRoutes } from './auth0/routes.ts';
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

const CONTROL = '/_tenant/';

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
  const clientGrants = createClientGrants();
  const users = createUsers(() => WITH_SESSIONS.includes(currentPlan));

  const control = {
    ...connections.control,
    ...clientGrants.control,
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

  const routeOf = createRoutes({ connections, clientGrants, users });

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
    if (method !== 'GET' && reply.status < 300)
      for (const listener of logStreams) listener(logEventOf(method, target, body, reply));
    return { ...reply, headers };
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
    if (fault?.late !== undefined) setTimeout(answer, fault.late).unref();
    if (fault?.late !== undefined && fault.status === undefined) return;
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
