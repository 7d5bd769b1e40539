// An organization's client grants in the stand-in tenant, over a real socket; test/second-opinions has the official SDK do it.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Auth0Tenant, startAuth0Tenant } from '../../infra/local/auth0-tenant.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
const ALL = ['read', 'create', 'delete'].map((verb) => `${verb}:organization_client_grants`).join(' ');
const [ORDERS, INVOICES] = ['cgr_Orders0000000001', 'cgr_Invoices00000001'];

let tenant: Auth0Tenant;
beforeAll(async () => {
  tenant = await startAuth0Tenant();
});
afterAll(() => tenant.close());
beforeEach(() => {
  tenant.setPlan('unlimited');
  tenant.setOrganizations({ [ORG]: [] });
  tenant.setClientGrants(ORG, [
    { id: ORDERS, client_id: 'orders-sync', audience: 'https://api.example.com/', scope: ['read:orders'] },
    { id: INVOICES, client_id: 'invoices-sync', audience: 'https://api.example.com/', scope: [] },
    { id: 'cgr_Anywhere00000001', client_id: 'anywhere', allow_any_organization: true },
  ]);
});

const send = (path: string, method = 'GET', body: string | null = null, scope = ALL) =>
  fetch(`${tenant.url}/api/v2${path}`, {
    method,
    body,
    headers: { authorization: `Bearer ${tenant.issueToken(scope)}` },
  });
const GRANTS = `/organizations/${ORG}/client-grants`;
const remove = (id: string) => send(`${GRANTS}/${id}`, 'DELETE');
const add = (grant_id: string) => send(GRANTS, 'POST', JSON.stringify({ grant_id }));
const listed = async () => ((await (await send(GRANTS)).json()) as { id: string }[]).map(({ id }) => id);

test('when a page of client grants is read, it has the grants of the organization alone, with their total', async () => {
  const answer = await send(`/organizations/${ORG}/client-grants?include_totals=true&page=0&per_page=50`);
  expect(await answer.json()).toEqual({
    client_grants: [
      {
        id: ORDERS,
        client_id: 'orders-sync',
        audience: 'https://api.example.com/',
        scope: ['read:orders'],
        organization_usage: 'require',
        allow_any_organization: false,
      },
      expect.objectContaining({ id: INVOICES, client_id: 'invoices-sync', scope: [] }),
    ],
    start: 0,
    limit: 50,
    total: 2,
  });
  const second = await send(`/organizations/${ORG}/client-grants?include_totals=true&page=1&per_page=1`);
  expect(await second.json()).toMatchObject({ client_grants: [{ id: INVOICES }], start: 1, limit: 1, total: 2 });
  expect(await listed()).toEqual([ORDERS, INVOICES]);
});

test('when a grant is removed and added again, each change shows once in the list and in the log stream', async () => {
  const paths: string[] = [];
  tenant.streamLogs(({ data }) => paths.push(`${data.details.request.method} ${data.details.request.path}`));
  const before = tenant.grantEffects().length;
  expect([(await remove(ORDERS)).status, (await remove(ORDERS)).status]).toEqual([204, 204]);
  expect(tenant.clientGrants(ORG).map(({ id }) => id)).toEqual([INVOICES]);
  const added = await add(ORDERS);
  expect([added.status, await added.json()]).toMatchObject([201, { client_id: 'orders-sync' }]);
  expect([(await add(ORDERS)).status, (await add('cgr_Unknown000000001')).status]).toEqual([409, 404]);
  expect(tenant.grantEffects().slice(before)).toEqual([
    { organizationId: ORG, grantId: ORDERS, to: 'removed' },
    { organizationId: ORG, grantId: ORDERS, to: 'added' },
  ]);
  const path = `/api/v2/organizations/${ORG}/client-grants`;
  expect(paths).toEqual([`delete ${path}/${ORDERS}`, `delete ${path}/${ORDERS}`, `post ${path}`]);
});

test.each([
  ['read:organization_client_grants', 'GET', '', null],
  ['create:organization_client_grants', 'POST', '', `{"grant_id":"${ORDERS}"}`],
  ['delete:organization_client_grants', 'DELETE', `/${ORDERS}`, null],
])('when the token lacks %s, Auth0 names it', async (scope, method, inner, body) => {
  const others = ALL.replace(scope, '').trim();
  const answer = await send(`/organizations/${ORG}/client-grants${inner}`, method, body, others);
  expect(answer.status).toBe(403);
  expect(await answer.json()).toEqual({
    statusCode: 403,
    error: 'Forbidden',
    message: `Insufficient scope, expected any of: ${scope}`,
    errorCode: 'insufficient_scope',
  });
});

test('when the organization is unknown, its client grants and its name are a 404', async () => {
  for (const path of ['/organizations/org_NoSuchOrgAnyMore/client-grants', '/organizations/org_NoSuchOrgAnyMore'])
    expect((await send(path, 'GET', null, `${ALL} read:organizations`)).status).toBe(404);
});

test('when an organization is read, it has its name, and the scope read:organizations is needed', async () => {
  tenant.nameOrganization(ORG, { name: 'acme', display_name: 'Acme Corporation' });
  const answer = await send(`/organizations/${ORG}`, 'GET', null, 'read:organizations');
  expect(await answer.json()).toEqual({ id: ORG, name: 'acme', display_name: 'Acme Corporation' });
  expect((await send(`/organizations/${ORG}`)).status).toBe(403);
});

test('when reads and writes of client grants use up their buckets, those of connections stay full', async () => {
  tenant.setPlan('enterprise');
  const scope = `${ALL} read:organization_connections`;
  const read = async (part: string) => {
    const answer = await send(`/organizations/${ORG}/${part}`, 'GET', null, scope);
    return [answer.status, answer.headers.get('x-ratelimit-limit')];
  };
  for (let n = 0; n < 10; n++) expect(await read('client-grants')).toEqual([200, '10']);
  expect(await read('client-grants')).toEqual([429, '10']);
  expect(await read('connections')).toEqual([200, '10']);
  const writes: number[] = [];
  for (let n = 0; n < 6; n++)
    writes.push((await send(`/organizations/${ORG}/client-grants/${ORDERS}`, 'DELETE')).status);
  expect(writes).toEqual([204, 204, 204, 204, 204, 429]);
});

test('when somebody else gives a grant of the tenant to an organization, it is listed without an effect of ours', async () => {
  await remove(ORDERS);
  const before = tenant.grantEffects().length;
  expect(tenant.addClientGrant(ORG, ORDERS)).toBe(true);
  expect(tenant.addClientGrant(ORG, 'cgr_Unknown000000001')).toBe(false);
  expect(await listed()).toEqual([INVOICES, ORDERS]);
  expect(tenant.grantEffects().length).toBe(before);
});

test.each(['invalid_request', 'invalid_client', 'unsupported_grant_type'] as const)(
  'when the token endpoint is told to refuse with %s, it answers 400 in the form of RFC 6749',
  async (name) => {
    tenant.addFaults({ path: '/oauth/token', shape: `400 ${name}` });
    const answer = await fetch(`${tenant.url}/oauth/token`, { method: 'POST', body: 'grant_type=client_credentials' });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: name, error_description: expect.any(String) });
  },
);

test('when a page of members is told to end with an empty next, it has that and all members', async () => {
  tenant.addMembers(ORG, ['auth0|1']);
  tenant.addFaults({ path: '/members', shape: 'members with an empty next' });
  const answer = await send(`/organizations/${ORG}/members?take=100`, 'GET', null, 'read:organization_members');
  expect(await answer.json()).toEqual({ members: [{ user_id: 'auth0|1' }], next: '' });
});
