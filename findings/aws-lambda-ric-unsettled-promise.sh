#!/usr/bin/env bash
# aws-lambda-ric 4.0.2, AWS's runtime client for Node.js functions, on Node 24.21.0.
#
# Seen: a handler that waits for a promise which nothing will ever settle ends the process with exit code 0. The client posts
# neither a response nor an error for the invocation, and writes nothing to the log.
#
# Why it matters: the platform reports such an end as Runtime.ExitError, "exit status 0". Nothing names the line that waits. Where a
# supervisor restarts the client only on a failure, as in one's own container, it stays away.
#
# Needs cmake, make and a C++ compiler: the client has native code. The Runtime API here answers what the client asks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >package.json <<'JSON'
{
  "private": true,
  "allowScripts": { "aws-lambda-ric": true, "node": true }
}
JSON
npm install --silent --no-audit --no-fund node@24.21.0
export PATH="$PWD/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund aws-lambda-ric@4.0.2
echo 'export const handler = () => new Promise(() => {});' >index.mjs
cat >finding.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const posts = [];
let wasGiven = false;
const server = createServer((request, response) => {
  if (request.method === 'POST') return void (posts.push(request.url), response.writeHead(202).end());
  if (wasGiven) return;
  wasGiven = true;
  const deadline = String(Date.now() + 60_000);
  const headers = { 'lambda-runtime-aws-request-id': '1', 'lambda-runtime-deadline-ms': deadline };
  const trace = 'Root=1-00000000-000000000000000000000000;Sampled=0';
  response.writeHead(200, {
    ...headers,
    'content-type': 'application/json',
    'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:123456789012:function:f',
    'lambda-runtime-trace-id': trace,
  });
  response.end('{}');
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const variables = ['FUNCTION_NAME', 'FUNCTION_VERSION', 'LOG_GROUP_NAME', 'LOG_STREAM_NAME'];
const env = {
  ...Object.fromEntries(variables.map((name) => [`AWS_LAMBDA_${name}`, 'f'])),
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
  AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${server.address().port}`,
  LAMBDA_TASK_ROOT: process.cwd(),
  _HANDLER: 'index.handler',
};
const child = spawn(process.execPath, ['node_modules/aws-lambda-ric/index.mjs'], { env });
let output = '';
for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
const [code] = await once(child, 'exit');
console.log(`invoked ${wasGiven}, exit code ${code}, posts ${posts.length}, output ${JSON.stringify(output)}`);
server.closeAllConnections();
server.close();
JS
echo 'invoked true, exit code 0, posts 0, output ""' >expected
node finding.mjs | tee seen
diff expected seen && echo 'As it was found.'
