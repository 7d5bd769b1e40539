// An account for the doctor: AWS's services over the wire, with the answers that a test gives them, and what the doctor prints.
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, vi } from 'vitest';
import { createFindings } from '../../infra/commands/doctor/findings.ts';
import type { Place } from '../../infra/commands/doctor/place.ts';
import type { Stack } from '../../infra/commands/doctor/stacks.ts';
import type { localTemplate } from '../../infra/local/aws/template.ts';
import { listen } from '../listen.ts';

export type Json = Record<string, unknown>;
type Answers = Record<string, (input: Json) => Json>;
export interface Account {
  /** By operation, each from its input; an operation that is not here is answered as something that is not there. */
  answers: Answers;
  lines: string[];
  place: Place;
}

export const stackOf = (Resources: ReturnType<typeof localTemplate>['Resources']) =>
  ({ template: { Resources }, outputs: new Map() }) as never as Stack;

/** The account of the test that runs; empty before each. */
export function accountOfEachTest(): Account {
  const account = { answers: {}, lines: [] } as unknown as Account;
  const server = createServer(async (request, response) => {
    const input = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const path = String(request.url).split('?')[0];
    const target = String(request.headers['x-amz-target'] ?? '')
      .split('.')
      .at(-1);
    const name = target || `${request.method} ${path}`;
    const run = account.answers[name];
    const type = 'ResourceNotFoundException';
    const headers = { 'content-type': 'application/x-amz-json-1.1', ...(!run && { 'x-amzn-errortype': type }) };
    const body = run ? run(input) : { __type: type, message: `${name} finds nothing` };
    response.writeHead(run ? 200 : 400, headers).end(JSON.stringify(body));
  });
  beforeAll(async () => {
    process.env.AWS_ENDPOINT_URL = await listen(server);
  });
  afterAll(() => {
    delete process.env.AWS_ENDPOINT_URL;
    server.close();
  });
  beforeEach(() => {
    const credentials = async () => ({ accessKeyId: 'AKIDLOCAL', secretAccessKey: 'local' });
    const lines: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)));
    const where = { stage: 'local', account: '111122223333', region: 'us-east-1', partition: 'aws' };
    const stacks = {
      stack: 'org-connections-local',
      accountStack: 'org-connections-account-local',
      publishersStack: 'org-connections-publishers-local',
    };
    const client = { region: 'us-east-1', credentials } as never;
    const findings = createFindings('org-connections-local-doctor-us-east-1');
    Object.assign(account, { answers: {}, lines, place: { ...where, ...stacks, client, findings } });
    return () => vi.restoreAllMocks();
  });
  return account;
}
