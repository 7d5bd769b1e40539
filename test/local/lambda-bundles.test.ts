// Every bundle under AWS's own runtime client (test/local/lambda-runtime/run.sh), which is what loads and calls it in Lambda.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { LocalFunction } from '../../infra/local/lambda.ts';
import { startRuntime } from './lambda-runtime/runtime-api.ts';
import { playEveryFunction } from './lambda-runtime/scenario.ts';

const CLIENT = process.env.LAMBDA_RUNTIME_CLIENT ?? '';
const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const FUNCTIONS = readdirSync(new URL('../../functions', import.meta.url)).map((name) => name.replace('.ts', ''));

/** Ids and times differ from run to run, and so do the ports. */
const comparable = (text: string) =>
  text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g, 'TIME');

describe.skipIf(CLIENT === '')("under AWS's runtime client", () => {
  const environments: LocalEnvironment[] = [];
  const start = async () => {
    const local = await startEnvironment({ connected: false });
    environments.push(local);
    return local;
  };
  type Runtime = Awaited<ReturnType<typeof startRuntime>>;
  const runtimes = new Map<string, Runtime>();
  let expected: [string, string][] = [];
  let answers: [string, string][] = [];

  beforeAll(async () => {
    const locally = await start();
    const containers = new Map<string, LocalFunction>();
    expected = await playEveryFunction(locally, async (name, event) => {
      const container = containers.get(name) ?? locally.functionNamed(name);
      containers.set(name, container);
      return JSON.stringify(await container.invoke(event));
    });
    for (const container of containers.values()) container.kill();

    const local = await start();
    answers = await playEveryFunction(local, async (name, event) => {
      const runtime = runtimes.get(name) ?? (await startRuntime(CLIENT, DIST, name, local.environment));
      runtimes.set(name, runtime);
      const { kind, body } = await runtime.invoke(event);
      if (kind !== 'response') throw new Error(`${name}: ${kind} ${body}\n${runtime.lines().join('\n')}`);
      return body;
    });
  });
  afterAll(async () => {
    for (const runtime of runtimes.values()) await runtime.close();
    for (const local of environments) await local.close();
  });

  test('when all functions have had an event, none was left out', () => {
    expect(new Set(answers.map(([name]) => name))).toEqual(new Set(FUNCTIONS));
  });

  test('when a function gets a real event, it answers the same bytes as under the local runtime', () => {
    expect(answers.map((answer) => answer.map(comparable))).toEqual(expected.map((answer) => answer.map(comparable)));
  });

  test.each(FUNCTIONS)('when %s logs, each line is one JSON object', (name) => {
    for (const line of runtimes.get(name)?.lines() ?? []) expect(JSON.parse(line), line).toEqual(expect.any(Object));
  });

  test.each(FUNCTIONS)('when %s lacks its variables, its start fails with the name of one', async (name) => {
    const { AWS_REGION = '', ...variables } = environments[0]?.environment ?? {};
    const runtime = await startRuntime(CLIENT, DIST, name, { AWS_REGION });
    const { kind, body } = await runtime.invoke({});
    expect([kind, await runtime.exitCode()]).toEqual(['init/error', '1']);
    const named = String(JSON.parse(body).errorMessage).match(/[A-Z][A-Z0-9_]{4,}/)?.[0] ?? '';
    expect(Object.keys(variables)).toContain(named);
    await runtime.close();
  });
});
