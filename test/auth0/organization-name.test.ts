// The name of an organization, with a token that may read it.
import '../own-modules.ts';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import { type LocalEnvironment, SCOPES } from '../../infra/local/environment.ts';
import { type CallContext, createCallContext, workMetrics } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
const PATH = `/api/v2/organizations/${ORG}`;
let local: LocalEnvironment;
let api: typeof import('../../lib/auth0/management-api.ts');
let context: CallContext;
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  const scope = `${SCOPES} read:organizations`;
  const token = { access_token: local.tenant.issueToken(scope), scope };
  local.aws.addFaults({ operation: 'GetSecretValue', answer: { SecretString: JSON.stringify(token) } });
  api = await import('../../lib/auth0/management-api.ts');
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  context = createCallContext({ deadline: Date.now() + 10_000, log: createLog({}), pacer: createPacer(0) });
});

const answers = (status: number, body: object): Fault => ({ method: 'GET', path: PATH, status, body });
const nameAfter = (fault: Fault) => {
  local.tenant.addFaults(fault);
  return api.getOrganizationName(ORG, context);
};

test('when it has a display name, it is that, else its name, else nothing', async () => {
  const named = { id: ORG, name: 'acme', display_name: 'Acme, Inc.' };
  expect(await nameAfter(answers(200, named))).toBe('Acme, Inc.');
  expect(await nameAfter(answers(200, { ...named, display_name: '' }))).toBe('acme');
  expect(await nameAfter(answers(200, { ...named, display_name: null, name: 7 }))).toBeNull();
  expect(local.tenant.calls().map(({ path }) => path)).toEqual([PATH, PATH, PATH]);
});

test('when Auth0 refuses it or fails, there is none, the work goes on, and no alarm is raised', async () => {
  const error = (statusCode: number, errorCode: string) => answers(statusCode, { statusCode, error: 'E', errorCode });
  expect(await nameAfter(error(403, 'insufficient_scope'))).toBeNull();
  expect(await nameAfter(error(404, 'x'))).toBeNull();
  expect(await nameAfter({ reset: 'before' })).toBeNull();
  expect(local.tenant.calls(), 'each once').toHaveLength(3);
  expect(workMetrics(context)).toEqual({});
});
