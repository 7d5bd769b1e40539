// The ways in which the stand-in tenant fails on purpose: what it answers instead, in which shape, and what becomes of the connection.
import type { ServerResponse } from 'node:http';
import { error, type Reply } from './reply.ts';

/** One way to fail on purpose. It meets the requests that `method` and `path` (a part of it) name, `times` of them. */
export interface Fault {
  method?: string;
  path?: string;
  times?: number;
  /** Chance of meeting a request that fits, 1 when left out. */
  chance?: number;
  /** Milliseconds before the first byte; the request is then answered as usual unless another member says otherwise. */
  delay?: number;
  /** Answer as usual, but in one of these shapes, each from a public bug report. */
  shape?: keyof typeof SHAPES;
  /** Answer with this status and `body` (text as it is, JSON otherwise) instead. */
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Without a content type. */
  untyped?: boolean;
  /** Close the connection: without having done anything, half-way through the answer, or after it was done but before the answer. */
  reset?: 'before' | 'during' | 'after';
  /** Announce more than is sent, then end. */
  truncate?: boolean;
  /** Give no answer, or that of `status`, and carry the request out all the same, this many milliseconds later. */
  late?: number;
  /** Send the answer one byte each this many milliseconds. */
  drip?: number;
}

interface Page {
  connections: Record<string, unknown>[];
  total?: number;
}
const isPage = (body: unknown): body is Page => Array.isArray((body as Page | undefined)?.connections);
/** A change to each organization connection of a response, listed or alone. */
const each = (change: (connection: Record<string, unknown>) => object) => (reply: Reply) => {
  if (reply.status !== 200) return reply;
  const body = isPage(reply.body)
    ? { ...reply.body, connections: reply.body.connections.map(change) }
    : change(reply.body as Record<string, unknown>);
  return { ...reply, body };
};
const list = (change: (page: Page, target: URL) => unknown) => (reply: Reply, target: URL) =>
  isPage(reply.body) ? { ...reply, body: change(reply.body, target) } : reply;
/** What the token endpoint refuses with (RFC 6749, section 5.2). */
const refusal = (name: string, error_description: string) => () => ({
  status: 400,
  body: { error: name, error_description },
});
const now = (offset: number) => String(Math.floor(Date.now() / 1000) + offset);
const limited = (headers: Record<string, string>, body: unknown) => () => ({ status: 429, headers, body });

/** How answers have looked, by name. */
export const SHAPES = {
  'connection id alone': each(({ connection_id }) => ({ connection_id })),
  'is_enabled missing': each(({ is_enabled: _, ...rest }) => rest),
  'is_enabled null': each((connection) => ({ ...connection, is_enabled: null })),
  'connection null': each((connection) => ({ ...connection, connection: null })),
  'connection missing': each(({ connection: _, ...rest }) => rest),
  'name and strategy null': each((connection) => ({ ...connection, connection: { name: null, strategy: null } })),
  'unknown members': each((connection) => ({ ...connection, organization_member_access_level: 'full', x: [{}] })),
  'still enabled': each((connection) => ({ ...connection, is_enabled: true })),
  'empty body': (reply: Reply) => ({ status: reply.status, ...(reply.headers && { headers: reply.headers }) }),
  'byte order mark': (reply: Reply) => ({ ...reply, body: `\uFEFF${JSON.stringify(reply.body)}` }),
  '200 instead of 204': (reply: Reply) => (reply.status === 204 ? { ...reply, status: 200, body: {} } : reply),
  'gone since it was listed': () => error(404, 'No connection found', 'inexistent_connection'),
  'gone, without a message': () => ({ status: 404, body: { statusCode: 404, error: 'Not Found', message: null } }),
  'bare list': list(({ connections }) => connections),
  'total missing': list(({ connections }) => ({ connections })),
  'total null': list((page) => ({ ...page, total: null })),
  'pages with next': list(({ connections }, { searchParams }) => {
    const from = Number(searchParams.get('from') ?? 0);
    const all = searchParams.has('from') || connections.length > 0 ? connections : [];
    return { connections: all.slice(from, from + 1), ...(from < all.length && { next: String(from + 1) }) };
  }),
  'members with an empty next': (reply: Reply) =>
    reply.status === 200 && Object.hasOwn(Object(reply.body), 'members')
      ? { ...reply, body: { next: '', ...Object(reply.body) } }
      : reply,
  'total of more than is listed': list((page) => ({ ...page, total: (page.total ?? 0) + 1 })),
  'an empty list that is none': list(() => ({ connections: [] })),
  '403, a page': () => ({ status: 403, body: '<html><title>403 Forbidden</title></html>' }),
  '429, reset in this second': (_: Reply) => limited({ 'x-ratelimit-reset': now(0) }, { statusCode: 429 })(),
  '429, reset just past': (_: Reply) => limited({ 'x-ratelimit-reset': now(-1) }, undefined)(),
  '429 without headers': limited({}, { error: 'too_many_requests', message: 'x' }),
  '400 invalid_request': refusal('invalid_request', 'The request is missing a required parameter'),
  '400 invalid_client': refusal('invalid_client', 'Client authentication failed'),
  '400 unsupported_grant_type': refusal('unsupported_grant_type', 'The grant type is not supported'),
  '429, Retry-After: 0': limited({ 'retry-after': '0' }, '<html>'),
} satisfies Record<string, (reply: Reply, target: URL) => Reply>;

export function respond(response: ServerResponse, { status, body, headers }: Reply, fault: Fault = {}): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' && !/^\s*[[{]/.test(body) ? 'text/html' : 'application/json; charset=utf-8';
  const length = Buffer.byteLength(text);
  response.writeHead(status, {
    ...(length > 0 && !fault.untyped && { 'content-type': type }),
    ...(status !== 204 && { 'content-length': String(fault.truncate ? length + 10 : length) }),
    ...headers,
  });
  if (fault.truncate || fault.reset === 'during') {
    response.write(text.slice(0, Math.ceil(length / 2)), () =>
      response.socket?.[fault.truncate ? 'end' : 'resetAndDestroy'](),
    );
  } else if (fault.drip) {
    let sent = 0;
    const timer = setInterval(() => {
      if (response.destroyed || sent >= text.length) {
        clearInterval(timer);
        response.end();
      } else response.write(text[sent++]);
    }, fault.drip);
  } else response.end(text);
}
