import '../older-node/language.mjs';
import { pathToFileURL } from 'node:url';

const CALLBACK_PARAMETERS = 3;
class RuntimeError extends Error {
  constructor(type, message) {
    super(message);
    this.name = `Runtime.${type}`;
  }
}
const described = (error) => (error instanceof Error ? `${error.name}: ${error.message}` : `${typeof error}: ${error}`);
async function load() {
  const { handler } = await import(pathToFileURL(process.argv[2] ?? '').href);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', 'handler is no function');
  if (handler.length >= CALLBACK_PARAMETERS)
    throw new RuntimeError('CallbackHandlerDeprecated', 'Handlers with a callback are not supported');
  return handler;
}
const loading = load().catch((error) => {
  process.exitCode = 1;
  process.send?.({ initError: described(error) }, () => process.exit());
  throw error;
});
loading.catch(() => {});
function serialized(result) {
  try {
    return JSON.stringify(result) ?? 'null';
  } catch {
    throw new RuntimeError('JSONStringifyError', 'Unable to stringify response body');
  }
}
const contextOf = ({ id, deadline, trace }) => {
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
process.on('message', async (invocation) => {
  const { id, event, trace } = invocation;
  const handler = await loading.catch(() => void 0);
  if (!handler) return;
  process.channel?.unref();
  try {
    process.env._X_AMZN_TRACE_ID = trace;
    const result = serialized(await handler(event, contextOf(invocation)));
    process.send?.({ id, result });
  } catch (error) {
    process.send?.({ id, error: described(error) });
  } finally {
    process.channel?.ref();
  }
});
