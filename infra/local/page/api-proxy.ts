// The door to the API behind the page: it passes requests on as they came, and tells the timeline of each.
import { type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import { type Credentials, signedFetchAs } from '../../commands/signed-fetch.ts';
import { organizationsIn, type Timeline } from './timeline.ts';

/** Headers of one connection, and those that belong to a body that `fetch` has decoded. */
const NOT_PASSED_ON = ['connection', 'keep-alive', 'transfer-encoding', 'content-encoding', 'content-length'];
const SENT_BY_CALLERS = ['content-type', 'idempotency-key', 'x-correlation-id'];

/** The code of a problem response, where the body is one. */
function codeOf(text: string): string {
  try {
    const code = Object(JSON.parse(text)).code;
    return typeof code === 'string' ? ` ${code}` : '';
  } catch {
    return '';
  }
}

/** Passes a request on to `target` and its answer back. `onRequest` gets the organizations that it names before it is sent. */
export async function passOn(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { target, timeline, onRequest }: { target: string; timeline: Timeline; onRequest: (organizations: string[]) => void },
): Promise<void> {
  const { method = '', url = '', headers } = incoming;
  const began = Date.now();
  const body = Buffer.concat(await incoming.toArray().catch(() => []));
  const organization_ids = organizationsIn(url + body);
  onRequest(organization_ids);
  const tell = (status: number, text: string) => {
    const detail = `${status || 'no answer'}${codeOf(text)}, ${Date.now() - began} ms`;
    const failed = status === 0 || status >= 400;
    timeline.add({ kind: 'request', at: began, organization_ids, text: `${method} ${url}`, detail, failed });
  };
  const fail = () => {
    tell(0, '');
    outgoing.destroy();
  };
  try {
    const { hostname, port } = new URL(target);
    // The path as it came: what a client sends wrongly is for the gateway to judge.
    const onward = send({ hostname, port, method, path: url, headers }, async (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => tell(answer.statusCode ?? 0, Buffer.concat(chunks).toString()));
      answer.pipe(outgoing);
    });
    onward.on('error', fail);
    onward.end(body);
  } catch {
    outgoing.writeHead(400).end();
  }
}

/** Sends what the page asks for to the API at `url`, signed as whoever has `credentials`: a browser can't sign. */
export function createSigner(url: string, credentials: Credentials) {
  const signedFetch = signedFetchAs(credentials);
  return async (incoming: IncomingMessage, outgoing: ServerResponse, path: string): Promise<void> => {
    const { method = '' } = incoming;
    const body = Buffer.concat(await incoming.toArray());
    const headers = SENT_BY_CALLERS.flatMap((name) => {
      const value = incoming.headers[name];
      return typeof value === 'string' ? [[name, value] as [string, string]] : [];
    });
    const answer = await signedFetch(url + path, { method, headers, ...(body.length > 0 && { body }) });
    const passed = [...answer.headers].filter(([name]) => !NOT_PASSED_ON.includes(name));
    outgoing.writeHead(answer.status, Object.fromEntries(passed));
    outgoing.end(Buffer.from(await answer.arrayBuffer()));
  };
}
