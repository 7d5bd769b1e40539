// A container in the test's own process: the packaged bundle, loaded anew for each container, so that nothing is shared between
// two of them but the process. It starts in a tenth of a container's time. What ends, freezes or times a process needs a process
// of its own (`startService({ containers: 'processes' })`).
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FunctionOptions, LocalFunction } from '../infra/local/lambda.ts';

type Handler = (event: unknown, context: object) => unknown;

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
/** The stand-ins share the event loop with the function, which may be late by this much, milliseconds. */
const SLACK_MS = 1000;
/** What logs on behalf of which container. */
const logging = new AsyncLocalStorage<(line: string) => void>();
let containers = 0;
/** Bundles read the environment when they are loaded: one at a time, and nobody changes it meanwhile. */
let turn: Promise<unknown> = Promise.resolve();
let isCaptured = false;

/** Each line that a container writes goes to its own `onLog`; all other output of the process stays as it is. */
function captureOutput(): void {
  if (isCaptured) return;
  isCaptured = true;
  const write = process.stdout.write.bind(process.stdout) as (...given: unknown[]) => boolean;
  process.stdout.write = ((chunk: unknown, ...rest: unknown[]) => {
    const onLine = logging.getStore();
    if (!onLine) return write(chunk, ...rest);
    for (const line of String(chunk).split('\n').filter(Boolean)) onLine(line);
    return true;
  }) as typeof process.stdout.write;
}

const described = (error: unknown) =>
  new Error(error instanceof Error ? `${error.name}: ${error.message}` : `${error}`);

/** A container for `dist/{name}.mjs`, loaded at its first invocation. */
export function createFunctionInProcess(
  name: string,
  { environment, timeout = 30_000, onLog = () => {}, ...options }: FunctionOptions,
): LocalFunction {
  const busy = new Set<unknown>();
  const variables: Record<string, string> = { AWS_LAMBDA_FUNCTION_NAME: name, ...environment };
  const { bundle = `${DIST}/${name}.mjs` } = options;
  let loading: Promise<Handler> | undefined;

  function load(): Promise<Handler> {
    const url = pathToFileURL(bundle);
    url.searchParams.set('container', String(++containers));
    const loaded = turn.then(async () => {
      setEnvironment(variables);
      const { handler } = await import(/* @vite-ignore */ url.href);
      return handler;
    });
    turn = loaded.catch(() => {});
    return loaded;
  }

  async function run(event: unknown, milliseconds: number, begin: () => void): Promise<unknown> {
    captureOutput();
    loading ??= load();
    const handler = await loading;
    for (let last: unknown; last !== turn; ) {
      last = turn;
      await last;
    }
    // The SDK's clients read the environment when they are first used.
    setEnvironment(variables);
    const deadline = Date.now() + milliseconds;
    begin();
    const context = { awsRequestId: randomUUID(), getRemainingTimeInMillis: () => deadline - Date.now() };
    try {
      // Lambda passes JSON, both ways.
      const result = await handler(JSON.parse(JSON.stringify(event)), context);
      return JSON.parse(JSON.stringify(result) ?? 'null');
    } catch (error) {
      throw described(error);
    }
  }

  return {
    async invoke(event, milliseconds = timeout) {
      busy.add(event);
      const { promise: late, reject } = Promise.withResolvers<never>();
      let timer: NodeJS.Timeout | undefined;
      // As Lambda has it, an invocation's time begins when the function is loaded.
      const begin = () => {
        timer = setTimeout(() => {
          onLog(`Task timed out after ${milliseconds} ms`);
          reject(new Error(`Runtime.ExitError: ${name} timed out`));
        }, milliseconds + SLACK_MS);
      };
      try {
        return await Promise.race([late, logging.run(onLog, () => run(event, milliseconds, begin))]);
      } finally {
        clearTimeout(timer);
        busy.delete(event);
      }
    },
    /** The next invocation loads the bundle anew. What is being processed goes on to its end. */
    kill() {
      loading = undefined;
    },
    isBusy: (text = '') => [...busy].some((event) => JSON.stringify(event).includes(text)),
    signal() {
      throw new Error('A container in the test’s own process takes no signals');
    },
  };
}

/** Variables of other containers that this one does not have are gone: a function sees its own environment. */
const known = new Set<string>();
function setEnvironment(variables: Record<string, string>): void {
  for (const name of known) if (!(name in variables)) delete process.env[name];
  for (const name of Object.keys(variables)) known.add(name);
  Object.assign(process.env, variables);
}
