// What every answer and every event must be: held against the OpenAPI description and the event schemas that callers use.
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

const read = (path: string) => readFileSync(new URL(`../infra/${path}`, import.meta.url), 'utf8');
export const openapi = parse(read('openapi.yml'));
export const requestedSchema = JSON.parse(read('schemas/organization.offboarding.requested.json'));
export const outcomeSchema = JSON.parse(read('schemas/organization.offboarding.outcome.json'));

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(openapi, 'openapi');
export const isRequested = ajv.compile(requestedSchema);
const isOutcome = ajv.compile(outcomeSchema);

interface Operation {
  operationId: string;
  responses: Record<string, { $ref?: string; content?: Record<string, unknown> }>;
}
const operations = new Map<string, { path: string; method: string; operation: Operation }>();
for (const [path, methods] of Object.entries<Record<string, Operation>>(openapi.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    if (operation.operationId) operations.set(operation.operationId, { path, method, operation });
  }
}
const validators = new Map<string, ValidateFunction>();
const escaped = (text: string) =>
  text.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** Throws unless `answer` is one that the description gives for the function `name`. */
export function assertDescribed(name: string, { status, headers, body }: Answer): void {
  const found = operations.get(name);
  if (!found) throw new Error(`${name} is not described`);
  const described = found.operation.responses[status];
  if (!described) throw new Error(`${name}: status ${status} is not described: ${JSON.stringify(body)}`);
  if (!headers['x-request-id']) throw new Error(`${name}: no x-request-id`);
  const reference = described.$ref?.split('/').at(-1);
  const pointer = reference
    ? `/components/responses/${reference}`
    : `/paths/${escaped(found.path)}/${found.method}/responses/${status}`;
  const content = (reference ? openapi.components.responses[reference] : described).content;
  if (!content) {
    if (body !== undefined) throw new Error(`${name}: ${status} has a body`);
    return;
  }
  if (reference === 'RetryLater' && !/^[1-9]\d*$/.test(headers['retry-after'] ?? '')) {
    throw new Error(`${name}: ${status} without Retry-After`);
  }
  const [type = ''] = Object.keys(content);
  if (!headers['content-type']?.startsWith(type)) throw new Error(`${name}: ${status} is ${headers['content-type']}`);
  const schema = `openapi#${pointer}/content/${escaped(type)}/schema`;
  const valid = validators.get(schema) ?? ajv.compile({ $ref: schema });
  validators.set(schema, valid);
  if (!valid(body)) throw new Error(`${name}: ${status} is not as described: ${ajv.errorsText(valid.errors)}`);
}

/** Throws unless `event` is an outcome as the schema has it, or none at all. */
export function assertOutcome(event: { source: string; 'detail-type': string; detail: unknown }): void {
  if (event.source !== 'org-connections' || event['detail-type'] === 'organization.offboarding.requested') return;
  if (!isOutcome(event.detail)) throw new Error(`${event['detail-type']}: ${ajv.errorsText(isOutcome.errors)}`);
}
