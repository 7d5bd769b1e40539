// The stand-in tenant, checked by the official SDK as its client: what it says is what Auth0's own software understands.
import { generateKeyPairSync } from 'node:crypto';
import { ManagementClient, ManagementError } from 'auth0';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Auth0Tenant, startAuth0Tenant } from '../../infra/local/auth0-tenant.ts';
import { CON, ORG } from '../service.ts';

let tenant: Auth0Tenant;
let management: ManagementClient;
const ALL =
  'read:organization_connections update:organization_connections delete:organization_connections create:organization_connections';
const SESSIONS = 'read:organization_members read:organizations delete:sessions delete:refresh_tokens';
const OTHER = 'org_Qk2vN8sT5rWx1YzA';

beforeAll(async () => {
  tenant = await startAuth0Tenant();
  tenant.setClient('sdk', { client_secret: 'sdk-secret', scope: ALL });
  management = client(tenant.issueToken(ALL));
});
afterAll(() => tenant.close());

/** The SDK speaks https alone; its requests go unchanged over the stand-in's plain socket. */
const settings = () => ({
  domain: new URL(tenant.url).host,
  audience: `${tenant.url}/api/v2/`,
  maxRetries: 0,
  fetch: ((url: string, init: RequestInit) => fetch(url.replace('https:', 'http:'), init)) as typeof fetch,
});
const client = (token: string) => new ManagementClient({ ...settings(), token });
const connections = () => management.organizations.connections;

test('list, get, disable, remove and add, as the SDK has them', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: 'con_second' }] });
  const page = await connections().list(ORG, { include_totals: true } as never);
  expect(JSON.stringify(page)).toContain(CON);
  expect(await connections().get(ORG, CON)).toMatchObject({
    connection_id: CON,
    is_enabled: true,
    connection: { strategy: 'okta' },
  });
  expect(await connections().update(ORG, CON, { is_enabled: false } as never)).toMatchObject({
    connection_id: CON,
    is_enabled: false,
  });
  await connections().delete(ORG, CON);
  await connections().delete(ORG, CON);
  expect(tenant.state().organizations[ORG]?.map(({ connection_id }) => connection_id)).toEqual(['con_second']);
});

test('errors are what the SDK takes for them, with status and message', async () => {
  const failed = await connections()
    .get('org_NoSuchOrgAnyMore', CON)
    .catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(ManagementError);
  expect(failed).toMatchObject({ statusCode: 404, body: { message: 'No organization found by that id or name' } });
  await expect(
    client(tenant.issueToken('read:clients')).organizations.connections.delete(ORG, CON),
  ).rejects.toMatchObject({
    statusCode: 403,
    body: { errorCode: 'insufficient_scope' },
  });
  const revoked = tenant.issueToken(ALL);
  tenant.revokeTokens();
  await expect(client(revoked).organizations.connections.get(ORG, CON)).rejects.toMatchObject({ statusCode: 401 });
  management = client(tenant.issueToken(ALL));
});

test('the SDK gets its token by client secret and by private key', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  tenant.setClient('by-key', { public_key: publicKey, scope: ALL });
  for (const credentials of [
    { clientId: 'sdk', clientSecret: 'sdk-secret' },
    { clientId: 'by-key', clientAssertionSigningKey: privateKey },
  ]) {
    const sdk = new ManagementClient({ ...settings(), ...credentials });
    expect(await sdk.organizations.connections.get(ORG, 'con_second')).toMatchObject({ connection_id: 'con_second' });
  }
  const wrong = new ManagementClient({ ...settings(), clientId: 'sdk', clientSecret: 'wrong' });
  await expect(wrong.organizations.connections.get(ORG, 'con_second')).rejects.toThrow();
});

test('the token buckets empty and fill as documented, with their headers', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  tenant.setPlan('enterprise');
  const statuses: number[] = [];
  let headers = new Headers();
  const token = tenant.issueToken(ALL);
  for (let i = 0; i < 6; i++) {
    const answer = await fetch(`${tenant.url}/api/v2/organizations/${ORG}/connections/${CON}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"is_enabled":false}',
    });
    statuses.push(answer.status);
    headers = answer.headers;
  }
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  expect(headers.get('x-ratelimit-limit')).toBe('5');
  expect(headers.get('x-ratelimit-remaining')).toBe('0');
  expect(Number(headers.get('x-ratelimit-reset'))).toBeGreaterThan(Date.now() / 1000 - 1);
  tenant.setPlan('unlimited');
});

test('members by checkpoint and by page, and the organizations of a user', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON }], [OTHER]: [] });
  const ids = Array.from({ length: 250 }, (_, i) => `auth0|${i}`);
  tenant.addMembers(ORG, ids);
  tenant.addMembers(OTHER, ['auth0|7']);
  const { organizations, users } = client(tenant.issueToken(SESSIONS));
  const listed: (string | undefined)[] = [];
  for await (const { user_id } of await organizations.members.list(ORG, { take: 100 })) listed.push(user_id);
  expect(listed).toEqual(ids);
  expect(await get(`/organizations/${ORG}/members?page=124&per_page=2`)).toEqual([
    { user_id: 'auth0|248' },
    { user_id: 'auth0|249' },
  ]);
  expect(await get(`/organizations/${ORG}/members?page=10&per_page=100&include_totals=true`)).toMatchObject({
    members: [],
    total: 250,
  });
  const found = await users.organizations.list('auth0|7');
  expect(found.data.map(({ id }) => id)).toEqual([ORG, OTHER]);
  await expect(users.organizations.list('auth0|nobody')).rejects.toMatchObject({ statusCode: 404 });
});

test('a 202 for sessions and refresh tokens takes effect later; who is gone is a 404, and a lower plan a 403', async () => {
  tenant.addMembers(ORG, ['auth0|late']);
  const { users } = client(tenant.issueToken(SESSIONS));
  tenant.setDeletionDelay(200);
  const { rawResponse } = await users.sessions.delete('auth0|late').withRawResponse();
  expect(rawResponse.status).toBe(202);
  expect(tenant.user('auth0|late')).toEqual({ sessions: 1, refresh_tokens: 1 });
  await users.refreshToken.delete('auth0|late');
  await expect.poll(() => tenant.user('auth0|late')).toEqual({ sessions: 0, refresh_tokens: 0 });
  tenant.setDeletionDelay(0);
  tenant.deleteUser('auth0|late');
  await expect(users.sessions.delete('auth0|late')).rejects.toMatchObject({ statusCode: 404 });
  tenant.setPlan('professional');
  await expect(users.sessions.delete('auth0|7')).rejects.toMatchObject({
    statusCode: 403,
    body: { errorCode: 'insufficient_entitlement' },
  });
  tenant.setPlan('unlimited');
});

test('members and sessions count against their own bucket, the whole, or both', async () => {
  tenant.setPlan('enterprise');
  const limitOf = async (path: string, method = 'GET') => (await send(path, method)).headers.get('x-ratelimit-limit');
  expect(await limitOf(`/organizations/${ORG}/members`)).toBe('40');
  expect(await limitOf('/users/auth0%7C7/organizations')).toBe('40');
  expect(await limitOf('/users/auth0%7C7/sessions', 'DELETE')).toBe('50');
  const statuses = await Promise.all(
    Array.from({ length: 60 }, async () => (await send('/users/auth0%7C7/refresh-tokens', 'DELETE')).status),
  );
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0);
  tenant.setPlan('unlimited');
});

test('the level of access goes beside is_enabled, and a tenant that does not take it says 400', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON, organization_access_level: 'full' }] });
  const both = { is_enabled: false, organization_access_level: 'readonly' } as const;
  expect(tenant.customerEnables(ORG, CON)).toBe(true);
  expect(await connections().update(ORG, CON, both)).toMatchObject(both);
  expect(tenant.customerEnables(ORG, CON)).toBe(false);
  await expect(connections().update(ORG, CON, { organization_access_level: 'all' as never })).rejects.toMatchObject({
    statusCode: 400,
  });
  tenant.setAccessLevelTaken(false);
  await expect(connections().update(ORG, CON, both)).rejects.toMatchObject({ statusCode: 400 });
  tenant.setAccessLevelTaken(true);
  const published: string[] = [];
  tenant.stream((...ids) => published.push(ids.join(' ')));
  tenant.customerAdds(ORG, 'con_own');
  expect(published).toEqual([`${ORG} con_own`]);
  expect(await connections().get(ORG, 'con_own')).toMatchObject({
    is_enabled: true,
    organization_access_level: 'full',
  });
});

test('each write that succeeds is in the log stream, reads and refusals are not', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  const events: { data: object }[] = [];
  tenant.streamLogs((event) => events.push(event));
  await connections().get(ORG, CON);
  await connections()
    .delete('org_NoSuchOrgAnyMore', CON)
    .catch(() => undefined);
  await connections().update(ORG, CON, { is_enabled: false });
  const request = { method: 'patch', path: `/api/v2/organizations/${ORG}/connections/${CON}` };
  expect(events.map(({ data }) => data)).toEqual([
    expect.objectContaining({
      type: 'sapi',
      details: { request: expect.objectContaining(request), response: expect.objectContaining({ statusCode: 200 }) },
    }),
  ]);
});

test('a call that is given no answer is carried out all the same, later', async () => {
  tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  const state = () => tenant.state().organizations[ORG]?.[0]?.is_enabled;
  tenant.clearCalls();
  tenant.addFaults({ method: 'PATCH', late: 300 });
  const cutOff = new AbortController();
  const pending = send(`/organizations/${ORG}/connections/${CON}`, 'PATCH', '{"is_enabled":false}', cutOff.signal);
  await expect.poll(() => tenant.calls().at(-1)?.method).toBe('PATCH');
  cutOff.abort();
  await expect(pending).rejects.toThrow();
  expect(state()).toBe(true);
  await expect.poll(state).toBe(false);
});

const send = (path: string, method = 'GET', body: string | null = null, signal: AbortSignal | null = null) => {
  const headers = { authorization: `Bearer ${tenant.issueToken(`${ALL} ${SESSIONS}`)}` };
  return fetch(`${tenant.url}/api/v2${path}`, { method, headers, body, signal });
};
const get = async (path: string) => (await send(path)).json() as Promise<object>;

test('client grants are listed, removed and added, as the SDK has them', async () => {
  const GRANT = 'cgr_Orders0000000001';
  const audience = 'https://api.example.com/';
  tenant.setOrganizations({ [ORG]: [] });
  tenant.setClientGrants(ORG, [{ id: GRANT, client_id: 'orders-sync', audience, scope: ['read:orders'] }]);
  const scopes = ['read', 'create', 'delete'].map((verb) => `${verb}:organization_client_grants`);
  const grants = client(tenant.issueToken(scopes.join(' '))).organizations.clientGrants;
  expect((await grants.list(ORG)).data).toMatchObject([{ id: GRANT, audience, scope: ['read:orders'] }]);
  await grants.delete(ORG, GRANT);
  await grants.delete(ORG, GRANT);
  expect((await grants.list(ORG)).data).toEqual([]);
  expect(await grants.create(ORG, { grant_id: GRANT })).toMatchObject({ id: GRANT, client_id: 'orders-sync' });
  await expect(grants.create(ORG, { grant_id: GRANT })).rejects.toMatchObject({ statusCode: 409 });
});
