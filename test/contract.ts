// Checks every answer and every event against the descriptions that callers and consumers use.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

type Schema = Record<string, unknown> & { required?: string[]; properties?: Record<string, Schema>; allOf?: Schema[] };

/** In a run of the tests build.ts has parsed the descriptions, which takes each worker longer than most tests. */
function read(name: string) {
  const { BUILT_PROGRAMS } = process.env;
  if (BUILT_PROGRAMS) return JSON.parse(readFileSync(join(BUILT_PROGRAMS, `${name}.json`), 'utf8'));
  return parse(readFileSync(new URL(`../infra/contracts/${name}`, import.meta.url), 'utf8'));
}
export const openapi = read('openapi.yml');
export const asyncapi = read('asyncapi.yml');

/** A schema of the bus's description without references and with one object for each `allOf`, as a consumer's tools want it. */
function flat(schema: unknown, all: Record<string, Schema>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => flat(one, all));
  if (schema === null || typeof schema !== 'object') return schema;
  const { $ref, allOf = [], ...rest } = schema as Schema & { $ref?: string };
  const own = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, flat(value, all)]));
  const parts = [...($ref ? [all[$ref.split('/').at(-1) ?? '']] : []), ...allOf].map((one) => flat(one, all));
  return [...parts, own].reduce(merged, {});
}
const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
function merged(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...new Set([...one, ...other])];
  if (!isObject(one) || !isObject(other)) return other ?? one;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(one[key], other[key])]));
}

interface EventSchema extends Schema {
  $id: string;
  title: string;
  properties: Record<string, Schema>;
  examples: { detail: object }[];
}
const all: Record<string, Schema> = asyncapi.components.schemas;
/** The schema of each detail-type's events, with the envelope, made of the description. */
export const eventSchemas = new Map<string, EventSchema>(
  Object.entries<{ name: string }>(asyncapi.components.messages).map(([key, { name }]) => {
    const { $id, title, ...schema } = flat(all[key], all) as EventSchema;
    const { examples } = asyncapi.components.messageTraits[key];
    const $schema = 'http://json-schema.org/draft-07/schema#';
    const payloads = examples.map(({ payload }: { payload: object }) => payload);
    return [name, { $schema, $id, title, ...schema, examples: payloads }];
  }),
);

/** The service's answers and events are open to everybody but this project's own tests, which find members that nobody described. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isObject(schema)) return schema;
  const own = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isOpen = isObject(schema.properties) && schema.type !== undefined && schema.additionalProperties === undefined;
  return isOpen ? { ...own, additionalProperties: false } : own;
}

export function createAjv(options: object = {}) {
  const ajv = new Ajv2020({ strict: false, allErrors: true, ...options });
  formats.default(ajv);
  ajv.addKeyword({
    keyword: 'x-extensible-enum',
    validate: (values: unknown[], value: unknown) => values.includes(value),
  });
  return ajv;
}
// That the descriptions are sound themselves is seen in test/infrastructure/.
const ajv = createAjv({ validateSchema: false });
const schemas = closed(openapi.components.schemas);
ajv.addSchema({ ...openapi, components: { ...openapi.components, schemas } }, 'openapi');
const details = new Map<string, ValidateFunction>();
/** The check of an event's detail, made when it is first needed; undefined where nobody described the event. */
function detailOf(type: string): ValidateFunction | undefined {
  const schema = eventSchemas.get(type);
  const validate = details.get(type) ?? (schema && ajv.compile(closed(schema.properties.detail) as object));
  if (validate) details.set(type, validate);
  return validate;
}

const requested = eventSchemas.get('organization.offboarding.requested')?.properties.detail as Schema;
/** Whether `value` is a detail with which a publisher may request an offboarding. */
export function isRequested(value: unknown): boolean {
  requests ??= ajv.compile(requested);
  return requests(value);
}
let requests: ValidateFunction | undefined;

interface Operation {
  operationId: string;
  tags: string[];
  responses: Record<string, { $ref?: string }>;
}
interface Response {
  headers?: Record<string, unknown>;
  content?: Record<string, unknown>;
}
export const operations = new Map<string, { path: string; method: string; operation: Operation }>();
for (const [path, methods] of Object.entries<Record<string, Operation>>(openapi.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    if (operation.operationId) operations.set(operation.operationId, { path, method, operation });
  }
}
const validators = new Map<string, ValidateFunction>();
const escaped = (text: string) =>
  text.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
const valid = (pointer: string, body: unknown) => {
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#${pointer}` });
  validators.set(pointer, validate);
  return validate(body) ? undefined : ajv.errorsText(validate.errors);
};

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** Throws unless `answer` is one that the OpenAPI description has for the function `name`. */
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
  const response: Response = reference ? openapi.components.responses[reference] : described;
  if (!response.content) {
    if (body !== undefined) throw new Error(`${name}: ${status} has a body`);
    return;
  }
  const type = Object.keys(response.content).find((one) => headers['content-type']?.startsWith(one));
  if (!type) throw new Error(`${name}: ${status} is ${headers['content-type']}`);
  assertRetryAfter(name, status, headers, body);
  // A problem of this service is always a whole one; the description lets generated clients read the gateway's message as well.
  const isProblem = type === 'application/problem+json';
  const wrong = valid(isProblem ? '/components/schemas/Problem' : `${pointer}/content/${escaped(type)}/schema`, body);
  if (wrong) throw new Error(`${name}: ${status} is not as described: ${wrong}`);
}

/** A temporary problem says when to try again; a request of unknown acceptance says what to look up before that. */
function assertRetryAfter(name: string, status: number, headers: Answer['headers'], body: unknown): void {
  const { code, offboarding_id, batch_id } = body as { code?: string; offboarding_id?: string; batch_id?: string };
  if (code === 'acceptance_unknown' && name.startsWith('request')) {
    if (!offboarding_id && !batch_id) throw new Error(`${name}: ${code} without an id to look up`);
    return;
  }
  const isTemporary = status === 429 || status === 503 || (status === 409 && name.startsWith('cancel'));
  if (isTemporary && code && !/^[1-9]\d*$/.test(headers['retry-after'] ?? ''))
    throw new Error(`${name}: ${status} without Retry-After`);
}

const REQUESTS: string[] = asyncapi.operations.takeRequests.messages.map(
  ({ $ref }: { $ref: string }) => asyncapi.components.messages[$ref.split('/').at(-1) ?? ''].name,
);

/** Throws unless `event` is an outcome as the AsyncAPI description has it. Publishers' events and requests are not checked. */
export function assertOutcome(event: { source: string; 'detail-type': string; detail: unknown }): void {
  const type = event['detail-type'];
  if (event.source !== 'org-connections' || REQUESTS.includes(type)) return;
  const validate = detailOf(type);
  if (!validate) throw new Error(`${type} is not described`);
  if (!validate(event.detail)) throw new Error(`${type}: ${ajv.errorsText(validate.errors)}`);
}
