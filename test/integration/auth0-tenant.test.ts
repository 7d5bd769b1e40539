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
