// The commands of the pages for newcomers, publishers and operators, typed as they stand beside `npm start`. Those of the runbook are
// played by the game days of test/integration/.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalService, startLocalService } from '../page/local-service.ts';
import { startTypedCommands } from '../programs/typed-commands.ts';
import { blocksOf, found, ROOT, text } from './pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'pages-'));

let service: LocalService;
let endCommands: () => Promise<void>;
beforeAll(async () => {
  [endCommands, service] = await Promise.all([startTypedCommands(folder), startLocalService()]);
});
afterAll(async () => {
  await endCommands();
  await service.end();
  rmSync(folder, { recursive: true });
});

/** Types a line as it stands, but that nobody is asked, that its files lie in a folder, and that the port is a free one. */
async function type(line: string): Promise<string> {
  const unasked = line.replace(/offboard -- (apply|cancel) \S+/g, '$& --yes');
  const script = unasked
    .replace(/(?<=[ >])(plan\.json|customers\.csv|done\.html)/g, `${folder}/$1`)
    .replaceAll('http://localhost:3000', service.url);
  const credentials = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
  const PATH = `${folder}:${process.env.PATH}`;
  const env = { HOME: folder, PATH, ...credentials, AWS_ENDPOINT_URL: service.awsUrl };
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-ec', script], { cwd: ROOT, env });
  return stdout;
}
const commandsOf = (page: string) => blocksOf(text(page), 'sh').flatMap((block) => block.trim().split('\n'));

test('when an operator types the page of operations from top to bottom, each command succeeds', async () => {
  const page = text('docs/operations.md');
  const printed: string[] = [];
  for (const line of commandsOf('docs/operations.md')) printed.push(await type(line));
  const shown = found(page, /^( {2}acme-\w+ \(\w.*would be disabled now, removed on )/gm);
  expect(shown.length).toBeGreaterThan(1);
  for (const one of shown) expect(printed.join('\n')).toContain(one);
});

test('when somebody types the quick start, Auth0 answers as the README shows', async () => {
  const [line = '', answer = ''] = (/^\$ (curl .*)\n(.*), …\}$/m.exec(text('README.md')) ?? []).slice(1);
  expect(await type(line)).toContain(answer);
});

test('when a publisher types the events of the page, the bus takes them', async () => {
  const lines = commandsOf('docs/events.md');
  expect(lines.length).toBe(2);
  for (const line of lines) expect(JSON.parse(await type(line))).toMatchObject({ FailedEntryCount: 0 });
});
