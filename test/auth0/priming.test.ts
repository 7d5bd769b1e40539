// What a function does for its first request while it loads, and that nothing is worse where that fails.
import '../own-modules.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CLIENT_SECRET, type LocalEnvironment, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import { prime } from '../../lib/priming.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
let local: LocalEnvironment;
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: 'con_PmFe8KxCsPJvZRrj' }] });
  local.tenant.clearCalls();
  local.aws.calls.length = 0;
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  local.aws.clearFaults();
  local.tenant.clearFaults();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A container that has just loaded its module, and primed itself. */
async function load() {
  vi.resetModules();
  const api = await import('../../lib/auth0/management-api.ts');
  const started = Date.now();
  await prime(api.primeCalls());
  return { api, took: Date.now() - started };
}
const list = ({ api }: Awaited<ReturnType<typeof load>>) => {
  const given = { deadline: Date.now() + 10_000, log: createLog({}), pacer: createPacer(0) };
  return api.list(ORG, createCallContext(given));
};
const reads = () => local.aws.calls.filter((name) => name === 'GetSecretValue').length;

test('when a function is primed, its first request reads no secret, and Auth0 has been sent nothing', async () => {
  const container = await load();
  expect([reads(), local.tenant.calls().length]).toEqual([1, 0]);
  expect(await list(container)).toHaveLength(1);
  expect(reads()).toBe(1);
});

test.each<[string, object]>([
  ['there is no token', { error: 'ResourceNotFoundException' }],
  ['the secret may not be read', { error: 'AccessDeniedException' }],
  ['the secret is not JSON', { answer: { SecretString: '{' } }],
  ['the token has expired', { answer: { SecretString: '{"access_token":"x","expires_at":"2020-01-01T00:00:00Z"}' } }],
])('when %s, the function loads all the same, and its first request reads the secret again', async (_what, fault) => {
  local.aws.addFaults({ operation: 'GetSecretValue', ...fault });
  const container = await load();
  expect(await list(container)).toHaveLength(1);
  expect(local.aws.calls).toEqual(['GetSecretValue', 'GetSecretValue']);
});

test('when Secrets Manager does not answer, the function loads after two seconds, and the first request waits for that read', async () => {
  local.aws.addFaults({ operation: 'GetSecretValue', delay: 2600 });
  const container = await load();
  expect(container.took).toBeGreaterThan(1900);
  expect(container.took).toBeLessThan(2500);
  expect(await list(container)).toHaveLength(1);
  expect(reads()).toBe(1);
});

test('when Auth0 is away, the function loads at once, and the first request finds it again', async () => {
  const { AUTH0_DOMAIN } = process.env;
  const { createServer } = await import('node:net');
  const closed = createServer((socket) => socket.destroy()).listen(0);
  process.env.AUTH0_DOMAIN = `http://localhost:${(closed.address() as { port: number }).port}`;
  const container = await load();
  expect(container.took).toBeLessThan(1000);
  await expect(list(container)).rejects.toMatchObject({ code: 'auth0_unavailable' });
  closed.close();
  process.env.AUTH0_DOMAIN = AUTH0_DOMAIN;
});

test('when a function is provisioned and waits until its token is about to expire, the first request reads the newer one', async () => {
  const container = await load();
  await local.aws.rotate(TOKEN_SECRET);
  local.tenant.clearCalls();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 24 * 3_600_000 - 59_000 });
  local.tenant.setClock(-24 * 3_600_000);
  const before = reads();
  expect(await list(container)).toHaveLength(1);
  expect(reads()).toBe(before + 1);
  local.tenant.setClock(0);
});

test('when the token is rotated and the older one revoked before the first request, that reads the newer one', async () => {
  const container = await load();
  local.tenant.revokeTokens();
  await local.aws.rotate(TOKEN_SECRET);
  local.tenant.clearCalls();
  expect(await list(container)).toHaveLength(1);
  expect(local.tenant.calls().map(({ status }) => status)).toEqual([401, 200]);
});

test('when Auth0 rejects the token, priming mints none and requests no rotation', async () => {
  local.tenant.revokeTokens();
  await load();
  await sleep(50);
  expect(local.aws.calls).toEqual(['GetSecretValue']);
  expect(local.tenant.calls()).toEqual([]);
  expect(local.aws.secret(CLIENT_SECRET).versions.size).toBe(1);
  await local.aws.rotate(TOKEN_SECRET);
});
