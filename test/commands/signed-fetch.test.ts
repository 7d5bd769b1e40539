// Requests as they arrive over a socket, checked as API Gateway checks them.
import { createServer, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import { wrongSignature } from '../../infra/local/signatures.ts';
import { listen } from '../listen.ts';

const USER = { accessKeyId: 'AKIDUSER', secretAccessKey: 'secret' };
const SESSION = { accessKeyId: 'ASIASESSION', secretAccessKey: 'secret', sessionToken: 'session-token' };

const arrived: { request: IncomingMessage; body: Buffer }[] = [];
const server = createServer(async (request, response) => {
  arrived.push({ request, body: Buffer.concat(await request.toArray()) });
  response.end('{}');
});
let url: string;
beforeAll(async () => {
  url = `${await listen(server)}/organizations/org_a/offboarding`;
});
afterAll(() => server.close());

/** What API Gateway finds wrong with the request that arrives when `credentials` sign it, and its path with its query. */
async function verdict(query: string, init: RequestInit = {}, credentials: typeof USER = USER) {
  arrived.splice(0);
  await signedFetchAs(credentials)(url + query, init);
  const [{ request, body } = {}] = arrived;
  const { method = '', url: path = '', headers = {} } = request ?? {};
  const wrong = await wrongSignature({ method, url: path, headers, body: body ?? Buffer.alloc(0) }, [USER, SESSION]);
  return { wrong, path };
}

test.each([
  ['a blank, as URLSearchParams writes it', `?${new URLSearchParams({ reason: 'contract ended' })}`],
  ['a blank, as %20', '?reason=contract%20ended'],
  ['a plus', '?reason=1%2B1'],
  ["marks that a URL may have as they are: !'()*", "?reason=it's(over)*!"],
  ['several parameters in any order, one of them twice', '?status=failed&since=2026-01-01&batch_id=b&status=completed'],
  ['nothing', ''],
])('when the query has %s, the signature fits what is sent', async (_what, query) => {
  const { wrong, path } = await verdict(query);
  expect(wrong).toBeUndefined();
  expect(path).not.toContain('+');
  expect(new URL(path, 'http://x').searchParams.toString()).toBe(new URLSearchParams(query).toString());
});

test('when the caller has a session, its token is sent; when there is a body, it is signed', async () => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"action":"disable"}' };
  expect(await verdict('?x=1', init, SESSION)).toMatchObject({ wrong: undefined });
  expect(arrived[0]?.body.toString()).toBe(init.body);
  expect((await verdict('', init, { ...SESSION, secretAccessKey: 'other' })).wrong).toContain('secret key');
});

test('when a blank is sent as a plus, API Gateway refuses it', async () => {
  await verdict('?reason=contract%20ended');
  const { method = '', url: path = '', headers = {} } = arrived[0]?.request ?? {};
  const withPlus = { method, url: path.replace('%20', '+'), headers, body: Buffer.alloc(0) };
  expect(await wrongSignature(withPlus, [USER])).toContain('secret key');
});
