// Files that only their owner reads: plans and reports name customers.
import { closeSync, openSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { Refusal } from './ending.ts';
import { plain, reasonOf } from './terminal.ts';

/** Finds out whether `path` can be written, before anything is started. `name` begins the sentence of the `Refusal`: "The plan". */
export function tryOwnerFile(name: string, path: string): void {
  try {
    closeSync(openSync(partOf(path), 'a', 0o600));
    unlinkSync(partOf(path));
  } catch (error) {
    throw new Refusal(`${name} cannot be written to ${plain(path)}: ${reasonOf(error)}.`);
  }
}

/** Writes `text`, with mode 0600 also where a file was there before. The file is there whole or not at all. */
export function writeOwnerFile(path: string, text: string): void {
  rmSync(partOf(path), { force: true });
  writeFileSync(partOf(path), text, { mode: 0o600, flag: 'wx' });
  renameSync(partOf(path), path);
}

const partOf = (path: string) => `${path}.part`;
