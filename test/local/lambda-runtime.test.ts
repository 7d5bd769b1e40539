// The local runtime ends a handler as AWS's own runtime client for nodejs24.x does. That client is native code:
// test/local/lambda-runtime/run.sh builds it where it can be built, and names its folder.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createFunction } from '../../infra/local/lambda.ts';
import { startRuntime } from './lambda-runtime/runtime-api.ts';

const CLIENT = process.env.LAMBDA_RUNTIME_CLIENT ?? '';

const folder = mkdtempSync(join(tmpdir(), 'org-connections-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Under the local runtime; in the words of `startRuntime`. */
async function endLocally(name: string): Promise<string> {
  const container = createFunction(name, { bundle: join(folder, `${name}.mjs`), environment: {} });
  return container
    .invoke({})
    .then(
      (result) => `response ${JSON.stringify(result)}`,
      ({ message }: Error) => message,
    )
    .finally(container.kill);
}

/** Under AWS's client: a process that ends without a word is what Lambda calls Runtime.ExitError. */
async function endUnderClient(name: string): Promise<string> {
  const runtime = await startRuntime(CLIENT, folder, name, {});
  const { kind, body } = await runtime.invoke({}).finally(runtime.close);
  if (kind === 'response') return `response ${body}`;
  if (kind === 'exit') return `Runtime.ExitError: ${name} ended with exit status ${body}`;
  const { errorType, errorMessage } = JSON.parse(body);
  return `${errorType}: ${errorMessage}`;
}

const ENDS: [what: string, source: string, end: string | RegExp][] = [
  ['returns a value', 'export async function handler() { return { a: NaN, b: undefined } }', 'response {"a":null}'],
  ['returns nothing', 'export async function handler() {}', 'response null'],
  ['is not asynchronous', 'export function handler() { return 1 }', 'response 1'],
  [
    'has two parameters',
    'export async function handler(event, context) { return typeof context }',
    'response "object"',
  ],
  ['takes any number', 'export const handler = async (...given) => given.length', 'response 2'],
  ['throws', "export async function handler() { throw new TypeError('bad') }", 'TypeError: bad'],
  ['throws a text', "export async function handler() { throw 'bad' }", 'string: bad'],
  [
    'returns what is no JSON',
    'export async function handler() { return 1n }',
    'Runtime.JSONStringifyError: Unable to stringify response body',
  ],
  ['has a callback', 'export function handler(event, context, callback) {}', /^Runtime\.CallbackHandlerDeprecated: /],
  [
    'has a callback and a promise',
    'export async function handler(event, context, callback) {}',
    /^Runtime\.CallbackHandlerDeprecated: /,
  ],
  ['is missing', 'export const other = 1', /^Runtime\.HandlerNotFound: /],
  ['is no function', 'export const handler = 1', /^Runtime\.HandlerNotFound: /],
  [
    'needs a package that is not there',
    "import 'no-such-package'; export const handler = 1",
    /^Error: Cannot find package/,
  ],
  [
    'has a file that throws',
    "throw new RangeError('X is missing'); export const handler = 1",
    'RangeError: X is missing',
  ],
  [
    'waits for what never comes',
    'export async function handler() { await new Promise(() => {}) }',
    /ExitError.*status 0$/,
  ],
  ['ends the process', 'export async function handler() { process.exit(3) }', /^Runtime\.ExitError.*status 3$/],
  [
    'leaves a rejection behind',
    'export async function handler() { Promise.reject(new Error()); await new Promise((done) => setTimeout(done, 500)) }',
    /^Runtime\.ExitError.*status 1$/,
  ],
  [
    'throws in a timer',
    'export async function handler() { setTimeout(() => { throw new Error() }); await new Promise((done) => setTimeout(done, 500)) }',
    /^Runtime\.ExitError.*status 1$/,
  ],
];

describe.each([
  ['the local runtime', endLocally, true],
  ["AWS's runtime client", endUnderClient, CLIENT !== ''],
] as const)('under %s', (_runtime, end, isThere) => {
  test.skipIf(!isThere).each(ENDS)('when a handler %s, it ends as in nodejs24.x', async (what, source, expected) => {
    const name = what.replaceAll(/\W+/g, '-');
    writeFileSync(join(folder, `${name}.mjs`), source);
    expect(await end(name)).toEqual(typeof expected === 'string' ? expected : expect.stringMatching(expected));
  });
});

test('when a start fails, the next invocation starts another process', async () => {
  const bundle = join(folder, 'once.mjs');
  writeFileSync(bundle, "throw new Error('not yet')");
  const container = createFunction('once', { bundle, environment: {} });
  await expect(container.invoke({})).rejects.toThrow('not yet');
  writeFileSync(bundle, 'export async function handler() { return 1 }');
  expect(await container.invoke({}).finally(container.kill)).toBe(1);
});
