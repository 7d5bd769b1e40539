// The process of one container: loads the bundle that its first argument names and answers invocations.
import { pathToFileURL } from 'node:url';

interface Invocation {
  id: string;
  event: unknown;
  deadline: number;
  trace: string;
}

const loading = import(pathToFileURL(process.argv[2] ?? '').href);

process.on('message', async ({ id, event, deadline, trace }: Invocation) => {
  try {
    // The SDK sends it with each call; Lambda finds loops by it.
    process.env._X_AMZN_TRACE_ID = trace;
    const { handler } = await loading;
    const context = { awsRequestId: id, getRemainingTimeInMillis: () => deadline - Date.now() };
    process.send?.({ id, result: await handler(event, context) });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
  }
});
