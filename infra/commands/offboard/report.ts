// A report: who lost access, as a file for a spreadsheet, a program or an auditor.
import { extname } from 'node:path';
import { Refusal } from './ending.ts';
import type { Line } from './lines.ts';
import { tryOwnerFile, writeOwnerFile } from './owner-file.ts';
import { csvOf } from './report-csv.ts';
import { htmlOf } from './report-html.ts';
import { plain, print } from './terminal.ts';

/** What a report is about, beside its lines. */
export interface About {
  title: string;
  /** "stage prod (eu-west-1)". */
  where: string;
  /** The headings of the operator's file. */
  columns?: string[] | undefined;
}

const WRITERS: Record<string, (lines: Line[], about: About) => string> = {
  '.csv': csvOf,
  '.json': jsonOf,
  '.html': htmlOf,
};

/** Finds out whether a report can be written to `path`, before anything is started. Throws a `Refusal`. */
export function tryReport(path: string | undefined): void {
  if (path === undefined) return;
  if (!WRITERS[extname(path)]) throw new Refusal('The --report is a file .csv, .json or .html.');
  tryOwnerFile('The report', path);
}

/** Writes the report in the form that its name asks for; only its owner can read it. */
export function writeReport(path: string | undefined, lines: Line[], about: About): void {
  const write = path === undefined ? undefined : WRITERS[extname(path)];
  if (path === undefined || !write) return;
  writeOwnerFile(path, write(lines, about));
  print(`Report: ${plain(path)}`);
}

function jsonOf(lines: Line[], { columns = [] }: About): string {
  const rows = lines.map(({ organization_id, organization_name, cells, notes, record }) => ({
    organization_id,
    organization_name: organization_name ?? null,
    ...(columns.length > 0 && { file: columns.map((column, index) => [column, cells[index] ?? '']) }),
    notes,
    ...record,
  }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}
