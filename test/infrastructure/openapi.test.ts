import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ConnectionId, OrganizationId } from '../../lib/ids.ts';
import { Problem, type ProblemCode } from '../../lib/problem.ts';
import { asyncapi, createAjv, openapi, operations } from '../contract.ts';

const { schemas, parameters, responses, examples } = openapi.components;

test('the description has the routes that are deployed', () => {
  const { functions } = parse(readFileSync(new URL('../../serverless.yml', import.meta.url), 'utf8'));
  const deployed = Object.entries<{ events?: { httpApi: { method: string; path: string } }[] }>(functions).flatMap(
    ([name, { events = [] }]) => events.map(({ httpApi: { method, path } }) => `${name} ${method} ${path}`),
  );
  const described = [...operations].map(([name, { method, path }]) => `${name} ${method.toUpperCase()} ${path}`);
  expect(described.sort()).toEqual(deployed.sort());
});

test('the description has the ids and the problem codes of the service', () => {
  const pattern = new RegExp(schemas.OrganizationId.pattern);
  const ids = ['org_bCE84ZIRjtX58FeO', `org_${'a'.repeat(46)}`, `org_${'a'.repeat(47)}`, 'org_', 'con_a', 'org_a-b'];
  for (const id of ids) expect(pattern.test(id), id).toBe(v.is(OrganizationId, id));
  expect(v.is(ConnectionId, parameters.connection_id.example)).toBe(true);
  const codes: string[] = schemas.Problem.properties.code['x-extensible-enum'];
  for (const code of codes) expect(new Problem(code as ProblemCode, '').toMembers('').title, code).toBeTruthy();
});

interface Media {
  schema: object;
  examples: Record<string, { $ref?: string; value?: unknown }>;
}
interface Described {
  $ref?: string;
  content?: Record<string, Media>;
}

test('each answer and each body has an example that matches its schema', () => {
  const ajv = createAjv();
  ajv.addSchema(openapi, 'openapi');
  for (const [name, { operation }] of operations) {
    const { requestBody, responses: answers } = operation as unknown as {
      requestBody?: Described;
      responses: Record<string, Described>;
    };
    for (const [status, answer] of Object.entries({ ...answers, ...(requestBody && { body: requestBody }) })) {
      const { content = {} } = answer.$ref ? responses[answer.$ref.split('/').at(-1) ?? ''] : answer;
      for (const [type, media] of Object.entries<Media>(content)) {
        const values = Object.values(media.examples).map(({ $ref, value }) =>
          $ref ? examples[$ref.split('/').at(-1) ?? '']?.value : value,
        );
        expect(values, `${name} ${status} has an example that is not written`).not.toContain(undefined);
        expect(values.length, `${name} ${status} ${type}`).toBeGreaterThan(0);
        const schema = JSON.parse(JSON.stringify(media.schema).replaceAll('"#/', '"openapi#/'));
        for (const value of values)
          expect(ajv.validate(schema, value), `${name} ${status}: ${ajv.errorsText()}`).toBe(true);
        // A mock answers with one of them: none may stand for another status.
        for (const { code, status: said } of values as { code?: string; status?: number }[])
          if (code) expect(String(said), `${name} ${status}`).toBe(status);
      }
    }
  }
});

/** Every schema within `value`, with where it stands. */
function* schemasIn(value: unknown, path = ''): Generator<[path: string, schema: Record<string, unknown>]> {
  if (value === null || typeof value !== 'object') return;
  if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
  for (const [key, member] of Object.entries(value)) if (key !== 'examples') yield* schemasIn(member, `${path}/${key}`);
}
const all = [...schemasIn({ openapi: schemas, asyncapi: asyncapi.components.schemas })];

test('answers and events are open, and requests are closed', () => {
  const closed = all.filter(([, schema]) => schema.additionalProperties === false).map(([path]) => path);
  expect(closed).toEqual(['DisableBody', 'OffboardingBody', 'BatchBody'].map((name) => `/openapi/${name}`));
  const lists = all.filter(
    ([path, { enum: values }]) => Array.isArray(values) && !/Body|Action|OnReenable|Request/.test(path),
  );
  expect(lists.map(([path]) => path)).toEqual([]);
});

test('no schema has or lacks a word that misleads generators', () => {
  for (const [path, schema] of all) {
    if (Array.isArray(schema.enum) || Object.hasOwn(schema, 'const') || schema['x-extensible-enum'])
      expect(schema.type, path).toBeTruthy();
    if (schema.type === 'object' && !path.endsWith('/detail'))
      expect(schema.properties ?? schema.additionalProperties, path).toBeTruthy();
    if (schema.type === 'array') expect(schema.items, path).toBeTruthy();
    // Generators make durations of it, whose text the service refuses, and a type of two types that strict readers refuse.
    expect(schema.format, path).not.toBe('duration');
    const alternatives = (schema.anyOf ?? schema.oneOf ?? []) as { type?: string }[];
    expect(alternatives.filter(({ type }) => type !== 'null').length, path).toBeLessThanOrEqual(1);
    // An object that may be null, with members, becomes a type that is never null; an `anyOf` of the two does not.
    if (path.startsWith('/asyncapi') && Array.isArray(schema.type)) expect(schema.properties, path).toBeUndefined();
    // What has no name within an `allOf`, one generator takes for something else that has none.
    for (const part of (schema.allOf ?? []) as object[])
      expect(['$ref', 'required'], path).toEqual(expect.arrayContaining(Object.keys(part)));
  }
});
