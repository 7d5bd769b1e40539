import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vitest/config';
import type { Instrumented } from './instrument.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { sources } = JSON.parse(readFileSync(`${process.env.MUTATION_DIR}/instrumented.json`, 'utf8')) as Instrumented;

export default defineConfig({
  root,
  plugins: [
    {
      name: 'mutants',
      enforce: 'pre',
      load: (id) => sources[path.relative(root, id)],
    },
  ],
  test: {
    root,
    include: ['test/**/*.test.ts'],
    // Each test is made again for each mutant that it meets.
    ...(process.env.MUTATION_ONE ? { bail: 1 } : { runner: 'test/mutation/runner.ts' }),
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    isolate: false,
    testTimeout: 15_000,
    hookTimeout: 60_000,
    // Every test once for each mutant: a race is not run hundreds of times.
    setupFiles: ['infra/older-node/language.mjs'],
    env: { RACES: '2', OFFBOARDINGS_TABLE: 'org-connections-local-offboardings' },
  },
});
