// The settings of the clients of AWS services, with the real client and real sockets against a server that is slow or stalls.
import { createServer, type RequestListener, type Server } from 'node:http';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AWS_CLIENT, CALLS_AT_ONCE } from '../../lib/aws/clients.ts';
import { listen } from '../listen.ts';

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
let server: Server;
let endpoint: string;
let respond: RequestListener;
let most: number;
let atOnce: number;
beforeEach(async () => {
  [most, atOnce] = [0, 0];
  server = createServer((request, response) => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    response.once('close', () => (atOnce -= 1));
    respond(request, response);
  });
  endpoint = await listen(server);
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});
function client(settings: object = {}) {
  const where = { region: 'us-east-1', endpoint, credentials };
  return new SecretsManagerClient({ ...AWS_CLIENT, ...where, ...settings });
}
const read = (from: SecretsManagerClient) => from.send(new GetSecretValueCommand({ SecretId: 'a' }));
const BODY = JSON.stringify({ SecretString: 'value' });

test('when a service is slow, as many calls at once as may be are all answered, each by a socket of its own', async () => {
  respond = (_, response) => setTimeout(() => response.end(BODY), 1200);
  const from = client({ maxAttempts: 1 });
  const answers = await Promise.all(Array.from({ length: CALLS_AT_ONCE }, () => read(from)));
  expect(answers.map(({ SecretString }) => SecretString)).toEqual(Array(CALLS_AT_ONCE).fill('value'));
  // The next ones find a socket, too, while those before are ending.
  await Promise.all([...Array(2 * CALLS_AT_ONCE)].map(() => read(from)));
  expect(most).toBe(2 * CALLS_AT_ONCE);
}, 20_000);

test.each<[string, RequestListener]>([
  ['its body stalls', (_, response) => void response.write(BODY.slice(0, 5))],
  ['no answer comes', () => {}],
])(
  'when %s, a call ends as a timeout',
  async (_what, stalls) => {
    respond = stalls;
    await expect(read(client({ maxAttempts: 1 }))).rejects.toMatchObject({ name: 'TimeoutError' });
  },
  20_000,
);

test('when a body stalls once, the call is made again', async () => {
  let calls = 0;
  respond = (_, response) => void (++calls === 1 ? response.write(BODY.slice(0, 5)) : response.end(BODY));
  expect(await read(client())).toMatchObject({ SecretString: 'value' });
  expect(calls).toBe(2);
}, 20_000);

describe('the standard variables', () => {
  test.each([
    [{ AWS_REGION: 'eu-central-1' }, 'eu-central-1', false, false],
    [{ AWS_REGION: 'us-gov-west-1', AWS_USE_FIPS_ENDPOINT: 'true' }, 'us-gov-west-1', true, false],
    [{ AWS_REGION: 'eu-west-1', AWS_USE_DUALSTACK_ENDPOINT: 'TRUE' }, 'eu-west-1', false, true],
  ])('when they are %j, the client has them', async (variables, region, fips, dualstack) => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    vi.resetModules();
    const { AWS_CLIENT: settings } = await import('../../lib/aws/clients.ts');
    const { config } = new SecretsManagerClient({ ...settings, credentials });
    expect([await config.region(), await config.useFipsEndpoint(), await config.useDualstackEndpoint()]).toEqual([
      region,
      fips,
      dualstack,
    ]);
  });
});
