// What API Gateway makes of a request for a function (API Gateway developer guide, "AWS Lambda proxy integrations for HTTP APIs",
// payload format 2.0).
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { callerOf } from './aws/protocols.ts';
import { ACCOUNT, REGION } from './aws/wire.ts';

export interface Route {
  /** Method and path, as the template has them. */
  key: string;
  method: string;
  path: RegExp;
  /** The path's parameters, in their order. */
  names: string[];
  /** The function without the names of the service and the stage. */
  functionName: string;
}

const API_ID = 'local';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Content types whose bodies reach a function as text; every other body is Base64. */
const TEXT = /^(text\/|application\/(json|javascript|xml)\b|application\/[\w.+-]+\+(json|xml)\b)/i;

/** As access logs have it: `24/Nov/2026:09:00:00 +0000`. */
function logTime(ms: number): string {
  const [, year, month, day, time] = /^(\d+)-(\d\d)-(\d\d)T([\d:]+)/.exec(new Date(ms).toISOString()) ?? [];
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time} +0000`;
}

/** Values of one name are one value with commas, as payload 2.0 has them. */
function joined(pairs: Iterable<[name: string, value: string]>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, value] of pairs) values[name] = values[name] === undefined ? value : `${values[name]},${value}`;
  return values;
}

function headersOf({ rawHeaders }: IncomingMessage): Record<string, string> {
  const pairs = rawHeaders.flatMap((name, i): [string, string][] =>
    i % 2 === 0 ? [[name.toLowerCase(), rawHeaders[i + 1] ?? '']] : [],
  );
  return joined(pairs);
}

/** Whoever signed, in words of IAM. */
function signerOf({ headers }: IncomingMessage): object {
  const { arn, id, accessKey } = callerOf(headers);
  return {
    accessKey,
    accountId: ACCOUNT,
    cognitoIdentity: null,
    principalOrgId: 'aws:PrincipalOrgID',
    userArn: arn,
    callerId: id,
    userId: id,
  };
}

/**
 * The stage of the API that an address names, and the path of the route behind it. `/reversible` is the stage that takes only what
 * can be undone; a stage with a name is part of `rawPath`.
 */
export function stageOf(pathname: string): { stage: string; path: string } {
  const [, path] = /^\/reversible(\/.*)$/.exec(pathname) ?? [];
  return path === undefined ? { stage: '$default', path: pathname } : { stage: 'reversible', path };
}

/** The event of payload 2.0 for a request that `route` takes. */
export function gatewayEvent(route: Route, url: URL, incoming: IncomingMessage, body: Buffer): object {
  const { cookie, ...headers } = headersOf(incoming);
  const query = joined(url.searchParams);
  const { stage, path } = stageOf(url.pathname);
  const values = (route.path.exec(path) ?? []).slice(1);
  const isText = TEXT.test(headers['content-type'] ?? 'application/json');
  const sourceIp = incoming.socket.remoteAddress ?? '';
  const now = Date.now();
  return {
    version: '2.0',
    routeKey: route.key,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    ...(cookie && { cookies: cookie.split(/; */) }),
    headers: { 'x-forwarded-for': sourceIp, 'x-forwarded-port': '443', 'x-forwarded-proto': 'https', ...headers },
    ...(url.search.length > 1 && { queryStringParameters: query }),
    ...(values.length > 0 && {
      pathParameters: Object.fromEntries(route.names.map((name, i) => [name, decoded(values[i] ?? '')])),
    }),
    requestContext: {
      accountId: ACCOUNT,
      apiId: API_ID,
      authentication: null,
      authorizer: { iam: signerOf(incoming) },
      domainName: `${API_ID}.execute-api.${REGION}.amazonaws.com`,
      domainPrefix: API_ID,
      http: {
        method: route.method,
        path: url.pathname,
        protocol: `HTTP/${incoming.httpVersion}`,
        sourceIp,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: route.key,
      stage,
      time: logTime(now),
      timeEpoch: now,
    },
    ...(body.length > 0 && { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
  };
}

/** Path parameters come decoded; what cannot be decoded comes as it is. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
