// Explores the worlds of worlds.ts; with a name only those whose name contains it. `--deep` crosses everything; `--part=0/2` is the
// first half. A process that has started it is told what was found in each world.
import { explore } from './explore.ts';
import { worlds } from './worlds.ts';

const given = process.argv.slice(2);
const [only = ''] = given.filter((one) => !one.startsWith('--'));
const [part = 0, parts = 1] = (
  given
    .find((one) => one.startsWith('--part='))
    ?.slice(7)
    .split('/') ?? []
).map(Number);
const limit = Number(process.env.LIMIT ?? Number.POSITIVE_INFINITY);
const all = worlds(given.includes('--deep')).filter((_, index) => index % parts === part);
let [states, failed] = [0, 0];
for (const scenario of all.filter(({ name }) => name.includes(only))) {
  const start = process.cpuUsage().user;
  const found = explore(scenario, limit);
  process.send?.(found);
  states += found.states;
  const ms = Math.round((process.cpuUsage().user - start) / 1000);
  const verdict = found.violation ? 'VIOLATED' : found.left > 0 ? 'CUT OFF' : 'ok';
  console.log(`${verdict} ${found.name}: ${found.states} states, ${found.ends} ends, ${found.left} left, ${ms} ms`);
  if (!found.violation) continue;
  failed += 1;
  console.log(`  ${found.violation.what}`);
  for (const label of found.violation.path) console.log(`    ${label}`);
}
console.log(`${states} states in ${Math.round(process.cpuUsage().user / 1000)} ms, ${failed} violated`);
process.exitCode = failed > 0 ? 1 : 0;
