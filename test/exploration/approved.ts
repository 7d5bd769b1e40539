import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IS, SAYS } from './endings.ts';

// The facts of each world that somebody has looked at and approved: a file a world, each subject a line, what is said of it indented
// below, and the values of a member in one line.

const FOLDER = 'test/exploration/endings';

/** The name of a world's file. */
const fileOf = (world: string) => `${FOLDER}/${world.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.txt`;

/** The approved facts of a world; undefined where nobody has approved any. */
export function approvedOf(world: string): Set<string> | undefined {
  const file = fileOf(world);
  return existsSync(file) ? new Set(factsIn(readFileSync(file, 'utf8'))) : undefined;
}

function factsIn(text: string): string[] {
  let subject = '';
  return text.split('\n').flatMap((line) => {
    if (line && !line.startsWith(' ')) subject = line;
    if (!line.startsWith('  ')) return [];
    const [name, values] = line.slice(2).split(IS);
    const all = values?.split(', ').map((value) => `${name}${IS}${value}`) ?? [name];
    return all.map((one) => subject + SAYS + one);
  });
}

/** Approves what a world shows now. */
export function approve(world: string, facts: Iterable<string>): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(fileOf(world), textOf([...facts].sort()));
}

function textOf(facts: string[]): string {
  const subjects = Map.groupBy(facts, (fact) => fact.slice(0, fact.indexOf(SAYS)));
  const blocks = [...subjects].map(([subject, all]) => {
    const said = all.map((fact) => fact.slice(subject.length + SAYS.length));
    const [valued, sentences] = [true, false].map((isValued) => said.filter((one) => one.includes(IS) === isValued));
    const members = Map.groupBy(valued?.map((one) => one.split(IS)) ?? [], ([name]) => name);
    const values = [...members].map(([name, ones]) => `${name}${IS}${ones.map(([, value]) => value).join(', ')}`);
    return [subject, ...[...(sentences ?? []), ...values].map((line) => `  ${line}`), ''].join('\n');
  });
  return blocks.join('');
}

/** Removes the files of worlds that are not among these. */
export function forgetAllBut(worlds: string[]): void {
  for (const file of filesBeside(worlds)) rmSync(file);
}

/** The files of worlds that are not among these. */
export function filesBeside(worlds: string[]): string[] {
  const known = worlds.map(fileOf);
  return readdirSync(FOLDER)
    .map((file) => `${FOLDER}/${file}`)
    .filter((file) => !known.includes(file));
}
