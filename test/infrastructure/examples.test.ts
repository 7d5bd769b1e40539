// The examples of both descriptions are answers and events of the running service: callers' mocks and readers rely on them.
// `UPDATE=1 npm test -- infrastructure/examples` writes them anew; the same with infrastructure/asyncapi then writes the files of the
// event schemas.
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { asyncapi, openapi } from '../contract.ts';
import { EVENTS, OWN, SHARED, service, startOver } from './scenarios.ts';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g;
const NINE = Date.parse('2026-11-24T09:00:00Z');
const HOUR = 3_600_000;

/** `value` with ids numbered in their order, times to the hour and counted from nine o'clock, one cursor and one wait for all; in texts, too. */
function tidy(value: unknown, ids = new Map<string, string>()): unknown {
  if (Array.isArray(value)) return value.map((one) => tidy(one, ids));
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    const cursor = (key: string, one: unknown) =>
      key === 'cursor' && one !== null ? 'eyJieSI6InN0YXR1cyJ9' : tidy(one, ids);
    return Object.fromEntries(entries.map(([key, one]) => [key, cursor(key, one)]));
  }
  if (typeof value !== 'string') return value;
  const numbered = (id: string) => {
    const number = ids.get(id) ?? `${String(ids.size + 1).repeat(8)}-1c2d-4e3f-8a4b-5c6d7e8f9a0b`;
    ids.set(id, number);
    return number;
  };
  return value
    .replace(UUID, numbered)
    .replace(TIME, fromNine)
    .replace(/\bin \d+ s\b/, 'in 270 s');
}

function fromNine(time: string): string {
  if (time.startsWith('2026-11-24T09:00:00')) return time;
  const hours = Math.round((Date.parse(time) - Date.now()) / HOUR);
  const moved = new Date(NINE + hours * HOUR).toISOString();
  return time.includes('.') ? moved : moved.replace('.000Z', 'Z');
}

const path = (name: string) => new URL(`../../infra/contracts/${name}`, import.meta.url);
const written: Record<string, unknown> = {};
const exampleOf = (name: string) => openapi.components.examples[name]?.value;
const eventOf = (name: string) => asyncapi.components.messageTraits[name.split('.')[1] ?? '']?.examples[0].payload;

function isAsWritten(name: string, now: unknown, before: unknown) {
  const value = tidy(now);
  const [, status, code] = `.${name}`.match(/\.(4\d\d|5\d\d)\.(\w+)/) ?? [];
  if (code) expect(value).toMatchObject({ status: Number(status), code });
  written[name] = value;
  if (!process.env.UPDATE) expect(value).toEqual(before);
}

describe('answers', () => {
  for (const [name, scenario] of Object.entries(OWN)) {
    test(name, async () => {
      await startOver();
      isAsWritten(name, await scenario(), exampleOf(name));
    });
  }
  for (const [name, [operations, scenario]] of Object.entries(SHARED)) {
    test(name, async () => {
      const about = ({ type, title, status, code }: Record<string, unknown>) => ({ type, title, status, code });
      await startOver();
      const answers: unknown[] = await Promise.all(operations.map(scenario));
      isAsWritten(name, answers[0], exampleOf(name));
      for (const one of answers) expect(about(one as never)).toEqual(about(answers[0] as never));
    });
  }
});

describe('events', () => {
  for (const [message, scenario] of Object.entries(EVENTS)) {
    const name = `events.${message}`;
    test(name, async () => {
      await startOver();
      service.aws.events.splice(0);
      const event = await scenario();
      expect(event).toMatchObject({ 'detail-type': asyncapi.components.messages[message].name });
      isAsWritten(name, event, eventOf(name));
    });
  }
});

test('each answer of each route and each event has an example', () => {
  const names = [...Object.keys(OWN), ...Object.keys(SHARED)];
  const missing = [...names.map(exampleOf), ...Object.keys(EVENTS).map((name) => eventOf(`events.${name}`))];
  if (!process.env.UPDATE) expect(missing).not.toContain(undefined);
  const described = [...readFileSync(path('openapi.yml'), 'utf8').matchAll(/#\/components\/examples\/([\w.-]+)/g)];
  expect(new Set(names)).toEqual(new Set(described.map(([, name]) => name)));
  expect(Object.keys(EVENTS)).toEqual(Object.keys(asyncapi.components.messages));
});

/** `file` with everything after its last `member:` replaced. */
function writeEnd(file: string, member: string, value: object) {
  const text = readFileSync(path(file), 'utf8');
  const end = stringify({ [member]: value }, { lineWidth: 120, version: '1.1', aliasDuplicateObjects: false })
    .replace(/^/gm, '  ')
    .trimEnd();
  writeFileSync(path(file), `${text.slice(0, text.lastIndexOf(`\n  ${member}:`) + 1)}${end}\n`);
}

test.runIf(process.env.UPDATE)('the examples are written into the descriptions', () => {
  const fresh = (name: string, before: unknown) => (Object.hasOwn(written, name) ? written[name] : before);
  const examples = [...Object.keys(OWN), ...Object.keys(SHARED)].map((name) => [
    name,
    { value: fresh(name, exampleOf(name)) },
  ]);
  writeEnd('openapi.yml', 'examples', Object.fromEntries(examples));
  const traits = Object.keys(EVENTS).map((name) => {
    const payload = fresh(`events.${name}`, eventOf(`events.${name}`));
    return [name, { examples: [{ name, payload }] }];
  });
  writeEnd('asyncapi.yml', 'messageTraits', Object.fromEntries(traits));
});
