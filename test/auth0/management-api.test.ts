// What a call tells of itself when it fails: whether Auth0 may have done it, and until when it still may.
import '../own-modules.ts';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { type CallContext, createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { LATE_MS } from '../../lib/late-writes.ts';
import { createLog } from '../../lib/log.ts';
import { ignoreUnknown, type Problem } from '../../lib/problem.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
const CON = 'con_PmFe8KxCsPJvZRrj';
let local: LocalEnvironment;
let api: typeof import('../../lib/auth0/management-api.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  api = await import('../../lib/auth0/management-api.ts');
});
afterAll(() => local.close());
const lines: string[] = [];
let context: CallContext;
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, organization_access_level: 'full' }] });
  lines.length = 0;
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(String(line)) > 0);
  context = createCallContext({
    deadline: Date.now() + 20_000,
    log: createLog({}),
    pacer: createPacer(0),
    maxAttempts: 2,
  });
});

const own = (statusCode: number, more: object = {}) => ({
  status: statusCode,
  body: { statusCode, error: 'E', ...more },
});
const HTML = '<html>Blocked</html>';
const isKnown = () => context.unknownUntil === undefined;
const failed = async (work: Promise<unknown>): Promise<Problem> => {
  const [result] = await Promise.allSettled([work]);
  if (result.status === 'fulfilled') throw new Error('It did not fail');
  return result.reason;
};

describe('a disabling that failed', () => {
  test.each<[what: string, faults: Fault[], mayBeDone: boolean]>([
    ['400', [own(400)], false],
    ['403', [own(403)], false],
    ['409', [own(409)], false],
    ['a 403 of somebody else', [{ status: 403, body: HTML, times: 2 }], false],
    ['429', [{ ...own(429), headers: { 'retry-after': '600' } }], false],
    ['500', [{ status: 500, body: HTML, times: 2 }], true],
    ['504', [{ status: 504, body: HTML, times: 2 }], true],
    ['a success that is none', [{ status: 200, body: HTML, times: 2 }], true],
    ['a success that still says enabled', [{ status: 200, body: { is_enabled: true }, times: 2 }], true],
    ['a reset before it was done', [{ reset: 'before', times: 2 }], true],
    ['a reset after it was done', [{ reset: 'after', times: 2 }], true],
    ['an answer that is cut off', [{ status: 200, body: { is_enabled: false }, truncate: true, times: 2 }], true],
    ['a reset, then a 409', [{ reset: 'before' }, own(409)], true],
    ['a reset, then a rate limit', [{ reset: 'after' }, { ...own(429), headers: { 'retry-after': '600' } }], true],
    [
      'done, and nobody says so',
      [
        { method: 'PATCH', status: 200, body: {} },
        { ...own(400), method: 'GET' },
      ],
      true,
    ],
  ])('%s', async (_what, faults, mayBeDone) => {
    local.tenant.addFaults(...faults);
    expect(await failed(api.disable(ORG, CON, context))).toMatchObject({ mayBeDone });
    if (mayBeDone) expect(Math.abs((context.unknownUntil ?? 0) - Date.now() - LATE_MS)).toBeLessThan(20_000);
    else expect(isKnown()).toBe(true);
  });

  test('what was never sent is not done', async () => {
    context.deadline = Date.now();
    expect(await failed(api.disable(ORG, CON, context))).toMatchObject({ code: 'auth0_timeout', mayBeDone: false });
    expect(isKnown()).toBe(true);
  });

  test('a read that nobody answered leaves nothing unknown', async () => {
    local.tenant.addFaults({ reset: 'after', times: 2 });
    expect(await failed(api.list(ORG, context))).toMatchObject({ code: 'auth0_unavailable', mayBeDone: false });
    expect(isKnown()).toBe(true);
  });
});

test('a disabling that got through after nobody answered may still be carried out late', async () => {
  local.tenant.addFaults({ reset: 'before' });
  expect(await api.disable(ORG, CON, context)).toMatchObject({ is_enabled: false });
  expect(isKnown()).toBe(false);
});

describe('404', () => {
  test('of a connection and of an organization are told apart by the path', async () => {
    expect(await failed(api.disable(ORG, 'con_other', context))).toMatchObject({
      code: 'unknown_connection',
      status: 404,
    });
    expect(await failed(api.list('org_Qk2vN8sT5rWx1YzA', context))).toMatchObject({
      code: 'unknown_organization',
      status: 404,
    });
    expect(await api.list('org_Qk2vN8sT5rWx1YzA', context).catch(ignoreUnknown)).toBeUndefined();
    await expect(failed(api.disable(ORG, 'con_other', context)).then(ignoreUnknown)).resolves.toBeUndefined();
  });
});

describe('the access level', () => {
  const bodies = () =>
    local.tenant
      .calls()
      .filter(({ method }) => method === 'PATCH')
      .map(({ body }) => JSON.parse(body));

  test('is sent only where it is named, in the same call', async () => {
    expect(await api.disable(ORG, CON, context, 'readonly')).toMatchObject({
      is_enabled: false,
      organization_access_level: 'readonly',
    });
    await api.enable(ORG, CON, context, 'full');
    await api.disable(ORG, CON, context);
    expect(bodies()).toEqual([
      { is_enabled: false, organization_access_level: 'readonly' },
      { is_enabled: true, organization_access_level: 'full' },
      { is_enabled: false },
    ]);
  });

  test('where a tenant does not take it, the connection is disabled without, and the log tells', async () => {
    local.tenant.addFaults({
      method: 'PATCH',
      ...own(400, { message: 'Payload validation error', errorCode: 'invalid_body' }),
    });
    expect(await api.disable(ORG, CON, context, 'readonly')).toMatchObject({
      is_enabled: false,
      organization_access_level: 'full',
    });
    expect(bodies()).toEqual([{ is_enabled: false, organization_access_level: 'readonly' }, { is_enabled: false }]);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'WARN',
      code: 'access_level_not_taken',
      connection_id: CON,
    });
  });

  test('is not left out after an error that says nothing of it', async () => {
    local.tenant.addFaults({ method: 'PATCH', ...own(409) });
    expect(await failed(api.disable(ORG, CON, context, 'readonly'))).toMatchObject({ code: 'conflict' });
    expect(bodies().length).toBe(1);
  });

  test('a 400 that is about something else is one without it, too', async () => {
    local.tenant.addFaults({ method: 'PATCH', ...own(400), times: 2 });
    expect(await failed(api.disable(ORG, CON, context, 'readonly'))).toMatchObject({ code: 'rejected_by_auth0' });
  });
});

test('a request that never got a connection was not sent, one that got no answer was', async () => {
  const { send } = await import('../../lib/auth0/http-client.ts');
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const to = { method: 'PATCH', origin: new URL(`http://127.0.0.1:${port}`), path: '/', body: {} } as const;
  expect(await send({ ...to, timeout: 200 })).toMatchObject({ failure: { kind: 'timeout', sent: true } });
  // It speaks no TLS: the handshake never ends.
  const secure = { ...to, origin: new URL(`https://127.0.0.1:${port}`) };
  expect(await send({ ...secure, timeout: 200 })).toMatchObject({ failure: { kind: 'timeout', sent: false } });
  silent.close();
  expect(await send({ ...to, origin: new URL('https://no-such-tenant.invalid'), timeout: 3000 })).toMatchObject({
    failure: { kind: 'connection', sent: false },
  });
});

test("when the token lacks the scope, an organization's name is not asked for", async () => {
  expect(await api.getOrganizationName(ORG, context)).toBeNull();
  expect(local.tenant.calls()).toEqual([]);
});
