// Files that only their owner reads: plans and reports name customers.
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Refusal } from './ending.ts';
import { plain, reasonOf } from './terminal.ts';

/** Finds out whether `path` can be written, before anything is started. `name` begins the sentence of the `Refusal`: "The plan". */
export function tryOwnerFile(name: string, path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new Refusal(`${name} cannot be written to ${plain(path)}: it is a folder.`);
  const part = partOf(path);
  try {
    closeSync(openSync(part, 'wx', 0o600));
    unlinkSync(part);
  } catch (error) {
    throw new Refusal(`${name} cannot be written to ${plain(path)}: ${reasonOf(error)}.`);
  }
}

/** Writes `text`, with mode 0600 also where a file was there before. The file is there whole or not at all. */
export function writeOwnerFile(path: string, text: string): void {
  const part = partOf(path);
  writeFileSync(part, text, { mode: 0o600, flag: 'wx' });
  renameSync(part, path);
}

/** Whether two paths are one file, by whatever names; also where none is there yet. */
export function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return placeOf(one) === placeOf(other);
  const [a, b] = [statSync(one), statSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

function placeOf(path: string): string {
  const folder = dirname(resolve(path));
  return resolve(existsSync(folder) ? realpathSync(folder) : folder, basename(path));
}

/** A name beside `path` that no file of the operator's has. */
const partOf = (path: string) => `${path}.${randomUUID()}.part`;
