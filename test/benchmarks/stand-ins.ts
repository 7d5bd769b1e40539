// The stand-ins of the benchmark, in a process of their own; prints the functions' environment and then what was called.
import { startEnvironment } from '../../infra/local/environment.ts';
import { CON, ORG } from './event.ts';

const local = await startEnvironment({ connected: false });
const reset = () => local.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
local.worker.kill();
local.rotation.kill();
process.send?.(local.environment);
process.on('message', (what) => {
  if (what === 'reset') return reset();
  const calls = local.tenant.calls();
  const secrets = local.aws.calls.filter((operation) => operation === 'GetSecretValue').length;
  process.send?.({
    management: calls.filter(({ path }) => path.startsWith('/api')).length,
    tokens: calls.filter(({ path }) => path === '/oauth/token').length,
    secrets,
  });
  local.tenant.clearCalls();
  local.aws.calls.length = 0;
});
process.on('disconnect', () => process.exit(0));
