import * as http from 'node:http';
import * as https from 'node:https';

// Node's own https, not fetch: the AWS SDK's handler has loaded it already, while the first fetch loads undici beside it.

const MAX_BODY_BYTES = 1_000_000;

/** What is wrong with a connection whose peer can not prove who it is; trying again does not help. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/;

/** Bounded, so that a burst of requests in one container can not exhaust its file descriptors; the rest queue inside the agent. */
const AGENT_OPTIONS = { keepAlive: true, maxSockets: 64, maxFreeSockets: 64 };
const plain = { request: http.request, agent: new http.Agent(AGENT_OPTIONS) };
const secure = { request: https.request, agent: new https.Agent(AGENT_OPTIONS) };

export interface Exchange {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the configuration; never from a caller. */
  origin: URL;
  /** Path and query, built of validated parts. */
  path: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: object | undefined;
  /** Milliseconds from now to the last byte of the answer. */
  timeout: number;
}

export type Answer = Awaited<ReturnType<typeof exchange>>;

/**
 * One request and its answer, whatever its status; status 0 when it did not arrive whole, in time and within a megabyte, with
 * the kind of `failure`: `timeout` (the time was over), `tls` (the peer could not be trusted) or `connection` (all else). Never
 * rejects. Redirects are not followed: the token goes to the tenant and nowhere else.
 */
export async function exchange({ method, origin, path, headers, body, timeout }: Exchange) {
  const { request: send, agent } = origin.protocol === 'https:' ? secure : plain;
  // An IPv6 host stands in brackets in a URL and without them in a socket's address.
  const [host, port] = [origin.hostname.replace(/^\[|\]$/g, ''), origin.port || undefined];
  const json = body && JSON.stringify(body);
  const sent = json && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
  const all = { accept: 'application/json', ...headers, ...sent };
  const request = send({ agent, host, port, method, path, headers: all });
  let timedOut = false;
  // A timer that is cleared: AbortSignal.timeout would keep each request's memory until its time is over.
  const timeOut = () => {
    timedOut = true;
    request.destroy();
  };
  const timer = setTimeout(timeOut, Math.max(1, timeout));
  try {
    request.end(json);
    // Once there is an answer, its own reader gets what happens to the socket.
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve).on('error', reject);
    });
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) response.destroy(new Error('The answer is larger than a megabyte'));
      else chunks.push(chunk);
    });
    await new Promise((resolve, reject) => response.on('close', resolve).on('error', reject));
    // A body without a length ends with its connection, whoever closed that.
    if (timedOut || !response.complete) throw new Error('The answer was cut off');
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode ?? 0, headers: response.headers, body: text, failure: undefined };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const kind = timedOut ? 'timeout' : TLS_FAILURE.test(code ?? '') ? 'tls' : 'connection';
    return { status: 0, headers: {} as http.IncomingHttpHeaders, body: '', failure: { kind, cause } };
  } finally {
    clearTimeout(timer);
  }
}
