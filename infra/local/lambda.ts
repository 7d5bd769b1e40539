// Runs a packaged function as Lambda does: the bundle in a process of its own with its own environment, warm between
// invocations, killed when it takes too long.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { traceOfInvocation } from './aws/trace.ts';

const RUNTIME = fileURLToPath(new URL('lambda-runtime.mjs', import.meta.url));
const DIST = fileURLToPath(new URL('../../dist', import.meta.url));

export interface FunctionOptions {
  environment: Record<string, string>;
  /** Milliseconds. */
  timeout?: number;
  /** Gets each line that the function logs. */
  onLog?: (line: string) => void;
  /** Freezes the process between invocations: what is pending when the response is out goes on at the next one. */
  freezes?: boolean;
  /** The file that exports `handler`, where it is none of the service's own. */
  bundle?: string;
  /** Logs what the function throws, as Lambda's runtime does. */
  logsErrors?: boolean;
  /** More arguments for the process, such as a module to load before the bundle. */
  execArgv?: string[];
}

type Settle = {
  event: unknown;
  child: ChildProcess;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
};

/** What a container says: how an invocation ended, or that its start failed. */
interface Said {
  id?: string;
  /** JSON. */
  result?: string;
  error?: string;
  initError?: string;
}

/** "Error: it failed", as Lambda's runtime logs it in JSON (developer guide, "Log and monitor Node.js Lambda functions"). */
function errorLine(name: string, error: string): string {
  const [, errorType = 'Error', errorMessage = error] = /^([\w.]+): (.*)$/s.exec(error) ?? [];
  const message = { errorType, errorMessage };
  return JSON.stringify({ timestamp: new Date().toISOString(), level: 'ERROR', function: name, message });
}

/** A container for `dist/{name}.mjs`, started at its first invocation. */
export function createFunction(
  name: string,
  { environment, timeout = 30_000, onLog = () => {}, execArgv = [], ...options }: FunctionOptions,
) {
  let container: ChildProcess | undefined;
  const { freezes = false, logsErrors = false, bundle = `${DIST}/${name}.mjs` } = options;
  const waiting = new Map<string, Settle>();

  function start(): ChildProcess {
    const child = fork(RUNTIME, [bundle], {
      execArgv,
      env: { PATH: process.env.PATH, AWS_LAMBDA_FUNCTION_NAME: name, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let rest = '';
    const onOutput = (chunk: Buffer) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLog(line);
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.on('message', ({ id = '', result = 'null', error, initError }: Said) => {
      if (initError !== undefined) {
        if (container === child) container = undefined;
        return failAll(child, initError);
      }
      const settle = waiting.get(id);
      if (!settle) return;
      waiting.delete(id);
      clearTimeout(settle.timer);
      if (freezes && waiting.size === 0) child.kill('SIGSTOP');
      if (error === undefined) return settle.resolve(JSON.parse(result));
      if (logsErrors) onLog(errorLine(name, error));
      settle.reject(new Error(error));
    });
    child.on('exit', (code, signal) => {
      if (container === child) container = undefined;
      failAll(child, `Runtime.ExitError: ${name} ended with ${signal ? `signal: ${signal}` : `exit status ${code}`}`);
    });
    return child;
  }

  function failAll(child: ChildProcess, message: string): void {
    for (const [id, settle] of waiting) {
      if (settle.child !== child) continue;
      waiting.delete(id);
      clearTimeout(settle.timer);
      settle.reject(new Error(message));
    }
  }

  return {
    /** Invokes the function with `event`; resolves to its result, rejects with what it threw or when it timed out. */
    invoke(event: unknown, milliseconds = timeout, trace = traceOfInvocation(name, [], true)): Promise<unknown> {
      container ??= start();
      const child = container;
      if (freezes) child.kill('SIGCONT');
      return new Promise((resolve, reject) => {
        const id = randomUUID();
        const timer = setTimeout(() => {
          onLog(`Task timed out after ${milliseconds} ms`);
          child.kill('SIGKILL');
        }, milliseconds);
        waiting.set(id, { event, child, resolve, reject, timer });
        child.send({ id, event, trace, deadline: Date.now() + milliseconds });
      });
    },
    /** Ends the process at once, whatever it is doing; the next invocation starts another. */
    kill() {
      container?.kill('SIGKILL');
      container = undefined;
    },
    /** Whether an event is being processed that has `text` in it; also one of a process that was killed and is not gone yet. */
    isBusy: (text = '') => [...waiting.values()].some(({ event }) => JSON.stringify(event).includes(text)),
    signal(name: NodeJS.Signals) {
      if (freezes) container?.kill('SIGCONT');
      container?.kill(name);
    },
  };
}

export type LocalFunction = ReturnType<typeof createFunction>;
