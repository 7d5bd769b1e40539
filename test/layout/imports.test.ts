// How the code is laid out: a place is found from its name, and imports have no circles.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { found, ROOT, text, tracked } from '../pages/pages.ts';

interface Place {
  question: string;
  place: string;
}

test('imports of lib have no circles, types included', () => {
  const imports = new Map(
    tracked
      .filter((path) => /^lib\/.*\.ts$/.test(path))
      .map((path) => [
        path,
        found(text(path), /from '(\.[^']+)'/g).map((one) => resolve('/', dirname(path), one).slice(1)),
      ]),
  );
  // What imports nothing that is left is taken out, until nothing is left, or a circle.
  for (let size = -1; size !== imports.size; ) {
    size = imports.size;
    for (const [path, others] of imports) if (!others.some((other) => imports.has(other))) imports.delete(path);
  }
  expect([...imports.keys()]).toEqual([]);
});

test('each question of places.yml has an answer that is there', () => {
  const readers: Record<string, Place[]> = parse(text('test/layout/places.yml'));
  expect(Object.values(readers).map((one) => one.length)).toEqual([20, 20]);
  const all = Object.values(readers).flat();
  expect(new Set(all.map(({ question }) => question)).size).toBe(40);
  for (const { question, place } of all) expect(existsSync(join(ROOT, place)), question).toBe(true);
});
