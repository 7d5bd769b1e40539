import { once } from 'node:events';
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

export interface Request {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the configuration; never from a caller. */
  origin: URL;
  /** Path and query, built of validated parts. */
  path: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: object | undefined;
  /** Milliseconds from now to the last byte of the response. */
  timeout: number;
}

export type Response = Awaited<ReturnType<typeof send>>;

/**
 * Sends a request; resolves to its response, whatever the status; status 0 when it did not arrive whole, in time and within a
 * megabyte, with the kind of `failure`: `timeout` (the time was over), `tls` (the peer could not be trusted) or `connection` (all
 * else), and whether the request may have reached the peer. Never rejects. Redirects are not followed: the token goes to the
 * tenant and nowhere else.
 */
export async function send({ method, origin, path, headers, body, timeout }: Request) {
  const { request: open, agent } = origin.protocol === 'https:' ? secure : plain;
  // An IPv6 host stands in brackets in a URL and without them in a socket's address.
  const [host, port] = [origin.hostname.replace(/^\[|\]$/g, ''), origin.port || undefined];
  const json = body && JSON.stringify(body);
  const content = json && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
  const all = { accept: 'application/json', ...headers, ...content };
  const request = open({ agent, host, port, method, path, headers: all });
  // Once there is a response, its own reader gets what happens to the socket.
  request.on('error', () => {});
  let timedOut = false;
  // A timer that is cleared: AbortSignal.timeout would keep each request's memory until its time is over.
  const timeOut = () => {
    timedOut = true;
    request.destroy();
  };
  const timer = setTimeout(timeOut, Math.max(1, timeout));
  try {
    request.end(json);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) throw new Error('The response is larger than a megabyte');
      chunks.push(chunk);
    }
    // A body without a length ends with its connection, whoever closed that.
    if (timedOut || !response.complete) throw new Error('The response was cut off');
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode ?? 0, headers: response.headers, body: text, failure: undefined };
  } catch (cause) {
    const isTls = TLS_FAILURE.test(String(Object(cause).code));
    const kind = timedOut ? 'timeout' : isTls ? 'tls' : 'connection';
    // Without a connection (refused, no such name, no handshake) nothing has left this machine.
    const failure = { kind, sent: request.writableFinished, cause };
    return { status: 0, headers: {} as http.IncomingHttpHeaders, body: '', failure };
  } finally {
    clearTimeout(timer);
  }
}
