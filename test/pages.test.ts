// The pages against what they speak of: what somebody reads there is typed, called and linked as it stands.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { hasEnded, STATUSES, TRANSITIONS } from '../lib/offboarding/offboarding.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAGES = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
const README = text('README.md');
const PACKAGE = JSON.parse(text('package.json'));
const { params, functions } = parse(text('serverless.yml'));
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => existsSync(join(ROOT, path)));
const sorted = (all: Iterable<string | undefined>) => [...new Set(all)].sort();
const found = (page: string, pattern: RegExp) => [...page.matchAll(pattern)].map(([, one = '']) => one);
/** A heading as GitHub makes an anchor of it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (page: string) => found(page, /^#+ (.+)$/gm).map(anchorOf);

/** A heading, or the words in bold that a paragraph or a row begins with. */
function quotesHeadings(page: string): void {
  for (const [, other = '', heading = ''] of page.matchAll(/\b([A-Z]{5,})(?:\.md)?, \\?"([^"\\]+)/g)) {
    const there = text(`${other}.md`);
    const bold = found(there, /^(?:\| |- )?\*\*([^*]+?)[.:]?\*\*/gm).map(anchorOf);
    expect([...anchorsOf(there), ...bold], `${other}, ${heading}`).toContain(anchorOf(heading));
  }
}

describe.each(PAGES)('%s', (name) => {
  const page = text(name);

  test('links only to what is there', () => {
    for (const link of found(page, /\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      expect(path === '' || existsSync(join(ROOT, path)), link).toBe(true);
      if (anchor) expect(anchorsOf(path === '' ? page : text(path)), link).toContain(anchor);
    }
  });

  test('has commands that there are', () => {
    for (const script of found(
      page,
      /npm (?:run (?:--silent )?)?(test(?::\w+)?|start|(?<=run )[\w:]+|(?<=--silent )[\w:]+)/g,
    ))
      expect(PACKAGE.scripts, script).toHaveProperty([script]);
    for (const path of found(page, /(?:node|bash|--import|--template-file) (?:\.\/)?((?:infra|test|\.ci)\/[\w./-]+)/g))
      expect(tracked, path).toContain(path);
  });

  test('names files that there are', () => {
    for (const path of found(page, /`((?:lib|functions|infra|test|\.github)\/[\w./-]+)`/g)) {
      if (path.includes('<')) continue;
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
    // A test by its name, or the end of its path, is one, and only one.
    for (const file of found(page, /`([\w/-]+\.test\.ts)`/g))
      expect(
        tracked.filter((path) => `/${path}`.endsWith(`/${file}`)),
        file,
      ).toHaveLength(1);
  });

  test('quotes headings that other pages have', () => quotesHeadings(page));
});

describe('README', () => {
  test('has the routes that are deployed, and no other', () => {
    const deployed = Object.values(
      functions as Record<string, { events?: { httpApi: { method: string; path: string } }[] }>,
    )
      .flatMap(({ events = [] }) => events)
      .map(({ httpApi: { method, path } }) => `${method} ${path}`);
    expect(sorted(found(README, /^\| `((?:GET|POST|PATCH|PUT|DELETE) \/[^`? ]*)/gm))).toEqual(sorted(deployed));
  });

  test('has each code of a problem, with its status, and no other', () => {
    const table = text('lib/problem.ts');
    const known = [...table.matchAll(/^ {2}(\w+): \[(\d{3}), /gm)].map(([, code, status]) => `${status} ${code}`);
    // Of a body that can be read and says the wrong thing.
    known.push('422 invalid_body');
    const rows = [...README.matchAll(/^\| ([\d, ]+) \| ([^|]*`[^|]+) \|/gm)].map(([, statuses = '', codes = '']) => ({
      statuses: statuses.split(', '),
      codes: found(codes, /`([a-z_0-9]+)`/g),
    }));
    const shown = rows.flatMap(({ statuses, codes }) =>
      codes.flatMap((code) => known.filter((one) => statuses.includes(one.slice(0, 3)) && one.slice(4) === code)),
    );
    expect(sorted(shown)).toEqual(sorted(known));
    expect(sorted(rows.flatMap(({ codes }) => codes))).toEqual(sorted(known.map((one) => one.slice(4))));
  });

  test('has stage parameters, stack outputs and parameters of templates that there are', () => {
    const all = Object.keys(params.default);
    const listed = README.slice(README.indexOf('Stage parameters'), README.indexOf('Optional to the functions'));
    const named = found(listed, /`([a-z][A-Za-z]+)`/g).filter((one) => !['params', 'all'].includes(one));
    expect(named.length).toBeGreaterThan(10);
    expect(all).toEqual(expect.arrayContaining(named));
    const defaults = [...listed.matchAll(/`(\w+)` \((P\w+|false|[\d.]+)/g)];
    expect(defaults.length).toBeGreaterThan(5);
    for (const [, name = '', value] of defaults) expect(String(params.default[name]), name).toBe(value);
    const infra = tracked
      .filter((path) => /^infra\/(account|stack)\/.*\.(yml|cjs)$/.test(path))
      .map(text)
      .join('\n');
    // HttpApiId is osls's own.
    for (const output of found(README, /output `(\w+)`/g).filter((one) => one !== 'HttpApiId'))
      expect(infra, output).toContain(`${output}:`);
    for (const parameter of found(README, /\b([A-Z]\w+)=(?=\S|`)/g).filter((one) => !/^[A-Z_]+$/.test(one)))
      expect(text('infra/account/stage.yml'), parameter).toContain(`  ${parameter}:`);
    for (const policy of found(README, /`(?:org-connections-\{stage\})?(-[a-z-]+-)(?:\{region\})?`/g))
      expect(text('infra/account/stage.yml'), policy).toMatch(`org-connections-\${Stage}${policy}\${AWS::Region}`);
  });

  test('has variables that a function reads and can do without', () => {
    const source = tracked
      .filter((path) => /^(lib|functions)\/.*\.ts$/.test(path))
      .map(text)
      .join('\n');
    const optional = README.slice(README.indexOf('Optional to the functions'), README.indexOf('`endSessions` takes'));
    const named = found(optional, /`([A-Z][A-Z_]+)`/g);
    const read = [
      ...found(source, /process\.env\.([A-Z][A-Z0-9_]+)/g),
      // The stage's durations are read by their names.
      ...found(text('lib/duration.ts'), /^ {2}([A-Z_]+): 'P/gm),
    ];
    const others = ['AUTH0_AUDIENCE', 'AWS_REGION', 'AWS_DEFAULT_REGION', 'SESSION_QUEUE_URL'];
    const unnamed = (name: string) => !others.includes(name) && !name.endsWith('_SECRET_ID') && !/^AWS_/.test(name);
    expect(sorted(named)).toEqual(sorted(read.filter(unnamed)));
  });

  test('names each outcome that is told', () => {
    const types = readdirSync(join(ROOT, 'infra/contracts/schemas')).map((name) => name.replace(/\.json$/, ''));
    for (const type of types)
      expect(
        README.includes(`\`${type}\``) || README.includes(type) || README.includes(`\`.${type.split('.').at(-1)}\``),
        type,
      ).toBe(true);
  });
});

describe('DEVELOPING', () => {
  const name = 'DEVELOPING.md';
  const lines = STATUSES.flatMap((status) => TRANSITIONS[status].map((next) => `  ${status} --> ${next}`));
  const ends = STATUSES.filter((status) => hasEnded({ status })).map((status) => `  ${status} --> [*]`);
  const diagram = ['stateDiagram-v2', '  [*] --> requested', ...lines, ...ends, ''].join('\n');
  const followers = (status: (typeof STATUSES)[number]) => TRANSITIONS[status].map((next) => `\`${next}\``).join(', ');
  const asItIs = (page: string) =>
    page
      .replace(/stateDiagram-v2\n[^`]*/, diagram)
      .replace(/^\| `(\w+)` \| ([^|]+) \|[^|\n]*\|$/gm, (row, status, means) =>
        STATUSES.includes(status) ? `| \`${status}\` | ${means} | ${followers(status)} |` : row,
      );
  if (process.env.UPDATE) writeFileSync(join(ROOT, name), asItIs(text(name)));

  test('shows what may follow a status as the service has it', () => {
    const page = text(name);
    expect(page).toBe(asItIs(page));
    for (const status of STATUSES) expect(page).toContain(`\n| \`${status}\` | `);
  });

  test('names each file of lib, and none that is not there', () => {
    const [, rooms = ''] = text(name).split('## The rooms');
    const named = found(rooms.replace(/^[^|].*$/gm, ''), /`([\w-]+\.ts)`/g);
    const files = tracked.filter((one) => one.startsWith('lib/')).map((path) => path.split('/').at(-1) ?? '');
    expect(sorted(named)).toEqual(sorted(files));
  });

  test('is right that imports have no circles, types included', () => {
    const imports = new Map(
      tracked
        .filter((path) => /^lib\/.*\.ts$/.test(path))
        .map((path) => [
          path,
          found(text(path), /from '(\.[^']+)'/g).map((one) => resolve('/', dirname(path), one).slice(1)),
        ]),
    );
    // What imports nothing that is left is taken out, until nothing is left, or a circle.
    for (let size = -1; size !== imports.size; ) {
      size = imports.size;
      for (const [path, others] of imports) if (!others.some((other) => imports.has(other))) imports.delete(path);
    }
    expect([...imports.keys()]).toEqual([]);
  });

  test('says why each dependency is there', () => {
    const page = text(name);
    const spoken: Record<string, RegExp> = {
      '@middy/core': /middy/,
      '@middy/http-json-body-parser': /middy/,
      '@date-fns/utc': /UTC dates/,
      '@redocly/cli': /Redocly/,
      '@biomejs/biome': /Biome/,
      typescript: /TypeScript/,
    };
    const all = { ...PACKAGE.dependencies, ...PACKAGE.devDependencies };
    for (const one of Object.keys(all)) {
      if (/^@types\/|^@aws-sdk\/client-|^ajv-formats$|^yaml$|powertools/.test(one)) continue;
      expect(page, one).toMatch(spoken[one] ?? new RegExp(`\\b${one.replace(/^@/, '').replaceAll('/', '\\/')}\\b`));
    }
  });
});

test('what the code says of a page is there', () => {
  for (const path of tracked.filter((one) => /^(lib|functions|infra)\/.*\.(ts|cjs|yml|sh)$/.test(one)))
    quotesHeadings(text(path).replaceAll(/DynamoDB lock client, README/g, ''));
});

test('no page speaks of a place that only its writer has', () => {
  for (const name of PAGES) expect(text(name), name).not.toMatch(/\/(work|home|tmp|root)\/\w|\bissue \d|#\d+\b/);
});
