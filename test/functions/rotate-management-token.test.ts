import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_SECRET, SCOPES, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { metricsIn } from '../embedded-metrics.ts';
import { type Service, startService } from '../service.ts';

let service: Service;
const CLIENT = { client_id: 'org-connections-local', client_secret: 'local-client-secret-0123456789' };
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  service.tenant.clearFaults();
  service.tenant.setClient(CLIENT.client_id, { client_secret: CLIENT.client_secret, scope: SCOPES });
  setClient(CLIENT);
  for (const { stages } of secret().versions.values()) stages.delete('AWSPENDING');
  await service.aws.rotate(TOKEN_SECRET);
  service.logs.length = 0;
  service.tenant.clearCalls();
});

const secret = () => service.aws.secret(TOKEN_SECRET);
const versionWith = (stage: string) => [...secret().versions].find(([, { stages }]) => stages.has(stage));
const minted = () => service.tenant.calls().filter(({ path }) => path === '/oauth/token').length;
function setClient(value: object): void {
  const [version] = service.aws.secret(CLIENT_SECRET).versions.values();
  if (version) version.value = JSON.stringify(value);
}
/** Stages a new version, as Secrets Manager does before it calls the function. */
function stage(id: string = crypto.randomUUID()): string {
  for (const { stages } of secret().versions.values()) stages.delete('AWSPENDING');
  secret().versions.set(id, { stages: new Set(['AWSPENDING']), created: Date.now() / 1000 });
  return id;
}
const step = (Step: string, ClientRequestToken: string, SecretId = secret().ARN) =>
  service.rotation.invoke({ SecretId, ClientRequestToken, Step });

test('one rotation mints one token, also when every step is delivered twice', async () => {
  const before = versionWith('AWSCURRENT')?.[0];
  const id = stage();
  for (const name of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
    await step(name, id);
    await step(name, id);
  }
  expect(minted()).toBe(1);
  expect(versionWith('AWSCURRENT')?.[0]).toBe(id);
  expect(versionWith('AWSPREVIOUS')?.[0]).toBe(before);
  const value = JSON.parse(versionWith('AWSCURRENT')?.[1].value ?? '');
  expect(value).toEqual({ access_token: expect.any(String), expires_at: expect.any(String), scope: SCOPES });
  const lifetime = (Date.parse(value.expires_at) - Date.now()) / 3_600_000;
  expect(lifetime).toBeGreaterThan(23.9);
  expect(lifetime).toBeLessThanOrEqual(24);
});

test.each(['createSecret', 'setSecret', 'testSecret'])(
  'cut off after %s, the rotation goes on where it was',
  async (last) => {
    const id = stage();
    const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
    const before = versionWith('AWSCURRENT')?.[0];
    for (const name of steps.slice(0, steps.indexOf(last) + 1)) await step(name, id);
    service.rotation.kill();
    expect(versionWith('AWSCURRENT')?.[0]).toBe(before);
    for (const name of steps) await step(name, id);
    expect(versionWith('AWSCURRENT')?.[0]).toBe(id);
    expect(minted()).toBe(1);
  },
);

test('a token that lacks a scope, or is not accepted, never becomes current, and the next try gets a new one', async () => {
  const before = versionWith('AWSCURRENT')?.[0];
  service.tenant.setClient('org-connections-local', {
    client_secret: 'local-client-secret-0123456789',
    scope: 'read:organization_connections',
  });
  await expect(service.aws.rotate(TOKEN_SECRET)).rejects.toThrow(
    'lacks the scopes update:organization_connections, delete:organization_connections',
  );
  service.tenant.setClient('org-connections-local', { client_secret: 'local-client-secret-0123456789', scope: SCOPES });
  service.tenant.addFaults({
    path: 'org_0000000000000000',
    status: 401,
    body: { statusCode: 401, message: 'Invalid token.' },
    // Of the current token, whose time to expiry is told, and of the new one.
    times: 2,
  });
  await expect(service.aws.rotate(TOKEN_SECRET)).rejects.toThrow('Auth0 rejected the new token');
  expect(service.logged('rotation_step_failed').map(({ reason }) => reason)).toEqual([
    'scope_missing',
    'token_rejected',
  ]);
  expect(versionWith('AWSCURRENT')?.[0]).toBe(before);
  await service.aws.rotate(TOKEN_SECRET);
  expect(versionWith('AWSCURRENT')?.[0]).not.toBe(before);
});

const OAUTH: [reason: string, status: number, body: object | string, headers?: Record<string, string>][] = [
  ['wrong_credentials', 401, { error: 'access_denied', error_description: 'Unauthorized' }],
  ['grant_not_allowed', 403, { error: 'unauthorized_client', error_description: 'Grant type not allowed' }],
  ['audience_not_granted', 403, { error: 'access_denied', error_description: 'Service not enabled within domain: x' }],
  [
    'quota_exceeded',
    429,
    { error: 'too_many_requests', error_description: 'Client quota exceeded' },
    { 'retry-after': '120' },
  ],
  ...['invalid_request', 'invalid_client', 'unsupported_grant_type'].map((error): (typeof OAUTH)[number] => [
    'wrong_credentials',
    400,
    { error, error_description: 'Missing required parameter' },
  ]),
  ['wrong_credentials', 403, { error: 'invalid_client' }],
  ['unreachable', 400, { message: 'Bad Request' }],
  ['unreachable', 401, { message: 'Unauthorized' }],
  ['unreachable', 403, { error: 'Forbidden', message: 'blocked' }],
  ['unreachable', 403, '<html>Blocked</html>'],
  ['unreachable', 404, { error: 'unauthorized_client' }],
  ['unreachable', 503, { message: 'x' }],
];
test.each(OAUTH)(
  'when Auth0 gives no token for the reason %s (%i %j), log and metric say so, and the current token stays',
  async (reason, status, body, headers = {}) => {
    const before = versionWith('AWSCURRENT')?.[0];
    service.tenant.addFaults({ path: '/oauth/token', status, body, headers, times: 9 });
    await expect(step('createSecret', stage())).rejects.toThrow(reason);
    const [line] = service.logged('rotation_step_failed');
    expect(line).toMatchObject({ level: 'ERROR', reason, RotationFailures: 1, step: 'createSecret' });
    if (reason === 'quota_exceeded') expect(line.retry_after_s).toBe(120);
    // Asking again does not change a refusal, and does not gain a quota.
    expect(minted()).toBe(reason === 'unreachable' ? 4 : 1);
    expect(JSON.stringify(line)).not.toContain('error_description');
    expect(versionWith('AWSCURRENT')?.[0]).toBe(before);
  },
);

test('a client with a private key proves itself by a signed assertion', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  for (const line of privateKey.split('\n').slice(1, -2)) service.secrets.add(line);
  service.tenant.setClient('by-key', { public_key: publicKey, scope: SCOPES });
  setClient({ client_id: 'by-key', private_key: privateKey });
  await service.aws.rotate(TOKEN_SECRET);
  setClient({ client_id: 'by-key', client_secret: privateKey });
  await service.aws.rotate(TOKEN_SECRET);
  expect(
    service.tenant
      .calls()
      .filter(({ path }) => path === '/oauth/token')
      .map(({ body }) => Object.keys(JSON.parse(body)).sort()),
  ).toEqual(Array(2).fill(['audience', 'client_assertion', 'client_assertion_type', 'client_id', 'grant_type']));
});

test.each([
  ['no client id', { client_secret: 'canary-client-secret' }],
  ['neither secret nor key', { client_id: 'x' }],
  [
    'a key that is none',
    { client_id: 'x', private_key: '-----BEGIN PRIVATE KEY-----\ncanary-private-key\n-----END PRIVATE KEY-----' },
  ],
])('client credentials with %s are refused without being quoted', async (_what, value) => {
  service.secrets.add('canary-client-secret').add('canary-private-key');
  setClient(value);
  await expect(step('createSecret', stage())).rejects.toThrow('wrong_credentials');
  expect(minted()).toBe(0);
});

test('what is not to be rotated is refused', async () => {
  const id = stage();
  const rotate = secret().rotate;
  secret().rotate = undefined;
  await expect(step('createSecret', id)).rejects.toThrow('not set up for rotation');
  secret().rotate = rotate;
  await expect(step('createSecret', 'no-such-version')).rejects.toThrow('not staged for rotation');
  await expect(step('createSecret', id, CLIENT_SECRET)).rejects.toThrow('not the management token');
  await expect(step('dropSecret', id)).rejects.toThrow('no such step');
  // A version that is current already has nothing to do.
  await step('createSecret', versionWith('AWSCURRENT')?.[0] ?? '');
  expect(minted()).toBe(0);
});

test('an Auth0 that does not answer the test leaves the pending token for the next try', async () => {
  const id = stage();
  await step('createSecret', id);
  service.tenant.addFaults({ path: 'org_0000000000000000', reset: 'before', times: 9 });
  await expect(step('testSecret', id)).rejects.toThrow();
  service.tenant.clearFaults();
  await step('testSecret', id);
  await step('finishSecret', id);
  expect(minted()).toBe(1);
});

const pendingToken = (access_token: string, scope = SCOPES) =>
  JSON.stringify({ access_token, expires_at: new Date(Date.now() + 3_600_000).toISOString(), scope });
test.each<[string, (own: string) => string | undefined, string]>([
  ['was never made', () => undefined, 'ResourceNotFoundException'],
  ['is empty', () => '', 'The management token secret is not JSON'],
  ['has an empty token', () => pendingToken(''), 'must be a token'],
  ['is not taken by Auth0', () => pendingToken('somebody-elses-token'), 'token_rejected'],
  ['names scopes that its token does not have', (poor) => pendingToken(poor), 'scope_missing'],
])('when the pending version %s, finishSecret leaves the current one', async (_what, made, error) => {
  const before = versionWith('AWSCURRENT')?.[0];
  const id = stage();
  const version = secret().versions.get(id);
  const value = made(service.tenant.issueToken('read:organization_connections'));
  if (version && value !== undefined) version.value = value;
  await expect(step('finishSecret', id)).rejects.toThrow(error);
  expect(versionWith('AWSCURRENT')?.[0]).toBe(before);
});

test('the time that the token has left is a metric of each rotation', async () => {
  await service.aws.rotate(TOKEN_SECRET);
  const left = service.logged('token_time_to_expiry').map(({ TokenTimeToExpiry }) => TokenTimeToExpiry);
  expect(left.at(-1)).toBeGreaterThan(86_000);
});

test('a token that Auth0 rejects has no time left, whatever it says of itself', async () => {
  service.tenant.revokeTokens();
  service.logs.length = 0;
  service.tenant.addFaults({ path: '/oauth/token', status: 401, body: { error: 'access_denied' }, times: 9 });
  await expect(service.aws.rotate(TOKEN_SECRET)).rejects.toThrow('wrong_credentials');
  expect(service.logged('token_time_to_expiry')).toMatchObject([{ TokenTimeToExpiry: 0, verdict: 'rejected' }]);
});

test.each<[what: string, status: number, body: unknown]>([
  ['a page with 403', 403, '<html>Blocked</html>'],
  ['a page with 401', 401, '<html>Blocked</html>'],
  ['JSON with 401', 401, { message: 'Unauthorized' }],
  ['JSON with 403', 403, { message: 'Forbidden' }],
])("%s of a firewall in place of Auth0's answer does not cost a good token", async (_what, status, body) => {
  const id = stage();
  await step('createSecret', id);
  service.tenant.addFaults({ path: 'org_0000000000000000', status, body, times: 1 });
  await step('testSecret', id);
  await step('finishSecret', id);
  expect(minted()).toBe(1);
});

describe('the second pair, where the stage ends sessions', () => {
  const SESSION_CLIENT = 'org-connections/local/session-client';
  const SESSION_TOKEN = 'org-connections/local/session-token';
  const SCOPE = 'read:organization_members read:organizations delete:sessions delete:refresh_tokens';
  const credentials = { client_id: 'sessions', client_secret: 'session-client-secret-0123456789' };
  beforeEach(() => {
    service.secrets.add(credentials.client_secret);
    service.tenant.setClient('sessions', { client_secret: credentials.client_secret, scope: SCOPE });
    service.aws.setSecretValue(SESSION_CLIENT, JSON.stringify(credentials));
  });
  const current = (name: string) =>
    [...service.aws.secret(name).versions.values()].find(({ stages }) => stages.has('AWSCURRENT'))?.value;

  test('is rotated by the same function with its own client, and leaves the first as it is', async () => {
    const first = current(TOKEN_SECRET);
    await service.aws.rotate(SESSION_TOKEN);
    expect(JSON.parse(current(SESSION_TOKEN) ?? '{}')).toMatchObject({ scope: SCOPE });
    expect(current(TOKEN_SECRET)).toBe(first);
    const proofs = service.tenant.calls().filter(({ path }) => path.includes('/members'));
    expect(proofs.map(({ method, path }) => `${method} ${path}`)).toContain(
      'GET /api/v2/organizations/org_0000000000000000/members?take=1',
    );
    // Its alarm must not be kept quiet by the other token's time.
    expect(metricsIn(JSON.stringify(service.logged('token_time_to_expiry').at(-1))).metrics).toMatchObject([
      { name: 'TokenTimeToExpiry', dimensions: { function: 'rotate-management-token', pair: 'session' } },
    ]);
  });

  test('lacks a scope: the first pair goes on', async () => {
    service.tenant.setClient('sessions', { client_secret: credentials.client_secret, scope: 'delete:sessions' });
    await expect(service.aws.rotate(SESSION_TOKEN)).rejects.toThrow(
      'scope_missing: The new token lacks the scopes read:organization_members, read:organizations, delete:refresh_tokens',
    );
    await service.aws.rotate(TOKEN_SECRET);
  });

  test('has more than it needs: that is told', async () => {
    const scope = `${SCOPE} update:organization_connections`;
    service.tenant.setClient('sessions', { client_secret: credentials.client_secret, scope });
    await service.aws.rotate(SESSION_TOKEN);
    expect(service.logged('scopes_not_needed').filter(({ pair }) => pair === 'session')).toMatchObject([
      { pair: 'session', scopes: ['update:organization_connections'] },
    ]);
  });
});
