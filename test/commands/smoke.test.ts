// The smoke check as it is typed, against an API that answers as API Gateway and the functions do.
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startAws } from '../../infra/local/aws.ts';
import { listen } from '../listen.ts';
import { command, KEYS } from './command.ts';

const ORGANIZATION = 'org_Smoke';
/** Status and body by method. */
let answers: Record<string, [status: number, body: object]>;
const asked: string[] = [];
const server = createServer(async (request, response) => {
  asked.push(`${request.method} ${request.url} ${await request.toArray()}`);
  const [status, body] = answers[request.method ?? ''] ?? [404, {}];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
let aws: Awaited<ReturnType<typeof startAws>>;
let url: string;
beforeAll(async () => {
  aws = await startAws();
  url = await listen(server);
});
afterAll(async () => {
  server.close();
  await aws.close();
});
beforeEach(() => {
  asked.splice(0);
  answers = { POST: [202, { offboarding_id: 'x' }], GET: [200, { offboarding_id: null }] };
});
const smoke = (given: string[], env: Record<string, string> = {}) =>
  command('smoke.ts', given, { ...KEYS, AWS_ENDPOINT_URL: aws.url, ...env });

test('when the stage answers, the check says which address it asked, changes nothing and passes', async () => {
  const { code, stdout } = await smoke(['--url', url, '--organization', ORGANIZATION]);
  expect(stdout).toMatch(new RegExp(`^asking ${url}/organizations/${ORGANIZATION}/offboarding\n`));
  expect(stdout).toContain('The stage answers as it should.');
  expect(code).toBe(0);
  expect(asked[0]).toContain('"dry_run":true');
  expect(asked.map((one) => one.split(' ')[0])).toEqual(['POST', 'GET']);
});

test('when the variables name a stage and an address, nothing is asked; an option decides', async () => {
  const both = { STAGE: 'prod', API_URL: url, SMOKE_ORGANIZATION: ORGANIZATION };
  expect(await smoke([], both)).toMatchObject({ code: 2, stderr: expect.stringMatching(/prod.*both given.*give one/) });
  expect(await smoke(['--url', url, '--stage', 'prod'], both)).toMatchObject({ code: 2 });
  expect(asked).toEqual([]);
  expect(await smoke(['--url', url], both)).toMatchObject({ code: 0 });
});

test.each<[string, Record<string, [number, object]>, RegExp]>([
  [
    'does not know the organization',
    { GET: [404, { code: 'unknown_organization' }] },
    /create it, for this check alone/,
  ],
  ['refuses the caller', { POST: [403, { message: 'Forbidden' }] }, /SmokeOrganization/],
  ['fails', { GET: [502, { code: 'auth0_unavailable' }] }, /does not answer as it should/],
])('when the stage %s, the check fails with one sentence', async (_what, changed, sentence) => {
  Object.assign(answers, changed);
  const { code, stderr } = await smoke(['--url', url, '--organization', ORGANIZATION]);
  expect(code).toBe(1);
  expect(stderr).toMatch(sentence);
  expect(stderr.trim().split('\n').length).toBe(1);
});

test('when nobody answers there, or the stage has no stack, a sentence says so', async () => {
  const unreachable = await smoke(['--url', 'http://127.0.0.1:1', '--organization', ORGANIZATION]);
  expect(unreachable).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^http:\/\/127.0.0.1:1 was not reached/),
  });
  const unknown = await smoke(['--stage', 'staging', '--organization', ORGANIZATION]);
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^The stack org-connections-staging was not/),
  });
});
