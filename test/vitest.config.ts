import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, most of it pauses that are waited for, begins first: all else is done meanwhile. */
const LONGEST = [
  'integration/wire',
  'functions/end-sessions',
  'exploration/exploration-1',
  'exploration/exploration-2',
  'integration/faults',
  'integration/cancelling',
  'infrastructure/examples',
  'integration/multi-offboarding-regressions-acceptance',
  'integration/commands',
  'offboard-command/apply',
  'integration/multi-offboarding-regressions',
  'page/browser',
  'functions/connections',
  'page/start',
  'functions/management-token',
  'integration/record-regressions',
  'integration/reported-answers',
  'integration/removal',
  'integration/watch',
  'aws/client',
  'aws/table',
  'functions/offboard-organization',
].map((name) => `/test/${name}.test.ts`);
/** Files with modules of their own come last, so that the modules of the others are loaded once. */
const isLast = ({ moduleId }: TestSpecification) => readFileSync(moduleId, 'utf8').includes('/own-modules.ts');

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const places = new Map(
      files.map((file) => {
        const place = LONGEST.findIndex((name) => file.moduleId.endsWith(name));
        return [file, place >= 0 ? place : LONGEST.length + (isLast(file) ? 1 : 0)];
      }),
    );
    const placeOf = (file: TestSpecification) => places.get(file) ?? 0;
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

const shared = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
  // Most code runs for a moment, in each container anew: optimizing it takes V8 longer than running it does.
  execArgv: ['--no-opt'],
  // A machine that is busy is slow: what is waited for may take its time.
  expect: { poll: { timeout: 30_000 } },
  // Cases that only wait, for a retry or a deadline, wait at the same time.
  maxConcurrency: 30,
  // What files of lib/ want to know when they are loaded; the service under test gets an environment of its own.
  env: { OFFBOARDINGS_TABLE: 'org-connections-local-offboardings' },
  setupFiles: [fileURLToPath(new URL('../infra/older-node/language.mjs', import.meta.url))],
};
// Most tests wait for a socket or a pause, and two files for the exploration: two cores do more than two files at a time.
const maxWorkers = 10;
/** Long runs with processes that are killed and frozen, and hours that are simulated: they run deep, by night. */
const DEEP = ['costs', 'load', 'chaos', 'outage', 'wire', 'paused-writer-races', 'game-day-operators'];
const LEFT_TO_DEEP = process.env.DEEP ? [] : DEEP.map((name) => `test/integration/${name}.test.ts`);

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
          name: 'default',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...LEFT_TO_DEEP, ...APART],
          // Tests share the modules that a worker has loaded, which takes most of their time, but for those with own-modules.ts.
          isolate: false,
        },
      },
      { test: { ...shared, name: 'second-opinions', include: ['test/second-opinions/**/*.test.ts'] } },
      { test: { ...shared, name: 'e2e', include: ['test/end-to-end/**/*.test.ts'], fileParallelism: false } },
    ],
  },
});
