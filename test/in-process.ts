// A container in the test's own process: the packaged bundle, evaluated anew for each container with a `process` of its own, so that
// nothing is shared between two of them but the compiled code. It starts in a fraction of a container's time. What ends, freezes or
// times a process needs a process of its own (`startService({ processes: ['offboard-organization'] })`).
import { Console } from 'node:console';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { startEnvironment } from '../infra/local/environment.ts';
import { createFunction, type FunctionOptions, type LocalFunction } from '../infra/local/lambda.ts';

type Handler = (event: unknown, context: object) => unknown;
type Evaluate = (process: NodeJS.Process, console: Console) => Promise<Handler>;

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
/** The stand-ins share the event loop with the function, which may be late by this much, milliseconds. */
const SLACK_MS = 1000;
/** Each bundle as a function that evaluates it. */
const compiled = new Map<string, Evaluate>();

function evaluatorOf(bundle: string): Evaluate {
  const known = compiled.get(bundle);
  if (known) return known;
  const source = readFileSync(bundle, 'utf8');
  const body = source.replace(/export\s*\{\s*([\w$]+) as handler,?\s*\};?\s*$/, 'return $1;');
  if (body === source) throw new Error(`${bundle} does not end with its handler`);
  const code = `(async function (process, console) { 'use strict'; ${body}\n})`;
  const evaluate = new Script(code, { filename: bundle }).runInThisContext();
  compiled.set(bundle, evaluate);
  return evaluate;
}

/** This process as a container sees it: with its own environment, and `onLog` gets each line of its output. */
function processWith(env: Record<string, string>, onLog: (line: string) => void): NodeJS.Process {
  const write = (chunk: unknown) => {
    for (const line of String(chunk).split('\n').filter(Boolean)) onLog(line);
    return true;
  };
  const own = Object.create(process, {
    env: { value: env },
    stdout: { value: { write } },
    getBuiltinModule: {
      value: (name: string) => (name === 'node:process' ? own : process.getBuiltinModule(name)),
    },
  });
  return own;
}

const described = (error: unknown) =>
  new Error(error instanceof Error ? `${error.name}: ${error.message}` : `${error}`);

/** A container for `dist/{name}.mjs`, loaded at its first invocation. */
export function createFunctionInProcess(
  name: string,
  { environment, timeout = 30_000, onLog = () => {}, ...options }: FunctionOptions,
): LocalFunction {
  const busy = new Set<unknown>();
  const { bundle = `${DIST}/${name}.mjs` } = options;
  let loading: Promise<Handler> | undefined;

  async function load(): Promise<Handler> {
    const variables = { AWS_LAMBDA_FUNCTION_NAME: name, ...environment };
    const own = processWith(variables, onLog);
    return evaluatorOf(bundle)(own, new Console({ stdout: own.stdout, stderr: process.stderr, ignoreErrors: false }));
  }

  async function run(event: unknown, milliseconds: number, begin: () => void): Promise<unknown> {
    loading ??= load();
    const handler = await loading;
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
        return await Promise.race([late, run(event, milliseconds, begin)]);
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

export type EnvironmentOptions = Omit<NonNullable<Parameters<typeof startEnvironment>[0]>, 'createContainer'> & {
  /** The functions that run as processes of their own; the others run in the test's own process. */
  processes?: string[];
};

/** The surroundings of the functions (infra/local/environment.ts), with the functions in the test's own process. */
export const startEnvironmentInProcess = ({ processes = [], ...options }: EnvironmentOptions = {}) =>
  startEnvironment({
    ...options,
    createContainer: (name, given) =>
      (processes.includes(name) ? createFunction : createFunctionInProcess)(name, given),
  });
