// Mutants of what is read once, when its module is loaded: each takes a process of its own. One Vitest starts them all, so that a
// mutant takes the time of its tests and not that of a start. run.ts says which there are, with their test files.
import { appendFileSync, readFileSync } from 'node:fs';
import { createVitest } from 'vitest/node';

const DIR = process.env.MUTATION_DIR;
const RESULTS = `${DIR}/results`;
const BY = 'when its module is loaded';

const tell = (what: 'tries' | 'seen' | 'meets', id: string) =>
  appendFileSync(RESULTS, `${JSON.stringify([what, id, BY])}\n`);
/** What is decided already: this process may have had to begin anew. */
const decided = new Set<string>();
for (const line of readFileSync(RESULTS, 'utf8').trim().split('\n').filter(Boolean)) {
  const [what, id, by] = JSON.parse(line);
  if (what === 'seen' || what === 'stuck' || (what === 'meets' && by === BY)) decided.add(id);
}

const vitest = await createVitest('test', {
  config: 'test/mutation/vitest.config.ts',
  ...{ run: true, watch: false, reporters: [{}] },
});
for (const { id, tests } of JSON.parse(readFileSync(`${DIR}/loaded.json`, 'utf8')) as {
  id: string;
  tests: string[];
}[]) {
  if (decided.has(id)) continue;
  tell('tries', id);
  for (const { config } of vitest.projects) config.env = { ...config.env, __STRYKER_ACTIVE_MUTANT__: id };
  const specifications = await vitest.globTestSpecifications(tests);
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
  if (testModules.length === 0) throw new Error(`No test file of ${tests.join(' ')} was run`);
  tell(testModules.every((one) => one.ok()) && unhandledErrors.length === 0 ? 'meets' : 'seen', id);
}
await vitest.close();
// A test that fails has seen its mutant: that is no failure here.
process.exitCode = 0;
