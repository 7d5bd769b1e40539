// The gateway on this machine: what a function gets of a request, and what API Gateway answers by itself (API Gateway developer
// guide, "AWS Lambda proxy integrations for HTTP APIs" and "Quotas for HTTP APIs").
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { freePort, startGateway } from '../../infra/local/gateway.ts';
import { gatewayEvent } from '../../infra/local/gateway-event.ts';
import { createFunctionInProcess, startEnvironmentInProcess } from '../in-process.ts';
import { CON, ORG } from '../service.ts';

// biome-ignore lint/suspicious/noExplicitAny: an event is JSON
type Event = any;
const ROUTE = {
  key: 'POST /organizations/{organization_id}/offboarding',
  method: 'POST',
  path: /^\/organizations\/([^/]+)\/offboarding$/,
  names: ['organization_id'],
  functionName: 'request-offboarding',
};

describe('the event of payload 2.0', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer(async (incoming, outgoing) => {
      const body = Buffer.concat(await incoming.toArray());
      outgoing.end(JSON.stringify(gatewayEvent(ROUTE, new URL(incoming.url ?? '', 'http://local'), incoming, body)));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  async function eventOf(
    path: string,
    headers: Record<string, string | string[]>,
    body?: string | Buffer,
  ): Promise<Event> {
    const { port } = server.address() as AddressInfo;
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', headers });
    sent.end(body);
    const [answer] = await once(sent, 'response');
    return json(answer);
  }

  test('when the address is that of /reversible, the event names the stage, and the raw path has it', async () => {
    expect(await eventOf('/reversible/organizations/org_a/offboarding', {})).toMatchObject({
      rawPath: '/reversible/organizations/org_a/offboarding',
      pathParameters: { organization_id: 'org_a' },
      requestContext: { stage: 'reversible' },
    });
  });

  test('when a path has encoded characters, the raw path keeps them and the parameter does not', async () => {
    const event = await eventOf('/organizations/org%5Fa/offboarding', {});
    expect(event).toMatchObject({
      version: '2.0',
      routeKey: ROUTE.key,
      rawPath: '/organizations/org%5Fa/offboarding',
      rawQueryString: '',
      pathParameters: { organization_id: 'org_a' },
      isBase64Encoded: false,
      requestContext: { routeKey: ROUTE.key, stage: '$default', http: { method: 'POST', protocol: 'HTTP/1.1' } },
    });
    expect(event).not.toHaveProperty('queryStringParameters');
    expect(event).not.toHaveProperty('body');
  });

  test('when a path cannot be decoded, its parameter comes as it is', async () => {
    const event = await eventOf('/organizations/%E0%A4%A/offboarding', {});
    expect(event.pathParameters).toEqual({ organization_id: '%E0%A4%A' });
  });

  test('when a name comes twice, its values are one with a comma; cookies are a list', async () => {
    const event = await eventOf('/organizations/o/offboarding?a=1&b=x%20y&a=2', {
      'X-Twice': ['one', 'two'],
      cookie: 'a=1; b=2',
    });
    expect(event.rawQueryString).toBe('a=1&b=x%20y&a=2');
    expect(event.queryStringParameters).toEqual({ a: '1,2', b: 'x y' });
    expect(event.headers['x-twice']).toBe('one,two');
    expect(event.headers).not.toHaveProperty('cookie');
    expect(event.cookies).toEqual(['a=1', 'b=2']);
  });

  test('when a body is text it comes as text, and anything else as Base64', async () => {
    const of = async (type: string, body: string | Buffer) => {
      const { body: text, isBase64Encoded } = await eventOf(
        '/organizations/o/offboarding',
        { 'content-type': type },
        body,
      );
      return [text, isBase64Encoded];
    };
    expect(await of('application/json; charset=utf-8', '{"a":"ü"}')).toEqual(['{"a":"ü"}', false]);
    expect(await of('application/problem+json', '{}')).toEqual(['{}', false]);
    expect(await of('text/csv', 'a;b')).toEqual(['a;b', false]);
    expect(await of('application/octet-stream', Buffer.from([0, 255]))).toEqual(['AP8=', true]);
  });

  test('when a request is signed, its access key is the caller’s, and each request has an id and a time of its own', async () => {
    const authorization = 'AWS4-HMAC-SHA256 Credential=AKIDMARIA/20261124/us-east-1/execute-api/aws4_request';
    const event = await eventOf('/organizations/o/offboarding', { authorization });
    expect(event.requestContext.authorizer.iam).toMatchObject({
      accessKey: 'AKIDMARIA',
      userArn: 'arn:aws:iam::000000000000:user/AKIDMARIA',
    });
    expect(event.requestContext.time).toMatch(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
    const other = await eventOf('/organizations/o/offboarding', {});
    expect(other.requestContext.requestId).not.toBe(event.requestContext.requestId);
  });
});

describe('startGateway', () => {
  let local: LocalEnvironment;
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  const path = `/organizations/${ORG}/connections/${CON}`;
  beforeAll(async () => {
    local = await startEnvironmentInProcess();
    local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
    gateway = await startGateway(await freePort(), local.environment, () => {}, createFunctionInProcess);
  });
  afterAll(async () => {
    await gateway.close();
    await local.close();
  });
  const send = (url: string, init: RequestInit) => fetch(gateway.url + url, init);

  test('when no route takes a request, the gateway answers 404 itself', async () => {
    for (const [method, url] of [
      ['PUT', path],
      ['GET', '/nothing'],
      ['DELETE', `${path}/`],
    ] as const) {
      const answer = await send(url, { method });
      expect([answer.status, await answer.json()], `${method} ${url}`).toEqual([404, { message: 'Not Found' }]);
    }
  });

  test('when a body is larger than ten megabytes, the gateway answers 413', async () => {
    const answer = await send(path, { method: 'PATCH', body: 'x'.repeat(10 * 1024 * 1024 + 1) });
    expect(answer.status).toBe(413);
  });

  test('when a function fails to start, the gateway answers 500 and tells nothing of the reason', async () => {
    const { EVENT_BUS_NAME: _, AUTH0_DOMAIN: __, ...less } = local.environment;
    const broken = await startGateway(await freePort(), less, () => {}, createFunctionInProcess);
    const answer = await fetch(broken.url + path, { method: 'DELETE' });
    expect([answer.status, await answer.json()]).toEqual([500, { message: 'Internal Server Error' }]);
    await broken.close();
  });

  test('when its port is taken, the gateway says so', async () => {
    const port = Number(new URL(gateway.url).port);
    await expect(startGateway(port, {}, () => {})).rejects.toThrow(`Port ${port} is taken`);
  });
});
