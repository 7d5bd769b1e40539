// `status`: how a plan, a batch, an organization or the whole stage stands.
import { Refusal } from './ending.ts';
import { linesOf } from './lines.ts';
import { organizationStatus } from './organization-status.ts';
import { waitOf } from './polling.ts';
import { countsOf, PENDING, records, recordsOf, SETTLED } from './records.ts';
import { tryReport, writeReport } from './report.ts';
import { connect, type Place } from './service.ts';
import { standingOf } from './standing.ts';
import { hasFailed, howToUndo, show, showMissing, summarize } from './summary.ts';
import { organizationIn, placeOptions, targetOf } from './target.ts';
import { print, quoted } from './terminal.ts';
import { follow } from './watching.ts';

export interface StatusOptions extends Place {
  watch?: true;
  report?: string;
}

/**
 * Shows how what `names` name stands; the whole stage without any. Resolves to the exit status: 1 where something failed, or where
 * something of a plan is not on record.
 */
export async function status(names: string[], options: StatusOptions): Promise<number> {
  tryReport(options.report);
  if (names.length === 0) return wholeStage(options);
  const organization = organizationIn(names);
  if (organization) return organizationStatus(organization, options);
  const { service, plan, batches, named, where } = await targetOf(names, options);
  const about = { title: 'Offboarding', where: service.where, columns: plan?.columns };
  if (batches.length === 0) {
    print(`The plan was not applied: npm run offboard -- apply ${named}`);
    writeReport(options.report, linesOf(plan, []), about);
    return 1;
  }
  if (options.watch) {
    const report = options.report ? ` --report ${quoted(options.report)}` : '';
    const stopped = `The watching has stopped; the work goes on. To watch it again:\n  npm run offboard -- status ${named} --watch${report}${where}`;
    await follow({ service, batches, settled: SETTLED.scheduled, stopped });
  } else {
    for (const batch of batches)
      if (Object.values(await countsOf(service, batch)).every((count) => count === 0))
        throw new Refusal(`There is no batch ${batch}.`);
  }
  const all = await recordsOf(service, batches);
  const lines = linesOf(plan, all);
  show(lines);
  print();
  summarize(lines);
  for (const wait of [...new Set(all.map(waitOf).filter(Boolean))].slice(0, 5)) print(wait);
  const late = all
    .flatMap((record) => standingOf(record, placeOptions(service.place)))
    .filter((line) => line.startsWith('!'));
  for (const line of late.slice(0, 5)) print(line);
  howToUndo(all, named, where);
  writeReport(options.report, lines, about);
  const isMissing = showMissing(lines, `npm run offboard -- apply ${named}${where}`);
  return isMissing || hasFailed(all) ? 1 : 0;
}

const MOST_COUNTED = 1000;

/** How many are pending over the whole stage, by status. */
async function wholeStage(options: StatusOptions): Promise<number> {
  if (options.watch || options.report)
    throw new Refusal(
      'Name a plan, a batch or an organization to watch or report; "list" has a report over the stage.',
    );
  const service = await connect(options);
  print(`Pending, ${service.where}:`);
  for (const name of PENDING) {
    let [count, wait, late] = [0, '', 0];
    for await (const record of records(service, { status: name })) {
      if (record.dry_run) continue;
      wait ||= waitOf(record);
      if (standingOf(record, '').some((line) => line.startsWith('!'))) late++;
      if (++count === MOST_COUNTED) break;
    }
    const words = [`${name}: ${count}${count === MOST_COUNTED ? ' or more' : ''}`, ...(wait ? [wait] : [])];
    print(`  ${words.join('. ')}${late > 0 ? `; ${late} overdue ("list" shows them)` : ''}`);
  }
  return 0;
}
