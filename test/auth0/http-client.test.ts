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
    failure: { kind: 'connection' },
  });
});

test('a name that does not resolve', async () => {
  await expect(send({ ...GET, origin: new URL('https://no-such-tenant.invalid') })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'connection' },
  });
});

test('a peer that does not speak TLS, or can not prove who it is', async () => {
  const plain = createTcp((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  await expect(send({ ...GET, origin: new URL(`https://127.0.0.1:${await listen(plain)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'tls' },
  });
  plain.close();
  // No certificate at all: the handshake fails.
  const secure = createTls({});
  await expect(send({ ...GET, origin: new URL(`https://127.0.0.1:${await listen(secure)}`) })).resolves.toMatchObject({
    status: 0,
    failure: { kind: 'tls' },
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
