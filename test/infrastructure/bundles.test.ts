import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { bundledPackages } from '../../infra/build/bundled-packages.ts';
import { createFunctionInProcess } from '../in-process.ts';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

test('the bundles hold a handful of packages, all under licences that ask for nothing but their text', () => {
  const packages = bundledPackages();
  expect(packages.length).toBeGreaterThan(3);
  expect(packages.length).toBeLessThan(30);
  for (const { name, license } of packages)
    expect(['MIT', 'Apache-2.0', '0BSD', 'BSD-3-Clause'], name).toContain(license);
  const names = packages.map(({ name }) => name);
  expect(names.filter((name) => /credential-provider|undici|auth0|token-providers/.test(name))).toEqual([]);
});

/** What everybody waits for is the smallest. */
const limitOf = (bundle: string) => (/^(disable|remove|rotate)/.test(bundle) ? 140_000 : 300_000);

test('each bundle exports its handler and is small', () => {
  const bundles = readdirSync(dist).filter((name) => name.endsWith('.mjs'));
  expect(bundles.length).toBe(readdirSync(`${dist}/../functions`).length);
  for (const bundle of bundles) {
    expect(statSync(`${dist}/${bundle}`).size, bundle).toBeLessThan(limitOf(bundle));
    expect(readFileSync(`${dist}/${bundle}`, 'utf8'), bundle).toMatch(/export\{[\w$]+ as handler\}/);
  }
});

test.each(readdirSync(dist).filter((name) => name.endsWith('.mjs')))(
  '%s fails at its start with the name of a missing variable',
  async (bundle) => {
    const { invoke } = createFunctionInProcess(bundle.replace('.mjs', ''), { environment: {} });
    await expect(invoke({})).rejects.toThrow(/Environment variable [A-Z_0-9]+ is missing/);
  },
);
