#!/usr/bin/env bash
# @asyncapi/modelina 5.10.1 with @asyncapi/parser 3.6.6, both of the AsyncAPI project.
#
# Seen: a document that says `asyncapi: 3.1.0` is valid for the parser. The generator makes `type Root = any` of it, without an
# error or a warning. The same document with 3.0.0 becomes its types.
#
# Why it matters: a minor version of the description takes all types away from its consumers, and their code still compiles.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @asyncapi/modelina@5.10.1 @asyncapi/parser@3.6.6
cat >finding.js <<'JS'
import { TypeScriptGenerator } from '@asyncapi/modelina';
import { Parser } from '@asyncapi/parser';

for (const asyncapi of ['3.0.0', '3.1.0']) {
  const payload = { $id: 'Order', type: 'object', properties: { id: { type: 'string' } }, additionalProperties: false };
  const channels = { orders: { address: 'orders', messages: { order: { payload } } } };
  const operations = { sendOrder: { action: 'send', channel: { $ref: '#/channels/orders' } } };
  const document = { asyncapi, info: { title: 'Orders', version: '1' }, channels, operations };
  const errors = (await new Parser().validate(JSON.stringify(document))).filter(({ severity }) => severity === 0);
  const models = await new TypeScriptGenerator({ modelType: 'interface' }).generate(document);
  const types = models.map(({ result }) => result.replace(/\s+/g, ' ')).join(' ');
  console.log(`${asyncapi}: ${errors.length} errors, ${types}`);
}
JS
cat >expected <<'OUT'
3.0.0: 0 errors, interface Order { id?: string; }
3.1.0: 0 errors, type Root = any;
OUT
node finding.js | tee seen
diff expected seen && echo 'As it was found.'
