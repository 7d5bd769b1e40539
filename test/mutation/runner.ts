// A test is made once as it is, which tells the mutants that it meets, and then once for each of these that no test has seen
// yet, with its suites' hooks around it. All in one process: a module is loaded once, not once a mutant.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunnerTestCase, type RunnerTestSuite, TestRunner } from 'vitest';

/** What StrykerJS's switches read and write. */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
  hitCount?: number;
  hitLimit?: number;
}
const switches: Switches = Object.assign(globalThis, { __stryker__: {} as Switches }).__stryker__;

const RESULTS = `${process.env.MUTATION_DIR}/results`;
/** What is not over after this has met a mutant that goes round for ever. */
const LONGEST_MS = 10_000;
const HITS_FOR_EVER = 2000;

/** What became of a mutant: a test meets it, is at it, has seen it. */
const tell = (what: 'meets' | 'tries' | 'seen' | 'loads', id: string, by: string) =>
  appendFileSync(RESULTS, `${JSON.stringify([what, id, by])}\n`);
const seen = new Set<string>();
/** What this test has not seen before the process had to begin anew. */
const unseen = new Set<string>();
for (const line of readFileSync(RESULTS, 'utf8').trim().split('\n').filter(Boolean)) {
  const [what, id, by] = JSON.parse(line);
  if (what === 'meets') unseen.add(`${id} ${by}`);
  if (what === 'seen' || what === 'stuck') seen.add(id);
}

/** The suites of a test, the file first. */
function suitesOf({ suite, file }: { suite?: RunnerTestSuite | undefined; file: unknown }): RunnerTestSuite[] {
  return suite ? [...suitesOf(suite), suite] : [file as RunnerTestSuite];
}

async function withHooks(test: RunnerTestCase, work: () => unknown): Promise<void> {
  const hooks = suitesOf(test).map((suite) => ({ suite, ...TestRunner.getSuiteHooks(suite) }));
  for (const { suite, afterEach = [] } of [...hooks].reverse())
    for (const hook of afterEach) await (hook as (...given: unknown[]) => unknown)(test.context, suite);
  for (const { suite, beforeEach = [] } of hooks)
    for (const hook of beforeEach) await (hook as (...given: unknown[]) => unknown)(test.context, suite);
  await work();
}

/** Whether the test passes with the mutant, or with none. */
async function passes(test: RunnerTestCase, mutant?: string, hits = 0): Promise<boolean> {
  const run = TestRunner.getTestFn(test) as () => unknown;
  const limits = { hitCount: 0, hitLimit: (hits + 10) * HITS_FOR_EVER };
  Object.assign(switches, { activeMutant: mutant, currentTestId: 'again', ...limits });
  const late = new AbortController();
  const work = withHooks(test, run).then(
    () => true,
    () => false,
  );
  const isDone = await Promise.race([work, sleep(LONGEST_MS, false, { signal: late.signal }).catch(() => false)]);
  late.abort();
  Object.assign(switches, { activeMutant: undefined, currentTestId: 'again' });
  return isDone;
}

export default class extends TestRunner {
  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    // What was met outside of any test was met while modules were loaded.
    const loaded = 'filepath' in suite ? Object.keys(switches.mutantCoverage?.static ?? {}) : [];
    for (const id of loaded) tell('loads', id, suite.name);
    await super.onAfterRunSuite(suite);
  }

  async runTask(test: RunnerTestCase): Promise<void> {
    const name = `${test.file.name} > ${test.fullTestName ?? test.name}`;
    switches.mutantCoverage ??= { static: {}, perTest: {} };
    switches.currentTestId = name;
    await (TestRunner.getTestFn(test) as () => Promise<void>)();
    await withHooks(test, TestRunner.getTestFn(test) as () => unknown);
    switches.currentTestId = 'again';
    const met = switches.mutantCoverage.perTest[name] ?? {};
    switches.mutantCoverage.perTest = {};
    for (const [id, hits] of Object.entries(met)) {
      if (seen.has(id) || unseen.has(`${id} ${name}`)) continue;
      tell('tries', id, name);
      const isSeen = !(await passes(test, id, hits));
      tell(isSeen ? 'seen' : 'meets', id, name);
      if (!isSeen) continue;
      seen.add(id);
      // What it left behind in the process must not count against the next one.
      if (!(await passes(test)) && !(await passes(test))) process.kill(process.pid, 'SIGKILL');
    }
  }
}
