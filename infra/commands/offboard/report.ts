// A report: who lost access, as a file for a spreadsheet, a program or an auditor.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { parseJson } from '../../../lib/json.ts';
import { Refusal } from './ending.ts';
import { decode } from './file-text.ts';
import type { Line } from './lines.ts';
import { tryOwnerFile, writeOwnerFile } from './owner-file.ts';
import { csvOf } from './report-csv.ts';
import { htmlOf, MARK } from './report-html.ts';
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

/** Whether the text of a file is an earlier report of the same form. */
const IS_REPORT: Record<string, (text: string) => boolean> = {
  '.csv': (text) => /^[^\r\n]*settings_before[^\r\n]*offboarding_id/.test(text),
  '.json': (text) => {
    const json = parseJson(text);
    return Array.isArray(json) && json.every((row) => Array.isArray(Object(row).notes));
  },
  '.html': (text) => text.includes(MARK),
};

/** Finds out whether a report can be written to `path` and takes nothing away there, before anything is started. Throws a `Refusal`. */
export function tryReport(path: string | undefined): void {
  if (path === undefined) return;
  if (!WRITERS[extname(path)]) throw new Refusal('The --report is a file .csv, .json or .html.');
  tryOwnerFile('The report', path);
  if (!existsSync(path) || statSync(path).size === 0) return;
  if (!IS_REPORT[extname(path)]?.(textOf(path)))
    throw new Refusal(`${plain(path)} is there already, is no report and is not written over: say another --report.`);
}

/** The text of a file; nothing where it is no text. */
function textOf(path: string): string {
  try {
    return decode(readFileSync(path));
  } catch {
    return '';
  }
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
