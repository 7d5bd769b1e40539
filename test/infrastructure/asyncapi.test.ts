import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Parser } from '@asyncapi/parser';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { expect, test } from 'vitest';
import { asyncapi, createAjv, eventSchemas } from '../contract.ts';

const text = readFileSync(new URL('../../infra/contracts/asyncapi.yml', import.meta.url), 'utf8');

test('the description is valid AsyncAPI 3', async () => {
  const { document, diagnostics } = await new Parser().parse(text);
  expect(diagnostics).toEqual([]);
  expect(document?.version()).toBe('3.1.0');
});

test('each message is on the bus, in one direction, with an example that is what its schema says', () => {
  const ajv = createAjv();
  const refs = Object.values<{ messages: { $ref: string }[] }>(asyncapi.operations).flatMap(({ messages }) => messages);
  const used = refs.map(({ $ref }) => $ref.split('/').at(-1));
  expect(used.sort()).toEqual(Object.keys(asyncapi.components.messages).sort());
  expect(Object.keys(asyncapi.channels.bus.messages).sort()).toEqual(used);
  for (const [name, { $schema: _, ...schema }] of eventSchemas) {
    const valid = ajv.compile(schema);
    expect(schema.examples.length, name).toBeGreaterThan(0);
    for (const example of schema.examples)
      expect(valid(example), `${name}: ${ajv.errorsText(valid.errors)}`).toBe(true);
    expect(schema.$id).toBe(`urn:org-connections:${name}:1`);
  }
});

test('a rule can tell dry runs apart: each outcome says whether it is one, and of which version it is', () => {
  for (const [name, { properties }] of eventSchemas) {
    if (name.endsWith('requested')) continue;
    expect(properties.detail?.required, name).toEqual(expect.arrayContaining(['version', 'dry_run']));
    expect(properties.detail?.properties?.version, name).toMatchObject({ type: 'integer', const: 1 });
  }
});

test('the schema registry has each of them, in the words of draft 4, and takes and refuses the same', async () => {
  const resourcesOf = createRequire(import.meta.url)('../../infra/stack/event-schemas.cjs');
  const { Resources } = await resourcesOf({ resolveVariable: async () => 'prod' });
  const registered = Object.values<{ Type: string; Properties: { SchemaName: string; Content: string } }>(Resources);
  const schemas = registered
    .filter(({ Type }) => Type === 'AWS::EventSchemas::Schema')
    .map(({ Properties }) => Properties);
  expect(schemas.length).toBe(eventSchemas.size);
  for (const { SchemaName, Content } of schemas) {
    expect(Content).not.toMatch(/"(const|if|then|examples|\$id|\$ref|\$defs)":/);
    const { $schema, id, ...schema } = JSON.parse(Content);
    expect($schema).toBe('http://json-schema.org/draft-04/schema#');
    const name = SchemaName.split('@').at(-1) ?? '';
    expect(id).toBe(eventSchemas.get(name)?.$id);
    const ajv = new Ajv({ strict: false });
    formats.default(ajv);
    const valid = ajv.compile(schema);
    for (const example of eventSchemas.get(name)?.examples ?? []) {
      expect(valid(example), name).toBe(true);
      const wrong = { action: 'disable', grace_period: 'P30D', version: 2 };
      if (!name.endsWith('cancellation_requested'))
        expect(valid({ ...example, detail: { ...example.detail, ...wrong } }), name).toBe(false);
      expect(valid({ ...example, 'detail-type': 'another' }), name).toBe(false);
    }
  }
  expect((await resourcesOf({ resolveVariable: async () => 'local' })).Resources).toEqual({});
});
