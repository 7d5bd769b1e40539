// API Gateway's HTTP API on this machine: the routes of the compiled template, each with its function's real bundle behind it.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { localTemplate, type Resources } from './aws/template.ts';
import { gatewayEvent, type Route, stageOf } from './gateway-event.ts';
import { createFunction, type LocalFunction } from './lambda.ts';

/** API Gateway answers 503 for an integration that takes longer (quotas of HTTP APIs). */
const INTEGRATION_LIMIT_MS = 30_000;
/** A larger payload is answered 413 (quotas of HTTP APIs). */
const MAX_BODY_BYTES = 10 * 1024 * 1024;

interface Result {
  statusCode?: number;
  headers?: Record<string, string>;
  cookies?: string[];
  body?: string;
  isBase64Encoded?: boolean;
}

/** `wanted` if that port is free right now, else one that is. */
export async function freePort(wanted = 0): Promise<number> {
  const server = createServer().listen(wanted);
  const taken = await once(server, 'listening').then(
    () => false,
    () => true,
  );
  if (taken) return freePort();
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** The template's routes with the names of their functions. */
function routesOf(resources: Resources): Route[] {
  return Object.values(resources)
    .filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Route')
    .map(({ Properties: { RouteKey, Target } }) => {
      const [, integrationId] = JSON.stringify(Target).match(/"Ref":"(\w+)"/) ?? [];
      const uri = JSON.stringify(resources[integrationId ?? '']?.Properties.IntegrationUri);
      const [, functionId] = uri.match(/"Fn::GetAtt":\["(\w+)"/) ?? [];
      const { FunctionName } = resources[functionId ?? '']?.Properties ?? {};
      const [method = '', template = ''] = String(RouteKey).split(' ');
      const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      const path = new RegExp(`^${template.replaceAll(/\{\w+\}/g, '([^/]+)')}$`);
      return { key: RouteKey, method, path, names, functionName: FunctionName.replace('org-connections-local-', '') };
    });
}

/** One event at a time for each container, as in Lambda; as many containers as there are requests at once. */
function createContainers(create: () => LocalFunction) {
  const containers: LocalFunction[] = [];
  return {
    invoke(event: unknown): Promise<unknown> {
      const free = containers.find((container) => !container.isBusy()) ?? create();
      if (!containers.includes(free)) containers.push(free);
      return free.invoke(event, INTEGRATION_LIMIT_MS);
    },
    kill: () => containers.forEach((container) => void container.kill()),
  };
}

/** The body of a request; undefined where it is larger than API Gateway takes. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
}

/** A result in the format of payload 2.0; anything without a status code is a body by itself. */
function answer(outgoing: ServerResponse, result: unknown): void {
  const isFormatted = typeof result === 'object' && result !== null && 'statusCode' in result;
  const {
    statusCode = 200,
    headers,
    cookies,
    body,
    isBase64Encoded,
  }: Result = isFormatted
    ? (result as Result)
    : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(result) };
  outgoing.writeHead(statusCode, { ...headers, ...(cookies && { 'set-cookie': cookies }) });
  outgoing.end(body && isBase64Encoded ? Buffer.from(body, 'base64') : body);
}

/**
 * Starts the gateway on `port` of this machine alone; resolves when it answers. The functions get `environment`; `onLine` gets
 * what they log; `createContainer` makes their containers, which are processes when it is left out. Throws when the port is taken.
 */
export async function startGateway(
  port: number,
  environment: Record<string, string>,
  onLine: (line: string) => void,
  createContainer = createFunction,
) {
  const routes = routesOf(localTemplate().Resources);
  const functions = new Map(
    routes.map(({ functionName }) => {
      const create = () => createContainer(functionName, { environment, onLog: onLine });
      return [functionName, createContainers(create)];
    }),
  );
  const server = createServer(async (incoming, outgoing) => {
    const body = await bodyOf(incoming).catch(() => undefined);
    if (!body) return refuse(outgoing, 413, 'Request Entity Too Large');
    const url = new URL(incoming.url ?? '', 'http://localhost');
    const { path: asked } = stageOf(url.pathname);
    const route = routes.find(({ method, path }) => method === incoming.method && path.test(asked));
    if (!route) return refuse(outgoing, 404, 'Not Found');
    const begun = Date.now();
    await functions
      .get(route.functionName)
      ?.invoke(gatewayEvent(route, url, incoming, body))
      .then((result) => answer(outgoing, result))
      .catch(() => {
        const isLate = Date.now() - begun >= INTEGRATION_LIMIT_MS;
        refuse(outgoing, isLate ? 503 : 500, isLate ? 'Service Unavailable' : 'Internal Server Error');
      });
  });
  await once(server.listen(port, 'localhost'), 'listening').catch(() => {
    throw new Error(`Port ${port} is taken; PORT=… chooses another`);
  });
  return {
    url: `http://localhost:${port}`,
    async close() {
      for (const one of functions.values()) one.kill();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
