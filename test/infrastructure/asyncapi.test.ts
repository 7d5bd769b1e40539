import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { expect, test } from 'vitest';
import { asyncapi, createAjv, eventSchemas } from '../contract.ts';

test('each message is on the bus, in one direction, with an example that matches its schema', () => {
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

test('each outcome says its version and its offboarding, and whether it is of a dry run', () => {
  for (const [name, { properties }] of eventSchemas) {
    if (name.endsWith('requested')) continue;
    const members = name.startsWith('connection.') ? ['request_id'] : ['dry_run', 'offboarding_id'];
    expect(properties.detail?.required, name).toEqual(expect.arrayContaining(['version', ...members]));
    // A consumer tells repetitions by these; one that could be null would make two events one.
    for (const member of members) expect(typeof properties.detail?.properties?.[member]?.type, name).toBe('string');
    expect(properties.detail?.properties?.version, name).toMatchObject({ type: 'integer', const: 1 });
  }
});

test('the schema registry has each schema in the words of draft 4, which takes and refuses the same', async () => {
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

test('the files of the event schemas are made of the description of the bus', () => {
  for (const [name, schema] of eventSchemas) {
    const file = new URL(`../../infra/contracts/schemas/${name}.json`, import.meta.url);
    if (process.env.UPDATE) writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
    expect(JSON.parse(readFileSync(file, 'utf8')), name).toEqual(schema);
  }
  const files = readdirSync(new URL('../../infra/contracts/schemas/', import.meta.url));
  expect(files.map((name) => name.replace(/\.json$/, '')).sort()).toEqual([...eventSchemas.keys()].sort());
});
