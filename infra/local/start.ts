// `npm start`: the whole service on this machine, and a page for a browser before it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startEnvironment } from './environment.ts';
import { startFront } from './front.ts';
import { freePort, startGateway } from './gateway.ts';
import { firstRequests } from './page/commands.ts';
import { setDemoTenant } from './page/demo-tenant.ts';
import { startPage } from './page/server.ts';
import { createSignatureCheck } from './signatures.ts';
import { createThrottleCheck } from './throttles.ts';

const BUILD = fileURLToPath(new URL('../build/build.ts', import.meta.url));
const port = Number(process.env.PORT ?? 3000);
const signed = process.argv.includes('--check-signatures');
const log = process.argv.includes('--logs') ? console.log : () => {};
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
const started: { close: () => Promise<void> }[] = [];

// SIGHUP: the terminal's window was closed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end(signal));

if ((await freePort(port)) !== port) stop(new Error(`Port ${port} is taken; PORT=… chooses another`));
// The bundles and the stand-ins are made ready at the same time.
const build = () => promisify(execFile)(process.execPath, [BUILD, '--quiet']);
const built = process.argv.includes('--build') ? build() : Promise.resolve();
const [tenantPort, awsPort] = [await freePort(4010), await freePort(4566)];
const local = await startEnvironment({
  onLog: log,
  plan: 'enterprise',
  awsPort,
  tenantPort,
  bundles: built,
  functions: { logsErrors: true },
}).catch(stop);
started.push(local);
setDemoTenant(local.tenant);
const gateway = await startGateway(await freePort(), local.environment, local.onLog).catch(stop);
started.push(gateway);
const checks = [
  ...(signed ? [createSignatureCheck([credentials])] : []),
  ...(process.argv.includes('--throttle') ? [createThrottleCheck()] : []),
];
const front = { port: await freePort(), target: gateway.url, checks, onRefused: console.log };
const api = checks.length > 0 ? await startFront(front).catch(stop) : gateway;
if (api !== gateway) started.push(api);
const page = await startPage({ port, local, api: api.url, gateway: gateway.url, credentials, signed }).catch(stop);
started.push(page);
local.aws.terminal.setApi('org-connections-local', page.url);

const requests = firstRequests({ url: page.url, signed });
console.log(`
org-connections is up.

  Page   ${page.url}/   organizations, timeline, API reference: open it in a browser
  API    ${page.url}    ${signed ? 'signatures are checked: access key "local", secret "local"' : 'no signature is needed'}
  Auth0  ${local.tenant.url}   AWS  ${local.aws.url}   (stand-ins)

${requests.map(({ title, lines }) => `${title}:\n  ${lines.join('\n  ')}`).join('\n\n')}

Stop with Ctrl-C.
`);

/** Ends everything that was started, the last one first. */
async function end(signal: NodeJS.Signals): Promise<void> {
  // Nobody reads any more where the terminal has gone.
  process.stdout.on('error', () => {});
  for (const one of started.toReversed()) await one.close();
  if (signal !== 'SIGHUP') console.log('Stopped.');
  process.exit(0);
}

function stop(error: Error): never {
  console.error(error.message);
  process.exit(1);
}
