#!/usr/bin/env bash
# @aws-sdk/client-secrets-manager 3.1164.0 with @aws-sdk/core 3.981.1, on Node 20 or newer.
#
# Seen: on a machine whose clock is five minutes behind, an AccessDeniedException is retried: not once, as the correction of the
# clock would need, but again whenever the response's Date header is of another second than the one before. Where the clock is
# right, it is never retried.
#
# Why it matters: each response sets the clock's correction anew, to the second, and an error whose response moves it counts as one of
# the clock. Any refusal, also one that nothing corrects, then takes another attempt and its pause; whoever counts calls or has a
# stand-in answer in order sees one more now and then.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >package.json <<'JSON'
{ "private": true, "overrides": { "@aws-sdk/core": "3.981.1" } }
JSON
npm install --silent --no-audit --no-fund @aws-sdk/client-secrets-manager@3.1164.0
cat >finding.mjs <<'JS'
import { createServer } from 'node:http';
import { once } from 'node:events';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

const now = Date.now;
let attempts = 0;
let second = 0;
// The Date of the response is what the case says, in whole seconds.
const server = createServer((request, response) => {
  attempts += 1;
  request.resume();
  response.sendDate = false;
  response.writeHead(400, {
    'content-type': 'application/x-amz-json-1.1',
    date: new Date(start + 1000 * second).toUTCString(),
  });
  response.end(JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const start = Math.floor(now() / 1000) * 1000;

async function refused(client) {
  attempts = 0;
  const error = await client.send(new GetSecretValueCommand({ SecretId: 's' })).catch((found) => found);
  return `second ${second} ${error.name} after ${attempts}`;
}
for (const behind of [0, 300_000]) {
  const client = new SecretsManagerClient({
    endpoint: `http://127.0.0.1:${server.address().port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
  });
  // The clock stands still, so that nothing but the case moves it.
  Date.now = () => start - behind;
  const seen = [];
  for (second of [0, 0, 1, 1, 2]) seen.push(await refused(client));
  Date.now = now;
  console.log(`${behind / 60_000} minutes behind: ${seen.join(', ')}`);
}
server.closeAllConnections();
server.close();
JS
cat >expected <<'END'
0 minutes behind: second 0 AccessDeniedException after 1, second 0 AccessDeniedException after 1, second 1 AccessDeniedException after 1, second 1 AccessDeniedException after 1, second 2 AccessDeniedException after 1
5 minutes behind: second 0 AccessDeniedException after 2, second 0 AccessDeniedException after 1, second 1 AccessDeniedException after 2, second 1 AccessDeniedException after 1, second 2 AccessDeniedException after 2
END
node finding.mjs | tee seen
diff expected seen && echo 'As it was found.'
