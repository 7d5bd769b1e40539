// The process of one container: loads the bundle that its first argument names and answers invocations. It is JavaScript, for a
// container starts without anything that reads TypeScript.
import { pathToFileURL } from 'node:url';
import '../older-node/language.mjs';

const loading = import(pathToFileURL(process.argv[2] ?? '').href);

process.on('message', async ({ id, event, deadline, trace }) => {
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
