// `plan --connection` finds the organizations that have a connection: all of them, or it says that it cannot.
import '../own-modules.ts';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listen } from '../listen.ts';
import { at, connection, planned, service, url } from './customers.ts';
import { offboard } from './terminal.ts';

// Retries wait for minutes: nothing is waited for here.
vi.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() }));

const CON = 'con_Compromised12345';
const ids = Array.from({ length: 250 }, (_, index) => `org_${String(index).padStart(16, 'Z')}`);
const isList = (path: string) => path.startsWith('/organizations?');
const isPageTwo = (path: string) => isList(path) && path.includes('from=100');

/** A tenant whose answers are as Auth0's, but for those that `instead` gives. */
function startTenant(instead: (path: string, count: number) => unknown) {
  const counts = new Map<string, number>();
  const answerOf = (path: string) => {
    if (!isList(path)) return { connections: [{ connection_id: CON }], start: 0, limit: 50, total: 1 };
    const query = new URL(path, 'http://x').searchParams;
    if (query.has('include_totals')) return { organizations: [{ id: ids[0] }], start: 0, limit: 1, total: ids.length };
    const from = Number(query.get('from') ?? 0);
    const organizations = ids.slice(from, from + 100).map((id) => ({ id, name: id.toLowerCase() }));
    return { organizations, ...(from + 100 < ids.length && { next: String(from + 100) }) };
  };
  return createServer((request, response) => {
    const path = (request.url ?? '').replace('/api/v2', '');
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const body = instead(path, counts.get(path) as number) ?? answerOf(path);
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
}

let tenant: ReturnType<typeof startTenant> | undefined;
afterEach(() => tenant?.close());
beforeEach(() => {
  for (const id of ids) service.tenant[id] = [connection(CON, 'provider')];
});

async function planOf(instead: (path: string, count: number) => unknown) {
  tenant = startTenant(instead);
  const env = { AUTH0_DOMAIN: await listen(tenant), AUTH0_TOKEN: 'secret-token' };
  const words = ['--action', 'disable', '--reason', 'compromised', '--out', at('plan.json'), ...url];
  return offboard(['plan', '--connection', CON, ...words], { env });
}

test('when Auth0 answers all pages, the plan has every organization', async () => {
  const { status, stderr } = await planOf(() => undefined);
  expect(status, stderr).toBe(0);
  expect(planned().organizations.map((one: { organization_id: string }) => one.organization_id)).toEqual(ids);
});

test('when an answer is no list once, it is asked for again and the plan has every organization', async () => {
  const { status, stderr } = await planOf((path, count) =>
    count === 1 && (isPageTwo(path) || path.includes(ids[7] as string)) ? {} : undefined,
  );
  expect(status, stderr).toBe(0);
  expect(planned().organizations.length).toBe(250);
});

const some = (count: number) => ids.slice(0, count).map((id) => ({ id }));
const connectionsOf = (path: string) => path.includes(`${ids[7]}/connections`);
test.for<[what: string, instead: (path: string) => unknown, says: string]>([
  ['page two is {}', (path) => (isPageTwo(path) ? {} : undefined), 'GET /organizations is no whole list'],
  ['page two is a message', (path) => (isPageTwo(path) ? { message: 'ok' } : undefined), 'is no whole list'],
  [
    'an organization of page two has no id',
    (path) => (isPageTwo(path) ? { organizations: [{ id: 'okta' }], next: '200' } : undefined),
    'is no whole list',
  ],
  [
    'the next page is named by a number',
    (path) => (isPageTwo(path) ? { organizations: some(100), next: 200 } : undefined),
    'is no whole list',
  ],
  [
    'the list of connections is {}',
    (path) => (connectionsOf(path) ? {} : undefined),
    `GET /organizations/${ids[7]}/connections is no whole list`,
  ],
  [
    'the list of connections has fewer than its total',
    (path) => (connectionsOf(path) ? { connections: [], total: 1 } : undefined),
    'is no whole list',
  ],
  [
    'the list is a bare array, full',
    (path) => (isList(path) && !path.includes('totals') ? some(100) : undefined),
    'Auth0 lists 100 of 250 organizations and does not name the rest',
  ],
  [
    'the list is full, names no next page and has no total',
    (path) => (isList(path) ? some(100) : undefined),
    'Auth0 lists 100 organizations and does not name the rest',
  ],
  [
    'a short list says that there are more',
    (path) => (isList(path) ? { organizations: some(50), total: 250 } : undefined),
    'Auth0 lists 50 of 250 organizations',
  ],
  [
    'each page names the same next one',
    (path) => (isList(path) ? { organizations: some(100), next: '100' } : undefined),
    'Auth0 lists 100 organizations and does not name the rest',
  ],
])('when %s, no plan is made of a part of the organizations', async ([, instead, says]) => {
  const { status, stderr } = await planOf(instead);
  expect(stderr).toContain(says);
  expect(stderr).toContain('Nothing was started.');
  expect(status).toBe(2);
  expect(existsSync(at('plan.json'))).toBe(false);
});

test('when the last page is full and Auth0 says that there are no more, the plan has every organization', async () => {
  const { status, stderr } = await planOf((path) => {
    if (!isList(path)) return undefined;
    return path.includes('totals') ? { organizations: some(1), total: 100 } : { organizations: some(100) };
  });
  expect(status, stderr).toBe(0);
  expect(planned().organizations.length).toBe(100);
});
