import * as http from 'node:http';
import * as https from 'node:https';

// Node's own https, not fetch: the AWS SDK's handler has loaded it already, while the first fetch loads undici beside it.

const MAX_BODY_BYTES = 1_000_000;

/** What is wrong with a connection whose peer can not prove who it is; trying again does not heal it. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/;

/** Bounded, so that a burst of requests in one container can not exhaust its file descriptors; the rest queue inside the agent. */
const AGENT_OPTIONS = { keepAlive: true, maxSockets: 64, maxFreeSockets: 16 };
const agents = { 'http:': new http.Agent(AGENT_OPTIONS), 'https:': new https.Agent(AGENT_OPTIONS) };

export interface Exchange {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the configuration; never from a caller. */
  origin: URL;
  /** Path and query, built of validated parts. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
  /** Milliseconds from now to the last byte of the answer. */
  timeout: number;
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** No whole answer came: `timeout` (the time was over), `tls` (the peer could not be trusted) or `connection` (all else). */
export class ExchangeError extends Error {
  readonly kind: 'timeout' | 'tls' | 'connection';

  constructor(kind: ExchangeError['kind'], cause: unknown) {
    super(`No answer: ${kind}`, { cause });
    this.name = 'ExchangeError';
    this.kind = kind;
  }
}

/**
 * One request and its whole answer, whatever its status. Redirects are not followed: the token goes to the tenant and
 * nowhere else. Throws `ExchangeError` when the answer does not arrive whole, in time and within a megabyte.
 */
export function exchange({ method, origin, path, headers = {}, body, timeout }: Exchange): Promise<Answer> {
  const secure = origin.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.destroy(new ExchangeError('timeout', undefined)), Math.max(1, timeout));
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const kind = TLS_FAILURE.test(error.code ?? '') ? 'tls' : 'connection';
      reject(error instanceof ExchangeError ? error : new ExchangeError(kind, error));
    };
    const request = (secure ? https : http).request(
      {
        agent: agents[secure ? 'https:' : 'http:'],
        // An IPv6 host stands in brackets in a URL and without them in a socket's address.
        host: origin.hostname.replace(/^\[|\]$/g, ''),
        port: origin.port || undefined,
        method,
        path,
        headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BODY_BYTES) request.destroy(new Error('The answer is larger than a megabyte'));
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          // The parser has checked the length that was announced: a truncated answer is an error and does not come here.
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    request.on('error', fail);
    request.end(body);
  });
}

/** As `exchange`, but no whole answer is an outcome, too: for callers that look at either. */
export async function exchangeOrError(request: Exchange): Promise<Answer | ExchangeError> {
  try {
    return await exchange(request);
  } catch (error) {
    if (error instanceof ExchangeError) return error;
    throw error;
  }
}
