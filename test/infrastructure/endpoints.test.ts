// What the build leaves out of the AWS SDK must not cost anybody a partition or a kind of endpoint: the names that the bundles
// look up, in a process without a network.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { gatewayEvent } from '../service.ts';

const bundle = (name: string) => fileURLToPath(new URL(`../../dist/${name}.mjs`, import.meta.url));

const LANGUAGE = new URL('../../infra/older-node/language.mjs', import.meta.url).href;

/** The hosts that a function asks for when it gets `event`. */
function hosts(name: string, event: object, environment: Record<string, string>): string[] {
  const script = `
    const dns = process.getBuiltinModule('dns');
    const { write } = process.stdout;
    process.stdout.write = () => true;
    const asked = new Set();
    dns.lookup = (host, options, done) => { asked.add(host); done(Object.assign(new Error('no network'), { code: 'ENOTFOUND' })); };
    const { handler } = await import(${JSON.stringify(bundle(name))});
    await handler(${JSON.stringify(event)}, { getRemainingTimeInMillis: () => 3000 });
    write.call(process.stdout, JSON.stringify([...asked]));
    process.exit(0);`;
  const env = {
    PATH: process.env.PATH ?? '',
    AUTH0_DOMAIN: 'travel0.us.auth0.com',
    MANAGEMENT_TOKEN_SECRET_ID: 'x',
    EVENT_BUS_NAME: 'x',
    OFFBOARDINGS_TABLE: 'x',
    OFFBOARDING_QUEUE_URL: 'https://sqs.test/x.fifo',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    ...environment,
  };
  const given = ['--import', LANGUAGE, '--input-type=module', '-e', script];
  return JSON.parse(execFileSync(process.execPath, given, { env, stdio: 'pipe' }).toString());
}

test.each<[what: string, environment: Record<string, string>, secrets: string, table: string]>([
  [
    'a region',
    { AWS_REGION: 'eu-central-1' },
    'secretsmanager.eu-central-1.amazonaws.com',
    'dynamodb.eu-central-1.amazonaws.com',
  ],
  [
    'China',
    { AWS_REGION: 'cn-north-1' },
    'secretsmanager.cn-north-1.amazonaws.com.cn',
    'dynamodb.cn-north-1.amazonaws.com.cn',
  ],
  [
    'FIPS',
    { AWS_REGION: 'us-east-1', AWS_USE_FIPS_ENDPOINT: 'true' },
    'secretsmanager-fips.us-east-1.amazonaws.com',
    'dynamodb-fips.us-east-1.amazonaws.com',
  ],
  [
    'dual-stack',
    { AWS_REGION: 'eu-central-1', AWS_USE_DUALSTACK_ENDPOINT: 'true' },
    // The one name of Secrets Manager has both kinds of address.
    'secretsmanager.eu-central-1.amazonaws.com',
    'dynamodb.eu-central-1.api.aws',
  ],
])('%s', (_what, environment, secrets, table) => {
  const asked = hosts('disable-connection', gatewayEvent('disable-connection'), environment);
  expect(new Set(asked)).toEqual(new Set(['travel0.us.auth0.com', secrets]));
  const body = { action: 'disable', reason: 'contract ended', requested_by: 'billing' };
  // The queue's host is that of its URL.
  const requested = hosts('request-offboarding', gatewayEvent('request-offboarding', { body }), environment);
  expect(new Set(requested)).toEqual(new Set(['sqs.test', table]));
});
