// Explores every world of worlds.ts; with a name only those whose name contains it. `--deep` crosses everything.
import { explore } from './explore.ts';
import { worlds } from './worlds.ts';

const [only = ''] = process.argv.slice(2).filter((one) => !one.startsWith('--'));
let [states, failed] = [0, 0];
const began = Date.now();
for (const scenario of worlds(process.argv.includes('--deep')).filter(({ name }) => name.includes(only))) {
  const start = Date.now();
  const found = explore(scenario, Number(process.env.LIMIT ?? Number.POSITIVE_INFINITY));
  states += found.states;
  console.log(
    `${found.violation ? 'VIOLATED' : found.isExhausted ? 'ok' : 'CUT OFF'} ${found.name}: ${found.states} states, ${found.ends} ends, ${Date.now() - start} ms`,
  );
  if (!found.violation) continue;
  failed += 1;
  console.log(`  ${found.violation.what}`);
  for (const label of found.violation.path) console.log(`    ${label}`);
}
console.log(`${states} states in ${Date.now() - began} ms, ${failed} violated`);
process.exitCode = failed > 0 ? 1 : 0;
