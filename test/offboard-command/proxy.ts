// A company's proxy: the only way to *.example.test, which nobody can look up. It takes these to one origin and refuses all else.
import { createServer, request as send } from 'node:http';
import { connect } from 'node:net';
import { listen } from '../listen.ts';

/** `seen` has the host of each request and of each tunnel. */
export async function startProxy(origin: string) {
  const seen: string[] = [];
  const { port } = new URL(origin);
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${new URL(request.url ?? '').host}`);
    const { pathname, search } = new URL(request.url ?? '');
    const { method, headers } = request;
    const forwarded = send({ host: '127.0.0.1', port, method, path: pathname + search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`);
    if (!/\.example\.test:\d+$/.test(request.url ?? '')) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const tunnel = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      tunnel.pipe(socket).pipe(tunnel);
    });
    for (const end of [tunnel, socket]) end.on('error', () => {});
  });
  const url = await listen(server);
  return {
    seen,
    url,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
