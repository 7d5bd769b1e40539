// npm run costs: what a stage costs a month. Prices are AWS's published ones; how many alarms, metrics and secrets there are is
// read from the compiled template; what an operation does is counted while the built functions do it (measure.ts).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Count } from './measure.ts';
import { alarmMetricsIn, type Costs, monthsOf, type Resource } from './months.ts';

const HELP = `npm run costs

Prints what a stage costs a month, in US dollars. It builds the functions, has them work on this machine and counts what they
do; it needs no AWS account, and takes some two minutes.`;
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const { help } = options();
if (help) console.log(HELP);
else await print();

function options(): { help?: boolean } {
  try {
    return parseArgs({ options: { help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message.split('. ')[0]}.\n\n${HELP}`);
    process.exit(2);
  }
}

async function print(): Promise<void> {
  console.error('Building, then counting what the functions do. This takes some two minutes.');
  execFileSync(process.execPath, [join(ROOT, 'infra/build/build.ts'), '--quiet'], { cwd: ROOT, stdio: 'inherit' });
  const template = templateOf('prod');
  // With AWS's SDK and the stand-ins, which take a while to load.
  const { measure } = await import('./measure.ts');
  const measured = await measure();
  console.log('| what, by the list prices of us-east-1 without free tiers | USD | of which |\n|---|---|---|');
  for (const [name, costs] of monthsOf(template, measured)) console.log(rowOf(name, costs));
  console.log(`\nCounted: ${alarmMetricsIn(template)} alarm metrics.`);
  console.log(`A PATCH: ${inWords(measured.patch)}.`);
  console.log(`An offboarding of three connections with its notice and its removal: ${inWords(measured.offboarding)}.`);
  console.log(`A drift check: ${inWords(measured.check)}.`);
  console.log(`The table holds ${Math.round(measured.organizationBytes)} bytes for an organization.`);
}

function templateOf(stage: string): Resource[] {
  const folder = mkdtempSync(join(tmpdir(), 'org-connections-costs-'));
  try {
    const osls = [join(ROOT, 'node_modules/.bin/osls'), 'package', '--stage', stage, '--package', folder];
    execFileSync(process.execPath, osls, { cwd: ROOT, stdio: 'pipe' });
    const text = readFileSync(join(folder, 'cloudformation-template-update-stack.json'), 'utf8');
    return Object.values(JSON.parse(text).Resources);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rowOf(name: string, costs: Costs): string {
  const total = Object.values(costs).reduce((sum, dollars) => sum + dollars, 0);
  const parts = Object.entries(costs)
    .filter(([, dollars]) => dollars >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([part, dollars]) => `${part} ${dollars.toFixed(2)}`);
  return `| ${name} | ${total.toFixed(2)} | ${parts.join(', ')} |`;
}

function inWords({ calls, table, events, logBytes, metrics }: Count): string {
  const short = (number: number) => String(Number(number.toFixed(1)));
  const made = Object.entries(calls).map(([name, times]) => `${name} ${short(times)}`);
  return [
    made.join(', ') || 'no calls',
    `${short(table.write)} write and ${short(table.read)} read units of the table`,
    `${short(events)} events`,
    `${Math.round(logBytes)} bytes of log`,
    `${metrics.size} metrics`,
  ].join('; ');
}
