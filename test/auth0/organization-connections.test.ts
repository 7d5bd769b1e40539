// What Auth0 answers about an organization's connections, and what is made of it: a list is whole or none, and a change is done
// or is not said to be.
import '../own-modules.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { type CallContext, createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import { ignoreUnknown } from '../../lib/problem.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
const NOBODY = 'org_Zz9Yx8Wv7Ut6Sr5Q';
const CON = 'con_PmFe8KxCsPJvZRrj';
const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
let local: LocalEnvironment;
let api: typeof import('../../lib/auth0/management-api.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  api = await import('../../lib/auth0/management-api.ts');
});
afterAll(() => local.close());
let context: CallContext;
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }] });
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  context = createCallContext({
    deadline: Date.now() + 20_000,
    log: createLog({}),
    pacer: createPacer(0),
    maxAttempts: 1,
  });
});
const asked = () =>
  local.tenant.calls().map(({ method, path }) => `${method} ${path.replace('/api/v2/organizations/', '')}`);
const meets = (...faults: Fault[]) => local.tenant.addFaults(...faults);
const listing = async () => {
  const found = await api.list(ORG, context).catch((error) => error.code as string);
  return typeof found === 'string' ? found : found.map(({ connection_id, is_enabled }) => [connection_id, is_enabled]);
};
const BOTH = [
  [CON, true],
  [CON2, false],
];
const PAGE = `GET ${ORG}/connections?include_totals=true&`;

describe('a list', () => {
  test('that says how many there are is one call, and knows no organization by a wrong id', async () => {
    expect(await listing()).toEqual(BOTH);
    expect(asked()).toEqual([`${PAGE}page=0&per_page=50`]);
    await expect(api.list(NOBODY, context)).rejects.toMatchObject({ code: 'unknown_organization' });
  });
  test('of an organization without connections is empty only where Auth0 says so', async () => {
    local.tenant.setOrganizations({ [ORG]: [] });
    expect(await listing()).toEqual([]);
    meets({ shape: 'an empty list that is none', times: 9 });
    expect(await listing()).toBe('auth0_unavailable');
  });
  test.each(['bare list', 'total missing', 'total null'] as const)(
    '%s: is whole when the next page brings nothing new',
    async (shape) => {
      meets({ shape, times: 9 });
      expect(await listing()).toEqual(BOTH);
      expect(asked()).toEqual([`${PAGE}page=0&per_page=50`, `${PAGE}page=1&per_page=50`]);
    },
  );
  test('by linked pages is whole after the last of them', async () => {
    meets({ shape: 'pages with next', times: 9 });
    expect(await listing()).toEqual(BOTH);
    expect(asked()).toEqual([`${PAGE}page=0&per_page=50`, `${PAGE}from=1&take=50`, `${PAGE}from=2&take=50`]);
  });
  test('by linked pages that end before their total, or have none, is none', async () => {
    const page = (body: object) => meets({ method: 'GET', status: 200, body });
    page({ connections: [{ connection_id: CON, is_enabled: true }], total: 2, next: 'a b&c' });
    page({ connections: [{ connection_id: CON2, is_enabled: false }], total: 2 });
    expect(await listing()).toEqual(BOTH);
    expect(asked()[1]).toBe(`${PAGE}from=a%20b%26c&take=50`);
    page({ connections: [{ connection_id: CON, is_enabled: true }], total: 3, next: '1' });
    page({ connections: [{ connection_id: CON2, is_enabled: true }], total: 3 });
    expect(await listing()).toBe('auth0_unavailable');
    page({ connections: [], next: '1' });
    page({ connections: [] });
    expect(await listing(), 'nobody says that there is none').toBe('auth0_unavailable');
  });
  test('that goes on for longer than any organization has connections ends, and is none', async () => {
    meets({ shape: 'total of more than is listed', times: 99 });
    await expect(api.list(ORG, context)).rejects.toMatchObject({
      code: 'auth0_unavailable',
      message: expect.stringContaining('does not list all'),
    });
    expect(asked().length).toBe(2);
    local.tenant.clearFaults();
    local.tenant.clearCalls();
    for (let n = 0; n < 9; n++)
      meets({
        method: 'GET',
        status: 200,
        body: { connections: [{ connection_id: `con_${n}`, is_enabled: true }], next: `${n}` },
      });
    expect(await listing()).toBe('auth0_unavailable');
    expect(asked().length).toBe(4);
  });
  test('that does not say whether one is enabled asks for that one; what is gone by then is left out', async () => {
    const body = { connections: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }], total: 2 };
    meets({ method: 'GET', status: 200, body });
    expect(await listing()).toEqual(BOTH);
    expect(asked()[1]).toBe(`GET ${ORG}/connections/${CON}`);
    meets({ method: 'GET', status: 200, body });
    meets({ path: CON, shape: 'gone since it was listed' });
    expect(await listing()).toEqual([[CON2, false]]);
    meets({ method: 'GET', status: 200, body });
    meets({ path: CON, status: 400, body: { statusCode: 400, error: 'Bad Request', message: 'x' } });
    expect(await listing()).toBe('rejected_by_auth0');
  });
});

test('a change that is answered with its state is one call, and its time is known', async () => {
  expect(await api.disable(ORG, CON, context)).toMatchObject({ is_enabled: false });
  expect(asked()).toEqual([`PATCH ${ORG}/connections/${CON}`]);
  expect(context.auth0Ms).toBeLessThan(20_000);
  meets({ method: 'PATCH', status: 300, body: { connection_id: CON, is_enabled: true } });
  await expect(api.enable(ORG, CON, context), 'no success').rejects.toMatchObject({ code: 'auth0_unavailable' });
});

describe('a change that is answered without its state', () => {
  const enabled = async () => (await api.get(ORG, CON, context)).is_enabled;
  test.each(['connection id alone', 'is_enabled missing', 'is_enabled null', 'empty body'] as const)(
    '%s: is asked for, and done when Auth0 has it so',
    async (shape) => {
      meets({ method: 'PATCH', shape });
      expect(await api.disable(ORG, CON, context)).toMatchObject({ connection_id: CON, is_enabled: false });
      expect(asked()).toEqual([`PATCH ${ORG}/connections/${CON}`, `GET ${ORG}/connections/${CON}`]);
      meets({ method: 'PATCH', shape });
      expect(await api.enable(ORG, CON, context)).toMatchObject({ is_enabled: true });
    },
  );
  test('is not said to be done when Auth0 has it otherwise, does not say, or cannot be asked', async () => {
    const notDone = { code: 'auth0_unavailable', mayBeDone: true };
    const said = (state: string) => ({ ...notDone, message: `Auth0 does not say that the connection is ${state}` });
    for (const shape of ['still enabled', 'is_enabled missing'] as const) {
      meets({ method: 'PATCH', shape: 'connection id alone' }, { method: 'GET', shape });
      await expect(api.disable(ORG, CON, context), shape).rejects.toMatchObject(said('disabled'));
    }
    meets({ method: 'PATCH', shape: 'connection id alone' }, { method: 'GET', shape: 'is_enabled null' });
    await expect(api.enable(ORG, CON, context)).rejects.toMatchObject(said('enabled'));
    meets({ method: 'PATCH', shape: 'connection id alone' }, { method: 'GET', status: 503, body: '' });
    await expect(api.disable(ORG, CON, context)).rejects.toMatchObject(notDone);
    expect(await enabled()).toBe(false);
  });
  test('or for another connection, is none', async () => {
    meets({ method: 'PATCH', status: 200, body: { connection_id: CON2, is_enabled: false } });
    await expect(api.disable(ORG, CON, context)).rejects.toMatchObject({ code: 'auth0_unavailable' });
  });
});

describe('a removal', () => {
  const connections = () => local.tenant.state().organizations[ORG]?.map(({ connection_id }) => connection_id);
  test('is done with a 204, also of what was gone', async () => {
    await api.remove(ORG, CON, context);
    await api.remove(ORG, CON, context);
    expect(connections()).toEqual([CON2]);
    expect(asked()).toEqual([`DELETE ${ORG}/connections/${CON}`, `DELETE ${ORG}/connections/${CON}`]);
  });
  test('that is answered with another success is asked for', async () => {
    meets({ method: 'DELETE', shape: '200 instead of 204' });
    await api.remove(ORG, CON, context);
    expect(asked()).toEqual([`DELETE ${ORG}/connections/${CON}`, `GET ${ORG}/connections/${CON}`]);
    const wrong = { method: 'DELETE', status: 200, body: {} };
    meets(wrong);
    await expect(api.remove(ORG, CON2, context)).rejects.toMatchObject({
      code: 'auth0_unavailable',
      mayBeDone: true,
      message: 'Auth0 does not say that the connection is removed',
    });
    meets(wrong, { method: 'GET', status: 503, body: '' });
    await expect(api.remove(ORG, CON2, context)).rejects.toMatchObject({ code: 'auth0_unavailable', mayBeDone: true });
    meets({ method: 'DELETE', status: 200, body: '<html>Sign in</html>' });
    await expect(api.remove(ORG, CON2, context), 'somebody else answered').rejects.toMatchObject({
      code: 'auth0_unavailable',
      message: expect.stringContaining('not as it documents'),
    });
    expect(connections()).toEqual([CON2]);
  });
});

describe('what is not there is told apart', () => {
  const which = (organizationId: string, error: unknown) =>
    Promise.reject(error)
      .catch(api.explainUnknown(organizationId, context))
      .catch((thrown) => thrown);
  test('an organization from its connection, by a page of its list', async () => {
    const gone = await api.disable(ORG, 'con_Gone', context).catch((error) => error);
    local.tenant.clearCalls();
    expect(await which(ORG, gone)).toBe(gone);
    expect(asked()).toEqual([`${PAGE}page=0&per_page=1`]);
    expect(await which(NOBODY, gone)).toMatchObject({ code: 'unknown_organization' });
  });
  test('and nothing is asked after any other error', async () => {
    for (const error of [new Error('x'), await api.list(NOBODY, context).catch((thrown) => thrown)]) {
      local.tenant.clearCalls();
      expect(await which(ORG, error)).toBe(error);
      expect(asked()).toEqual([]);
    }
    for (const code of ['unknown_connection_x', 'x_unknown_connection', 'conflict'])
      expect(() => ignoreUnknown(Object.assign(new Error('x'), { code }))).toThrow();
  });
});
