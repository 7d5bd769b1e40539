// `npm start` as a process, and the page that it serves, as a program reads it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../infra/local/gateway.ts';
import type { Entry } from '../../infra/local/page/timeline.ts';
import { programOf, programOptions } from '../programs/program.ts';

const START = programOf('infra/local/start.ts');

export interface State {
  organizations: {
    id: string;
    connections: { connection_id: string; is_enabled: boolean }[];
    offboarding: { status: string } | null;
    members: { id: string; sessions: number }[];
  }[];
  outage_until: string | null;
}

/** Resolves to all that `child` has printed as soon as `pattern` fits it. */
function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  let all = '';
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        all += chunk;
        if (pattern.test(all)) resolve(all);
      });
    child.once('exit', () => reject(new Error(`It ended: ${all}`)));
  });
}

interface Options {
  flags?: string[];
  /** What Node is given instead of the bundled program. */
  words?: string[];
}

/** Starts the service on a free port; resolves when it says that it is up. */
export async function startLocalService({ flags = [], words = [START] }: Options = {}) {
  const port = await freePort();
  const env = { ...process.env, NODE_OPTIONS: programOptions, PORT: String(port) };
  const child = spawn(process.execPath, [...words, ...flags], { env });
  // A test that fails ends nothing.
  process.once('exit', () => child.kill());
  const shown = await printed(child, /Stop with Ctrl-C/);
  const url = `http://localhost:${port}`;
  const tenantUrl = /Auth0 +(http:\S+)/.exec(shown)?.[1] ?? '';
  return {
    port,
    pid: child.pid,
    url,
    shown,
    tenantUrl,
    awsUrl: /AWS +(http:\S+)/.exec(shown)?.[1] ?? '',
    /** Has the stand-in tenant do something. */
    async tenant(name: string, ...given: unknown[]): Promise<unknown> {
      const answer = await fetch(`${tenantUrl}/_tenant/${name}`, { method: 'POST', body: JSON.stringify(given) });
      return answer.json();
    },
    /** Sends a signal; resolves to the exit code and the signal that ended the process. */
    async end(signal: NodeJS.Signals = 'SIGINT') {
      child.kill(signal);
      return once(child, 'exit');
    },
  };
}
export type LocalService = Awaited<ReturnType<typeof startLocalService>>;

/** What the page's stream has told since it was opened. */
export async function openStream(url: string) {
  const ending = new AbortController();
  const answer = await fetch(`${url}/_page/events`, { signal: ending.signal });
  const seen: { entries: Entry[]; state: State | undefined } = { entries: [], state: undefined };
  const take = (block: string) => {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
    if (name === 'history') seen.entries.push(...JSON.parse(data));
    if (name === 'entry') seen.entries.push(JSON.parse(data));
    if (name === 'state') seen.state = JSON.parse(data);
  };
  const read = async () => {
    let rest = '';
    for await (const chunk of answer.body ?? []) {
      const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) take(block);
    }
  };
  void read().catch(() => {});
  return { seen, headers: answer.headers, close: () => ending.abort() };
}
