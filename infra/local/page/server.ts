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
import { connectSources } from './sources.ts';
import { followStatuses, type Offboarding } from './statuses.ts';
import { createTimeline } from './timeline.ts';
import { createViewers } from './viewers.ts';

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

/** What the page shows and does, as long as the service runs. */
function createPage({ port, local, gateway, signed }: Options) {
  const { tenant, aws } = local;
  const timeline = createTimeline();
  const plays = createPlays(tenant, timeline);
  const places = { url: `http://localhost:${port}`, tenantUrl: tenant.url, awsUrl: aws.url, signed };

  async function list(organizationId: string): Promise<Offboarding[]> {
    const answer = await fetch(`${gateway}/offboardings?organization_id=${organizationId}`);
    if (!answer.ok) throw new Error(`The list of offboardings answers ${answer.status}`);
    return ((await answer.json()) as { offboardings: Offboarding[] }).offboardings;
  }
  const state = () => ({
    organizations: viewTenant(tenant).map((one) => ({ ...one, offboarding: statuses.of(one.id) })),
    outage_until: plays.outageUntil(),
    signed,
  });
  const statuses = followStatuses(aws, timeline, { list, onChange: () => viewers.sendState() });
  const onPresence = (isAnybodyThere: boolean) => tenant.setLatency(isAnybodyThere ? AUTH0_LATENCY_MS : 0);
  const viewers = createViewers(timeline, { state, onPresence });
  connectSources(local, timeline);

  async function play(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const run = Object.hasOwn(plays.named, name) ? plays.named[name] : undefined;
    if (!run || request.method !== 'POST') return json(response, 404, { message: 'There is no such play.' });
    try {
      const body = Buffer.concat(await request.toArray()).toString();
      json(response, 200, { message: run(JSON.parse(body || '{}')) });
    } catch (error) {
      json(response, 400, { message: (error as Error).message });
    }
    viewers.sendState();
  }
  return { timeline, statuses, viewers, play, commands: terminalCommands(places) };
}

/** Listens on `port` of this machine alone; resolves when it answers. */
export async function startPage(options: Options) {
  const { port, api, credentials } = options;
  const page = createPage(options);
  const sign = createSigner(`http://127.0.0.1:${port}`, credentials);

  async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (!isFromHere(request, port)) return json(response, 403, { message: 'This page is for this machine alone.' });
    if (path.startsWith('call/')) return sign(request, response, path.slice('call'.length));
    if (path.startsWith('play/')) return page.play(path.slice('play/'.length), request, response);
    if (path === 'events') return page.viewers.add(response, HEADERS);
    if (path === 'openapi.json') return json(response, 200, readDescription());
    if (path === 'commands.json') return json(response, 200, page.commands);
    const file = readPageFile(path);
    if (!file) return json(response, 404, { message: 'There is no such file.' });
    response.writeHead(200, { ...HEADERS, 'content-type': file.type }).end(file.body);
  }

  const server = createServer((request, response) => {
    const { url: path = '', method } = request;
    const isPage = path === '/' && (method === 'GET' || method === 'HEAD');
    const name = isPage ? 'index.html' : path.startsWith(PREFIX) ? path.slice(PREFIX.length) : undefined;
    const { timeline, statuses } = page;
    const done =
      name === undefined
        ? passOn(request, response, { target: api, timeline, onRequest: statuses.expect })
        : answer(request, response, name);
    done.catch(() => response.destroy());
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return {
    url: `http://localhost:${port}`,
    async close() {
      page.viewers.close();
      page.statuses.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
