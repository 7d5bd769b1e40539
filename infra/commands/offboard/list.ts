// `list`: what is pending over the stage, or was done in a time; for an auditor as one file.
import { Refusal } from './ending.ts';
import { askedAt, type Offboarding, PENDING, records, STATUSES } from './records.ts';
import { linesOf, show, tryReport, writeReport } from './report.ts';
import { connect, type Place } from './service.ts';
import { dateOf, many, plain, tally } from './terminal.ts';

export interface ListOptions extends Place {
  status?: string;
  since?: string;
  until?: string;
  json?: true;
  report?: string;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;

/** An instant; a date alone is its first moment, or with `end` the one after its last, UTC. */
function instantOf(option: string, text: string | undefined, end = false): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  const isReal = DATE.test(text)
    ? !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
    : TIME.test(text);
  if (!isReal || Number.isNaN(date.getTime()))
    throw new Refusal(
      `The ${option} "${plain(text)}" is no date such as 2026-07-01, or time such as 2026-07-01T12:00:00Z.`,
    );
  return new Date(date.getTime() + (end && DATE.test(text) ? 86_400_000 : 0));
}

export async function list(options: ListOptions): Promise<number> {
  const since = instantOf('--since', options.since);
  const until = instantOf('--until', options.until, true);
  if (since && until && since >= until) throw new Refusal('--since is not before --until.');
  if (options.json && options.report) throw new Refusal('Say --json or --report, not both.');
  const isPast = since !== undefined || until !== undefined;
  const statuses = options.status?.split(',').map((name) => name.trim()) ?? (isPast ? STATUSES : PENDING);
  const wrong = statuses.find((name) => !STATUSES.includes(name));
  if (wrong !== undefined) throw new Refusal(`"${plain(wrong)}" is no status; they are ${STATUSES.join(', ')}.`);
  tryReport(options.report);
  const service = await connect(options);
  const times = { ...(since && { since: since.toISOString() }), ...(until && { until: until.toISOString() }) };
  const all: Offboarding[] = [];
  let dryRuns = 0;
  for (const status of new Set(statuses))
    for await (const record of records(service, { status, ...times }))
      if (record.dry_run) dryRuns++;
      else all.push(record);
  all.sort((a, b) => askedAt(a).localeCompare(askedAt(b)));
  const lines = linesOf(undefined, all);
  if (options.json) console.log(JSON.stringify(all, null, 2));
  else {
    const from = since ? ` from ${since.toISOString()}` : '';
    const to = until ? ` until before ${until.toISOString()}` : '';
    console.log(`${service.where}${from}${to}: ${many(all.length, 'offboarding')}`);
    for (const record of all.slice(0, 50)) {
      const due =
        record.removal_due_at && record.status === 'scheduled' ? `, removal on ${dateOf(record.removal_due_at)}` : '';
      console.log(
        `\n${dateOf(askedAt(record))}: ${plain(record.action)}${due}\n  by ${plain(record.requested_by)}: ${plain(record.reason)}`,
      );
      show(linesOf(undefined, [record]));
    }
    if (all.length > 50) console.log(`… and ${all.length - 50} more; --report has them all.`);
    console.log(
      `\n${tally(all.map(({ status }) => status)) || 'Nothing'}${dryRuns > 0 ? ` (and ${many(dryRuns, 'dry run')}, left out)` : ''}`,
    );
    writeReport(options.report, lines);
    return 0;
  }
  return 0;
}
