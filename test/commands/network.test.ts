// The networks of companies: every request goes through the proxy that the environment names, those that get credentials
// included. The proxy here notes whom it is asked to connect with, and refuses.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startAws } from '../../infra/local/aws.ts';
import { listen } from '../listen.ts';
import { command, KEYS } from './command.ts';

const connects: string[] = [];
const proxy = createServer((request, response) => {
  connects.push(String(request.url));
  response.writeHead(502).end();
}).on('connect', (request, socket) => {
  connects.push(String(request.url));
  socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
});
let HTTPS_PROXY: string;
let aws: Awaited<ReturnType<typeof startAws>>;
beforeAll(async () => {
  aws = await startAws();
  HTTPS_PROXY = await listen(proxy);
});
afterAll(async () => {
  proxy.close();
  await aws.close();
});
beforeEach(() => connects.splice(0));

const CONFIG = `
[profile sso]
sso_session = company
sso_account_id = 111122223333
sso_role_name = operator
region = us-west-2
[sso-session company]
sso_start_url = https://company.awsapps.com/start
sso_region = eu-west-1
[profile role]
role_arn = arn:aws:iam::111122223333:role/operator
source_profile = keys
[profile keys]
aws_access_key_id = AKIDKEYS
aws_secret_access_key = keys
[profile web]
role_arn = arn:aws:iam::111122223333:role/operator
web_identity_token_file = /proc/self/cmdline
[profile login]
login_session = arn:aws:iam::111122223333:user/you
region = us-west-2
`;
const session = { accessToken: 't', expiresAt: new Date(Date.now() + 3_600_000).toISOString(), region: 'eu-west-1' };
const FILES = {
  '.aws/config': CONFIG,
  [`.aws/sso/cache/${createHash('sha1').update('company').digest('hex')}.json`]: JSON.stringify(session),
};
const API = 'https://abc.execute-api.us-west-2.amazonaws.com';
const smoke = (given: string[], env: Record<string, string>) =>
  command('smoke.ts', ['--organization', 'org_a', ...given], env, FILES);

test.each([
  ['sso', 'portal.sso.eu-west-1.amazonaws.com:443'],
  ['role', 'sts.us-west-2.amazonaws.com:443'],
  ['web', 'sts.us-west-2.amazonaws.com:443'],
  ['keys', 'sts.us-west-2.amazonaws.com:443'],
])('when a proxy is named, the credentials of the profile %s are had through it', async (profile, host) => {
  const { code, stderr } = await smoke(['--url', API, '--profile', profile], { HTTPS_PROXY });
  expect(connects, stderr).toContain(host);
  expect(new Set(connects)).toEqual(new Set([host]));
  expect(code).toBe(2);
});

test('when a proxy is named, the API is asked through it, and this machine is not', async () => {
  const env = { ...KEYS, HTTPS_PROXY, HTTP_PROXY: HTTPS_PROXY, AWS_ENDPOINT_URL: aws.url };
  const { code, stderr } = await smoke(['--url', API], env);
  expect(connects).toEqual(['abc.execute-api.us-west-2.amazonaws.com:443']);
  expect(stderr).toMatch(/was not reached/);
  expect(code).toBe(1);
});

test('when NO_PROXY has the host, in small letters too, the proxy is not asked', async () => {
  for (const name of ['NO_PROXY', 'no_proxy'])
    await smoke(['--url', 'https://api.invalid'], {
      ...KEYS,
      https_proxy: HTTPS_PROXY,
      [name]: '.amazonaws.com,.invalid',
    });
  expect(connects).toEqual([]);
});

test.each([
  ['HTTPS_PROXY', 'socks5://127.0.0.1:1080'],
  ['HTTPS_PROXY', 'proxy.company.example'],
  ['ALL_PROXY', 'http://proxy.company.example'],
])('when %s is %s, the command refuses it by name', async (name, value) => {
  const { code, stderr } = await smoke(['--url', API], { ...KEYS, [name]: value });
  expect(stderr).toMatch(new RegExp(`^${name} `));
  expect(code).toBe(2);
});

test('when there is no network, that is said, and no word of credentials', async () => {
  const { stderr } = await smoke(['--url', API], { ...KEYS, AWS_ENDPOINT_URL: 'http://127.0.0.1:9999' });
  expect(stderr).toMatch(/^AWS was not reached/);
  expect(stderr).not.toMatch(/credentials/i);
});

test('when the profile is one of "aws login", that is the advice', async () => {
  const { stderr } = await smoke(['--url', API, '--profile', 'login'], {});
  expect(stderr).toContain('aws login --profile login');
  expect(stderr).not.toContain('sso');
});
