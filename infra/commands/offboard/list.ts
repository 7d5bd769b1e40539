// `list`: what is pending over the stage, or was done in a time; for an auditor as one file.
import { Refusal } from './ending.ts';
import { linesOf } from './lines.ts';
import { showOffboarding } from './organization-status.ts';
import { type Offboarding, ORGANIZATION_ID, PENDING, records, STATUSES } from './records.ts';
import { tryReport, writeReport } from './report.ts';
import { connect, type Place, type Service } from './service.ts';
import { placeOptions } from './target.ts';
import { many, plain, print, printJson, tally } from './terminal.ts';

export interface ListOptions extends Place {
  status?: string;
  since?: string;
  until?: string;
  json?: true;
  report?: string;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;
const MOST_SHOWN = 50;

/** An instant; a date alone is its first moment, or with `end` the one after its last, UTC. */
function instantOf(option: string, text: string | undefined, end = false): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  // A day that is not there, such as 30 February, is a later one for `Date`.
  const day = new Date(text.slice(0, 10));
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10));
  if (!(DATE.test(text) || TIME.test(text)) || !isDay || Number.isNaN(date.getTime()))
    throw new Refusal(
      `The ${option} "${plain(text)}" is no date such as 2026-07-01, or time such as 2026-07-01T12:00:00Z.`,
    );
  return new Date(date.getTime() + (end && DATE.test(text) ? 86_400_000 : 0));
}

/** What is looked for: of an organization, or with a status; requested in `[since, until)`. */
interface Search {
  organization: string | undefined;
  statuses: string[];
  since: Date | undefined;
  until: Date | undefined;
}

function searchOf(organization: string | undefined, options: ListOptions): Search {
  const since = instantOf('--since', options.since);
  const until = instantOf('--until', options.until, true);
  if (since && until && since >= until) throw new Refusal('--since is not before --until.');
  if (options.json && options.report) throw new Refusal('Say --json or --report, not both.');
  if (organization !== undefined && !ORGANIZATION_ID.test(organization))
    throw new Refusal(`"${plain(organization)}" is no organization id (org_ and letters and digits).`);
  const isPast = since !== undefined || until !== undefined || organization !== undefined;
  const statuses = options.status?.split(',').map((name) => name.trim()) ?? (isPast ? STATUSES : PENDING);
  const wrong = statuses.find((name) => !STATUSES.includes(name));
  if (wrong !== undefined) throw new Refusal(`"${plain(wrong)}" is no status; they are ${STATUSES.join(', ')}.`);
  return { organization, statuses, since, until };
}

/** Shows the offboardings that fit, of one organization or of the stage. Resolves to the exit status. */
export async function list(organization: string | undefined, options: ListOptions): Promise<number> {
  const search = searchOf(organization, options);
  tryReport(options.report);
  const service = await connect(options);
  const found = await find(service, search);
  const all = found.filter(({ dry_run }) => !dry_run);
  if (options.json) {
    printJson(all);
    return 0;
  }
  const dryRuns = found.length - all.length;
  const from = search.since ? ` from ${search.since.toISOString()}` : '';
  const to = search.until ? ` until before ${search.until.toISOString()}` : '';
  print(`${service.where}${organization ? `, ${organization}` : ''}${from}${to}: ${many(all.length, 'offboarding')}`);
  for (const record of all.slice(0, MOST_SHOWN)) showOffboarding(record, placeOptions(service.place));
  if (all.length > MOST_SHOWN) print(`… and ${all.length - MOST_SHOWN} more; --report has them all.`);
  print(
    `\n${tally(all.map(({ status }) => status)) || 'Nothing'}${dryRuns > 0 ? ` (and ${many(dryRuns, 'dry run')}, left out)` : ''}`,
  );
  const title = `Offboardings${organization ? ` of ${organization}` : ''}${from}${to}`;
  writeReport(options.report, linesOf(undefined, all), { title, where: service.where });
  return 0;
}

/** The records that fit, the oldest first. */
async function find(service: Service, { organization, statuses, since, until }: Search): Promise<Offboarding[]> {
  const times = { ...(since && { since: since.toISOString() }), ...(until && { until: until.toISOString() }) };
  const queries = organization
    ? [{ organization_id: organization }]
    : [...new Set(statuses)].map((status) => ({ status, ...times }));
  const all: Offboarding[] = [];
  for (const query of queries) for await (const record of records(service, query)) all.push(record);
  const isInTime = ({ requested_at }: Offboarding) =>
    (!since || new Date(requested_at) >= since) && (!until || new Date(requested_at) < until);
  return all
    .filter((record) => statuses.includes(record.status) && isInTime(record))
    .sort((a, b) => a.requested_at.localeCompare(b.requested_at));
}
