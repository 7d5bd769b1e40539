// Source with every mutant of it in place, each behind a switch: StrykerJS's instrumenter.
import { readFile } from 'node:fs/promises';
import { Instrumenter } from '@stryker-mutator/instrumenter';

export interface Mutant {
  id: string;
  file: string;
  line: number;
  column: number;
  mutator: string;
  /** The code that is mutated, and what it becomes; blanks are one space. */
  code: string;
  becomes: string;
}
export interface Instrumented {
  /** By path from the project's root. */
  sources: Record<string, string>;
  mutants: Mutant[];
}

const silent = Object.assign(() => {}, { isDebugEnabled: () => false });
const logger = new Proxy(silent, {
  get: (target, name) => (name === 'isDebugEnabled' ? target.isDebugEnabled : target),
});
const inOneLine = (code: string) => code.replace(/\s+/g, ' ').trim();

/** The files, relative to the project's root, with their mutants. */
export async function instrument(files: string[]): Promise<Instrumented> {
  const contents = await Promise.all(files.map((name) => readFile(name, 'utf8')));
  const given = files.map((name, index) => ({ name, content: contents[index] ?? '', mutate: true }));
  const options = { plugins: null, excludedMutations: [], ignorers: [], noHeader: false };
  const instrumenter = new Instrumenter(logger as never);
  const { files: changed, mutants } = await instrumenter.instrument(given, options as never);
  const linesOf = new Map(given.map(({ name, content }) => [name, content.split('\n')]));
  return {
    sources: Object.fromEntries(changed.map(({ name, content }) => [name, content])),
    mutants: mutants.map(({ id, fileName, mutatorName, replacement, location: { start, end } }) => {
      const lines = (linesOf.get(fileName) ?? []).slice(start.line, end.line + 1);
      const last = lines.length - 1;
      const code = lines.map((line, index) =>
        line.slice(index === 0 ? start.column : 0, index === last ? end.column : undefined),
      );
      const at = { line: start.line + 1, column: start.column + 1 };
      return {
        ...{ id, file: fileName, ...at, mutator: mutatorName },
        ...{ code: inOneLine(code.join('\n')), becomes: inOneLine(replacement) },
      };
    }),
  };
}
