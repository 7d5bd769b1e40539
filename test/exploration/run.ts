// Explores the worlds of worlds.ts; with a name only those whose name contains it. `--deep` crosses everything.
import { explore } from './explore.ts';
import { worlds } from './worlds.ts';

const [only = ''] = process.argv.slice(2).filter((one) => !one.startsWith('--'));
const limit = Number(process.env.LIMIT ?? Number.POSITIVE_INFINITY);
let [states, failed] = [0, 0];
for (const scenario of worlds(process.argv.includes('--deep')).filter(({ name }) => name.includes(only))) {
  const start = process.cpuUsage().user;
  const found = explore(scenario, limit);
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
