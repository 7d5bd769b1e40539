// A caller who tries its signing on the laptop must not be told that it is right when API Gateway would refuse it.
import { SignatureV4 } from '@smithy/signature-v4';
import { expect, test } from 'vitest';
import { Sha256 } from '../../infra/commands/signed-fetch.ts';
import { wrongSignature } from '../../infra/local/signatures.ts';

const CREDENTIALS = { accessKeyId: 'AKIDLAPTOP', secretAccessKey: 'laptop-secret' };
const SESSION = { accessKeyId: 'ASIALAPTOP', secretAccessKey: 'session-secret', sessionToken: 'session-token' };

/** A signed request as it arrives, before anybody changes it. */
async function signed({ service = 'execute-api', credentials = CREDENTIALS, signingDate = new Date() } = {}) {
  const signer = new SignatureV4({ service, region: 'us-east-1', credentials, sha256: Sha256 as never });
  const { headers } = await signer.sign(
    {
      protocol: 'http:',
      hostname: 'localhost',
      method: 'POST',
      path: '/organizations/org_a/offboarding',
      query: { reason: 'a b/c', x: ['2', '1'] },
      headers: { host: 'localhost:3000', 'content-type': 'application/json' },
      body: '{}',
    },
    { signingDate },
  );
  const url = '/organizations/org_a/offboarding?x=1&x=2&reason=a%20b%2Fc';
  return { method: 'POST', url, headers, body: Buffer.from('{}') };
}
const check = (request: Awaited<ReturnType<typeof signed>>) => wrongSignature(request, [CREDENTIALS, SESSION]);

test('what is signed as it should be is let through, with a session or without', async () => {
  expect(await check(await signed())).toBeUndefined();
  expect(await check(await signed({ credentials: SESSION }))).toBeUndefined();
});

test.each<[string, object]>([
  ['another method', { method: 'DELETE' }],
  ['another path', { url: '/organizations/org_b/offboarding?x=1&x=2&reason=a%20b%2Fc' }],
  ['another query', { url: '/organizations/org_a/offboarding?x=1&x=2&reason=other' }],
  ['another body', { body: Buffer.from('{"action":"remove"}') }],
])('%s is not what was signed', async (_what, change) => {
  const request = await signed();
  expect(await check({ ...request, ...change })).toBeTruthy();
  // Also where the signer sends no hash of the body along, as botocore's does not.
  const { 'x-amz-content-sha256': _, ...headers } = request.headers;
  expect(await check({ ...request, ...change, headers })).toBeTruthy();
});

test.each<[string, Record<string, string | undefined>]>([
  ['no signature', { authorization: undefined }],
  ['a token', { authorization: 'Bearer eyJ' }],
  ['another host', { host: 'example.com' }],
  ['another content type', { 'content-type': 'text/plain' }],
  ['another time', { 'x-amz-date': new Date(Date.now() - 60_000).toISOString().replace(/[-:]|\.\d+/g, '') }],
])('%s is refused', async (_what, headers) => {
  const request = await signed();
  expect(await check({ ...request, headers: { ...request.headers, ...headers } as never })).toBeTruthy();
});

test('another service, an old signature, an unknown key and a missing session token are refused', async () => {
  expect(await check(await signed({ service: 's3' }))).toContain('s3');
  expect(await check(await signed({ signingDate: new Date(Date.now() - 600_000) }))).toContain('five minutes');
  expect(await check(await signed({ credentials: { ...CREDENTIALS, accessKeyId: 'AKIDOTHER' } }))).toContain('nobody');
  expect(await check(await signed({ credentials: { ...CREDENTIALS, secretAccessKey: 'x' } }))).toContain('secret key');
  const request = await signed({ credentials: SESSION });
  const { 'x-amz-security-token': _, ...headers } = request.headers;
  expect(await check({ ...request, headers })).toContain('x-amz-security-token');
});
