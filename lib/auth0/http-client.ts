import type * as http from 'node:http';
import { addressOf, noticeClosed, onceConnected, transportOf } from './http-agents.ts';

// Node's own https, not fetch: the AWS SDK's handler has loaded it already, while the first fetch loads undici beside it.

const MAX_BODY_BYTES = 1_000_000;

/** Error codes of a connection whose peer is not trusted; trying again does not help. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/;

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
  /** After this moment (Unix ms) the request is not sent any more. */
  sendBefore?: number | undefined;
}

/** Why there is no response, and whether any of the request left this machine. */
export interface Failure {
  /** `timeout`: the time was over. `tls`: the peer is not trusted. `too_late`: not sent before `sendBefore`. `connection`: all else. */
  kind: 'timeout' | 'tls' | 'too_late' | 'connection';
  sent: boolean;
  cause: unknown;
}

export interface Response {
  /** 0 where there is a failure. */
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
  failure: Failure | undefined;
}

/**
 * Sends a request. Resolves to its response, whatever the status, or to a `failure` when the response did not arrive whole, in
 * time and within a megabyte. Never rejects. Redirects are not followed: the token goes to the tenant and nowhere else.
 */
export async function send(request: Request): Promise<Response> {
  const json = request.body && JSON.stringify(request.body);
  await noticeClosed();
  const outgoing = open(request, json);
  const state: { givenUp?: Failure['kind']; sent: boolean } = { sent: false };
  const giveUp = (why: Failure['kind']) => {
    state.givenUp = why;
    outgoing.destroy();
  };
  // A timer that is cleared: AbortSignal.timeout would keep each request's memory until its time is over.
  const timer = setTimeout(giveUp, Math.max(1, request.timeout), 'timeout');
  // Once there is a response, its own reader gets what happens to the socket.
  outgoing.on('error', () => {});
  onceConnected(outgoing, () => {
    const { sendBefore = Number.POSITIVE_INFINITY } = request;
    if (Date.now() >= sendBefore) return giveUp('too_late');
    // Up to here nothing has left this machine; from here on the peer may have all of it.
    state.sent = true;
    outgoing.end(json);
  });
  try {
    const response = await responseTo(outgoing);
    const body = await readBody(response);
    // A body without a length ends with its connection, whoever closed that.
    if (state.givenUp || !response.complete) throw new Error('The response was cut off');
    return { status: response.statusCode ?? 0, headers: response.headers, body, failure: undefined };
  } catch (cause) {
    const failure = { kind: state.givenUp ?? kindOf(cause), sent: state.sent, cause };
    return { status: 0, headers: {}, body: '', failure };
  } finally {
    clearTimeout(timer);
  }
}

function open({ method, origin, path, headers }: Request, json: string | undefined): http.ClientRequest {
  const { request, agent } = transportOf(origin);
  const content = json && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
  return request({
    agent,
    ...addressOf(origin),
    method,
    path,
    headers: { accept: 'application/json', ...headers, ...content },
  });
}

/** The response, once its head is there. An answer without a response (101 Switching Protocols) closes the request, and throws no error. */
const responseTo = (outgoing: http.ClientRequest) =>
  new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
    outgoing.once('close', () => reject(new Error('The connection was closed without a response')));
  });

async function readBody(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('The response is larger than a megabyte');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const kindOf = (cause: unknown): Failure['kind'] =>
  TLS_FAILURE.test(String(Object(cause).code)) ? 'tls' : 'connection';
