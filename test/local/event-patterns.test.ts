// The stand-in decides event patterns as EventBridge's own matcher does: event-ruler has made the verdicts of the table.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compilePattern, PatternError } from '../../infra/local/aws/pattern.ts';

interface Table {
  made_by: string;
  version: string;
  cases: { pattern: object; event: object; verdict: boolean | 'refused' }[];
}
const table: Table = JSON.parse(readFileSync(new URL('event-patterns/cases.json', import.meta.url), 'utf8'));

function verdictOf(pattern: object, event: object): boolean | 'refused' {
  try {
    return compilePattern(pattern)(event);
  } catch (error) {
    if (error instanceof PatternError) return 'refused';
    throw error;
  }
}

test('when event-ruler has decided a case, the stand-in decides it alike', () => {
  expect(table.cases.length).toBeGreaterThanOrEqual(80);
  for (const verdict of [true, false, 'refused']) expect(table.cases.map((one) => one.verdict)).toContain(verdict);
  const mine = table.cases.map(({ pattern, event }) => ({ pattern, event, verdict: verdictOf(pattern, event) }));
  expect(mine).toEqual(table.cases);
});

test.each<[pattern: unknown, name: RegExp]>([
  [{ a: [{ cidr: '10.0.0.0/8' }] }, /operator cidr is not played here/],
  [{ a: [{ starts: 'x' }] }, /starts is no event pattern operator/],
  [{ detail: { id: 'x' } }, /detail\.id must be an object or a list/],
  [{ detail: { id: [] } }, /list of detail\.id is empty/],
  [{ a: [{ prefix: { wildcard: '*' } }] }, /prefix takes no wildcard/],
  [{ a: [{ 'anything-but': { numeric: ['=', 1] } }] }, /anything-but takes no numeric/],
  ['text', /pattern is an object/],
  [null, /pattern is an object/],
  [[], /pattern is an object/],
])('when the pattern is %j, it is refused at once, and the refusal names what is wrong', (pattern, name) => {
  expect(() => compilePattern(pattern)).toThrow(name);
  expect(() => compilePattern(pattern)).toThrow(PatternError);
});
