// Lambda freezes a container between two requests, for hours. The peer has closed the connections meanwhile, and a write on one of
// them would have an unknown outcome.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, expect, test } from 'vitest';
import { createCertificate } from '../certificate.ts';
import { programOf, programOptions } from '../programs/program.ts';

const CONTAINER = programOf('test/auth0/frozen-container.ts');
const folder = mkdtempSync(join(tmpdir(), 'org-connections-'));
const certificate = createCertificate();
const file = join(folder, 'cert.pem');
writeFileSync(file, certificate.cert);

let server: Server;
let container: ChildProcess;
afterEach(() => {
  container.kill('SIGKILL');
  server.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['http', 'was opened ahead', '1'],
  ['http', 'was used before', ''],
  ['https', 'was opened ahead', '1'],
  ['https', 'was used before', ''],
])(
  'when a connection (%s) %s and was closed while the container was frozen, a write goes on a new one',
  async (scheme, _when, AHEAD) => {
    const answer = (_: unknown, response: { end(text: string): void }) => response.end('{}');
    server = scheme === 'http' ? createServer(answer) : createHttps(certificate, answer);
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket));
    server.listen(0, 'localhost');
    await once(server, 'listening');
    const ORIGIN = `${scheme}://localhost:${(server.address() as AddressInfo).port}`;
    const env = { PATH: process.env.PATH, NODE_OPTIONS: programOptions, ORIGIN, AHEAD, NODE_EXTRA_CA_CERTS: file };
    container = fork(CONTAINER, { env });
    await once(container, 'message');
    container.kill('SIGSTOP');
    await sleep(700);
    for (const socket of sockets) socket.destroy();
    await sleep(200);
    container.send('go');
    container.kill('SIGCONT');
    expect((await once(container, 'message'))[0]).toEqual({ status: 200 });
    expect(sockets.size).toBe(2);
  },
  20_000,
);
