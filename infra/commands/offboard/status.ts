// `status`: how a plan, a batch or the whole stage stands.
import { existsSync } from 'node:fs';
import { connectTo, placeOptions, recordsOf, SETTLED } from './apply.ts';
import { Refusal } from './ending.ts';
import { type Plan, readPlan, startedBatches } from './plan-file.ts';
import { countsOf, PENDING, records, UUID } from './records.ts';
import { hasFailed, howToUndo, linesOf, show, summarize, tryReport, writeReport } from './report.ts';
import { connect, type Place, type Service } from './service.ts';
import { plain, quoted } from './terminal.ts';
import { follow, waitOf } from './watching.ts';

export interface StatusOptions extends Place {
  watch?: true;
  report?: string;
}

/** A plan or batches, with the service that has them. */
export interface Target {
  service: Service;
  plan: Plan | undefined;
  batches: string[];
  /** What the command line named them by. */
  named: string;
  where: string;
}

/** What `names` are: one plan, or batches. */
export async function targetOf(names: string[], options: Place): Promise<Target> {
  const [first = ''] = names;
  const named = names.map(quoted).join(' ');
  if (names.every((name) => UUID.test(name))) {
    const where = placeOptions(options);
    return { service: await connect(options), plan: undefined, batches: names, named, where };
  }
  if (names.length > 1) throw new Refusal('Name one plan, or batch ids.');
  if (!existsSync(first)) throw new Refusal(`"${plain(first)}" is neither a plan on this machine nor a batch id.`);
  const plan = readPlan(first);
  const service = await connectTo(plan, options);
  const started = await startedBatches(service, plan);
  const batches = [...started.values()].map(({ batch_id }) => batch_id);
  if (batches.length < plan.keys.length)
    console.log(
      `${batches.length} of ${plan.keys.length} batches of the plan ${batches.length === 1 ? 'is' : 'are'} on record.`,
    );
  return { service, plan, batches, named, where: placeOptions(options) };
}

export async function status(names: string[], options: StatusOptions): Promise<number> {
  tryReport(options.report);
  if (names.length === 0) return wholeStage(options);
  const { service, plan, batches, named, where } = await targetOf(names, options);
  if (batches.length === 0) {
    console.log(`The plan was not applied: npm run offboard -- apply ${named}`);
    writeReport(options.report, linesOf(plan, []), plan?.columns);
    return 1;
  }
  if (options.watch) {
    const stopped = `The watching has stopped; the work goes on. Take it up again:\n  npm run offboard -- status ${named} --watch${options.report ? ` --report ${quoted(options.report)}` : ''}${where}`;
    await follow({ service, batches, settled: SETTLED, stopped });
  } else {
    for (const batch of batches)
      if (Object.values(await countsOf(service, batch)).every((count) => count === 0))
        throw new Refusal(`There is no batch ${batch}.`);
  }
  const all = await recordsOf(service, batches);
  const lines = linesOf(plan, all);
  show(lines);
  console.log('');
  summarize(lines);
  const waits = new Set(all.map(waitOf).filter(Boolean));
  for (const wait of [...waits].slice(0, 5)) console.log(wait);
  howToUndo(all, named, where);
  writeReport(options.report, lines, plan?.columns);
  return hasFailed(all) ? 1 : 0;
}

const MOST_COUNTED = 1000;

/** How many are pending over the whole stage, by status. */
async function wholeStage(options: StatusOptions): Promise<number> {
  if (options.watch || options.report)
    throw new Refusal('Name a plan or a batch to watch or report; "list" has a report over the stage.');
  const service = await connect(options);
  console.log(`Pending, ${service.where}:`);
  for (const name of PENDING) {
    let [count, wait] = [0, ''];
    for await (const record of records(service, { status: name })) {
      wait ||= waitOf(record);
      if (++count === MOST_COUNTED) break;
    }
    console.log(`  ${name}: ${count}${count === MOST_COUNTED ? ' or more' : ''}${wait ? `. ${wait}` : ''}`);
  }
  return 0;
}
