// Mutation tests: which changes of the code does no test see? `npm run test:mutation` asks it of everything that the suites of
// suites.ts answer for; with names (parts of paths) of these files alone; with `--since REF` of the lines that were changed
// since then. `--within SECONDS` ends it early and says so, `--more` goes on where the last run ended, `--quick` leaves out what is
// read once, when its module is loaded: each of these takes a process of its own. What survives and may is in equivalent.yml.
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { instrument, type Mutant } from './instrument.ts';
import { ENOUGH, SUITES, WATCHED } from './suites.ts';

const DIR = process.env.MUTATION_DIR ?? 'node_modules/.cache/mutation';
const RESULTS = `${DIR}/results`;
/** No test is at one mutant for longer, milliseconds: it goes round for ever without an end to its turn. */
const STUCK_MS = 45_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    since: { type: 'string' },
    within: { type: 'string' },
    more: { type: 'boolean' },
    quick: { type: 'boolean' },
  },
});
const end = Date.now() + Number(values.within ?? Number.POSITIVE_INFINITY) * 1000;

/** The lines that differ from `ref`, by file. */
function changedSince(ref: string): Map<string, Set<number>> {
  const diff = execFileSync('git', ['diff', '--unified=0', '--no-color', ref, '--', 'lib'], { encoding: 'utf8' });
  const changed = new Map<string, Set<number>>();
  let lines = new Set<number>();
  for (const line of diff.split('\n')) {
    const [, file] = /^\+\+\+ b\/(.*)$/.exec(line) ?? [];
    if (file) lines = new Set();
    if (file) changed.set(file, lines);
    const [, from, count = '1'] = /^@@ \S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    for (let i = 0; i < Number(from && count); i++) lines.add(Number(from) + i);
  }
  return changed;
}

interface Known {
  file: string;
  code: string;
  becomes?: string;
  because?: string;
  elsewhere?: string;
}
const known = (parse(readFileSync('test/mutation/equivalent.yml', 'utf8')) ?? []) as Known[];
const isKnown = (mutant: Mutant) =>
  known.find(
    ({ file, code, becomes = mutant.becomes }) =>
      mutant.file === `lib/${file}.ts` && mutant.code === code && mutant.becomes === becomes,
  );

/** Runs a test file. */
const runSuite = (suite: string) =>
  runToEnd(suite, ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/mutation/vitest.config.ts', suite]);

/** Runs a process, again after a mutant that left it broken or stuck. */
async function runToEnd(name: string, args: string[], extra: Record<string, string> = {}): Promise<void> {
  while (Date.now() < end) {
    const env = { ...process.env, MUTATION_DIR: DIR, ...extra };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    let [size, since, isStuck] = [-1, Date.now(), false];
    const watch = setInterval(() => {
      const now = readFileSync(RESULTS).length;
      if (now !== size) [size, since] = [now, Date.now()];
      isStuck = Date.now() - since > STUCK_MS;
      if ((isStuck || Date.now() >= end) && child.pid) process.kill(-child.pid, 'SIGKILL');
    }, 500);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    clearInterval(watch);
    if (code === 0) return;
    const last = JSON.parse(readFileSync(RESULTS, 'utf8').trim().split('\n').at(-1) || '[]');
    if (isStuck && last[0] === 'tries') appendFileSync(RESULTS, `${JSON.stringify(['stuck', last[1], last[2]])}\n`);
    else if (Date.now() < end && (last[0] !== 'seen' || !/unexpectedly|SIGKILL|exited/.test(output)))
      throw new Error(`${name} is not green as it is:\n${output}`);
  }
}

const changed = values.since ? changedSince(values.since) : undefined;
const files = [...new Set(Object.values(SUITES).flat())]
  .map((name) => `lib/${name}.ts`)
  .filter((file) => existsSync(file) && (changed?.has(file) ?? true))
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)));
const instrumented = await instrument(files);
const mutants = instrumented.mutants.filter(({ file, line }) => changed?.get(file)?.has(line) ?? true);
mkdirSync(DIR, { recursive: true });
writeFileSync(`${DIR}/instrumented.json`, JSON.stringify({ ...instrumented, mutants }));
if (!values.more) writeFileSync(RESULTS, '');
const isAbout = (names: string[]) => names.some((name) => files.includes(`lib/${name}.ts`));
const suites = Object.entries(SUITES).filter(([suite, names]) => existsSync(testOf(suite)) && isAbout(names));
function testOf(suite: string) {
  return `test/${suite}.test.ts`;
}

for (const [suite] of suites) {
  const begun = Date.now();
  await runSuite(testOf(suite));
  console.log(`${suite}: ${Math.round((Date.now() - begun) / 1000)} s`);
}
const published = () =>
  readFileSync(RESULTS, 'utf8')
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, string, string]);
const idsOf = (...what: string[]) =>
  new Set(
    published()
      .filter(([one]) => what.includes(one))
      .map(([, id]) => id),
  );

// What is read once, when its module is loaded: each is tried in a process of its own.
const decided = idsOf('seen', 'stuck');
const loaded = new Set([...idsOf('loads')].filter((id) => !decided.has(id)));
const isOfSuite = (suite: string, { file }: Mutant) => SUITES[suite]?.some((name) => file === `lib/${name}.ts`);
const alone = mutants
  .filter((mutant) => !values.quick && loaded.has(mutant.id) && !isKnown(mutant))
  .map((mutant) => ({
    id: mutant.id,
    tests: suites.filter(([suite]) => isOfSuite(suite, mutant)).map(([suite]) => testOf(suite)),
  }));
if (alone.length > 0) {
  const begun = Date.now();
  writeFileSync(`${DIR}/loaded.json`, JSON.stringify(alone));
  const args = ['--import', './infra/older-node/typescript.mjs', 'test/mutation/loaded.ts'];
  await runToEnd('What is read when a module is loaded', args, { MUTATION_ONE: 'each' });
  console.log(`${alone.length} when their modules are loaded: ${Math.round((Date.now() - begun) / 1000)} s`);
}

const [seen, met] = [idsOf('seen', 'stuck'), idsOf('meets')];
let isEnough = true;
const survivors: (Mutant & { met: boolean })[] = [];
console.log('\n      all   seen   equivalent  survived  score');
for (const file of files) {
  const all = mutants.filter((one) => one.file === file);
  const equivalent = all.filter((one) => !seen.has(one.id) && isKnown(one));
  const left = all.filter((one) => !seen.has(one.id) && !isKnown(one));
  survivors.push(...left.map((one) => ({ ...one, met: met.has(one.id) })));
  const number = all.length - equivalent.length;
  const score = number === 0 ? 1 : (number - left.length) / number;
  const figures = [all.length, number - left.length, equivalent.length, left.length].map((one) =>
    String(one).padStart(8),
  );
  console.log(`${figures.join(' ')}  ${(score * 100).toFixed(1).padStart(6)} %  ${file}`);
  if (score < ENOUGH && WATCHED.some((name) => file === `lib/${name}.ts`)) isEnough = false;
}
if (survivors.length > 0) console.log('\nWhat no test sees:');
for (const { file, line, column, code, becomes, met } of survivors)
  console.log(
    `${file}:${line}:${column} ${code.slice(0, 100)}  =>  ${becomes.slice(0, 100)}${met ? '' : '  (no test meets it)'}`,
  );
const stale = known.filter(
  ({ file, code }) =>
    files.includes(`lib/${file}.ts`) &&
    !changed &&
    !mutants.some((one) => one.file === `lib/${file}.ts` && one.code === code),
);
for (const { file, code } of stale) console.log(`equivalent.yml names what is not there any more: ${file}: ${code}`);
writeFileSync(`${DIR}/survivors.json`, JSON.stringify(survivors, null, 1));
// What there was no time to try says nothing of the tests.
const isOver = Date.now() >= end;
if (isOver) console.log('The time was over before all were tried: NO VERDICT of this run');
process.exitCode = (isEnough || isOver) && stale.length === 0 ? 0 : 1;
