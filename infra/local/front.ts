// What API Gateway does before it calls a function, in front of the local gateway: requests that a check refuses go no further.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http';

export interface IncomingRequest {
  method: string;
  /** Path and query, as they came. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Refusal {
  status: number;
  /** What API Gateway says to the caller. */
  message: string;
  /** What is wrong, for whoever runs the gateway. */
  reason: string;
}

/** A refusal, or undefined where the request may go on. */
export type Check = (request: IncomingRequest) => Promise<Refusal | undefined> | Refusal | undefined;

/** Listens on `port` and lets through to `target` what no check refuses; `onRefused` gets the reason of each refusal. */
export async function startFront(options: {
  port: number;
  target: string;
  checks: Check[];
  onRefused?: ((reason: string) => void) | undefined;
}) {
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const body = Buffer.concat(await incoming.toArray());
    for (const check of options.checks) {
      const refusal = await check({ method, url, headers, body });
      if (!refusal) continue;
      options.onRefused?.(`${method} ${url} is refused: ${refusal.reason}`);
      outgoing.writeHead(refusal.status, { 'content-type': 'application/json' });
      return void outgoing.end(JSON.stringify({ message: refusal.message }));
    }
    const onward = send(new URL(url, options.target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    onward.end(body);
  }).listen(options.port);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://localhost:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
