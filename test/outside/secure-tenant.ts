// The stand-in tenant over https, with the little of the Management API beside organization connections that the Deploy CLI asks for.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Auth0Tenant } from '../../infra/local/auth0-tenant.ts';

type Answer = [status: number, body: object];

/** Listens at https://localhost, with `key.pem` and `certificate.pem` of `folder`. */
export async function startSecureTenant(tenant: Auth0Tenant, folder: string) {
  const [key, cert] = ['key.pem', 'certificate.pem'].map((name) => readFileSync(join(folder, name)));
  const connections = () => {
    const all = Object.values(tenant.state().organizations).flat();
    const byId = new Map(all.map(({ connection_id, connection }) => [connection_id, connection]));
    for (const [id, connection] of byId) known.set(id, { id, ...connection });
    return [...known.values()];
  };
  /** Connections of the tenant; one that is removed from an organization is still there. */
  const known = new Map<string, object>();

  function answerOf(method: string, path: string): Answer | undefined {
    if (method === 'GET' && path === '/api/v2/clients') return [200, { clients: [], start: 0, limit: 50, total: 0 }];
    if (method === 'GET' && path === '/api/v2/client-grants')
      return [200, { client_grants: [], start: 0, limit: 50, total: 0 }];
    if (method === 'GET' && path === '/api/v2/connections') return [200, { connections: connections() }];
    const [, part] = /^\/api\/v2\/organizations\/[^/]+\/(client-grants|discovery-domains|clients)$/.exec(path) ?? [];
    if (method === 'GET' && part === 'client-grants')
      return [200, { client_grants: [], start: 0, limit: 50, total: 0 }];
    if (method === 'GET' && part) return [404, { statusCode: 404, error: 'Not Found', message: 'Not Found' }];
    return undefined;
  }

  const server = createServer({ key, cert }, async (request, response) => {
    const { method = '', url = '', headers } = request;
    const body = Buffer.concat(await request.toArray());
    // So that what is removed later is known.
    connections();
    const own = answerOf(method, url.split('?')[0] ?? '');
    if (own) return void response.writeHead(own[0], { 'content-type': 'application/json' }).end(JSON.stringify(own[1]));
    const sent = { authorization: String(headers.authorization), 'content-type': 'application/json' };
    const answer = await fetch(tenant.url + url, { method, headers: sent, ...(body.length > 0 && { body }) });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await once(server.listen(0, 'localhost'), 'listening');
  return {
    domain: `localhost:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
