// The process of one container: loads the bundle that its first argument names and answers invocations, and ends as the runtime
// nodejs24.x does (test/local/lambda-runtime.test.ts asks AWS's own runtime client the same).
import { pathToFileURL } from 'node:url';

interface Invocation {
  id: string;
  event: unknown;
  deadline: number;
  trace: string;
}
type Handler = (event: unknown, context: object) => unknown;

/** A handler with so many parameters takes a callback, which nodejs24.x refuses. */
const CALLBACK_PARAMETERS = 3;

class RuntimeError extends Error {
  constructor(type: string, message: string) {
    super(message);
    this.name = `Runtime.${type}`;
  }
}

const described = (error: unknown) =>
  error instanceof Error ? `${error.name}: ${error.message}` : `${typeof error}: ${error}`;

async function load(): Promise<Handler> {
  const { handler } = await import(pathToFileURL(process.argv[2] ?? '').href);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', 'handler is no function');
  if (handler.length >= CALLBACK_PARAMETERS)
    throw new RuntimeError('CallbackHandlerDeprecated', 'Handlers with a callback are not supported');
  return handler;
}

/** A start that fails ends the process: the invocation that caused it fails with the reason, and the next one starts another. */
const loading = load().catch((error: unknown): never => {
  process.exitCode = 1;
  process.send?.({ initError: described(error) }, () => process.exit());
  throw error;
});
loading.catch(() => {});

/** The answer as it goes to the caller; nothing is null. */
function serialized(result: unknown): string {
  try {
    return JSON.stringify(result) ?? 'null';
  } catch {
    throw new RuntimeError('JSONStringifyError', 'Unable to stringify response body');
  }
}

const contextOf = ({ id, deadline, trace }: Invocation) => {
  const name = process.env.AWS_LAMBDA_FUNCTION_NAME ?? '';
  return {
    awsRequestId: id,
    functionName: name,
    functionVersion: '1',
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${name}`,
    memoryLimitInMB: '512',
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: 'local',
    xRayTraceId: trace,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
};

process.on('message', async (invocation: Invocation) => {
  const { id, event, trace } = invocation;
  const handler = await loading.catch(() => undefined);
  if (!handler) return;
  // While the handler is at it the channel does not keep the process: one that waits for nothing ends, as in Lambda.
  process.channel?.unref();
  try {
    // The SDK sends it with each call; Lambda finds loops by it.
    process.env._X_AMZN_TRACE_ID = trace;
    const result = serialized(await handler(event, contextOf(invocation)));
    process.send?.({ id, result });
  } catch (error) {
    process.send?.({ id, error: described(error) });
  } finally {
    process.channel?.ref();
  }
});
