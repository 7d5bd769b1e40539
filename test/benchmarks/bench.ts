// `npm run bench`: what somebody feels, in one table: ours, what users would write, and the limit. Each row says how far ahead of
// the peers and how far from the limit ours is. `npm run bench -- ROUNDS` (7).
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';
import { buildPeers, type Way } from './peers.ts';
import { here, type Report, runScript, startStandIns } from './processes.ts';

const ROUNDS = Number(process.argv[2] ?? 7);
const WARM = 1000;
/** Lambda gives a function one core for 1,769 MB ("Configure Lambda function memory"): 0.29 at 512 MB. */
const SHARE = 0.29;
const WAYS: Way[] = ['ours', 'conventional', 'plain', 'limit'];
const CONNECTION = { 'disable-connection': 'PATCH', 'remove-connection': 'DELETE' };
const OFFBOARDING = { 'request-offboarding': 'POST (ours stores more)', 'list-offboardings': 'a list' };

/** A row: figures of which less is better, with the unit they have. */
interface Row {
  what: string;
  unit: string;
  ours: number;
  peers: Partial<Record<Way, number>>;
  limit?: number | undefined;
}

const rows: Row[] = [];
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const peers = await buildPeers();
const standIns = await startStandIns();

/** Reports of each way, turn by turn, so that what else the machine does meets all alike. The first round warms the disk's cache. */
async function reportsOf(name: string, rounds: number, warm = 0): Promise<Record<Way, Report[]>> {
  const reports: Record<Way, Report[]> = { ours: [], conventional: [], plain: [], limit: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const way of WAYS) {
      const report = await standIns.measure(peers.bundleOf(way, name), name, { isOurs: way === 'ours', warm });
      if (round > 0) reports[way].push(report);
    }
  }
  return reports;
}

/** Adds a row of the medians of what `pick` takes from the reports. */
function addRow(what: string, unit: string, reports: Record<Way, Report[]>, pick: (one: Report) => number | undefined) {
  const figure = (way: Way) => median(reports[way].map((one) => pick(one) ?? Number.NaN));
  const [conventional, plain] = [figure('conventional'), figure('plain')];
  rows.push({ what, unit, ours: figure('ours'), peers: { conventional, plain }, limit: figure('limit') });
}

async function measureFirstAnswers(): Promise<void> {
  for (const [name, route] of Object.entries({ ...CONNECTION, ...OFFBOARDING })) {
    const reports = await reportsOf(name, ROUNDS);
    const what = `first answer after idle, ${route}`;
    addRow(what, 'ms', reports, ({ cold }) => cold);
    addRow(`${what}, as Lambda has it at 512 MB`, 'ms', reports, ({ cpu }) => cpu.load + cpu.event / SHARE);
  }
}

async function measureWarm(): Promise<void> {
  const reports = await reportsOf('disable-connection', Math.ceil(ROUNDS / 2), WARM);
  addRow('warm, one at a time, median', 'ms', reports, ({ one }) => one?.p50);
  addRow('warm, one at a time, 99th percentile', 'ms', reports, ({ one }) => one?.p99);
  addRow('warm, fifty at once, median', 'ms', reports, ({ fifty }) => fifty?.p50);
  addRow('warm, fifty at once, 99th percentile', 'ms', reports, ({ fifty }) => fifty?.p99);
  addRow('memory after bursts of fifty', 'MB', reports, ({ rss }) => rss);
  const tokens: Partial<Record<Way, number>> = {};
  for (const way of ['ours', 'conventional'] as const) {
    await standIns.count();
    await standIns.measure(peers.bundleOf(way, 'disable-connection'), 'disable-connection', { warm: WARM });
    tokens[way] = (await standIns.count()).tokens;
  }
  const { ours = 0, conventional = 0 } = tokens;
  rows.push({ what: "tokens minted by a container's start", unit: '', ours, peers: { conventional }, limit: 0 });
}

async function measureBatch(): Promise<void> {
  const bundles = (['conventional', 'plain', 'limit'] as const).map((way) =>
    peers.bundleOf(way, 'request-offboarding'),
  );
  type Figures = { accepted: { ms: number }; cancelled: { ms: number }; peers: number[] };
  const { accepted, peers: times } = await runScript<Figures>('batch.run.ts', ['0', ...bundles]);
  const [conventional = Number.NaN, plain = Number.NaN, limit] = times.map((ms) => ms / 1000);
  const what = 'a batch of 1,000 accepted (theirs: 1,000 requests, fifty at once)';
  rows.push({ what, unit: 's', ours: accepted.ms / 1000, peers: { conventional, plain }, limit });
}

interface Bulk {
  minutes: number;
  ofLimit: number;
  limited: number;
  left: number;
  needed: number;
}

async function measureBulk(): Promise<void> {
  const run = (way: string, speed: number) => runScript<Bulk>('bulk.run.ts', ['enterprise', '100', way], speed);
  const [ours, theirs] = [await run('ours', 4), await run('conventional', 4)];
  const refused = ({ limited, left, needed }: Bulk) =>
    `${(100 * limited).toFixed(0)} % of calls refused, ${left} of ${needed} connections left enabled`;
  const what = `bulk: 100 organizations of ten connections (ours: ${refused(ours)}; conventional: ${refused(theirs)})`;
  const conventional = theirs.left > 0 ? Number.POSITIVE_INFINITY : theirs.minutes;
  rows.push({ what, unit: 'min', ours: ours.minutes, peers: { conventional }, limit: ours.minutes * ours.ofLimit });
  const { singles } = await runScript<{ singles: number[] }>('groups.run.ts', ['enterprise', '1000', '3', '0'], 4);
  const urgent = 'an urgent organization of ten connections beside a batch of 1,000';
  // Ten writes, of which a full bucket has all but two, and 2.5 a second come.
  rows.push({ what: urgent, unit: 's', ours: median(singles), peers: {}, limit: 2 });
}

async function costs(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [here('../../infra/commands/costs/main.ts')]);
  return stdout
    .split('\n')
    .filter((line) => /^\| (an idle stage|on top: 10,000)/.test(line))
    .join('\n');
}

const short = (value: number, unit: string) =>
  Number.isFinite(value) ? `${Number(value.toPrecision(3))} ${unit}`.trim() : 'never done';
function toLine({ what, unit, ours, peers: theirs, limit }: Row): string {
  const all = Object.entries(theirs);
  const written = all.map(([way, value]) => `${short(value, unit)} (${way})`).join(', ') || '–';
  const times = (value: number) => (Number.isFinite(value) ? `${value.toFixed(1)} ×` : 'all done');
  const ahead = all.map(([, value]) => (ours === value ? 'the same' : ours === 0 ? 'none' : times(value / ours)));
  const behind = limit === undefined ? '–' : ours === limit ? 'at it' : times(ours / limit);
  const atLimit = limit === undefined ? '–' : short(limit, unit);
  return `| ${what} | ${short(ours, unit)} | ${written} | ${ahead.join(', ') || '–'} | ${atLimit} | ${behind} |`;
}

console.log(`Node ${process.version}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}; medians.\n`);
console.log('| what you feel | ours | what users would write | ahead by | the limit | times the limit |');
console.log('|---|---|---|---|---|---|');
for (const measure of [measureFirstAnswers, measureWarm, measureBatch, measureBulk]) {
  await measure();
  // As they come: the whole takes a quarter of an hour.
  for (const row of rows.splice(0)) console.log(toLine(row));
}
standIns.close();
peers.close();
console.log(`\n| cost a month, USD | | of which |\n|---|---|---|\n${await costs()}`);
process.exit(0);
