// A page of an organization's members, in each form in which Auth0 may give it: never a part of them for all.
import '../own-modules.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type LocalEnvironment, SESSION_TOKEN_SECRET } from '../../infra/local/environment.ts';
import { type CallContext, createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const ORG = 'org_bCE84ZIRjtX58FeO';
let local: LocalEnvironment;
let api: typeof import('../../lib/sessions/members.ts');
let context: CallContext;
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false, plan: 'unlimited' });
  Object.assign(process.env, local.environment, { SESSION_TOKEN_SECRET_ID: SESSION_TOKEN_SECRET });
  const access_token = local.tenant.issueToken('read:organization_members');
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  local.aws.setSecretValue(SESSION_TOKEN_SECRET, JSON.stringify({ access_token, expires_at }));
  api = await import('../../lib/sessions/members.ts');
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  local.tenant.forgetMembers();
  local.tenant.setOrganizations({ [ORG]: [] });
  const pacer = createPacer(0);
  context = createCallContext({ deadline: Date.now() + 10_000, log: createLog({}), pacer, maxAttempts: 1 });
});

const people = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `auth0|person-${from + i}`);
const listed = (count: number, from?: number) => people(count, from).map((user_id) => ({ user_id }));
const answers = (path: string, body: unknown) =>
  local.tenant.addFaults({ method: 'GET', path, status: 200, body, times: 99 });
async function all(): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const { ids, next } = await api.membersFrom(ORG, cursor, context);
    found.push(...ids);
    cursor = next;
  } while (cursor !== undefined);
  return found;
}
const queries = () => local.tenant.calls().map(({ path }) => path.replace(/^.*\?(.*)&fields=user_id$/, '$1'));

test("Auth0's own cursors are followed to their end", async () => {
  local.tenant.addMembers(ORG, people(120));
  expect(await all()).toEqual(people(120));
  expect(queries().length).toBe(3);
});

test.each([
  ['a bare list of a full page', () => listed(50)],
  ['a full page of more than it has', () => ({ members: listed(50), total: 120 })],
])('when the first page is %s, it goes on by number', async (_what, first) => {
  local.tenant.addMembers(ORG, people(120));
  answers('members?take=50', first());
  expect(await all()).toEqual(people(120));
  expect(queries()).toEqual(['take=50', 'page=1&per_page=50', 'page=2&per_page=50']);
});

test.each([
  ['a bare list that is not full', () => listed(49), 49],
  ['a full page of as many as there are', () => ({ members: listed(50), total: 50 }), 50],
  ['a linked page without another', () => ({ members: listed(50) }), 50],
  ['a list that knows no pages', () => listed(70), 70],
  ['nobody', () => ({ members: [] }), 0],
])('when the first page is %s, it is all', async (_what, first, count) => {
  answers('members?take=50', first());
  expect(await all()).toEqual(people(count));
  expect(queries()).toEqual(['take=50']);
});

test('when exactly a full page of members is listed bare, the next page says that it was all', async () => {
  local.tenant.addMembers(ORG, people(50));
  answers('members?take=50', listed(50));
  expect(await all()).toEqual(people(50));
  expect(queries()).toEqual(['take=50', 'page=1&per_page=50']);
});

test.each<[string, string, string | undefined, () => unknown]>([
  ['a part of what there is', 'members?take=50', undefined, () => ({ members: listed(3), total: 120 })],
  ['the same cursor again', 'from=abc', 'abc', () => ({ members: listed(50), next: 'abc' })],
  ['a full bare list behind a cursor', 'from=abc', 'abc', () => listed(50)],
  ['the last page that numbers lead to, and it is full', 'members?page=19', 'page 19', () => listed(50)],
])('when Auth0 answers %s, it is taken for no page', async (_what, path, cursor, body) => {
  answers(path, body());
  await expect(api.membersFrom(ORG, cursor, context)).rejects.toMatchObject({ code: 'auth0_unavailable' });
});
