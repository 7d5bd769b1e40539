// Every page against what it speaks of: what somebody reads there is typed, called and linked as it stands.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { commandLine } from '../../infra/commands/offboard/command-line.ts';
import { anchorOf, anchorsOf, blocksOf, found, PACKAGE, PAGES, ROOT, text, tracked, withoutBlocks } from './pages.ts';

const LONGEST_LINE = 400;
const README_LINES = 150;
/** Words that have another one (docs/glossary.md). */
const OLD_WORDS = /\b(call(?:ed|s|ing)? off|asked_at|looked_at|not_asked|watch-offboardings|lanes?|sweeps?)\b/i;

const OFFBOARD = new Map<string, Command>(commandLine(() => {}).commands.map((one) => [one.name(), one]));

describe.each(PAGES)('%s', (name) => {
  const page = text(name);

  test('the page links only to what is there', () => {
    for (const link of found(withoutBlocks(page), /(?:\]\(|src(?:set)?=")([^)"\s]+)[)"]/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? name : normalize(join(dirname(name), path)).replace(/\/$/, '');
      expect(existsSync(join(ROOT, target)), link).toBe(true);
      if (anchor) expect(anchorsOf(text(target)), link).toContain(anchor);
    }
  });

  test('the page has commands that are there', () => {
    const scripts = /npm (?:run (?:--silent )?)?(test(?::[\w-]+)?|start|(?<=run )[\w:-]+|(?<=--silent )[\w:-]+)/g;
    for (const script of found(page, scripts)) expect(PACKAGE.scripts, script).toHaveProperty([script]);
    for (const filters of found(page, /npm test -- ([\w/ -]+?)(?: -t|`|$|,)/gm))
      for (const filter of filters.split(' '))
        expect(
          tracked.some((path) => path.endsWith('.test.ts') && path.includes(filter)),
          filter,
        ).toBe(true);
  });

  test('the page uses words and options that the operator’s command has', () => {
    for (const line of page.split('\n').flatMap((one) => found(one, /npm run offboard -- ([^`|]+)/g))) {
      const [word = '', ...rest] = line.split(/\s+/);
      if (word.startsWith('-') || !/^[a-z]+$/.test(word)) continue;
      const command = OFFBOARD.get(word);
      expect(command, line).toBeDefined();
      const options = command?.options.flatMap(({ long }) => (long ? [long] : [])) ?? [];
      const used = rest.filter((one) => /^--[a-z]/.test(one));
      expect([...options, '--help'], line).toEqual(expect.arrayContaining(used));
    }
  });

  test('the page names files that are there', () => {
    const paths = [
      ...found(page, /`((?:lib|functions|infra|test|docs|examples|\.github|\.ci)\/[\w./-]+)`/g),
      ...found(page, /(?:node|bash|--import|--template-file|\.mjs) (?:\.\/)?((?:infra|test|\.ci)\/[\w./-]+)/g),
    ];
    for (const path of paths.filter((one) => !/node_modules|list-things/.test(one)))
      expect(existsSync(join(ROOT, path)), path).toBe(true);
  });

  test('the page has shell blocks that a shell reads, and JSON that is JSON', () => {
    for (const block of blocksOf(page, 'sh')) execFileSync('bash', ['-n'], { input: block });
    for (const block of blocksOf(page, 'json')) expect(() => JSON.parse(block), block).not.toThrow();
  });

  test('the page has no line that is too long to read', () => {
    const isTable = (line: string) => line.startsWith('|');
    const long = withoutBlocks(page).split('\n');
    expect(long.filter((line) => line.length > LONGEST_LINE && !isTable(line))).toEqual([]);
  });

  test('the page speaks of no place that only its writer has, and of no old word', () => {
    expect(page).not.toMatch(/\/(work|home|root)\/\w|\bissue \d|#\d+\b/);
    if (name !== 'CHANGELOG.md') expect(page).not.toMatch(OLD_WORDS);
  });
});

test('the README fits on two screens', () => {
  const lines = text('README.md').split('\n');
  expect(lines.length).toBeLessThanOrEqual(README_LINES);
  expect(lines.filter((line) => line.length > LONGEST_LINE)).toEqual([]);
});

test('no page repeats a paragraph of another', () => {
  const seen = new Map<string, string>();
  for (const name of PAGES)
    for (const paragraph of withoutBlocks(text(name)).split('\n\n')) {
      const words = paragraph.trim();
      if (words.length < 120) continue;
      expect(seen.get(words), words).toBeUndefined();
      seen.set(words, name);
    }
});

test('what the code says of a page is there', () => {
  for (const path of tracked.filter((one) => /^(lib|functions|infra|test)\/.*\.(ts|cjs|yml|sh)$/.test(one))) {
    if (path.startsWith('test/pages/')) continue;
    const source = text(path);
    expect(source, path).not.toMatch(/\b(RUNBOOK|DEVELOPING|SECURITY|RELIABILITY|BENCHMARKS)\b(\.md|,)/);
    for (const [, page = '', heading = ''] of source.matchAll(
      /\b(docs\/[a-z]+\.md|README(?:\.md)?|CONTRIBUTING\.md), \\?"([^"\\$]+)/g,
    ))
      expect(anchorsOf(text(page.replace(/^README$/, 'README.md'))), `${path}: ${heading}`).toContain(
        anchorOf(heading),
      );
  }
});
