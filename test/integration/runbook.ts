// docs/runbook.md as whoever is on call uses it: its entries and game day, and a terminal in which their commands run as they stand.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { openapi } from '../contract.ts';
import { startTypedCommands } from '../programs/typed-commands.ts';
import { CON, ORG, type Service } from '../service.ts';

export const PAGE = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Who the terminal is, for STS and for the API. */
const OPERATOR = 'arn:aws:iam::000000000000:user/local';

/** The lines of the fenced blocks of a kind. */
const blocks = (text: string, kind: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, 'gms'))].flatMap(([, lines = '']) =>
    lines.trim().split('\n'),
  );

/** The text of the entry whose heading has `title` in it. */
function entry(title: string): string {
  const found = PAGE.split(/^(?=###? )/m).filter(
    (part) => part.startsWith('### ') && part.slice(0, part.indexOf('\n')).toLowerCase().includes(title.toLowerCase()),
  );
  if (found.length !== 1) throw new Error(`docs/runbook.md has ${found.length} entries "${title}"`);
  return found[0] as string;
}

/** The commands of an entry, a line each. */
export const commandsOf = (title: string) => blocks(entry(title), 'sh');

/** What a game day's row has to be typed. */
export function playOf(title: string): string {
  const row = PAGE.split('\n').find((line) => line.startsWith(`| ${title}`));
  const [, command] = /`(.*)`/.exec(row?.split(/(?<!\\)\|/)[2] ?? '') ?? [];
  if (!command) throw new Error(`docs/runbook.md has no play of "${title}"`);
  return command.replaceAll('\\|', '|');
}

export interface Query {
  codes: string[];
  /** The fields that it shows, each with those that may stand for it. */
  fields: string[][];
}
export const queriesIn = (text: string): Query[] =>
  blocks(text, 'logs').flatMap((line) => {
    const codes = [...(/^filter code in \[(.*?)\]/.exec(line)?.[1]?.matchAll(/'(\w+)'/g) ?? [])].map(
      ([, code = '']) => code,
    );
    if (codes.length === 0) return [];
    const shown = /\| fields (.*)$/.exec(line)?.[1]?.split(/,\s*(?![^(]*\))/) ?? [];
    const names = shown.map((field) => (/coalesce\((.*)\)/.exec(field)?.[1] ?? field).split(/,\s*/));
    return [{ codes, fields: names.filter(([name]) => !name?.startsWith('@')) }];
  });

/** A member of a log line, by its path with dots. */
const memberOf = (line: unknown, path: string) =>
  path.split('.').reduce<unknown>((value, name) => Object(value)[name], line);

/** The HTTP API of a service under test, at an address. */
async function listen(service: Service) {
  type Operation = { operationId?: string };
  const routes = Object.entries<Record<string, Operation>>(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId = '' }]) => {
      return {
        method: method.toUpperCase(),
        operationId,
        path: new RegExp(`^${path.replace(/\{(\w+)_id\}/g, '(?<$1>[^/]+)')}$`),
      };
    }),
  );
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const route = routes.find(({ method, path }) => method === request.method && path.test(pathname));
    if (!route) return void response.writeHead(404).end();
    const ids = route.path.exec(pathname)?.groups ?? {};
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => /^(idem|x-corr)/.test(name)));
    const body = Buffer.concat(chunks).toString();
    const query = Object.fromEntries(searchParams);
    const headersSent = headers as Record<string, string>;
    try {
      const given = { ...ids, headers: headersSent, query, callerArn: OPERATOR, ...(body && { body }) };
      const answer = await service.request(route.operationId, given);
      const text = answer.body === undefined ? '' : JSON.stringify(answer.body);
      response.writeHead(answer.status, answer.headers).end(text);
    } catch (error) {
      // An answer that is not as it is described: a command gives up at once, and says so.
      response.writeHead(418).end(JSON.stringify({ detail: String(error) }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, close };
}

/** A terminal as `npm start` has it set up, at a service under test. */
export async function startTerminal(service: Service) {
  const { tenant, aws } = service;
  const api = await listen(service);
  aws.terminal.setApi('org-connections-local', api.url);
  const folder = mkdtempSync(join(tmpdir(), 'on-call-'));
  const endCommands = await startTypedCommands(folder);
  const scopes = [
    'read:organizations',
    ...['read', 'create', 'update'].map((verb) => `${verb}:organization_connections`),
  ];
  const credentials = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
  const places = { AWS_ENDPOINT_URL: aws.url, API_URL: api.url, TENANT: tenant.url, AUTH0_DOMAIN: tenant.url };
  const set = { STAGE: 'local', ORG, CON, ACCOUNT: '000000000000' };
  const node = join(process.execPath, '..');
  const PATH = [folder, node, process.env.PATH].join(':');
  const [functions = ''] = /^call\(\) \{$[\s\S]*?(?=^```$)/m.exec(PAGE) ?? [];

  /** Runs `command` as it stands, but that nobody is asked and that its files lie in a folder; to what it prints. */
  async function run(command: string, env: Record<string, string> = {}): Promise<string> {
    const unasked = command.replace(/offboard -- (apply|cancel)(?= )/g, '$& --yes');
    const script = unasked.replace(/\b(plan|provider|client)\.json/g, `${folder}/$1.json`);
    const AUTH0_TOKEN = tenant.issueToken(scopes.join(' '));
    const environment = { PATH, HOME: folder, ...credentials, ...places, ...set, AUTH0_TOKEN, ...env };
    const options = { cwd: ROOT, env: environment, timeout: 90_000 };
    // Bash takes a socket for a remote shell, and would read the user's own start file.
    const typed = ['--norc', '-ec', `${functions}\n${script}`];
    const { stdout } = await promisify(execFile)('bash', typed, options).catch((error) => {
      throw Object.assign(error, { message: `${error.message}\n${error.stdout}` });
    });
    return stdout;
  }

  return {
    folder,
    run,
    /** Makes a fault as the game day has it. */
    play: (title: string, env?: Record<string, string>) => run(playOf(title), env),
    /** Types an entry's commands, or those that `which` fits, in one terminal; one that stands there twice is typed once. */
    mend(title: string, which = /./, env?: Record<string, string>): Promise<string> {
      const commands = [...new Set(commandsOf(title))].filter((line) => which.test(line));
      if (commands.length === 0) throw new Error(`docs/runbook.md, "${title}" has no command like ${which}`);
      return run(commands.join('\n'), env);
    },
    /** The log lines that an entry's queries find; each query finds some, with every field that it shows. */
    async found(title: string) {
      const lines = service.logs;
      const all: Record<string, unknown>[] = [];
      for (const { codes, fields } of queriesIn(entry(title))) {
        const of = () => lines.map((line) => JSON.parse(line)).filter(({ code }) => codes.includes(code));
        await expect.poll(() => of().length, { timeout: 20_000, message: `nothing with ${codes}` }).toBeGreaterThan(0);
        for (const names of fields)
          expect(
            of().some((line) => names.some((name) => memberOf(line, name) !== undefined)),
            `no line of ${codes} has ${names}`,
          ).toBe(true);
        all.push(...of());
      }
      return all;
    },
    async close() {
      await endCommands();
      api.close();
    },
  };
}

export type Terminal = Awaited<ReturnType<typeof startTerminal>>;
