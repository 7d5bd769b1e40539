// The pages of the project, and how the tests read them.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The files of the project, new ones too. */
export const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)));

export const PAGES = tracked.filter((path) => path.endsWith('.md') && !path.startsWith('test/'));
export const PACKAGE = JSON.parse(text('package.json'));
export const SERVERLESS = parse(text('serverless.yml'));

export const sorted = (all: Iterable<string | undefined>) => [...new Set(all)].sort();
/** What the first group of `pattern` finds. */
export const found = (page: string, pattern: RegExp) => [...page.matchAll(pattern)].map(([, one = '']) => one);

/** A heading as GitHub makes an anchor of it. */
export const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
/** The anchors of a page's headings; a line of a code block is none. */
export const anchorsOf = (page: string) => found(withoutBlocks(page), /^#+ (.+)$/gm).map(anchorOf);

/** The fenced blocks of a kind, also where a list indents them. */
export const blocksOf = (page: string, kind: string) =>
  found(page, new RegExp(`^ *\`\`\`${kind}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'));
export const withoutBlocks = (page: string) => page.replace(/^ *```[\s\S]*?^ *```$/gm, '');

/** The part of a page under a heading. */
export function sectionOf(page: string, heading: string): string {
  const parts = page.split(/^(?=#+ )/m).filter((part) => part.replace(/^#+ /, '').startsWith(`${heading}\n`));
  if (parts.length !== 1) throw new Error(`There are ${parts.length} headings "${heading}"`);
  return parts[0] as string;
}

/** The cells of a table's rows, without its head. */
export const rowsOf = (part: string) =>
  part
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
/** The names in code of a cell. */
export const namesIn = (cell = '') => found(cell, /`([^`]+)`/g);
