// The door of `npm start`: `GET /` is a page for a browser, `/_page/` is what that page needs, and all else is the API.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Credentials } from '../../commands/signed-fetch.ts';
import type { LocalEnvironment } from '../environment.ts';
import { createSigner, passOn } from './api-proxy.ts';
import { terminalCommands } from './commands.ts';
import { viewTenant } from './demo-tenant.ts';
import { readDescription, readPageFile } from './files.ts';
import { createPlays } from './plays.ts';
import { type Offboarding, startSources } from './sources.ts';
import { createTimeline } from './timeline.ts';

interface Options {
  port: number;
  local: LocalEnvironment;
  /** Where the API is, as callers reach it: signatures are checked there where they are checked. */
  api: string;
  /** Where it is without any check. */
  gateway: string;
  credentials: Credentials;
  signed: boolean;
}

const PREFIX = '/_page/';
/** How often the page looks at the tenant for what nobody tells, milliseconds. */
const LOOK_EVERY_MS = 200;
/** What a call of the real Auth0 takes. With it a visitor sees each status; without a visitor nobody has to wait. */
const AUTH0_LATENCY_MS = 150;
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

const json = (response: ServerResponse, status: number, body: unknown) =>
  void response.writeHead(status, { ...HEADERS, 'content-type': 'application/json' }).end(JSON.stringify(body));

/** Whether a request comes from this page: another site's can neither name this host nor be of the same origin. */
function isFromHere({ headers }: IncomingMessage, port: number): boolean {
  const isHere = [`localhost:${port}`, `127.0.0.1:${port}`].includes(headers.host ?? '');
  return isHere && ['same-origin', 'none', undefined].includes(headers['sec-fetch-site'] as string | undefined);
}

/** Listens on `port` of this machine alone; resolves when it answers. */
export async function startPage({ port, local, api, gateway, credentials, signed }: Options) {
  const timeline = createTimeline();
  const plays = createPlays(local.tenant, timeline);
  const viewers = new Set<ServerResponse>();
  const url = `http://localhost:${port}`;
  const sign = createSigner(() => `http://127.0.0.1:${port}`, credentials);
  const commands = terminalCommands({ url, tenantUrl: local.tenant.url, awsUrl: local.aws.url, signed });

  const send = (viewer: ServerResponse, name: string, data: unknown) =>
    void viewer.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

  async function list(organizationId: string): Promise<Offboarding[]> {
    const answer = await fetch(`${gateway}/offboardings?organization_id=${organizationId}`);
    if (!answer.ok) throw new Error(`The list of offboardings answers ${answer.status}`);
    return ((await answer.json()) as { offboardings: Offboarding[] }).offboardings;
  }
  const sources = startSources(local, timeline, { list, onChange: sendState });

  let sent = '';
  const state = () => ({
    organizations: viewTenant(local.tenant).map((one) => ({ ...one, offboarding: sources.offboardingOf(one.id) })),
    outage_until: plays.outageUntil(),
    signed,
  });
  function sendState(): void {
    const now = state();
    if (JSON.stringify(now) === sent) return;
    sent = JSON.stringify(now);
    for (const viewer of viewers) send(viewer, 'state', now);
  }
  timeline.onEntry((entry) => {
    for (const viewer of viewers) send(viewer, 'entry', entry);
  });
  const timer = setInterval(sendState, LOOK_EVERY_MS);

  function stream(response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    send(response, 'history', timeline.entries);
    send(response, 'state', state());
    viewers.add(response);
    local.tenant.setLatency(AUTH0_LATENCY_MS);
    response.once('close', () => {
      viewers.delete(response);
      if (viewers.size === 0) local.tenant.setLatency(0);
    });
  }

  async function play(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const run = Object.hasOwn(plays.named, name) ? plays.named[name] : undefined;
    if (!run || request.method !== 'POST') return json(response, 404, { message: 'There is no such play.' });
    try {
      const body = Buffer.concat(await request.toArray()).toString();
      const message = run(JSON.parse(body || '{}'));
      json(response, 200, { message });
    } catch (error) {
      json(response, 400, { message: (error as Error).message });
    }
    sendState();
  }

  async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (!isFromHere(request, port)) return json(response, 403, { message: 'This page is for this machine alone.' });
    if (path.startsWith('call/')) return sign(request, response, path.slice('call'.length));
    if (path.startsWith('play/')) return play(path.slice('play/'.length), request, response);
    if (path === 'events') return stream(response);
    if (path === 'openapi.json') return json(response, 200, readDescription());
    if (path === 'commands.json') return json(response, 200, commands);
    const file = readPageFile(path);
    if (!file) return json(response, 404, { message: 'There is no such file.' });
    response.writeHead(200, { ...HEADERS, 'content-type': file.type }).end(file.body);
  }

  const server = createServer((request, response) => {
    const { url: path = '', method } = request;
    const isPage = path === '/' && (method === 'GET' || method === 'HEAD');
    const name = isPage ? 'index.html' : path.startsWith(PREFIX) ? path.slice(PREFIX.length) : undefined;
    const done =
      name === undefined
        ? passOn(request, response, { target: api, timeline, onRequest: sources.expect })
        : answer(request, response, name);
    done.catch(() => response.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url,
    async close() {
      clearInterval(timer);
      sources.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
