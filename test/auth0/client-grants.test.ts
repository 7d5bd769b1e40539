// The client grants of an organization, on the wire: what is asked of Auth0, and what its answers mean.
import '../own-modules.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { type CallContext, createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
const GRANT = 'cgr_PmFe8KxCsPJvZRrj';
const GRANTS = `/api/v2/organizations/${ORG}/client-grants`;
let local: LocalEnvironment;
let api: typeof import('../../lib/auth0/client-grants.ts');
let context: CallContext;
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment, { MACHINE_ACCESS: 'true' });
  api = await import('../../lib/auth0/client-grants.ts');
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  context = createCallContext({
    deadline: Date.now() + 10_000,
    log: createLog({}),
    pacer: createPacer(0),
    maxAttempts: 1,
  });
});
afterEach(() => void vi.restoreAllMocks());

const meets = (...faults: Fault[]) => local.tenant.addFaults(...faults);
const sent = () =>
  local.tenant
    .calls()
    .map(({ method, path, body }) => `${method} ${path}${body && ` ${body}`}`.replace(GRANTS, 'grants'));
const grant = (id: string, more: object = {}) => ({
  id,
  client_id: 'c',
  audience: 'https://api/',
  scope: ['a'],
  ...more,
});
const page = (client_grants: object[], total: number | undefined = client_grants.length): Fault => ({
  ...{ method: 'GET', path: GRANTS, status: 200 },
  body: { client_grants, start: 0, limit: 50, total },
});
const own = (method: string, status: number, more: object = {}): Fault => ({
  ...{ method, path: GRANTS, status },
  body: { statusCode: status, error: 'E', ...more },
});

describe('the list', () => {
  test('when there are several pages, it has all grants with their settings', async () => {
    const ids = Array.from({ length: 51 }, (_, index) => `cgr_${index}`);
    meets(
      page(
        ids.slice(0, 50).map((id) => grant(id)),
        51,
      ),
      page([grant('cgr_50', { more: 1 })], 51),
    );
    const found = await api.listClientGrants(ORG, context);
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(found.at(-1)).toEqual(grant('cgr_50', { more: 1 }));
    expect(sent()).toEqual([
      'GET grants?include_totals=true&page=0&per_page=50',
      'GET grants?include_totals=true&page=1&per_page=50',
    ]);
  });
  test('when the organization has none, it is empty', async () => {
    meets(page([]));
    expect(await api.listClientGrants(ORG, context)).toEqual([]);
  });
  test('when a grant allows any organization, it is left out, and a grant without scopes has none', async () => {
    meets(
      page([grant('a', { allow_any_organization: true }), grant('b', { scope: null, allow_any_organization: false })]),
    );
    expect(await api.listClientGrants(ORG, context)).toMatchObject([{ id: 'b', scope: [] }]);
  });
  test('when Auth0 does not give all that it announces, there is no list', async () => {
    meets(page([grant('a')], 2), page([grant('a')], 2));
    await expect(api.listClientGrants(ORG, context)).rejects.toMatchObject({ code: 'auth0_unavailable' });
  });
  test('when Auth0 does not know the organization, it says so', async () => {
    meets(own('GET', 404));
    await expect(api.listClientGrants(ORG, context)).rejects.toMatchObject({ code: 'unknown_organization' });
  });
  test('when its bucket is empty, calls of connections still go', async () => {
    meets({ ...page([]), headers: { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '0' } });
    await api.listClientGrants(ORG, context);
    const { delay } = context.pacer;
    expect(delay('client_grants_read')).toBeGreaterThan(0);
    expect([delay('client_grants_write'), delay('connections_read'), delay('connections_write')]).toEqual([0, 0, 0]);
  });
});

describe('giving a grant', () => {
  const added = { method: 'POST', path: GRANTS, status: 201, body: grant(GRANT) };
  test('when Auth0 answers with it, it is done', async () => {
    meets(added);
    await api.addClientGrant(ORG, GRANT, context);
    expect(sent()).toEqual([`POST grants {"grant_id":"${GRANT}"}`]);
  });
  test('when the organization has it already, it is done', async () => {
    meets(own('POST', 409), page([grant(GRANT)]));
    await api.addClientGrant(ORG, GRANT, context);
    expect(sent()).toHaveLength(2);
  });
  test('when Auth0 refuses with a conflict, and the organization has it not, that is a conflict', async () => {
    meets(own('POST', 409), page([grant('cgr_other')]));
    await expect(api.addClientGrant(ORG, GRANT, context)).rejects.toMatchObject({ code: 'conflict', mayBeDone: false });
  });
  test('when a conflict follows a lost success, and the list fails, it is a conflict that may be done', async () => {
    context.maxAttempts = 2;
    meets({ ...added, reset: 'after' }, own('POST', 409), {
      method: 'GET',
      path: GRANTS,
      status: 500,
      body: '',
      times: 9,
    });
    await expect(api.addClientGrant(ORG, GRANT, context)).rejects.toMatchObject({ code: 'conflict', mayBeDone: true });
    expect(context.unknownUntil).toBeDefined();
  });
  test('when there is no such grant, it is not found', async () => {
    meets(own('POST', 404));
    await expect(api.addClientGrant(ORG, GRANT, context)).rejects.toMatchObject({ code: 'not_found' });
  });
  test('when another grant is answered, nobody says that it is done', async () => {
    meets({ ...added, body: grant('cgr_other') });
    await expect(api.addClientGrant(ORG, GRANT, context)).rejects.toMatchObject({
      code: 'auth0_unavailable',
      mayBeDone: true,
    });
  });
});

describe('taking a grant', () => {
  const removed: Fault = { method: 'DELETE', path: GRANTS, status: 204 };
  test('when Auth0 answers 204, it is done', async () => {
    meets(removed);
    await api.removeClientGrant(ORG, GRANT, context);
    expect(sent()).toEqual([`DELETE grants/${GRANT}`]);
  });
  test('when it is gone already, it is done', async () => {
    meets(own('DELETE', 404));
    await api.removeClientGrant(ORG, GRANT, context);
    expect(sent()).toHaveLength(1);
  });
  test('when another success is answered, the list decides', async () => {
    const strange = { ...removed, status: 200, body: {} };
    meets(strange, page([]));
    await api.removeClientGrant(ORG, GRANT, context);
    meets(strange, page([grant(GRANT)]));
    await expect(api.removeClientGrant(ORG, GRANT, context)).rejects.toMatchObject({
      code: 'auth0_unavailable',
      mayBeDone: true,
    });
  });
  test('when the id is none, nothing is asked of Auth0', async () => {
    await expect(api.removeClientGrant(ORG, '../x', context)).rejects.toThrow();
    await expect(api.addClientGrant(ORG, '', context)).rejects.toThrow();
    expect(sent()).toEqual([]);
  });
});
