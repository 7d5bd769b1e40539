// What operators have stored as credentials, and what the token endpoint has left out, one line a case.
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_SECRET, SCOPES, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
});
afterAll(() => service.close());
beforeEach(() => {
  service.tenant.clearFaults();
  service.tenant.setClock(0);
  store(json);
  // A rotation that failed is given up.
  for (const { stages } of service.aws.secret(TOKEN_SECRET).versions.values()) stages.delete('AWSPENDING');
  // A container of its own knows no earlier token.
  service.functionNamed('disable-connection').kill();
});

const current = (name: string) =>
  [...service.aws.secret(name).versions.values()].find(({ stages }) => stages.has('AWSCURRENT'));
const store = (value: string | Buffer) => {
  const version = current(CLIENT_SECRET);
  if (version)
    Object.assign(
      version,
      typeof value === 'string' ? { value, binary: undefined } : { value: undefined, binary: value },
    );
};

const good = { client_id: 'org-connections-local', client_secret: 'local-client-secret-0123456789' };
const json = JSON.stringify(good);
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const pkcs1 = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const spki = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const encrypted = privateKey
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString();
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
const withKey = (private_key: unknown) => JSON.stringify({ client_id: 'with-key', private_key });

describe('credentials whose meaning is plain are taken', () => {
  test.each<[what: string, stored: string | Buffer]>([
    ['a byte order mark', `\uFEFF${json}`],
    ['a last line end', `${json}\r\n`],
    ['JSON inside a JSON string', JSON.stringify(json)],
    ['JSON inside a JSON string, with a byte order mark in it', JSON.stringify(`\uFEFF${json}\n`)],
    ['the binary form', Buffer.from(json)],
    ['the binary form with a byte order mark', Buffer.from(`\uFEFF${json}`)],
    ['UTF-16 as Windows writes it', Buffer.from(`\uFEFF${json}`, 'utf16le')],
    ['a secret pasted with a line end', JSON.stringify({ ...good, client_secret: `${good.client_secret}\n` })],
    ['a client id pasted with blanks', JSON.stringify({ ...good, client_id: ` ${good.client_id}\t` })],
    ['members of its own', JSON.stringify({ ...good, domain: 'x', note: null })],
    ['a key', withKey(pem)],
    ['a key in PKCS #1', withKey(pkcs1)],
    ['a key with CRLF', withKey(pem.replaceAll('\n', '\r\n'))],
    ['a key whose line ends are written out', withKey(pem.replaceAll('\n', '\\n'))],
    ['a key whose line ends are written out twice', withKey(pem.replaceAll('\n', '\\\\n'))],
    ['a key whose CRLF is written out', withKey(pem.replaceAll('\n', '\\r\\n'))],
    ['a key in one line', withKey(pem.replaceAll('\n', ' '))],
    ['a key without line ends', withKey(pem.replaceAll('\n', ''))],
    ['a key with text around it', withKey(`Key:\n${pem}\n`)],
    ['a key in base64', withKey(Buffer.from(pem).toString('base64'))],
    ['a key in place of the secret', JSON.stringify({ client_id: 'with-key', client_secret: pem })],
  ])('when they are stored with %s, the rotation uses them', async (_what, stored) => {
    service.tenant.setClient('with-key', { public_key: spki, scope: SCOPES });
    store(stored);
    const before = current(TOKEN_SECRET)?.value;
    await service.aws.rotate(TOKEN_SECRET);
    expect(current(TOKEN_SECRET)?.value).not.toBe(before);
  });
});

describe('credentials whose meaning is not plain are refused', () => {
  test.each<[what: string, stored: string, error: RegExp]>([
    ['no JSON', 'client_id=canary-in-secret', /is not JSON; it is to be/],
    ['a list', '["canary-in-secret"]', /client_id: is missing/],
    ['text', '"canary-in-secret"', /is not JSON/],
    ['no client id', '{"client_secret":"canary-in-secret"}', /client_id: is missing/],
    ['an empty secret', '{"client_id":"a","client_secret":""}', /client_secret: must not be empty/],
    ['a blank secret', '{"client_id":"a","client_secret":"  "}', /client_secret: must not be empty/],
    ['neither secret nor key', '{"client_id":"canary-in-secret"}', /neither client_secret nor private_key/],
    ['a key that is no PEM', withKey('canary-in-secret'), /is not PEM/],
    ['a key whose end is missing', withKey(pem.slice(0, 200)), /END line is missing/],
    ['a key that is damaged', withKey(pem.replace(/[A-Z]{3}/, '***')), /damaged|not PEM/],
    ['a public key', withKey(spki), /its PEM is a public key/],
    ['an encrypted key', withKey(encrypted), /encrypted; store it without a passphrase/],
    ['a key of another kind', withKey(elliptic), /not an RSA key/],
  ])('when they are %s, the error says what is wrong and quotes nothing', async (_what, stored, error) => {
    store(stored);
    await expect(service.aws.rotate(TOKEN_SECRET)).rejects.toThrow(error);
    expect(service.logs.join('')).not.toContain('canary-in-secret');
    expect(service.logged('rotation_step_failed').at(-1)).toMatchObject({ reason: 'wrong_credentials' });
  });
});

describe('two clocks and optional members', () => {
  test.each([-50, -5, 5, 50])('a tenant whose clock is %i seconds off takes the assertion', async (seconds) => {
    service.tenant.setClient('with-key', { public_key: spki, scope: SCOPES });
    service.tenant.setClock(seconds * 1000);
    store(withKey(pem));
    await service.aws.rotate(TOKEN_SECRET);
  });

  test.each<[what: string, change: object, after?: string]>([
    ['without expires_in', { expires_in: undefined }],
    ['with expires_in as text', { expires_in: '86400' }],
    ['without scope', { scope: undefined }],
    ['without both, and without token_type', { expires_in: undefined, scope: null, token_type: undefined }],
    ['with a line end after it', {}, '\n'],
  ])('a token %s: its own claims fill in', async (_what, change, after = '') => {
    const access_token = service.tenant.issueToken(SCOPES, 86_400);
    const usual = { access_token: access_token + after, scope: SCOPES, expires_in: 86_400, token_type: 'Bearer' };
    service.tenant.addFaults({ path: '/oauth/token', status: 200, body: { ...usual, ...change } });
    await service.aws.rotate(TOKEN_SECRET);
    const stored = JSON.parse(current(TOKEN_SECRET)?.value ?? '{}');
    expect(stored).toMatchObject({ access_token, scope: SCOPES });
    expect(Math.abs(Date.parse(stored.expires_at) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    expect((await service.request('disable-connection')).status).toBe(200);
  });

  test('a token that neither says when it expires nor is one that could is refused with a word', async () => {
    service.tenant.addFaults({
      path: '/oauth/token',
      status: 200,
      body: { access_token: 'opaque-0123456789' },
      times: 9,
    });
    await expect(service.aws.rotate(TOKEN_SECRET)).rejects.toThrow(/did not say when the token expires/);
  });

  test('a stored token without its scope or its time: the token has them', async () => {
    const version = current(TOKEN_SECRET);
    if (version) version.value = JSON.stringify({ access_token: service.tenant.issueToken(SCOPES, 3600) });
    expect((await service.request('disable-connection')).status).toBe(200);
  });
});
