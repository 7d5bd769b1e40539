// Runs each example from a copy of its file, as a reader would, against the service on this machine with signatures checked.
import '../own-modules.ts';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { CreateTableCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { freePort, startGateway } from '../../infra/local/gateway.ts';
import { startSignatureCheck } from '../../infra/local/signatures.ts';
import { typescriptOptions } from '../../infra/older-node/language.mjs';
import { createFunctionInProcess, startEnvironmentInProcess } from '../in-process.ts';
import { CON, ORG } from '../service.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A python that has botocore; .ci/run sets it. */
const PYTHON = process.env.CLIENTS_PYTHON ?? '';
const CREDENTIALS = { accessKeyId: 'AKIDLAPTOP', secretAccessKey: 'laptop-secret', sessionToken: 'laptop-session' };

let local: LocalEnvironment;
let gateway: Awaited<ReturnType<typeof startGateway>>;
let check: Awaited<ReturnType<typeof startSignatureCheck>>;
let folder: string;
const refused: string[] = [];

beforeAll(async () => {
  local = await startEnvironmentInProcess();
  gateway = await startGateway(await freePort(), local.environment, () => {}, createFunctionInProcess);
  check = await startSignatureCheck({
    port: await freePort(),
    target: gateway.url,
    credentials: [CREDENTIALS],
    onRefused: (reason) => refused.push(reason),
  });
  folder = mkdtempSync(join(tmpdir(), 'org-connections-examples-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
});
afterAll(async () => {
  await check.close();
  await gateway.close();
  await local.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
});

/** Copies the example `file` and returns the copy's path: nothing beside it is there. */
function copied(file: string): string {
  const copy = join(folder, basename(file));
  copyFileSync(join(ROOT, 'examples', file), copy);
  return copy;
}

interface Run {
  stdout: string;
  stderr: string;
  code?: number;
}
/** Runs an example as somebody with these variables and no others. */
function run(command: string, file: string, given: string[], more: NodeJS.ProcessEnv = {}): Promise<Run> {
  const env = {
    PATH: process.env.PATH,
    NODE_OPTIONS: typescriptOptions,
    API_URL: check.url,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_SESSION_TOKEN: CREDENTIALS.sessionToken,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...more,
  };
  return promisify(execFile)(command, [copied(file), ...given], { env }).catch((error: Run) => error);
}

const CALLERS: [file: string, command: string][] = [
  ['offboard.sh', 'bash'],
  ['client.ts', process.execPath],
];
if (PYTHON) CALLERS.push(['client.py', PYTHON]);

test.each(CALLERS)(
  'when %s runs twice with one key, both runs are about the same offboarding',
  async (file, command) => {
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/;
    const [first, second] = [
      await run(command, file, [ORG, `${file}-1`]),
      await run(command, file, [ORG, `${file}-1`]),
    ];
    expect(first.stdout, first.stderr).toMatch(id);
    expect(second.stdout.match(id)?.[0]).toBe(first.stdout.match(id)?.[0]);
  },
);

test.each(CALLERS)('when %s has the wrong secret or a malformed id, it says why and fails', async (file, command) => {
  const other = await run(command, file, [ORG, `${file}-2`], { AWS_SECRET_ACCESS_KEY: 'another-secret' });
  expect(other.stdout + other.stderr).toMatch(/Forbidden/);
  expect(other.code).toBeGreaterThan(0);
  expect(refused.at(-1)).toContain('the signature is not that of this request');
  expect(other.stdout + other.stderr).not.toContain('another-secret');
  const malformed = await run(command, file, ['acme', `${file}-3`]);
  expect(malformed.stdout + malformed.stderr).toContain('invalid_path');
  expect(malformed.code).toBeGreaterThan(0);
});

const publish = (key: string) => {
  const { EVENT_BUS_NAME } = local.environment;
  const more = { AWS_ENDPOINT_URL: local.aws.url, EVENT_BUS_NAME, AWS_REGION: 'us-east-1' };
  return run(process.execPath, 'publish.ts', [ORG, key], more);
};
/** The offboardings of the organization whose request came as one of these events. */
async function offboardingsOf(ids: string[]): Promise<object[]> {
  const response = await fetch(`${gateway.url}/offboardings?organization_id=${ORG}`);
  const { offboardings } = (await response.json()) as { offboardings: { request: { id: string } }[] };
  return offboardings.filter(({ request }) => ids.includes(request.id));
}

test('when publish.ts runs twice with one key, its two events are one offboarding', async () => {
  const ids: string[] = [];
  for (const { stdout, stderr } of [await publish('contract-4713'), await publish('contract-4713')]) {
    expect(stdout, stderr).toMatch(/^[0-9a-f-]{36}\n$/);
    ids.push(stdout.trim());
  }
  const outcome = await local.event(
    ({ source, detail }) => source === 'org-connections' && (detail.request as { id?: string } | null)?.id === ids[0],
  );
  expect(outcome['detail-type']).toBe('organization.offboarding.scheduled');
  await local.worker.idle();
  expect(await offboardingsOf(ids)).toHaveLength(1);
});

test('when the bus refuses its event, publish.ts fails', async () => {
  local.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 400, times: 1 });
  expect((await publish('contract-4714')).code).toBe(1);
});

test('when consume.ts gets each event twice, its table has each step once', async () => {
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: local.aws.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    TABLE_NAME: 'access-steps',
  });
  const AttributeName = 'event_key';
  const KeySchema = [{ AttributeName, KeyType: 'HASH' as const }];
  const AttributeDefinitions = [{ AttributeName, AttributeType: 'S' as const }];
  const table = { TableName: 'access-steps', KeySchema, AttributeDefinitions, BillingMode: 'PAY_PER_REQUEST' as const };
  await local.dynamoDb.send(new CreateTableCommand(table));
  const { handler } = await import(pathToFileURL(copied('consume.ts')).href);
  const step = (type: string, detail: object, id = crypto.randomUUID()) => ({
    'detail-type': `organization.offboarding.${type}`,
    id,
    time: '2026-11-24T09:00:00Z',
    detail: {
      offboarding_id: '7c0a3a52-36a5-4c8e-9f0b-6c1a7e0f3d21',
      organization_id: ORG,
      connections: [],
      ...detail,
    },
  });
  const steps = [
    step('scheduled', { removal_due_at: '2026-12-24T09:00:00Z' }),
    step('failed', {}),
    step('failed', { cancelled: { at: '2026-11-25T09:00:00.000Z' } }),
    step('drifted', { connections: [{ connection_id: CON, outcome: 'disabled' }] }),
    step('drifted', { connections: [{ connection_id: CON, outcome: 'disabled' }] }),
  ];
  // The service publishes a step again, with another id, where it does not know whether the bus took it.
  const again = steps.map((one) =>
    one['detail-type'].endsWith('drifted') ? one : { ...one, id: crypto.randomUUID() },
  );
  for (const event of [...steps, ...again]) await handler(event);
  const { Items = [] } = await local.dynamoDb.send(new ScanCommand({ TableName: 'access-steps' }));
  expect(Items.map(({ event_key }) => event_key?.S?.split(' ')[0]?.split('.').at(-1)).sort()).toEqual([
    'drifted',
    'drifted',
    'failed',
    'failed',
    'scheduled',
  ]);
});
