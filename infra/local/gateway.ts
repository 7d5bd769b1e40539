// The HTTP functions behind serverless-offline, which plays API Gateway's HTTP API by the routes of serverless.yml.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OSLS = fileURLToPath(new URL('../../node_modules/.bin/osls', import.meta.url));

/** `wanted` if that port is free right now, else one that is. */
export async function freePort(wanted = 0): Promise<number> {
  const server = createServer().listen(wanted);
  const taken = await once(server, 'listening').then(
    () => false,
    () => true,
  );
  if (taken) return freePort();
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts the gateway on `port`; resolves when it answers. `onLine` gets what the functions log, and what the gateway says when
 * it can not start.
 */
export async function startGateway(port: number, environment: Record<string, string>, onLine: (line: string) => void) {
  if ((await freePort(port)) !== port) throw new Error(`Port ${port} is taken; PORT=… chooses another`);
  const child = spawn(
    process.execPath,
    [OSLS, 'offline', '--stage', 'local', '--httpPort', String(port), '--lambdaPort', String(await freePort())],
    {
      cwd: ROOT,
      // A group of its own: Ctrl-C reaches this process alone, which then stops everything in order.
      detached: true,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...environment,
        ORG_CONNECTIONS_PLACE: 'laptop',
        SLS_NOTIFICATIONS_MODE: 'off',
        NODE_OPTIONS: `--import ${new URL('request-ids.ts', import.meta.url)}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  // However this process ends, the gateway ends with it.
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.on('data', (chunk: Buffer) => {
      const all = `${rest}${chunk}`.split('\n');
      rest = all.pop() ?? '';
      lines.push(...all);
      lines.splice(0, lines.length - 50);
      for (const line of all) if (line.startsWith('{"timestamp"')) onLine(line);
    });
  }
  const url = `http://localhost:${port}`;
  for (const end = Date.now() + 60_000; ; ) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`The gateway did not start:\n${lines.join('\n')}`);
    const answer = await fetch(`${url}/`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
    if (answer) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    async close() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await once(child, 'exit');
      clearTimeout(killer);
    },
  };
}
