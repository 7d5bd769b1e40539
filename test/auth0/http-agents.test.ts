// The connection that is opened before there is a request: who takes it, and what becomes of one that nobody takes.
import { once } from 'node:events';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openConnection } from '../../lib/auth0/http-agents.ts';
import { send } from '../../lib/auth0/http-client.ts';
import { createCertificate } from '../certificate.ts';

let server: Server;
let connections: number;
let requests: number;
async function listen(made: Server): Promise<URL> {
  server = made.listen(0, 'localhost');
  await once(server, 'listening');
  server.on('connection', () => (connections += 1));
  return new URL(`http://localhost:${(server.address() as AddressInfo).port}`);
}
const answer = (_: unknown, response: { end(text: string): void }) => {
  requests += 1;
  response.end('{}');
};
beforeEach(() => {
  [connections, requests] = [0, 0];
});
afterEach(async () => {
  vi.restoreAllMocks();
  server.closeAllConnections();
  server.close();
});
/** Not every Node can be told to trust one more certificate once it runs. */
function trustAlso(ca: string): void {
  const create = tls.createSecureContext;
  vi.spyOn(tls, 'createSecureContext').mockImplementation((options) => create({ ...options, ca }));
}
const get = (origin: URL) => send({ method: 'GET', origin, path: '/', timeout: 3000 });

test('when a connection was opened before, the first request takes it, and sends the first byte on it', async () => {
  const origin = await listen(createHttp(answer));
  await openConnection(origin);
  expect([connections, requests]).toEqual([1, 0]);
  expect(await get(origin)).toMatchObject({ status: 200 });
  expect(await get(origin), 'it is kept for the next one').toMatchObject({ status: 200 });
  expect([connections, requests]).toEqual([1, 2]);
});

test('when the connection is not open yet, the first request waits for it', async () => {
  const origin = await listen(createHttp(answer));
  const opening = openConnection(origin);
  expect(await get(origin)).toMatchObject({ status: 200 });
  await opening;
  expect(connections).toBe(1);
});

test('when the peer has closed the connection meanwhile, the first request opens another', async () => {
  const origin = await listen(createHttp(answer));
  await openConnection(origin);
  server.closeAllConnections();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await get(origin)).toMatchObject({ status: 200 });
  expect(connections).toBe(2);
});

test('when the request goes elsewhere, it does not take the connection', async () => {
  const other = await listen(createHttp(answer));
  const first = server;
  await openConnection(other);
  const origin = await listen(createHttp(answer));
  expect(await get(origin)).toMatchObject({ status: 200 });
  expect(connections).toBe(2);
  expect(await get(other)).toMatchObject({ status: 200 });
  expect(connections).toBe(2);
  first.closeAllConnections();
  first.close();
});

test('when nobody listens, opening ends without an error, and the request says what is wrong', async () => {
  const origin = await listen(createHttp(answer));
  server.close();
  await openConnection(origin);
  expect(await get(origin)).toMatchObject({ status: 0, failure: { kind: 'connection', sent: false } });
});

test('when Auth0 speaks TLS, the handshake is done before the request, and only with a peer that is trusted', async () => {
  const pair = createCertificate();
  const { port } = await listen(createHttps(pair, answer) as unknown as Server);
  let handshakes = 0;
  server.on('secureConnection', () => (handshakes += 1));
  const origin = new URL(`https://localhost:${port}`);
  await openConnection(origin);
  expect(await get(origin)).toMatchObject({ status: 0, failure: { kind: 'tls', sent: false } });
  trustAlso(pair.cert);
  await openConnection(origin);
  // TLS 1.3: the server's part ends a moment after the client's.
  await vi.waitFor(() => expect([handshakes, requests]).toEqual([1, 0]));
  expect(await get(origin)).toMatchObject({ status: 200 });
  expect([handshakes, requests]).toEqual([1, 1]);
});
