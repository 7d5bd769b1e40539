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
