// Clients that generators make of the description read each answer of each route, the gateway's own included, and call the service.
// TypeScript's runs everywhere. Python's runs where CLIENTS_PYTHON names a python with openapi-python-client, and Go's where CLIENTS_GO
// names the go command; .ci/run sets both.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import createClient from 'openapi-fetch';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { paths } from '../../examples/openapi.d.ts';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { freePort, startGateway } from '../../infra/local/gateway.ts';
import { openapi, operations } from '../contract.ts';
import { createFunctionInProcess, startEnvironmentInProcess } from '../in-process.ts';
import { listen } from '../listen.ts';
import { CON, ORG } from '../service.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DESCRIPTION = fileURLToPath(new URL('../../infra/contracts/openapi.yml', import.meta.url));
const { CLIENTS_PYTHON: PYTHON = '', CLIENTS_GO: GO = '' } = process.env;
const BATCH_ID = '7c0a3a52-36a5-4c8e-9f0b-6c1a7e0f3d21';

/** The arguments of each operation's call. */
const ARGUMENTS: Record<string, { path?: object; query?: object; body?: object }> = {
  'disable-connection': { path: { organization_id: ORG, connection_id: CON }, body: { is_enabled: false } },
  'remove-connection': { path: { organization_id: ORG, connection_id: CON } },
  'request-offboarding': { path: { organization_id: ORG }, body: { action: 'disable', reason: 'contract ended' } },
  'get-offboarding': { path: { organization_id: ORG } },
  'cancel-offboarding': { path: { organization_id: ORG }, query: { reason: 'renewed' } },
  'request-offboardings': { body: { organization_ids: [ORG], action: 'disable', reason: 'contract ended' } },
  'list-offboardings': { query: { status: 'completed', since: '2026-01-01T00:00:00Z' } },
  'cancel-offboardings': { query: { batch_id: BATCH_ID } },
};

interface Call {
  operation: string;
  base_url: string;
  arguments: (typeof ARGUMENTS)[string];
  /** The example that answers it. */
  example?: string;
}
interface Result {
  status: number;
  /** The kind of type that the client read the answer as; null for an empty answer. */
  kind: string | null;
  code: string | null;
}

/** By openapi-fetch, with the types of openapi.d.ts. */
async function byTypeScript(calls: Call[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const { operation, base_url, arguments: given, example } of calls) {
    const { method = '', path = '' } = operations.get(operation) ?? {};
    const client = createClient<paths>({ baseUrl: base_url });
    const header = example && { 'x-correlation-id': example };
    const options = { params: { path: given.path, query: given.query, header }, body: given.body };
    const { data, error, response } = await client.request(method as 'get', path as '/offboardings', options as never);
    const found = (data ?? error) as { code?: string; message?: string } | undefined;
    const failed = found?.code ? 'Problem' : 'GatewayMessage';
    const kind = response.ok ? (found ? 'data' : null) : failed;
    results.push({ status: response.status, kind, code: found?.code ?? null });
  }
  return results;
}

let folder: string;
/** Has another process make the calls: it reads them from stdin and writes the results to stdout. */
async function byProcess(command: string, given: string[], env: NodeJS.ProcessEnv, calls: object[]): Promise<Result[]> {
  const child = spawn(command, given, { env: { PATH: process.env.PATH, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(calls));
  return JSON.parse(Buffer.concat(await child.stdout.toArray()).toString());
}

/** By the client that openapi-python-client makes of the description. */
async function byPython(calls: Call[]): Promise<Result[]> {
  const lines = calls.map(({ operation, base_url, arguments: { path, query, body }, example }) => {
    const tag = operations.get(operation)?.operation.tags[0];
    const given = { ...path, ...query, ...(example && { x_correlation_id: example }) };
    return { operation, base_url, tag, arguments: given, body };
  });
  const given = [join(HERE, 'generated.py'), 'org_connections_client'];
  const results = await byProcess(PYTHON, given, { PYTHONPATH: folder }, lines);
  return results.map((one) => ({
    ...one,
    kind: /^(Problem|GatewayMessage)$|^$/.test(one.kind ?? '') ? one.kind : 'data',
  }));
}
function generatePython() {
  const target = ['--output-path', join(folder, 'org_connections_client'), '--meta', 'none'];
  const given = ['generate', '--path', DESCRIPTION, ...target];
  execFileSync(join(dirname(PYTHON), 'openapi-python-client'), given, { stdio: 'ignore' });
}

/** By the client that oapi-codegen makes of the description. */
const byGo = (calls: Call[]) => byProcess(join(folder, 'go', 'caller'), [], {}, calls);
function generateGo() {
  const cwd = join(folder, 'go');
  cpSync(join(HERE, 'go'), cwd, { recursive: true });
  mkdirSync(join(cwd, 'client'));
  const options = { cwd, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  const target = ['-generate', 'types,client', '-package', 'client', '-o', 'client/client.go'];
  execFileSync(GO, ['tool', 'oapi-codegen', ...target, DESCRIPTION], options);
  execFileSync(GO, ['build', '-o', 'caller', '.'], options);
}

/** Answers each request with the example that its correlation id names. */
let replay: Server;
let replayUrl: string;
/** Each example of each answer of each operation, by `operation|status|type|name`. */
const EXAMPLES = new Map<string, { status: number; type: string; value: unknown }>();
for (const [name, { operation }] of operations) {
  for (const [status, answer] of Object.entries(operation.responses)) {
    const { content } = answer.$ref ? openapi.components.responses[answer.$ref.split('/').at(-1) ?? ''] : answer;
    if (!content) EXAMPLES.set(`${name}|${status}||`, { status: Number(status), type: '', value: undefined });
    for (const [type, { examples }] of Object.entries<{ examples: Record<string, { $ref?: string; value: unknown }> }>(
      content ?? {},
    )) {
      for (const [example, { $ref, value }] of Object.entries(examples)) {
        const found = $ref ? openapi.components.examples[$ref.split('/').at(-1) ?? ''].value : value;
        EXAMPLES.set(`${name}|${status}|${type}|${example}`, { status: Number(status), type, value: found });
      }
    }
  }
}

beforeAll(async () => {
  replay = createServer((request, response) => {
    const { status = 500, type, value } = EXAMPLES.get(String(request.headers['x-correlation-id'])) ?? {};
    response.writeHead(status, type ? { 'content-type': type } : {});
    response.end(value === undefined ? undefined : JSON.stringify(value));
  });
  replayUrl = await listen(replay);
  folder = mkdtempSync(join(tmpdir(), 'org-connections-client-'));
  if (PYTHON) generatePython();
  if (GO) generateGo();
}, 600_000);
afterAll(() => {
  replay.close();
  rmSync(folder, { recursive: true });
});

const clients: [string, (calls: Call[]) => Promise<Result[]>][] = [['TypeScript', byTypeScript]];
if (PYTHON) clients.push(['Python', byPython]);
if (GO) clients.push(['Go', byGo]);
if (!PYTHON) test.skip('the generated client in Python is LEFT OUT: CLIENTS_PYTHON names no python', () => {});
if (!GO) test.skip('the generated client in Go is LEFT OUT: CLIENTS_GO names no go', () => {});

describe.each(clients)('the generated client in %s', (_, by) => {
  test('reads each answer of each route, and the gateway’s own', async () => {
    const calls = [...EXAMPLES.keys()].map((example) => {
      const operation = example.split('|')[0] ?? '';
      return { operation, base_url: replayUrl, arguments: ARGUMENTS[operation] ?? {}, example };
    });
    const results = await by(calls);
    for (const [index, { example }] of calls.entries()) {
      const { status, value } = EXAMPLES.get(example) ?? {};
      const { code = null, message } = (value ?? {}) as { code?: string; message?: string };
      const kind = value === undefined ? null : code ? 'Problem' : message ? 'GatewayMessage' : 'data';
      expect(results[index], example).toEqual({ status, kind, code });
    }
  });
});

describe('against the service', () => {
  let local: LocalEnvironment;
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  beforeAll(async () => {
    local = await startEnvironmentInProcess();
    gateway = await startGateway(await freePort(), local.environment, () => {}, createFunctionInProcess);
  });
  afterAll(async () => {
    await gateway.close();
    await local.close();
  });
  beforeEach(() => {
    local.tenant.clearFaults();
    local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  });

  test.each(clients)('the generated client in %s makes each call', async (_, by) => {
    const one = async (operation: string, more: (typeof ARGUMENTS)[string] = {}) => {
      const [result] = await by([
        { operation, base_url: gateway.url, arguments: { ...ARGUMENTS[operation], ...more } },
      ]);
      return `${result?.status} ${result?.code ?? result?.kind}`;
    };
    expect(await one('disable-connection')).toBe('200 data');
    expect(await one('disable-connection', { path: { organization_id: 'acme', connection_id: CON } })).toBe(
      '400 invalid_path',
    );
    local.tenant.addFaults({ status: 503, times: 9, body: 'Bad gateway' });
    expect(await one('disable-connection')).toBe('502 auth0_unavailable');
    local.tenant.clearFaults();
    expect(await one('remove-connection')).toBe('204 null');
    expect(await one('cancel-offboarding')).toMatch(/^(404 not_found|20[02] data)$/);
    expect(await one('request-offboarding')).toBe('202 data');
    expect(await one('request-offboarding', { body: { action: 'disable', grace_period: 'P1D', reason: 'x' } })).toBe(
      '422 invalid_body',
    );
    expect(await one('get-offboarding')).toBe('200 data');
    expect(await one('request-offboardings')).toBe('202 data');
    expect(await one('list-offboardings')).toBe('200 data');
    expect(await one('cancel-offboardings')).toBe('404 not_found');
    expect(await one('list-offboardings', { query: { organization_id: ORG } })).toBe('200 data');
    expect(await one('list-offboardings', { query: {} })).toBe('400 invalid_query');
  });
});
