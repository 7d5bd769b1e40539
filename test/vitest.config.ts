import { defineConfig } from 'vitest/config';

const shared = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
  // What files of lib/ want to know when they are loaded; the service under test gets an environment of its own.
  env: { OFFBOARDINGS_TABLE: 'org-connections-local-offboardings' },
};
// Most tests wait for a socket or a pause; two cores do more than one file at a time.
const maxWorkers = 3;

export default defineConfig({
  test: {
    maxWorkers,
    projects: [
      { test: { ...shared, name: 'default', include: ['test/**/*.test.ts'], exclude: ['test/end-to-end/**'] } },
      { test: { ...shared, name: 'e2e', include: ['test/end-to-end/**/*.test.ts'], fileParallelism: false } },
    ],
  },
});
