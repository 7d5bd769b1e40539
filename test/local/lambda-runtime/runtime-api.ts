// A small Lambda Runtime API ("Using the Lambda runtime API for custom runtimes", Lambda developer guide), and AWS's own runtime
// client that runs a bundle against it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Invocation {
  event: unknown;
  /** Milliseconds. */
  timeout: number;
}

/** How an invocation, or the start, ended. */
export interface Ended {
  kind: 'response' | 'error' | 'init/error' | 'exit';
  /** The body as it came; the exit code of a process that said nothing. */
  body: string;
}

const TIMEOUT_MS = 30_000;
const EXIT_WITHIN_MS = 15_000;

/** Answers one runtime: it gets each invocation once, and tells how it ended. */
async function startRuntimeApi() {
  const waiting: Invocation[] = [];
  const ends = new Map<string, (ended: Ended) => void>();
  let [onNext, onInitError]: [(() => void)?, ((ended: Ended) => void)?] = [];

  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const [, id = '', kind = ''] = /\/runtime\/(?:invocation\/)?([\w-]+)\/?(\w*)$/.exec(request.url ?? '') ?? [];
    if (id === 'next') {
      while (waiting.length === 0) await new Promise<void>((resolve) => (onNext = resolve));
      const { event, timeout } = waiting.shift() as Invocation;
      const headers = {
        'lambda-runtime-aws-request-id': Object(event).requestId ?? randomUUID(),
        'lambda-runtime-deadline-ms': String(Date.now() + timeout),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:000000000000:function:local',
        'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000;Sampled=0',
      };
      return void response
        .writeHead(200, { ...headers, 'content-type': 'application/json' })
        .end(JSON.stringify(event));
    }
    response.writeHead(202).end('{"status":"OK"}');
    if (id === 'init') onInitError?.({ kind: 'init/error', body });
    else ends.get('current')?.({ kind: kind as Ended['kind'], body });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when the runtime has told how the invocation, or its start, ended. */
    invoke(event: unknown, timeout = TIMEOUT_MS): Promise<Ended> {
      return new Promise((resolve) => {
        ends.set('current', resolve);
        onInitError = resolve;
        waiting.push({ event, timeout });
        onNext?.();
      });
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * Runs `{folder}/{name}.mjs` under the runtime client that lies in `client`, as Lambda does; each line that it writes is kept.
 */
export async function startRuntime(client: string, folder: string, name: string, environment: Record<string, string>) {
  const api = await startRuntimeApi();
  const child = spawn(process.execPath, [`${client}/index.mjs`], {
    cwd: folder,
    env: {
      ...environment,
      PATH: process.env.PATH,
      _HANDLER: `${name}.handler`,
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_LAMBDA_FUNCTION_NAME: `org-connections-local-${name}`,
      AWS_LAMBDA_FUNCTION_VERSION: '1',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/org-connections-local-${name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: 'local',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      LAMBDA_TASK_ROOT: folder,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(String(chunk)));
  const exited = once(child, 'exit').then(([code]): Ended => ({ kind: 'exit', body: String(code) }));
  return {
    /** The lines that the function and its runtime have written. */
    lines: () => output.join('').split('\n').filter(Boolean),
    /** Resolves to how the invocation ended; a process that ends without a word is an end, too. */
    async invoke(event: unknown): Promise<Ended> {
      const late = async () => {
        const ended = await exited;
        // What was told right before the exit may still be on its way.
        await new Promise((resolve) => setTimeout(resolve, 200));
        return ended;
      };
      return Promise.race([api.invoke(event), late()]);
    },
    /** The code that the process ends with by itself; rejects where it does not end. */
    async exitCode(): Promise<string> {
      const tooLate = new Promise<never>((_, reject) => {
        setTimeout(() => reject(new Error('The runtime did not end')), EXIT_WITHIN_MS).unref();
      });
      return (await Promise.race([exited, tooLate])).body;
    },
    async close() {
      child.kill('SIGKILL');
      await exited;
      api.close();
    },
  };
}
