import '../own-modules.ts';
import { afterEach, expect, test } from 'vitest';
import { auth0Tenant, required } from '../../lib/environment.ts';

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

test('when a variable is missing, the error names it', () => {
  delete process.env.EVENT_BUS_NAME;
  expect(() => required('EVENT_BUS_NAME')).toThrow('Environment variable EVENT_BUS_NAME is missing');
});

test.each([
  ['travel0.us.auth0.com', 'https://travel0.us.auth0.com/', 'https://travel0.us.auth0.com/api/v2/'],
  ['http://127.0.0.1:4010', 'http://127.0.0.1:4010/', 'http://127.0.0.1:4010/api/v2/'],
  ['http://[::1]:4010', 'http://[::1]:4010/', 'http://[::1]:4010/api/v2/'],
  ['https://localhost', 'https://localhost/', 'https://localhost/api/v2/'],
])('when AUTH0_DOMAIN is %s, it is a tenant', (domain, origin, audience) => {
  process.env.AUTH0_DOMAIN = domain;
  delete process.env.AUTH0_AUDIENCE;
  expect(auth0Tenant()).toEqual({ origin: new URL(origin), audience });
});

test.each([
  'http://travel0.us.auth0.com',
  'https://travel0.us.auth0.com',
  'travel0.us.auth0.com/path',
  'user@travel0.us.auth0.com',
  'travel0.us.auth0.com:8080',
  'http://127.0.0.1:4010/path',
  'http://user@127.0.0.1:4010',
  'http://127.0.0.1.evil.com',
  'http://localhost.evil.com',
  'ftp://127.0.0.1',
  '169.254.169.254',
  'localhost',
  ' ',
])('when AUTH0_DOMAIN is %s, the function does not start', (domain) => {
  process.env.AUTH0_DOMAIN = domain;
  expect(() => auth0Tenant()).toThrow('AUTH0_DOMAIN');
});

test('when AUTH0_DOMAIN is a custom domain, the audience stays the canonical one', () => {
  process.env.AUTH0_DOMAIN = 'login.travel0.com';
  process.env.AUTH0_AUDIENCE = 'https://travel0.us.auth0.com/api/v2/';
  expect(auth0Tenant()).toMatchObject({
    origin: { host: 'login.travel0.com' },
    audience: 'https://travel0.us.auth0.com/api/v2/',
  });
});
