// The part of mutants.ts that runs in the copy with the instrumented code.
import { readFileSync } from 'node:fs';
import type { Mutant } from '../mutation/instrument.ts';

/** What StrykerJS's switches read and write. */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
}
const switches: Switches = Object.assign(globalThis, {
  __stryker__: { mutantCoverage: { static: {}, perTest: {} } } as Switches,
}).__stryker__;
const { approvedOf } = await import('./approved.ts');
const { explore } = await import('./explore.ts');
const { worlds } = await import('./worlds.ts');

/** Worlds with more states than this take too long to be asked for each mutant. */
const LARGEST = 4000;
const ENOUGH = 0.9;
const HITS_FOR_EVER = 50;

const [sample, seed, minutes] = process.argv.slice(2).map(Number);
const end = Date.now() + (minutes || 600) * 60_000;
const all: Mutant[] = JSON.parse(readFileSync('mutants/all.json', 'utf8'));

const met = new Map<string, Record<string, number>>();
const known = worlds().flatMap((scenario) => {
  switches.currentTestId = scenario.name;
  const { states, left } = explore(scenario, { most: LARGEST });
  met.set(scenario.name, switches.mutantCoverage?.perTest[scenario.name] ?? {});
  return left === 0 ? [{ scenario, states, approved: approvedOf(scenario.name) }] : [];
});
const byStates = known.sort((a, b) => a.states - b.states);
console.log(`${byStates.length} worlds with ${byStates.reduce((sum, { states }) => sum + states, 0)} states`);

/** What sees a mutant: the world's name and the violation; undefined where none does. */
function seenBy({ id }: Mutant): string | undefined {
  for (const [place, world] of byStates.entries()) {
    const { scenario, states, approved } = world;
    const hits = met.get(scenario.name)?.[id];
    if (hits === undefined) continue;
    Object.assign(switches, {
      activeMutant: id,
      currentTestId: 'again',
      hitCount: 0,
      hitLimit: (hits + 1000) * HITS_FOR_EVER,
    });
    const { violation, difference, left } = explore(scenario, { most: 5 * states + 10_000, approved, isHasty: true });
    Object.assign(switches, { activeMutant: undefined, hitLimit: undefined, hitCount: undefined });
    if (!violation && !difference && left === 0) continue;
    // Who has seen one sees others.
    byStates.splice(place, 1);
    byStates.unshift(world);
    return `${scenario.name}: ${(violation ?? difference)?.what ?? 'it has no end'}`;
  }
  return undefined;
}

/** A sequence that the seed decides. */
let chance = seed || 1;
const random = () => {
  chance = (chance * 48_271) % 2_147_483_647;
  return chance / 2_147_483_647;
};
const isLoaded = ({ id }: Mutant) => switches.mutantCoverage?.static[id] !== undefined;
const nameOf = ({ file, line, column, code, becomes }: Mutant) =>
  `${file}:${line}:${column} ${code.slice(0, 90)}  =>  ${becomes.slice(0, 90)}`;
const again = process.argv[5] ? readFileSync(process.argv[5], 'utf8').split('\n') : undefined;
const dynamic = all.filter(
  (mutant) => !isLoaded(mutant) && (!again || again.some((line) => line.startsWith(nameOf(mutant)))),
);
const chosen = sample
  ? dynamic
      .map((mutant) => ({ mutant, at: random() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, sample)
      .map(({ mutant }) => mutant)
  : dynamic;
console.log(
  `${all.length} mutants, ${all.length - dynamic.length} of them decided when a module is loaded; ${chosen.length} are tried`,
);

const tally = new Map<string, [seen: number, all: number]>();
const survivors: string[] = [];
let tried = 0;
for (const mutant of chosen) {
  if (Date.now() > end) break;
  tried += 1;
  const by = seenBy(mutant);
  const [seen, count] = tally.get(mutant.file) ?? [0, 0];
  tally.set(mutant.file, [seen + (by ? 1 : 0), count + 1]);
  const isMet = byStates.some(({ scenario }) => met.get(scenario.name)?.[mutant.id] !== undefined);
  if (by) continue;
  survivors.push(`${nameOf(mutant)}${isMet ? '' : '  (no world meets it)'}`);
  console.log(survivors.at(-1));
}
for (const [file, [seen, count]] of tally)
  console.log(`${String(seen).padStart(5)} of ${String(count).padStart(4)}  ${file}`);
const share = (tried - survivors.length) / Math.max(1, tried);
console.log(`${tried - survivors.length} of ${tried} mutants are seen: ${(100 * share).toFixed(1)} %`);
process.exitCode = share >= ENOUGH ? 0 : 1;
