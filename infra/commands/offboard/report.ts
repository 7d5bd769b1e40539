// What became of it: in the terminal, and as a file, by organization in the order of the operator's own.
import { closeSync, existsSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { stringify } from 'csv-stringify/sync';
import { Refusal } from './ending.ts';
import type { Plan } from './plan-file.ts';
import { ADVICE, askedAt, type Connection, nameOf, type Offboarding, whatBecame } from './records.ts';
import { dateOf, many, plain, reasonOf, short, tally } from './terminal.ts';

/** Whether a report could be written to `path`, found out before anything is started. Throws a `Refusal`. */
export function tryReport(path: string | undefined): void {
  if (path === undefined) return;
  if (!/\.(csv|json)$/.test(path)) throw new Refusal('The --report is a file .csv or .json.');
  const isNew = !existsSync(path);
  try {
    closeSync(openSync(path, 'a'));
    if (isNew) unlinkSync(path);
  } catch (error) {
    throw new Refusal(`The report can not be written to ${plain(path)}: ${reasonOf(error)}.`);
  }
}

/** An organization of a plan, or one that was only asked for; with its record where there is one. */
export interface Line {
  organization_id: string;
  cells: string[];
  notes: string[];
  record: Offboarding | undefined;
}

/** The plan's organizations in its order, each with the record that is its own. */
export function linesOf(plan: Plan | undefined, all: Offboarding[]): Line[] {
  if (!plan) return all.map((record) => ({ organization_id: record.organization_id, cells: [], notes: [], record }));
  const byOrganization = new Map(all.map((record) => [record.organization_id, record]));
  return plan.organizations.map(({ organization_id, cells, notes }) => ({
    organization_id,
    cells,
    notes,
    record: byOrganization.get(organization_id),
  }));
}

/** Writes the report; the file's own columns come first, under their own headings. */
export function writeReport(path: string | undefined, lines: Line[], columns: string[] = []): void {
  if (path === undefined) return;
  if (path.endsWith('.json')) {
    const rows = lines.map(({ organization_id, cells, notes, record }) => ({
      organization_id,
      ...(columns.length > 0 && { file: columns.map((column, index) => [column, cells[index] ?? '']) }),
      notes,
      ...record,
    }));
    writeFileSync(path, `${JSON.stringify(rows, null, 2)}\n`);
  } else {
    const taken = new Set(columns.map((column) => column.toLowerCase()));
    const own = Object.keys(rowsOf(EMPTY)[0] as object);
    // The file's own headings stay as they are, so that a report can be joined with it, and planned from.
    const kept = own.filter((name) => name !== 'organization_id' || !taken.has(name));
    const header = [...columns, ...kept.map((name) => (taken.has(name) ? `offboarding_${name}` : name))];
    const rows = lines.flatMap((line) =>
      rowsOf(line).map((row) => [
        ...columns.map((_, index) => line.cells[index] ?? ''),
        ...kept.map((name) => row[name as keyof typeof row]),
      ]),
    );
    // A spreadsheet takes text that begins like a formula for one; a mark tells it that this is UTF-8.
    const text = stringify(
      [header, ...rows].map((row) => row.map(harmless)),
      { record_delimiter: '\r\n', bom: true },
    );
    writeFileSync(path, text);
  }
  console.log(`Report: ${plain(path)}`);
}

const EMPTY: Line = { organization_id: '', cells: [], notes: [], record: undefined };
const harmless = (cell: string) => (/^[\s]*[=+\-@\t\r]/.test(plain(cell)) ? `'${plain(cell)}` : plain(cell));

/** One row a connection; one for an organization that has none. */
function rowsOf({ organization_id, notes, record }: Line) {
  const connections: (Connection | undefined)[] = record?.connections.length ? record.connections : [undefined];
  return connections.map((connection) => ({
    organization_id,
    dry_run: record?.dry_run ? 'dry run: nothing was changed' : 'no',
    status: record?.status ?? 'not asked for',
    connection_id: connection?.connection_id ?? '',
    connection: connection?.name ?? '',
    strategy: connection?.strategy ?? '',
    outcome: record && connection ? whatBecame(record, connection) : '',
    error_code: (connection?.error ?? record?.error)?.code ?? '',
    error_message: (connection?.error ?? record?.error)?.message ?? '',
    what_to_do: adviceOf((connection?.error ?? record?.error)?.code),
    removal_due_at: record?.removal_due_at ?? '',
    action: record?.action ?? '',
    reason: record?.reason ?? '',
    requested_by: record?.requested_by ?? '',
    caller: record?.caller ?? '',
    asked_at: record ? askedAt(record) : '',
    ended_at: record?.ended_at ?? '',
    offboarding_id: record?.offboarding_id ?? '',
    batch_id: record?.batch_id ?? '',
    notes: notes.join('; '),
  }));
}

const adviceOf = (code: string | undefined) => (code === undefined ? '' : (ADVICE[code] ?? ''));

/** Name and id of an organization, as the operator knows it. */
export const titleOf = ({ organization_id, cells }: { organization_id: string; cells: string[] }) =>
  [organization_id, short(cells.filter((cell) => cell.trim() && cell.trim() !== organization_id).join(', '), 60)]
    .filter(Boolean)
    .join('  ');

const MOST_SHOWN = 50;

/** One block an organization: what became of each connection, and what failed in Auth0's own words. */
export function show(lines: Line[], most = MOST_SHOWN): void {
  for (const line of lines.slice(0, most)) {
    const { record } = line;
    console.log(`${titleOf(line)}${record && !record.dry_run ? `: ${record.status}` : ''}`);
    for (const connection of record?.connections ?? [])
      console.log(`  ${nameOf(connection)}: ${whatBecame(record as Offboarding, connection)}`);
    if (record?.error) console.log(`  ${plain(record.error.message)} (${plain(record.error.code)})`);
    for (const note of line.notes) console.log(`  ! ${note}`);
  }
  if (lines.length > most)
    console.log(`… and ${many(lines.length - most, 'more organization')}; --report has them all.`);
}

/** The end: a count of each, what failed and what to do about it. */
export function summarize(lines: Line[]): void {
  const all = lines.flatMap(({ record }) => record ?? []);
  const connections = all.flatMap((record) =>
    record.connections.map((connection) => connection.outcome ?? 'not known yet'),
  );
  console.log(`Organizations: ${tally(all.map(({ status }) => status)) || 'none'}`);
  console.log(`Connections: ${tally(connections) || 'none'}`);
  const failures = lines.flatMap((line) =>
    [line.record?.error, ...(line.record?.connections ?? []).map(({ error }) => error)].flatMap((error) =>
      error ? [{ ...error, line }] : [],
    ),
  );
  for (const [code, some] of Map.groupBy(failures, (failure) => failure.code)) {
    console.log(`${plain(code)} (${new Set(some.map(({ line }) => line)).size}):`);
    for (const message of new Set(some.map(({ message }) => plain(message))))
      console.log(`  Auth0 or the service said: ${message}`);
    if (ADVICE[code]) console.log(`  What to do: ${ADVICE[code]}`);
    const names = [...new Set(some.map(({ line }) => titleOf(line)))];
    console.log(
      `  ${names.slice(0, 20).join('\n  ')}${names.length > 20 ? `\n  … and ${names.length - 20} more` : ''}`,
    );
  }
}

/** How to undo it, and until when. */
export function howToUndo(all: Offboarding[], what: string, where: string): void {
  const due = all.flatMap(({ status, removal_due_at }) =>
    status === 'scheduled' && removal_due_at ? [removal_due_at] : [],
  );
  if (due.length > 0)
    console.log(
      `To undo: npm run offboard -- cancel ${what}${where} enables what it disabled, until the removal on ${dateOf(due.sort()[0])}.`,
    );
  if (
    all.some(
      ({ status, connections }) =>
        status !== 'scheduled' && connections.some(({ outcome }) => outcome === 'removed' || outcome === 'disabled'),
    )
  )
    console.log(
      'What is completed is not undone by the service: npm run offboard -- restore ORGANIZATION prints the calls that put it back.',
    );
}

export const hasFailed = (all: Offboarding[]) =>
  all.some(
    ({ status, connections }) =>
      status === 'failed' || status === 'cancelled' || connections.some(({ outcome }) => outcome === 'failed'),
  );
