// The commands that a page's lines type beside the machine's own, as scripts for a folder of PATH. `aws` and `auth0` are played, and
// for npm the program that it would run. The scripts have the test's own process do the work, which is quick; the doctor alone is a
// process.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { auth0, aws } from '../integration/command-line.ts';
import { listen } from '../listen.ts';
import { offboard, type Ran } from '../offboard-command/terminal.ts';
import { programOf, programOptions } from './program.ts';

interface Typed {
  name: string;
  words: string[];
  env: Record<string, string>;
  input: string;
}

/** A script that sends its words, its environment and, where a word is `-`, its input; what it gets back is a shell's own words. */
const scriptAt = (url: string, name: string) => `#!/bin/sh
eval "$({
  printf '%s\\0' ${name} $# "$@"
  env -0
  printf '\\0'
  for word; do [ "$word" != - ] || cat; done
} | curl -sS --noproxy '*' --data-binary @- ${url})"
`;

const npmAt = (url: string) => `#!/bin/sh
given="$1 $2 $3"
shift 3
case "$given" in
'run offboard --') ${scriptAt(url, 'offboard').replace(/^.*\n/, '')} ;;
'run doctor --') NODE_OPTIONS='${programOptions}' exec '${process.execPath}' '${programOf('infra/commands/doctor/main.ts')}' "$@" ;;
*) echo "npm $given is not played" >&2; exit 1 ;;
esac
`;

function read(sent: string): Typed {
  const [name = '', count = '', ...rest] = sent.split('\0');
  const words = rest.splice(0, Number(count));
  const end = rest.indexOf('');
  const env = Object.fromEntries(rest.slice(0, end).map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
  return { name, words, env, input: rest.slice(end + 1).join('\0') };
}

async function run({ name, words, env, input }: Typed): Promise<Ran> {
  if (name === 'offboard') return offboard(words, { env, input });
  try {
    return { status: 0, stdout: `${await (name === 'aws' ? aws : auth0)(words, env)}\n`, stderr: '' };
  } catch (error) {
    return { status: 1, stdout: '', stderr: `${(error as Error).message}\n` };
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const asShell = ({ status, stdout, stderr }: Ran) =>
  `printf %s ${quoted(stdout)}; printf %s ${quoted(stderr)} >&2; exit ${status}`;

/**
 * Writes the scripts into `folder`; the function that it returns takes no more of them. It resolves when each command has ended, also
 * one whose shell is gone: a command has the environment of the whole process while it runs.
 */
export async function startTypedCommands(folder: string): Promise<() => Promise<void>> {
  const commands: Promise<Ran>[] = [];
  const server = createServer(async (request, response) => {
    const command = run(read((await buffer(request)).toString()));
    commands.push(command);
    response.end(asShell(await command));
  });
  const url = await listen(server);
  const scripts = { aws: scriptAt(url, 'aws'), auth0: scriptAt(url, 'auth0'), npm: npmAt(url) };
  for (const [name, script] of Object.entries(scripts)) writeFileSync(join(folder, name), script, { mode: 0o755 });
  return async () => {
    server.closeAllConnections();
    server.close();
    await Promise.allSettled(commands);
  };
}
