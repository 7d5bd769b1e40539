import { createServer as createHttp, type IncomingHttpHeaders } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { expect, test } from 'vitest';
import { send } from '../../lib/auth0/http-client.ts';

const GET = { method: 'GET', path: '/', timeout: 3000 } as const;
const listen = (server: ReturnType<typeof createTcp>) =>
  new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );

test('a refused connection', async () => {
  const server = createTcp();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  await expect(send({ ...GET, origin: new URL(`http://127.0.0.1:${port}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection', sent: false },
  });
});

test('a name that does not resolve', async () => {
  await expect(send({ ...GET, origin: new URL('https://no-such-tenant.invalid') })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection', sent: false },
  });
});

test('a peer that does not speak TLS, or cannot prove who it is', async () => {
  const plain = createTcp((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  await expect(send({ ...GET, origin: new URL(`https://127.0.0.1:${await listen(plain)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'tls', sent: false },
  });
  plain.close();
  // No certificate at all: the handshake fails.
  const secure = createTls({});
  await expect(send({ ...GET, origin: new URL(`https://127.0.0.1:${await listen(secure)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'tls', sent: false },
  });
  secure.close();
});

test('a body that ends before its length, and one that is larger than a megabyte', async () => {
  const short = createTcp((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'));
  await expect(send({ ...GET, origin: new URL(`http://127.0.0.1:${await listen(short)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection' },
  });
  short.close();
  const long = createTcp((socket) => {
    socket.on('error', () => {});
    socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_100_000)}`);
  });
  await expect(send({ ...GET, origin: new URL(`http://127.0.0.1:${await listen(long)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection' },
  });
  long.close();
});

test('an answer that never ends is over with its time', async () => {
  const server = createTcp((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
  });
  const origin = new URL(`http://127.0.0.1:${await listen(server)}`);
  await expect(send({ ...GET, origin, timeout: 200 })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'timeout' },
  });
  server.close();
});

test('what is sent is JSON with its length, and JSON is asked for; also of a host that has an IPv6 address', async () => {
  const seen: [string, IncomingHttpHeaders, string][] = [];
  const server = createHttp(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    seen.push([request.method ?? '', request.headers, text]);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  const origin = new URL(`http://[::1]:${(server.address() as { port: number }).port}`);
  expect(await send({ ...GET, origin, headers: { authorization: 'Bearer x' } })).toMatchObject({
    status: 200,
    body: '{}',
  });
  await send({ ...GET, method: 'PATCH', origin, body: { name: 'Zoë' } });
  expect(seen).toMatchObject([
    ['GET', { accept: 'application/json', authorization: 'Bearer x' }, ''],
    ['PATCH', { 'content-type': 'application/json', 'content-length': '15' }, '{"name":"Zoë"}'],
  ]);
  expect(seen[0]?.[1]).not.toHaveProperty('content-type');
  server.closeAllConnections();
  server.close();
});

test('a body that has no end in time is no shorter one, and one of a megabyte is taken', async () => {
  const endless = createTcp((socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\n{"connections":[]}'));
  const port = await listen(endless);
  expect(await send({ ...GET, origin: new URL(`http://127.0.0.1:${port}`), timeout: 300 })).toMatchObject({
    status: 0,
    body: '',
    failure: { kind: 'timeout', sent: true },
  });
  endless.close();
  const large = createTcp((socket) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_000_000)}`));
  const whole = await send({ ...GET, origin: new URL(`http://127.0.0.1:${await listen(large)}`) });
  expect([whole.status, whole.body.length]).toEqual([200, 1_000_000]);
  large.close();
});

test.each([
  ['for a read', 'GET'],
  ['for a write', 'DELETE'],
] as const)('an answer that changes the protocol is none %s, and is told at once', async (_what, method) => {
  const server = createTcp((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  });
  const origin = new URL(`http://127.0.0.1:${await listen(server)}`);
  const started = Date.now();
  await expect(send({ ...GET, method, origin })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection', sent: true },
  });
  expect(Date.now() - started).toBeLessThan(2000);
  server.close();
});

test('when the peer never finishes the handshake, nothing was sent', async () => {
  const silent = createTcp((socket) => void socket.on('error', () => {}));
  const origin = new URL(`https://127.0.0.1:${await listen(silent)}`);
  expect(await send({ ...GET, method: 'DELETE', origin, timeout: 200 })).toMatchObject({
    failure: { kind: 'timeout', sent: false },
  });
  silent.close();
});

test('when the connection breaks before the response, the request counts as sent', async () => {
  const server = createTcp((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  });
  const origin = new URL(`http://127.0.0.1:${await listen(server)}`);
  expect(await send({ ...GET, method: 'DELETE', origin })).toMatchObject({
    failure: { kind: 'connection', sent: true },
  });
  server.close();
});

test('when the time for sending is over once there is a connection, new or used before, the peer gets nothing', async () => {
  const seen: string[] = [];
  const server = createHttp((request, response) => {
    seen.push(request.method ?? '');
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  const late = () => send({ ...GET, method: 'PATCH', origin, body: {}, sendBefore: Date.now() });
  const nothingSent = { status: 0, failure: { kind: 'too_late', sent: false } };
  expect(await late(), 'on a new connection').toMatchObject(nothingSent);
  expect(await send({ ...GET, origin })).toMatchObject({ status: 200 });
  expect(await late(), 'on one that was used before').toMatchObject(nothingSent);
  expect(await send({ ...GET, origin, sendBefore: Date.now() + 1000 })).toMatchObject({ status: 200 });
  expect(seen).toEqual(['GET', 'GET']);
  server.closeAllConnections();
  server.close();
});

test('when there are more requests than connections, each is answered in its turn', async () => {
  const server = createHttp((_request, response) => void response.end('{}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  const requests = Array.from({ length: 200 }, () => send({ ...GET, origin }));
  expect(new Set((await Promise.all(requests)).map(({ status }) => status))).toEqual(new Set([200]));
  server.closeAllConnections();
  server.close();
});
