// The networks and machines that companies have: proxies, single sign-on, sessions that end.
import '../own-modules.ts';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { at, KEYS, makePlan, service } from './customers.ts';
import { startProxy } from './proxy.ts';
import { offboard, offboardAsProcess } from './terminal.ts';

let proxy: Awaited<ReturnType<typeof startProxy>>;
beforeEach(async () => {
  proxy = await startProxy(service.url);
});
afterEach(() => proxy.close());

const plan = (...more: string[]) => [
  ...['plan', at('list.csv'), '--action', 'disable', '--reason', 'x', '--out', at('plan.json'), '--stage', 'prod'],
  ...more,
];
/** A file with a name that no other test has: AWS's SDK reads a file once a process. */
const write = (name: string, text: string) => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
  return at(name);
};

test('when HTTP_PROXY is set, AWS and the API are reached through it; NO_PROXY names what is not', async () => {
  service.settings.apiUrl = 'http://api.example.test';
  const env = { ...KEYS, AWS_ENDPOINT_URL: 'http://aws.example.test', http_proxy: proxy.url };
  const made = await offboardAsProcess(plan(), { env });
  expect(made, made.stderr).toMatchObject({ status: 0 });
  expect(new Set(proxy.seen)).toEqual(new Set(['CONNECT aws.example.test:80', 'CONNECT api.example.test:80']));
  proxy.seen.length = 0;
  const without = await offboard(plan(), { env: { ...env, NO_PROXY: 'aws.example.test' } });
  expect(without.stderr).toMatch(/^AWS was not reached: .*aws\.example\.test.*Is there a network, a VPN/);
  expect(without.status).toBe(2);
  expect(proxy.seen).toEqual([]);
});

test('when HTTPS_PROXY is set, STS and single sign-on are reached through it, each in its own region', async () => {
  const sts = await offboard(plan(), { env: { ...KEYS, HTTPS_PROXY: proxy.url } });
  expect(sts.stderr).toContain('AWS was not reached');
  expect(proxy.seen).toContain('CONNECT sts.eu-west-1.amazonaws.com:443');
  proxy.seen.length = 0;
  const AWS_CONFIG_FILE = write(
    'single-sign-on',
    `[profile work]
sso_session = company
sso_account_id = 123456789012
sso_role_name = operators
region = eu-west-1
[sso-session company]
sso_region = us-east-1
sso_start_url = https://company.awsapps.com/start
`,
  );
  const cache = `.aws/sso/cache/${createHash('sha1').update('company').digest('hex')}.json`;
  write(cache, JSON.stringify({ accessToken: 'x', expiresAt: new Date(Date.now() + 3_600_000).toISOString() }));
  const env = { AWS_CONFIG_FILE, HOME: at('.'), HTTPS_PROXY: proxy.url };
  const sso = await offboard(plan('--profile', 'work', '--region', 'eu-central-1'), { env });
  expect(proxy.seen).toContain('CONNECT portal.sso.us-east-1.amazonaws.com:443');
  expect(sso.stderr).toContain('AWS was not reached');
  expect(sso.status).toBe(2);
});

test('when a proxy is of a kind that is not supported, it is refused by name', async () => {
  for (const [env, says] of [
    [{ HTTPS_PROXY: 'socks5://127.0.0.1:1080' }, 'HTTPS_PROXY is no address that begins with http:// or https://'],
    [{ all_proxy: 'http://127.0.0.1:1080' }, 'ALL_PROXY is not supported: set HTTPS_PROXY'],
    [{ AWS_CA_BUNDLE: '/none.pem' }, 'AWS_CA_BUNDLE cannot be read'],
  ] as [Record<string, string>, string][])
    expect(await offboard(plan(), { env })).toMatchObject({ status: 2, stderr: expect.stringContaining(says) });
});

test('when nobody is logged in, the advice is that of the profile', async () => {
  const AWS_CONFIG_FILE = write(
    'logins',
    `[profile console]
login_session = arn:aws:iam::123456789012:user/kim
region = eu-west-1
[profile role]
source_profile = console
role_arn = arn:aws:iam::123456789012:role/operators
region = eu-west-1
[profile sso]
sso_start_url = https://company.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = operators
region = eu-west-1
`,
  );
  for (const [profile, says] of [
    ['console', 'Please log in (aws login --profile console)'],
    ['role', 'Please log in (aws login --profile console)'],
    ['sso', 'Please log in (aws sso login --profile sso)'],
  ] as const) {
    const { status, stderr } = await offboard(plan('--profile', profile), { env: { AWS_CONFIG_FILE, HOME: at('.') } });
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  }
});

test('when the session ends, apply and the watching say so, how to log in again, and how to go on', async () => {
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  await offboard(plan(), { env });
  service.settings.hold = true;
  const running = offboard(['apply', at('plan.json'), '--yes'], { env });
  while (!service.received.some(({ query }) => query.status === 'working'))
    await new Promise((resolve) => setTimeout(resolve, 5));
  service.settings.hasSessionEnded = true;
  const { status, stderr } = await running;
  expect(stderr).toMatch(
    /^The session of arn:aws:sts::123456789012:assumed-role\/operators\/kim has ended\. Please renew the keys/,
  );
  expect(stderr).toContain('the work goes on. To watch it again:\n  npm run offboard -- status ');
  expect(stderr).not.toContain('policy');
  expect(status).toBe(1);
  const before = service.received.length;
  const again = await offboard(['apply', at('plan.json'), '--yes'], { env });
  expect(again.stderr).toMatch(/has ended.*nothing was started now/);
  expect(again.status).toBe(2);
  // One refusal is enough.
  expect(service.received.length).toBe(before + 1);
});

test('when the API refuses for want of a policy, the session is not blamed', async () => {
  await makePlan();
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  service.faults.push({ method: 'POST', path: '/offboardings', times: 1, status: 403, body: { message: 'Forbidden' } });
  expect((await offboard(plan('--out', at('other.json')), { env })).stderr).toContain('needs the policy of this route');
});

test('when AWS_CA_BUNDLE names the certificates of a company, they are trusted beside those of Node', async () => {
  const paths = { key: at('key.pem'), cert: at('cert.pem'), bundle: at('bundle.pem') };
  for (const name of ['other', 'company']) await makeCertificate(name, paths);
  const options = { key: readFileSync(paths.key), cert: readFileSync(paths.cert) };
  const gateway = createServer(options, async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    const body = method === 'GET' ? undefined : await text(request);
    const answer = await fetch(service.url + path, { method, headers: headers as never, ...(body && { body }) });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  }).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  service.settings.apiUrl = `https://localhost:${(gateway.address() as AddressInfo).port}`;
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  try {
    const stranger = await offboard(['status', '--stage', 'prod'], { env });
    expect(stranger.stderr).toMatch(
      /self-signed certificate.*\. If the network inspects TLS, name its certificates in AWS_CA_BUNDLE\.\n$/,
    );
    const trusting = { ...env, AWS_CA_BUNDLE: paths.bundle };
    const known = await offboardAsProcess(['status', '--stage', 'prod'], { env: trusting });
    expect(known, known.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('requested: 0') });
  } finally {
    gateway.close();
  }
});

/** Makes a key and a certificate for localhost, and adds the certificate to the bundle. */
async function makeCertificate(name: string, { key, cert, bundle }: Record<'key' | 'cert' | 'bundle', string>) {
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await promisify(execFile)('openssl', [...words, '-keyout', key, '-out', cert, ...subject]);
  appendFileSync(bundle, readFileSync(cert));
}
