import { Validator } from '@seriousme/openapi-schema-validator';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { ConnectionId, OrganizationId } from '../../lib/ids.ts';
import { Problem, type ProblemCode } from '../../lib/problem.ts';
import { openapi } from '../contract.ts';

test('the description is valid OpenAPI 3.1', async () => {
  expect(await new Validator().validate(structuredClone(openapi))).toMatchObject({ valid: true });
});

test('it has the ids and the problem codes that the service has', () => {
  const { parameters, schemas } = openapi.components;
  for (const id of [
    'org_bCE84ZIRjtX58FeO',
    `org_${'a'.repeat(46)}`,
    `org_${'a'.repeat(47)}`,
    'org_',
    'con_a',
    'org_a-b',
  ]) {
    expect(new RegExp(parameters.organization_id.schema.pattern).test(id), id).toBe(v.is(OrganizationId, id));
  }
  expect(v.is(ConnectionId, parameters.connection_id.example)).toBe(true);
  for (const code of schemas.Problem.properties.code.enum) {
    expect(new Problem(code as ProblemCode, '').toMembers('').title, code).toBeTruthy();
  }
});
