// Explores the worlds of worlds.ts; with a name only those whose name contains it. `--deep` crosses everything; `--part=0/2` is the
// first half; `--rules` asks the oracle alone, not for what is approved in endings/, which `UPDATE=1` writes anew. A process that has
// started it gets what was found in each world.
import { approve, approvedOf, forgetAllBut } from './approved.ts';
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
const isUpdate = process.env.UPDATE === '1';
const isToCompare = !isUpdate && !given.includes('--rules');
const lasting = worlds().map(({ name }) => name);
let [states, failed] = [0, 0];
for (const scenario of all.filter(({ name }) => name.includes(only))) {
  const start = process.cpuUsage().user;
  const isLasting = lasting.includes(scenario.name);
  // Of a world that nobody has looked at nothing is approved.
  const approved = isToCompare && isLasting ? (approvedOf(scenario.name) ?? new Set<string>()) : undefined;
  const { facts, ...found } = explore(scenario, { most: limit, approved });
  if (isUpdate && isLasting && !found.violation && found.left === 0) approve(scenario.name, facts);
  process.send?.(found);
  states += found.states;
  const ms = Math.round((process.cpuUsage().user - start) / 1000);
  const { violation, difference } = found;
  const verdict = violation ? 'VIOLATED' : difference ? 'DIFFERENT' : found.left > 0 ? 'CUT OFF' : 'ok';
  console.log(`${verdict} ${found.name}: ${found.states} states, ${found.ends} ends, ${found.left} left, ${ms} ms`);
  if (!violation && !difference) continue;
  failed += 1;
  for (const { what, path } of [violation, difference].filter((one) => one !== undefined))
    console.log([`  ${what}`, ...path.map((label) => `    ${label}`)].join('\n'));
}
if (isUpdate) forgetAllBut(lasting);
console.log(`${states} states in ${Math.round(process.cpuUsage().user / 1000)} ms, ${failed} violated or different`);
process.exitCode = failed > 0 ? 1 : 0;
