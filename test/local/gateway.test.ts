// What API Gateway refuses before it calls a function: requests above a route's throttle, and a signature that covers what was
// not sent.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Sha256 } from '../../infra/commands/signed-fetch.ts';
import { localTemplate } from '../../infra/local/aws/template.ts';
import { startFront } from '../../infra/local/front.ts';
import { createSignatureCheck } from '../../infra/local/signatures.ts';
import { createThrottleCheck } from '../../infra/local/throttles.ts';

const GET_ONE = 'GET /organizations/{organization_id}/offboarding';
const PATCH = 'PATCH /organizations/{organization_id}/connections/{connection_id}';
const route = (RouteKey: string) => ({ Type: 'AWS::ApiGatewayV2::Route', Properties: { RouteKey } });
const stage = (StageName: string, burst: number) => ({
  Type: 'AWS::ApiGatewayV2::Stage',
  Properties: {
    StageName,
    DefaultRouteSettings: { ThrottlingRateLimit: 2, ThrottlingBurstLimit: burst },
    RouteSettings: { [GET_ONE]: { ThrottlingRateLimit: 1, ThrottlingBurstLimit: 1 } },
  },
});
const RESOURCES = {
  Get: route(GET_ONE),
  Patch: route(PATCH),
  Delete: route('DELETE /organizations/{organization_id}/connections/{connection_id}'),
  Stage: stage('$default', 3),
  Reversible: stage('reversible', 3),
};
const CONNECTION = '/organizations/org_a/connections/con_a';
const empty = { headers: {}, body: Buffer.alloc(0) };

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

function statusesOf(check: ReturnType<typeof createThrottleCheck>, method: string, url: string, times: number) {
  return Array.from(
    { length: times },
    () => (check({ method, url, ...empty }) as { status: number } | undefined)?.status,
  );
}

test('when a route gets more requests than its burst, the rest is answered 429 until tokens come back', () => {
  const check = createThrottleCheck(RESOURCES);
  expect(statusesOf(check, 'PATCH', CONNECTION, 4)).toEqual([undefined, undefined, undefined, 429]);
  vi.setSystemTime(Date.now() + 1000);
  expect(statusesOf(check, 'PATCH', `${CONNECTION}?x=1`, 3)).toEqual([undefined, undefined, 429]);
});

test('when one route is throttled, the other routes and the other stage have buckets of their own', () => {
  const check = createThrottleCheck(RESOURCES);
  statusesOf(check, 'PATCH', CONNECTION, 4);
  expect(statusesOf(check, 'DELETE', CONNECTION, 1)).toEqual([undefined]);
  expect(statusesOf(check, 'PATCH', `/reversible${CONNECTION}`, 4)).toEqual([undefined, undefined, undefined, 429]);
});

test('when a route has settings of its own, they hold in place of the default ones', () => {
  const check = createThrottleCheck(RESOURCES);
  expect(statusesOf(check, 'GET', '/organizations/org_a/offboarding', 2)).toEqual([undefined, 429]);
});

test('when a path is no route, or a stage has no throttles, nothing is refused', () => {
  const check = createThrottleCheck({
    ...RESOURCES,
    Stage: { ...RESOURCES.Stage, Properties: { StageName: '$default' } },
  });
  expect(statusesOf(check, 'PATCH', CONNECTION, 9)).not.toContain(429);
  expect(statusesOf(createThrottleCheck(RESOURCES), 'GET', '/', 9)).not.toContain(429);
});

test("when the settings are the template's, every route is throttled at the rate that its stage says", () => {
  const { Resources } = localTemplate();
  const [settings] = Object.values(Resources).flatMap(({ Type, Properties }) =>
    Type === 'AWS::ApiGatewayV2::Stage' && Properties.StageName === '$default' ? [Properties] : [],
  );
  for (const { Type, Properties } of Object.values(Resources)) {
    if (Type !== 'AWS::ApiGatewayV2::Route') continue;
    const { ThrottlingBurstLimit: burst } = {
      ...settings.DefaultRouteSettings,
      ...settings.RouteSettings[Properties.RouteKey],
    };
    const [method = '', path = ''] = Properties.RouteKey.replace(/\{\w+\}/g, 'x').split(' ');
    const statuses = statusesOf(createThrottleCheck(), method, path, Number(burst) + 1);
    expect(statuses.indexOf(429), Properties.RouteKey).toBe(Number(burst));
  }
});

async function throughFront(checks: Parameters<typeof startFront>[0]['checks'], run: (url: string) => Promise<void>) {
  const server = createServer((_request, response) => void response.end('called')).listen(0);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const refused: string[] = [];
  const front = await startFront({
    port: 0,
    target: `http://localhost:${port}`,
    checks,
    onRefused: (reason) => refused.push(reason),
  });
  await run(front.url).finally(async () => {
    await front.close();
    server.closeAllConnections();
    server.close();
  });
  return refused;
}

test('when the front throttles a request, the caller gets the answer of API Gateway and the function is not called', async () => {
  const refused = await throughFront([createThrottleCheck(RESOURCES)], async (url) => {
    const get = () => fetch(`${url}/organizations/org_a/offboarding`);
    expect(await (await get()).text()).toBe('called');
    const answer = await get();
    expect([answer.status, await answer.json()]).toEqual([429, { message: 'Too Many Requests' }]);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });
  expect(refused).toEqual([
    `GET /organizations/org_a/offboarding is refused: ${GET_ONE} takes 1 requests a second and 1 at once`,
  ]);
});

test('when a signature covers a header that was not sent, the front refuses the request and names the header', async () => {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const refused = await throughFront([createSignatureCheck([credentials])], async (url) => {
    const signer = new SignatureV4({
      service: 'execute-api',
      region: 'us-east-1',
      credentials,
      sha256: Sha256 as never,
    });
    const request = { protocol: 'http:', hostname: 'localhost', method: 'GET', path: '/offboardings', query: {} };
    const { headers } = await signer.sign({
      ...request,
      headers: { host: new URL(url).host, 'x-amz-security-token': '' },
    });
    const { host: _, 'x-amz-security-token': _unsent, ...sent } = headers;
    const answer = await fetch(`${url}/offboardings`, { headers: sent });
    expect([answer.status, await answer.json()]).toEqual([403, { message: 'Forbidden' }]);
  });
  expect(refused[0]).toContain('the signature covers the header x-amz-security-token, which was not sent');
});
