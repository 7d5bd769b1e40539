import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes half a minute or more of real time begins first: all else is done meanwhile. */
const LONGEST = [
  'integration/wire',
  'exploration/exploration-1',
  'exploration/exploration-2',
  'integration/watch',
  'infrastructure/examples',
  'integration/multi-offboarding-regressions',
  'functions/connections',
  'functions/end-sessions',
  'integration/commands',
  'offboard-command/apply',
  'aws/client',
  'aws/table',
].map((name) => `/test/${name}.test.ts`);
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => [...LONGEST, ''].findIndex((name) => moduleId.endsWith(name));
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

const shared = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
  // A machine that is busy is slow: what is waited for may take its time.
  expect: { poll: { timeout: 30_000 } },
  // Cases that only wait, for a retry or a deadline, wait at the same time.
  maxConcurrency: 30,
  // What files of lib/ want to know when they are loaded; the service under test gets an environment of its own.
  env: { OFFBOARDINGS_TABLE: 'org-connections-local-offboardings' },
  setupFiles: [fileURLToPath(new URL('../infra/older-node/language.mjs', import.meta.url))],
};
// Most tests wait for a socket or a pause, and two files for the exploration: two cores do more than two files at a time.
const maxWorkers = 7;
const WITHOUT = ['**/node_modules/**'];
/** Long runs with processes that are killed and frozen, and hours that are simulated: they run deep, by night. */
const DEEP = ['costs', 'load', 'chaos', 'outage', 'wire', 'paused-writer-races', 'game-day-operators'];
const LEFT_TO_DEEP = process.env.DEEP ? [] : DEEP.map((name) => `test/integration/${name}.test.ts`);

/**
 * Tests that want modules of their own: what they load reads the environment once, which each of them sets for itself, or they start
 * commands with it, or they have hooks in a module that all of them load (own-modules.ts). All share the packages that a worker has
 * loaded, which takes most of their time, and all others our own modules, too.
 */
const ISOLATED = [
  'test/auth0/{api-call,client-grants,management-api,management-token,organization-*,priming}.test.ts',
  'test/{aws,offboard-command}/*.test.ts',
  'test/examples/runnable-examples.test.ts',
  'test/integration/commands.test.ts',
  'test/offboarding/stage.test.ts',
  'test/offboarding/views/lists.test.ts',
  'test/offboarding/worker/{delivery,dispatcher}.test.ts',
  'test/exploration/world-and-shell.test.ts',
  'test/infrastructure/bundles.test.ts',
];
const APART = ['test/end-to-end/**', 'test/second-opinions/**'];

export default defineConfig({
  test: {
    maxWorkers,
    globalSetup: fileURLToPath(new URL('programs/build.ts', import.meta.url)),
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: 'isolated',
          include: ISOLATED,
          exclude: WITHOUT,
          isolate: false,
          setupFiles: [...shared.setupFiles, fileURLToPath(new URL('own-modules.ts', import.meta.url))],
        },
      },
      {
        test: {
          ...shared,
          name: 'default',
          include: ['test/**/*.test.ts'],
          exclude: [...WITHOUT, ...LEFT_TO_DEEP, ...ISOLATED, ...APART],
          isolate: false,
        },
      },
      { test: { ...shared, name: 'second-opinions', include: ['test/second-opinions/**/*.test.ts'] } },
      { test: { ...shared, name: 'e2e', include: ['test/end-to-end/**/*.test.ts'], fileParallelism: false } },
    ],
  },
});
