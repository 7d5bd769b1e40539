// `npm start`: the whole service on this machine, and a page for a browser before it.
import { startEnvironment } from './environment.ts';
import { freePort, startGateway } from './gateway.ts';
import { firstRequests } from './page/commands.ts';
import { setDemoTenant } from './page/demo-tenant.ts';
import { startPage } from './page/server.ts';
import { startSignatureCheck } from './signatures.ts';

const port = Number(process.env.PORT ?? 3000);
const signed = process.argv.includes('--check-signatures');
const log = process.argv.includes('--logs') ? console.log : () => {};
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };

if ((await freePort(port)) !== port) stop(new Error(`Port ${port} is taken; PORT=… chooses another`));
const [tenantPort, awsPort] = [await freePort(4010), await freePort(4566)];
const local = await startEnvironment({ onLog: log, plan: 'enterprise', awsPort, tenantPort }).catch(stop);
setDemoTenant(local.tenant);
const gateway = await startGateway(await freePort(), local.environment, log).catch(stop);
const check = { port: await freePort(), target: gateway.url, credentials: [credentials], onRefused: console.log };
const api = signed ? await startSignatureCheck(check).catch(stop) : gateway;
const page = await startPage({ port, local, api: api.url, gateway: gateway.url, credentials, signed }).catch(stop);
local.aws.terminal.setApi('org-connections-local', page.url);

const requests = firstRequests({ url: page.url, tenantUrl: local.tenant.url, awsUrl: local.aws.url, signed });
console.log(`
org-connections is up.

  Page   ${page.url}/   organizations, timeline, API reference: open it in a browser
  API    ${page.url}    ${signed ? 'signatures are checked: access key "local", secret "local"' : 'no signature is needed'}
  Auth0  ${local.tenant.url}   AWS  ${local.aws.url}   (stand-ins)

${requests.map(({ title, lines }) => `${title}:\n  ${lines.join('\n  ')}`).join('\n\n')}

Stop with Ctrl-C.
`);

// SIGHUP: the terminal's window was closed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, async () => {
    await page.close();
    if (api !== gateway) await api.close();
    await gateway.close();
    await local.close();
    if (signal !== 'SIGHUP') console.log('Stopped.');
    process.exit(0);
  });
}

function stop(error: Error): never {
  console.error(error.message);
  process.exit(1);
}
