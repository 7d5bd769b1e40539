#!/usr/bin/env bash
# auth0 7.1.0, Auth0's SDK for Node.js.
#
# Seen: iterating over an organization's connections with the SDK's own page size reads page 1, though page 0 said that its total
# of 4 is all there. With `per_page` in the call, a short page is the last one and nothing more is read.
#
# Why it matters: Auth0 lets a tenant read organization connections 50 to 100 times a minute. Every listing costs twice, unless
# the caller writes down the page size that the SDK would have used anyway.
#
# The server here is a stand-in of thirty lines that answers pages in Auth0's form.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts auth0@7.1.0
cat >finding.js <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { ManagementClient } from 'auth0';

const all = ['con_1', 'con_2', 'con_3', 'con_4'].map((connection_id) => ({ connection_id }));
let pages = [];
const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const [page, limit] = [Number(searchParams.get('page')), Number(searchParams.get('per_page'))];
  pages.push(page);
  const connections = all.slice(page * limit, (page + 1) * limit);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ connections, start: page * limit, limit, total: all.length }));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const management = new ManagementClient({
  domain: `127.0.0.1:${server.address().port}`,
  token: 'any',
  fetch: (url, init) => fetch(url.replace('https:', 'http:'), init),
});
for (const [name, options] of [['nothing said', {}], ['per_page: 50', { per_page: 50 }]]) {
  pages = [];
  let count = 0;
  for await (const _ of await management.organizations.connections.list('org_1', options)) count += 1;
  console.log(`${name}: ${count} connections, pages read ${pages.join(', ')}`);
}
server.closeAllConnections();
server.close();
JS
cat >expected <<'OUT'
nothing said: 4 connections, pages read 0, 1
per_page: 50: 4 connections, pages read 0
OUT
node finding.js | tee seen
diff expected seen && echo 'As it was found.'
