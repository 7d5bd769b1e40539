import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CLIENT_SECRET, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

let service: Service;
let rotation: ReturnType<Service['aws']['secret']>['rotate'];
beforeAll(async () => {
  service = await startService();
  rotation = service.aws.secret(TOKEN_SECRET).rotate;
});
afterAll(() => service.close());
beforeEach(async () => {
  service.tenant.clearFaults();
  service.aws.clearFaults();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  service.aws.secret(TOKEN_SECRET).rotate = rotation;
  await service.aws.rotate(TOKEN_SECRET);
  // A cold container.
  service.functionNamed('disable-connection').kill();
  service.tenant.clearCalls();
  service.aws.calls.length = 0;
  service.logs.length = 0;
});

const reads = () => service.aws.calls.filter((operation) => operation === 'GetSecretValue').length;
const current = () =>
  [...service.aws.secret(TOKEN_SECRET).versions.values()].find(({ stages }) => stages.has('AWSCURRENT'));
function store(value: unknown): void {
  const version = current();
  if (version) version.value = typeof value === 'string' ? value : JSON.stringify(value);
}
const token = (lifetime: number, scope = 'update:organization_connections') => ({
  access_token: service.tenant.issueToken(scope, 86_400),
  expires_at: new Date(Date.now() + lifetime * 1000).toISOString(),
  scope,
});

test('fifty requests at once in a cold container read the secret once, as do those after them', async () => {
  const many = Array.from({ length: 50 }, () => service.request('disable-connection'));
  expect((await Promise.all(many)).map(({ status }) => status)).toEqual(Array(50).fill(200));
  await service.request('disable-connection');
  expect(reads()).toBe(1);
});

test('a token is read anew shortly before it expires', async () => {
  store(token(59));
  await service.request('disable-connection');
  await service.request('disable-connection');
  // One of them while the function was loaded.
  expect(reads()).toBe(3);
  store(token(3600));
  await service.request('disable-connection');
  await service.request('disable-connection');
  expect(reads()).toBe(4);
});

test.each([
  ['expired', () => store(token(-1))],
  ['not JSON', () => store('eyJhbGciOiJIUzI1NiJ9.canary-in-garbage')],
  ['of another shape', () => store({ token: 'x' })],
  ['without a usable time', () => store({ ...token(60), expires_at: 'tomorrow' })],
  ['with a line break in the token', () => store({ ...token(3600), access_token: 'a\r\nx-evil: 1' })],
  ['missing', () => service.aws.secret(TOKEN_SECRET).versions.clear()],
  ['denied', () => service.aws.addFaults({ operation: 'GetSecretValue', error: 'AccessDeniedException', times: 2 })],
  ['throttled', () => service.aws.addFaults({ operation: 'GetSecretValue', error: 'ThrottlingException', times: 9 })],
  [
    'garbage from Secrets Manager',
    () => service.aws.addFaults({ operation: 'GetSecretValue', garbage: '<html>', times: 9 }),
  ],
  ['reset by Secrets Manager', () => service.aws.addFaults({ operation: 'GetSecretValue', reset: true, times: 9 })],
])('a token that is %s is a 503 with the cause in the log alone, and nothing stays behind', async (_what, break_) => {
  const good = current()?.value ?? '';
  break_();
  const answer = await service.request('disable-connection');
  expect(answer).toMatchObject({ status: 503, body: { code: 'management_token_unavailable' } });
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(service.managementCalls()).toEqual([]);
  const [line] = service.logged('management_token_unavailable');
  expect(line.error.cause.message).toBeTruthy();
  expect(JSON.stringify(answer)).not.toContain(line.error.cause.message);

  service.aws.clearFaults();
  if (!current()) await service.aws.rotate(TOKEN_SECRET);
  else store(good);
  expect(await service.request('disable-connection')).toMatchObject({ status: 200 });
});

test('a secret that does not come before the deadline is a 503', async () => {
  service.aws.addFaults({ operation: 'GetSecretValue', delay: 20_000, times: 9 });
  const answer = await service.request('disable-connection', { remaining: 4000 });
  expect(answer).toMatchObject({ status: 503, body: { code: 'management_token_unavailable' } });
});

test('a rotation between two calls costs one more read and no request', async () => {
  await service.request('disable-connection');
  service.tenant.revokeTokens();
  await service.aws.rotate(TOKEN_SECRET);
  expect(await service.request('disable-connection')).toMatchObject({ status: 200 });
  expect(service.managementCalls().map(({ status }) => status)).toEqual([200, 401, 200]);
});

test('a rotation in the middle of traffic loses no request', async () => {
  // A container that has a token in memory, however long its start has taken.
  await service.request('disable-connection');
  const answers: Promise<{ status: number }>[] = [];
  for (let i = 0; i < 60; i++) {
    answers.push(service.request('disable-connection'));
    if (i % 20 === 10) {
      await service.aws.rotate(TOKEN_SECRET);
      // The token that the container has in memory is refused; the one that the secret holds is good.
      service.tenant.revokeTokens(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(service.managementCalls().filter(({ status }) => status === 401).length).toBeGreaterThan(0);
});

test('a fresh token that is refused has a rotation asked for, once, and the callers are told to come again', async () => {
  await service.request('disable-connection');
  service.aws.secret(TOKEN_SECRET).lastRotated = Date.now() / 1000 - 3600;
  const before = service.tenant.tokensIssued();
  service.tenant.revokeTokens();
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.request('disable-connection')));
  expect(answers.filter(({ status }) => status === 503).length).toBeGreaterThan(0);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    expect(answer).toMatchObject({ status: 503, body: { code: 'management_token_unavailable' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
  await expect.poll(async () => (await service.request('disable-connection')).status).toBe(200);
  expect(service.tenant.tokensIssued() - before).toBe(1);
});

test('a 401 of somebody in front of Auth0 says nothing of the token: no rotation is requested', async () => {
  service.aws.secret(TOKEN_SECRET).lastRotated = Date.now() / 1000 - 3600;
  const before = service.tenant.tokensIssued();
  service.tenant.addFaults({ method: 'PATCH', status: 401, body: '<html>Log in</html>', times: 4 });
  const answer = await service.request('disable-connection');
  expect(answer).toMatchObject({ status: 502, body: { code: 'auth0_unavailable' } });
  expect(service.tenant.tokensIssued()).toBe(before);
  expect((await service.request('disable-connection')).status).toBe(200);
});

test('a wrong setup, where every token is refused, causes no storm of tokens and is a 502', async () => {
  const before = service.tenant.tokensIssued();
  service.tenant.addFaults({
    method: 'PATCH',
    status: 401,
    body: { statusCode: 401, message: 'Invalid token.' },
    times: 999,
  });
  for (let i = 0; i < 10; i++) {
    const answer = await service.request('disable-connection');
    expect(answer).toMatchObject({ status: 502, body: { code: 'management_token_rejected' } });
  }
  expect(service.tenant.tokensIssued()).toBe(before);
});

test('a rotation that was asked for and failed is no promise: the words say where its reason is', async () => {
  // In the function half a minute passes within six seconds.
  const execArgv = ['--import', fileURLToPath(new URL('../scaled-clock.mjs', import.meta.url))];
  const hurried = await startService({
    processes: ['disable-connection', 'rotate-management-token'],
    functions: { execArgv },
    environment: { CLOCK_SPEED: '5' },
  });
  hurried.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  hurried.tenant.setClient('org-connections-local', { client_secret: 'another-client-secret', scope: '' });
  hurried.aws.secret(TOKEN_SECRET).lastRotated = Date.now() / 1000 - 7200;
  hurried.tenant.revokeTokens();
  const ask = () => hurried.request('disable-connection', { remaining: 29_000 });
  expect(await ask()).toMatchObject({
    status: 503,
    body: { code: 'management_token_unavailable', detail: 'Auth0 rejected the token; a new one is on its way' },
  });
  await expect.poll(ask, { timeout: 60_000 }).toMatchObject({
    status: 502,
    body: {
      code: 'management_token_rejected',
      detail: 'Auth0 rejected the token, and its rotation has not succeeded; the log of the rotation says why',
    },
  });
  expect(hurried.logged('rotation_step_failed')[0]).toMatchObject({ level: 'ERROR', reason: 'wrong_credentials' });
  // A new container knows of no rotation but the one that is not finished.
  hurried.functionNamed('disable-connection').kill();
  const { status, body } = await ask();
  expect(status).toBe(503);
  expect((body as { detail: string }).detail).toMatch(/its rotation has not finished/);
  await hurried.close();
});

test('a secret that is not rotated has none asked for, and the caller gets the 502', async () => {
  await service.request('disable-connection');
  Object.assign(service.aws.secret(TOKEN_SECRET), { rotate: undefined, lastRotated: 0 });
  service.tenant.revokeTokens();
  const answer = await service.request('disable-connection');
  expect(answer).toMatchObject({ status: 502, body: { code: 'management_token_rejected' } });
  expect(service.aws.calls).not.toContain('RotateSecret');
});

test('a hundred requests over ten cold starts mint no token', async () => {
  const before = service.tenant.tokensIssued();
  for (let start = 0; start < 10; start++) {
    const requests = Array.from({ length: 10 }, () => service.request('disable-connection'));
    const statuses = new Set((await Promise.all(requests)).map(({ status }) => status));
    expect([...statuses]).toEqual([200]);
    service.functionNamed('disable-connection').kill();
  }
  expect(service.tenant.tokensIssued()).toBe(before);
  expect(service.tenant.calls().filter(({ path }) => path === '/oauth/token')).toEqual([]);
  expect(reads()).toBe(10);
  expect(service.aws.secret(CLIENT_SECRET).versions.size).toBe(1);
});
