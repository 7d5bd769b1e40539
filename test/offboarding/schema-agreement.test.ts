// What the descriptions take, the service takes, and the other way around: by input that a
// library generates from the schemas (json-schema-faker), and by the same with one member spoilt (fast-check).
import fc from 'fast-check';
import { generate } from 'json-schema-faker';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { addDuration } from '../../lib/duration.ts';
import { BatchBody, EventParameters, OffboardingBody } from '../../lib/offboarding/model/request.ts';
import { createAjv, eventSchemas, openapi } from '../contract.ts';

const RUNS = process.env.DEEP ? 50_000 : 1000;
/** What the generator makes of a schema is dear; the property below varies it. */
const VALID = process.env.DEEP ? 300 : 50;
const SEED = Number(process.env.SEED ?? 7);

/** A schema of the API with what it refers to, for itself. */
function whole(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(whole);
  if (schema === null || typeof schema !== 'object') return schema;
  const { $ref, ...rest } = schema as { $ref?: string };
  const own = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, whole(value)]));
  return { ...($ref && (whole(openapi.components.schemas[$ref.split('/').at(-1) ?? '']) as object)), ...own };
}
const event = eventSchemas.get('organization.offboarding.requested')?.properties.detail as object;
const CASES: [schema: object, service: v.GenericSchema][] = [
  [whole(openapi.components.schemas.OffboardingBody) as object, OffboardingBody],
  [whole(openapi.components.schemas.BatchBody) as object, BatchBody],
  [event, EventParameters],
];

/** How long a duration may be is the one thing that JSON Schema has no word for. */
function isOutOfRange(value: unknown): boolean {
  const duration = Object(value).grace_period;
  const now = new Date();
  const end = typeof duration === 'string' ? addDuration(now, duration)?.getTime() : undefined;
  if (end === undefined) return false;
  return end < now.getTime() + 60_000 || end > (addDuration(now, 'P1Y')?.getTime() ?? 0);
}

/** Texts at the edges of what is taken: blanks, lengths, code points of two UTF-16 units, durations, ids. */
const IDS = ['org_', 'con_'].flatMap((id) => [0, 1, 46, 47].map((n) => id + 'a'.repeat(n)));
const LENGTHS = [100, 101, 200, 201, 1000, 1001].flatMap((n) => [
  'x'.repeat(n),
  '😀'.repeat(n),
  `${'x'.repeat(n - 1)} `,
]);
const BLANKS = ['', ' ', '\t\n', '\u00a0', '\ufeff', '\u200b', ' x '];
const DURATIONS =
  'P1Y P366D PT59S PT60S P1W P1M1W P1WT1H P1W1D P PT P1DT P1M1Y p1d P1.5D -P1D P00012D P12M P1Y0D PT8760H'.split(' ');
const WORDS = [
  'disable',
  'remove',
  'disable_then_remove',
  'report',
  'disable_again',
  'Disable',
  'con_é',
  'org_a\n',
  'P1D ',
];
const EDGES = [...IDS, ...LENGTHS, ...BLANKS, ...DURATIONS, ...WORDS];
const edges = fc.constantFrom(...EDGES);
const anything = fc.oneof(
  { weight: 5, arbitrary: edges },
  fc.array(edges, { maxLength: 3 }),
  fc.constantFrom(0, 1, 50, 51, 1000, 1001).map((n) => Array.from({ length: n }, (_, i) => `con_${i}`)),
  fc.constantFrom(null, true, false, 0, 1, [], {}, 'true', 'false'),
  fc.anything({ maxDepth: 2 }),
);

/** On what member, and how, the description and the service differ: `refuses` and `takes` are the service's. */
async function differences(schema: object, service: v.GenericSchema): Promise<Set<string>> {
  // One error is enough, of a list of a thousand.
  const ajv = createAjv({ allErrors: false });
  const { properties } = schema as { properties: Record<string, object> };
  const described = ajv.compile(schema);
  // Long text and lists take the generator long; their lengths are among what is tried below.
  const isLength = (key: string) => key === 'maxLength' || key === 'maxItems';
  const short = JSON.parse(JSON.stringify(schema), (key, value) => (isLength(key) ? Math.min(value, 60) : value));
  const valid: Record<string, unknown>[] = [];
  for (let seed = SEED; valid.length < VALID; seed++) {
    const value = (await generate(short as never, { seed, optionalsProbability: 0.5 } as never)) as never;
    if (described(value)) valid.push(value);
    if (seed > SEED + 10_000) throw new Error(`the generator makes too little that is valid: ${JSON.stringify(value)}`);
  }
  const found = new Set<string>();
  const compare = (value: unknown) => {
    const json = JSON.parse(JSON.stringify(value) ?? 'null');
    const ours = v.safeParse(service, json);
    if (described(json) === ours.success || isOutOfRange(json)) return;
    const [issue] = ours.issues ?? [];
    const refused = issue && `refuses ${(v.getDotPath(issue) ?? 'body').split('.')[0]}`;
    found.add(refused ?? `takes ${described.errors?.[0]?.instancePath.split('/')[1]}`);
  };
  for (const value of valid) compare(value);
  const members = [...Object.keys(properties), 'more', 'constructor'];
  const sound = valid.find((value) => value.action === 'disable_then_remove' && !isOutOfRange(value));
  for (const member of members)
    for (const edge of EDGES) for (const spoilt of [edge, [edge]]) compare({ ...sound, [member]: spoilt });
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.constantFrom(...members),
      fc.option(anything),
      (value, member, spoilt) => {
        const { [member]: _, ...rest } = value;
        compare(spoilt === null ? rest : { ...rest, [member]: spoilt });
      },
    ),
    { numRuns: RUNS, seed: SEED },
  );
  fc.assert(fc.property(anything, compare), { numRuns: RUNS / 10, seed: SEED });
  return found;
}

test('when input is valid by the descriptions, the service takes it, and what it takes is valid by them', async () => {
  const found = new Set<string>();
  for (const [schema, service] of CASES)
    for (const difference of await differences(schema, service)) found.add(difference);
  expect([...found]).toEqual([]);
});
