// `npm run offboard`: many organizations at once, for people at a terminal. It talks to the HTTP API alone: what it shows is on
// record, and stopping it stops nothing.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import confirm from '@inquirer/confirm';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { signedFetchAs } from './signed-fetch.ts';

/** What POST /offboardings takes in one call. */
const MOST_A_BATCH = 1000;
const POLL_MS = 2000;
const ROWS_SHOWN = 50;
/** Where an offboarding is as far as it goes for now; `scheduled` waits for its grace period. */
const SETTLED = ['completed', 'scheduled', 'failed', 'cancelled', 'superseded'];
/** What to do about failures, by their code. */
const ADVICE: Record<string, string> = {
  unknown_organization: 'the organization is not in the tenant of this stage: check the id, or nothing is left to do',
  rejected_by_auth0: "Auth0 refuses this for the connection's strategy: look at it in the Dashboard",
  forbidden_by_auth0: "the tenant's plan or policy forbids it: the message says which",
  management_token_scope_missing: 'grant the scope to the application, rotate the token, ask again',
  management_token_rejected: 'rotate the management token, ask again',
  auth0_unavailable: 'Auth0 failed for as long as the stage waits: ask again when it is well',
};

/** Ends the command with one plain sentence. */
class Refusal extends Error {}

interface Connection {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  outcome: string | null;
  error: { code: string; message: string } | null;
}
interface Offboarding {
  organization_id: string;
  offboarding_id: string;
  status: string;
  removal_due_at?: string;
  error?: { code: string; message: string };
  connections: Connection[];
}
type Api = (method: string, path: string, body?: object, key?: string) => Promise<Record<string, unknown>>;

interface Options {
  action?: string;
  gracePeriod?: string;
  reason?: string;
  onReenable?: string;
  requestedBy?: string;
  stage?: string;
  url?: string;
  region: string;
  profile?: string;
  dryRun?: boolean;
  yes?: boolean;
  watch?: string[];
  report?: string;
}

const uuid = (value: string, all: string[] = []) => {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)) throw new InvalidArgumentError('It is not a batch id.');
  return [...all, value];
};
const program = new Command('npm run offboard --')
  .description('Offboards many organizations at once: shows what it will do and asks, then watches it being done.')
  .argument(
    '[file]',
    'organizations: CSV with a column organization_id, or one id a line; standard input when left out or -',
  )
  .addOption(new Option('--action <action>', 'what to do').choices(['disable', 'remove', 'disable_then_remove']))
  .option('--reason <text>', 'why; on record, and in each event')
  .option('--grace-period <duration>', 'ISO 8601, such as P30D; for disable_then_remove')
  .addOption(new Option('--on-reenable <what>', 'if somebody enables it again').choices(['report', 'disable_again']))
  .option('--requested-by <who>', "who asks; left out, the ARN of the caller's role")
  .option('--stage <stage>', 'dev, staging or prod: the deployed stage, with credentials as the AWS CLI has them')
  .option('--url <url>', 'the address of the API instead, such as http://localhost:3000 for npm start')
  .option('--region <region>', 'of the stage', process.env.AWS_REGION ?? 'us-east-1')
  .option('--profile <name>', 'of the AWS configuration (SSO included)')
  .option('--dry-run', 'changes nothing, and shows what would be done to which connection')
  .option('--yes', 'do not ask')
  .option('--watch <batch_id>', 'takes up watching a batch; may be given several times', uuid)
  .option('--report <file>', 'what became of each connection, as .csv or .json')
  .addHelpText('after', '\nExit status: 0 all done, 1 some failed (or watching was stopped), 2 nothing was started.')
  .exitOverride()
  .configureOutput({ writeErr: (text) => process.stderr.write(text) });

/** Text from elsewhere, fit for a terminal. */
const plain = (text: string) => text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ');

async function apiOf({ stage, url, region, profile }: Options): Promise<Api> {
  if (Boolean(stage) === Boolean(url)) throw new Refusal('Say where: either --stage or --url.');
  if (stage && !/^[a-z]{1,20}$/.test(stage)) throw new Refusal('A stage is a word such as dev, staging or prod.');
  if (url && !URL.canParse(url)) throw new Refusal('The --url is no address.');
  const credentials = fromNodeProviderChain(profile ? { profile } : {});
  const base = url?.replace(/\/$/, '') ?? (await addressOf(stage as string, region, credentials));
  const isLocal = /^http:\/\/(localhost|127\.0\.0\.1)(:|$)/.test(base);
  const send = isLocal ? fetch : signedFetchAs(credentials, region);
  return async (method, path, body, key) => {
    for (let tries = 1; ; tries++) {
      const answer = await send(base + path, {
        method,
        headers: { ...(body && { 'content-type': 'application/json' }), ...(key && { 'idempotency-key': key }) },
        ...(body && { body: JSON.stringify(body) }),
      }).catch((error: unknown) => {
        throw new Refusal(`${base} can not be reached or called: ${reasonOf(error)}.`);
      });
      if (answer.ok) return (await answer.json()) as Record<string, unknown>;
      // Its key makes a repetition the same request.
      if (answer.status >= 500 && tries < 4) {
        await sleep(1000 * Number(answer.headers.get('retry-after') ?? tries));
        continue;
      }
      const { detail, message } = (await answer.json().catch(() => ({}))) as { detail?: string; message?: string };
      const words = plain(detail ?? message ?? 'no more was said');
      throw new Refusal(`${method} ${path.split('?')[0]} was answered ${answer.status}: ${words}.`);
    }
  };
}

async function addressOf(stage: string, region: string, credentials: ReturnType<typeof fromNodeProviderChain>) {
  const client = new CloudFormationClient({ region, credentials });
  const query = new DescribeStacksCommand({ StackName: `org-connections-${stage}` });
  const { Stacks } = await client.send(query).catch((error: unknown) => {
    throw new Refusal(`The stage ${stage} can not be found in ${region}: ${reasonOf(error)}.`);
  });
  const found = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === 'ApiUrl')?.OutputValue;
  if (!found) throw new Refusal(`The stage ${stage} has no API.`);
  return found;
}

const reasonOf = (error: unknown) => {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return plain(cause?.code ?? cause?.message ?? message ?? 'unknown reason').replace(/\.$/, '');
};

/** The ids of a CSV with a header, or of one id a line; each once. */
function organizationsIn(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, '').trim();
  let ids: string[];
  if (/^org_/.test(lines)) ids = lines.split(/\r?\n/).map((line) => line.split(',')[0] ?? '');
  else {
    let rows: Record<string, string>[];
    try {
      rows = parse(lines, { columns: true, skip_empty_lines: true, trim: true, bom: true });
    } catch (error) {
      throw new Refusal(`The file is no CSV: ${reasonOf(error)}.`);
    }
    const columns = Object.keys(rows[0] ?? {});
    if (rows.length > 0 && !columns.includes('organization_id'))
      throw new Refusal(`The file has no column organization_id; it has ${columns.map(plain).join(', ')}.`);
    ids = rows.map((row) => row.organization_id ?? '');
  }
  const wanted = [...new Set(ids.map((id) => id.trim()).filter(Boolean))];
  if (wanted.length === 0) throw new Refusal('The file names no organization.');
  const wrong = wanted.filter((id) => !/^org_[A-Za-z0-9]{1,46}$/.test(id));
  if (wrong.length > 0)
    throw new Refusal(
      `${wrong.length} of ${wanted.length} are no organization ids, the first is "${plain(wrong[0] ?? '').slice(0, 60)}".`,
    );
  return wanted;
}

async function start(api: Api, file: string | undefined, options: Options): Promise<string[]> {
  const { action, reason, gracePeriod, onReenable, requestedBy, dryRun, yes } = options;
  if (!action || !reason) throw new Refusal('Say what to do and why: --action and --reason.');
  if (gracePeriod && action !== 'disable_then_remove') throw new Refusal('--grace-period is for disable_then_remove.');
  const fromInput = !file || file === '-';
  if (fromInput && process.stdin.isTTY) throw new Refusal('Name a file with organizations, or pipe them in.');
  if (fromInput && !yes && !dryRun)
    throw new Refusal('With organizations from standard input, --yes is needed: nobody can be asked.');
  let text: string;
  try {
    text = fromInput ? await readAll(process.stdin) : readFileSync(file, 'utf8');
  } catch (error) {
    throw new Refusal(`The file can not be read: ${reasonOf(error)}.`);
  }
  const organizations = organizationsIn(text);
  const shown = organizations.slice(0, 5).join(', ') + (organizations.length > 5 ? ', …' : '');
  console.log(
    `${dryRun ? 'Dry run of ' : ''}${action}${gracePeriod ? ` after ${gracePeriod}` : ''}, ${options.url ?? options.stage}`,
  );
  console.log(`${organizations.length} organizations: ${shown}\nReason: ${plain(reason)}`);
  if (!yes && !dryRun) {
    if (!process.stdout.isTTY) throw new Refusal('Nobody can be asked here: --yes is needed.');
    const message =
      action === 'disable' ? 'End their access?' : 'End their access, and remove the connections for good?';
    if (!(await confirm({ message, default: false }))) throw new Refusal('Nothing was started.');
  }
  const order = { action, reason, grace_period: gracePeriod, on_reenable: onReenable, requested_by: requestedBy };
  const batches: string[] = [];
  for (let from = 0; from < organizations.length; from += MOST_A_BATCH) {
    const organization_ids = organizations.slice(from, from + MOST_A_BATCH);
    const body = { organization_ids, ...order, ...(dryRun && { dry_run: true }) };
    const { batch_id } = await api('POST', '/offboardings', body, randomUUID()).catch((error) => {
      if (batches.length > 0) console.error(`Started before this: ${batches.join(', ')}`);
      throw error;
    });
    batches.push(String(batch_id));
    console.log(`Batch ${batch_id}: ${organization_ids.length} accepted`);
  }
  return batches;
}

const listOf = (batch_id: string, more: Record<string, string>) =>
  `/offboardings?${new URLSearchParams({ batch_id, ...more })}`;

/** Watches until everything is settled; false when somebody stopped the watching. */
async function follow(api: Api, batches: string[], again: string): Promise<boolean> {
  const isTerminal = process.stdout.isTTY;
  const format = '{bar} {value}/{total}  {rate}/min  {left} left  {counts}';
  const bar = new SingleBar({ format, hideCursor: true, clearOnComplete: false, noTTYOutput: false });
  let stopped = false;
  const stop = new AbortController();
  process.once('SIGINT', () => {
    stopped = true;
    stop.abort();
  });
  const started = Date.now();
  let [first, last] = [-1, ''];
  for (;;) {
    const counts: Record<string, number> = {};
    for (const batch of batches) {
      const page = await api('GET', listOf(batch, { limit: '1' }));
      for (const [status, count] of Object.entries(page.counts as Record<string, number>))
        counts[status] = (counts[status] ?? 0) + count;
    }
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    if (total === 0) throw new Refusal('There is no such batch.');
    const settled = SETTLED.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
    if (first < 0) first = settled;
    const rate = ((settled - first) / (Date.now() - started)) * 60_000;
    const minutes = rate > 0 ? `${Math.ceil((total - settled) / rate)} min` : '?';
    const words = Object.entries(counts)
      .flatMap(([status, count]) => (count > 0 ? [`${count} ${status}`] : []))
      .join(', ');
    const payload = { rate: Math.round(rate), left: minutes, counts: words };
    if (isTerminal) {
      if (!bar.isActive) bar.start(total, settled, payload);
      bar.update(settled, payload);
    } else if (words !== last) console.log(`${settled}/${total}  ${words}`);
    last = words;
    if (settled === total || stopped) {
      bar.stop();
      if (stopped) console.log(`\nThe watching has stopped; the work goes on. Take it up again:\n  ${again}`);
      return !stopped;
    }
    await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

async function resultsOf(api: Api, batches: string[]): Promise<Offboarding[]> {
  const all: Offboarding[] = [];
  for (const batch of batches) {
    let cursor: string | null = null;
    do {
      const page: Record<string, unknown> = await api('GET', listOf(batch, cursor === null ? {} : { cursor }));
      all.push(...(page.offboardings as Offboarding[]));
      cursor = page.cursor as string | null;
    } while (cursor !== null);
  }
  return all;
}

function rowsOf(results: Offboarding[]) {
  return results.flatMap(({ organization_id, offboarding_id, status, removal_due_at = '', error, connections }) => {
    const row = { organization_id, offboarding_id, status, removal_due_at };
    const none = { connection_id: '', name: null, strategy: null, outcome: null, error: error ?? null };
    return (connections.length ? connections : [none]).map((one) => ({
      ...row,
      connection_id: one.connection_id,
      name: one.name ?? '',
      strategy: one.strategy ?? '',
      outcome: one.outcome ?? '',
      error_code: (one.error ?? error)?.code ?? '',
      error_message: (one.error ?? error)?.message ?? '',
    }));
  });
}

function summarize(results: Offboarding[], dryRun: boolean): void {
  const rows = rowsOf(results);
  if (dryRun) {
    const table = new Table({
      head: ['organization', 'connection', 'strategy', 'would be'],
      style: { head: [], border: [] },
    });
    for (const { organization_id, connection_id, name, strategy, outcome } of rows.slice(0, ROWS_SHOWN))
      table.push([organization_id, plain(name || connection_id || '(none)'), plain(strategy), outcome]);
    console.log(table.toString());
    if (rows.length > ROWS_SHOWN) console.log(`… and ${rows.length - ROWS_SHOWN} more; --report has them all.`);
  }
  const count = (values: string[]) =>
    Object.entries(Object.groupBy(values, (value) => value))
      .map(([value, all]) => `${all?.length} ${value}`)
      .join(', ');
  console.log(`Organizations: ${count(results.map(({ status }) => status))}`);
  console.log(`Connections:   ${count(rows.flatMap(({ outcome }) => outcome || [])) || 'none'}`);
  const failures = Object.groupBy(
    rows.filter(({ status, error_code }) => status === 'failed' && error_code),
    (row) => row.error_code,
  );
  for (const [code, all = []] of Object.entries(failures)) {
    console.log(`Failed, ${code} (${all.length}): ${ADVICE[code] ?? plain(all[0]?.error_message ?? '')}`);
    console.log(`  ${[...new Set(all.map(({ organization_id }) => organization_id))].slice(0, 5).join(', ')}`);
  }
}

/** Whether something is under way: from then on a failure of this command is one of watching. */
let isStarted = false;

async function run(): Promise<number> {
  program.parse();
  const [file, options] = [program.args[0], program.opts<Options>()];
  if (options.report && !/\.(csv|json)$/.test(options.report))
    throw new Refusal('The --report is a file .csv or .json.');
  if (options.watch && file) throw new Refusal('Watch a batch, or start one: not both.');
  const api = await apiOf(options);
  const batches = options.watch ?? (await start(api, file, options));
  isStarted = options.watch === undefined;
  const where = options.url ? `--url ${options.url}` : `--stage ${options.stage}`;
  const again = `npm run offboard -- ${batches.map((batch) => `--watch ${batch}`).join(' ')} ${where}`;
  if (!(await follow(api, batches, again))) return 1;
  const results = await resultsOf(api, batches);
  summarize(results, options.dryRun ?? false);
  if (options.report) {
    const rows = rowsOf(results);
    // A spreadsheet takes text that begins like a formula for one.
    const text = options.report.endsWith('.json')
      ? JSON.stringify(results, null, 2)
      : stringify(rows, { header: true, escape_formulas: true });
    writeFileSync(options.report, text);
    console.log(`Report: ${options.report}`);
  }
  return results.some(({ status }) => status === 'failed') ? 1 : 0;
}

run().then(
  (status) => process.exit(status),
  (error: unknown) => {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    // A prompt that Ctrl-C ended is an answer, too.
    const known = error instanceof Refusal || (error as Error).name === 'ExitPromptError';
    console.error(known ? (error as Error).message : `Something unexpected went wrong: ${reasonOf(error)}.`);
    process.exit(isStarted ? 1 : 2);
  },
);
