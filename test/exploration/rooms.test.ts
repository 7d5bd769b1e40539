import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

// The rooms that decide are given the clock, chance and the world. What they import, and what that imports, is held to it, too.

const DECIDING = [
  ...['model', 'rules'].flatMap((room) =>
    readdirSync(`lib/offboarding/${room}`).map((file) => `lib/offboarding/${room}/${file}`),
  ),
  ...readdirSync('lib/offboarding/worker').flatMap((file) =>
    /^deliver|^dispatcher/.test(file) ? [] : [`lib/offboarding/worker/${file}`],
  ),
  ...['update', 'accept', 'accept-event', 'accept-batch', 'cancel', 'cancel-batch', 'drift-check'].map(
    (name) => `lib/offboarding/intake/${name}.ts`,
  ),
  'lib/sessions/end-sessions.ts',
];
/** Pure packages. */
const LIBRARIES = ['valibot', 'date-fns', '@date-fns/utc'];
const IMPORT = /^(?:import|export)(?!\s+type\b)[^;]*?\sfrom\s+'([^']+)'|^import\s+'([^']+)'/gms;

const FORBIDDEN: [RegExp, string][] = [
  [/\bDate\.now\(\)|\bnew Date\(\)|\bperformance\.now/, 'a clock'],
  [/\bMath\.random\b|\brandomUUID\b|\bcrypto\./, 'chance'],
  [/\bprocess\.(?!exit)/, 'the environment'],
  [/\bfetch\(|\bsetTimeout\b|\bsetInterval\b|\bawait\b|\basync\b/, 'the world'],
];
const withoutComments = (source: string) => source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

/** What a file reaches: itself and all that it imports, with the packages that these import. */
function reachedFrom(file: string, files = new Set<string>(), packages = new Set<string>()) {
  if (files.has(file)) return { files, packages };
  files.add(file);
  for (const [, from, alone] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const name = from ?? alone ?? '';
    if (name.startsWith('.')) reachedFrom(path.join(path.dirname(file), name), files, packages);
    else packages.add(name);
  }
  return { files, packages };
}

test.each(DECIDING)('%s decides by what it is given alone', (file) => {
  expect(existsSync(file)).toBe(true);
  const { files, packages } = reachedFrom(file);
  expect([...packages].filter((name) => !LIBRARIES.some((one) => name === one || name.startsWith(`${one}/`)))).toEqual(
    [],
  );
  const found = [...files].flatMap((one) =>
    FORBIDDEN.filter(([pattern]) => pattern.test(withoutComments(readFileSync(one, 'utf8')))).map(
      ([, what]) => `${one} uses ${what}`,
    ),
  );
  expect(found).toEqual([]);
});

test('the oracle imports nothing of lib/', () => {
  const pages = readdirSync('test/exploration/oracle').map((page) => `test/exploration/oracle/${page}`);
  for (const page of ['test/exploration/oracle.ts', ...pages])
    expect(readFileSync(page, 'utf8')).not.toMatch(/from '[^']*lib\//);
});
