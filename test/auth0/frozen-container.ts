// A process that has a connection to ORIGIN (opened ahead where AHEAD is set, else used before), is frozen by its parent, and makes a
// write when it is told to.
import { openConnection } from '../../lib/auth0/http-agents.ts';
import { send } from '../../lib/auth0/http-client.ts';

const origin = new URL(process.env.ORIGIN ?? '');
const write = () => send({ method: 'PATCH', origin, path: '/', body: {}, timeout: 3000 });
await (process.env.AHEAD ? openConnection(origin) : write());
process.send?.('ready');
process.on('message', async () => {
  const { status, failure } = await write();
  process.send?.({ status, failure: failure?.kind });
  process.exit(0);
});
