// The smoke check signs with curl: what it sends is what API Gateway would take, and each answer has its word.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wrongSignature } from '../../infra/local/signatures.ts';
import { listen } from '../listen.ts';

const SESSION = { accessKeyId: 'ASIASMOKE', secretAccessKey: 'smoke-secret', sessionToken: 'smoke/session+token==' };
const UNAVAILABLE = { status: 503, code: 'management_token_unavailable' };
const script = fileURLToPath(new URL('../../infra/build/smoke.sh', import.meta.url));
/** curl signs since 7.75; a machine without it cannot run the check. */
const signs = /--aws-sigv4/.test(spawnSync('curl', ['--help', 'all'], { encoding: 'utf8' }).stdout ?? '');

type Answer = { status: number; code?: string };
let answers: Record<string, Answer[]> = {};
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { method = '', url = '', headers } = request;
  const wrong = await wrongSignature({ method, url, headers, body: Buffer.concat(chunks) } as never, [SESSION]);
  const answer = wrong ? { status: 403 } : (answers[method]?.shift() ?? { status: 500 });
  response.writeHead(answer.status).end(JSON.stringify({ ...answer, url, body: Buffer.concat(chunks).toString() }));
});
let url: string;
beforeAll(async () => {
  url = await listen(server);
});
afterAll(() => void server.close());

async function smoke(given: Record<string, Answer[]>, more: Record<string, string> = {}) {
  answers = given;
  const env = {
    PATH: process.env.PATH,
    API_URL: url,
    STAGE: 'dev',
    SMOKE_ORGANIZATION: 'org_Smoke',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: SESSION.accessKeyId,
    AWS_SECRET_ACCESS_KEY: SESSION.secretAccessKey,
    AWS_SESSION_TOKEN: SESSION.sessionToken,
    WAIT_SECONDS: '0',
    ...more,
  };
  const child = spawn('bash', [script], { env });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

describe.runIf(signs)('the smoke check', () => {
  test('signs as a session does, requests a dry run and looks at what is pending', async () => {
    const { code, stdout } = await smoke({ POST: [{ status: 202 }], GET: [{ status: 200 }] });
    expect([code, stdout.split('\n').map((line) => line.slice(0, 11))]).toEqual([
      0,
      ['dry run 202', 'pending 200', ''],
    ]);
    expect(stdout).toContain('/organizations/org_Smoke/offboarding');
    expect(stdout).toContain('\\"dry_run\\": true');
    expect(stdout).not.toContain(SESSION.secretAccessKey);
  });

  test('waits for a token that was just requested', async () => {
    const { code } = await smoke({ POST: [{ status: 202 }], GET: [UNAVAILABLE, UNAVAILABLE, { status: 200 }] });
    expect(code).toBe(0);
  });

  test.each<[what: string, given: Record<string, Answer[]>, says: RegExp, more?: Record<string, string>]>([
    ['no token comes', { POST: [{ status: 202 }], GET: Array(20).fill(UNAVAILABLE) }, /has no management token/],
    ['the tenant has no such organization', { POST: [{ status: 202 }], GET: [{ status: 404 }] }, /create it/],
    ['the caller may not ask', {}, /You may not ask/, { AWS_SECRET_ACCESS_KEY: 'wrong' }],
    ['the stage fails', { POST: [{ status: 500 }], GET: [{ status: 200 }] }, /does not answer as it should/],
    ['the organization is none', {}, /must be the id of an organization/, { SMOKE_ORGANIZATION: 'acme' }],
  ])('fails with one sentence when %s', async (_, given, says, more) => {
    const { code, stderr } = await smoke(given, more);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n').length).toBe(1);
  });
});
