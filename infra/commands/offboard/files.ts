// A file of organizations: CSV with a header, or one id a line. What can be read in two ways is not read at all.
import { parse } from 'csv-parse/sync';
import { Refusal } from './ending.ts';
import { ORGANIZATION_ID } from './records.ts';
import { many, plain, reasonOf, short } from './terminal.ts';

/** An organization with the line that names it, and the line's cells in the order of the columns. */
export interface Row {
  organization_id: string;
  line: number;
  cells: string[];
}
export interface OrganizationsFile {
  /** The headings as they stand in the file; none for one id a line. */
  columns: string[];
  rows: Row[];
  /** Lines that name an organization again. */
  repeated: number[];
}

const MOST_BYTES = 50_000_000;
const MOST_SHOWN = 20;
const DELIMITERS = [',', ';', '\t'];
const LINE_END = /\r\n|\n|\r/;
const ASK_FOR_UTF8 = 'save it as "CSV UTF-8"';

/** The organizations that `bytes` name, each once, in the file's order. Throws a `Refusal` that says which lines are wrong. */
export function readOrganizations(bytes: Uint8Array, column: string | undefined): OrganizationsFile {
  const text = decode(bytes);
  const file = column === undefined && isList(text) ? readList(text) : readTable(text, column ?? 'organization_id');
  refuseWrong(file.rows);
  if (file.rows.length === 0) throw new Refusal('The file names no organization.');
  const first = new Map<string, Row>();
  for (const row of file.rows) if (!first.has(row.organization_id)) first.set(row.organization_id, row);
  const repeated = file.rows.filter((row) => first.get(row.organization_id) !== row).map(({ line }) => line);
  return { columns: file.columns, rows: [...first.values()], repeated };
}

/** UTF-8, or UTF-16 by its mark; nothing is replaced. */
function decode(bytes: Uint8Array): string {
  if (bytes.length > MOST_BYTES) throw new Refusal('The file is larger than 50 MB: it is no list of organizations.');
  const [a, b, c, d] = bytes;
  if (a === 0x50 && b === 0x4b && c === 3 && d === 4)
    throw new Refusal(`The file is a workbook or an archive, no CSV: ${ASK_FOR_UTF8}.`);
  const encoding = a === 0xff && b === 0xfe ? 'utf-16le' : a === 0xfe && b === 0xff ? 'utf-16be' : 'utf-8';
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal(`The file is not ${encoding.toUpperCase()}: ${ASK_FOR_UTF8}.`);
  }
  if (text.includes('\0'))
    throw new Refusal(`The file has NUL characters (UTF-16 without its mark?): ${ASK_FOR_UTF8}.`);
  return text;
}

const unquoted = (line: string) =>
  line
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2')
    .trim();
const withoutComment = (line: string) => line.replace(/(^|\s)#.*$/, '$1').trim();

/** Whether the first line that says something is an id, and nothing else. */
function isList(text: string): boolean {
  const lines = text.split(LINE_END);
  const first = lines.find((line) => withoutComment(line) !== '') ?? '';
  const id = unquoted(withoutComment(first));
  if (!ORGANIZATION_ID.test(id)) return false;
  // Auth0's ids are sixteen letters and digits at random: a word like org_parent is a heading, or nobody knows.
  if (/^org_([a-z]+|[A-Z]+|[A-Za-z]{1,15})$/.test(id))
    throw new Refusal(
      `Line ${lines.indexOf(first) + 1}, "${id}", can be read as a heading and as an id: put the heading organization_id on top, or say --column ${id}.`,
    );
  return true;
}

function readList(text: string): OrganizationsFile {
  const rows = text.split(LINE_END).flatMap((line, index) => {
    const organization_id = unquoted(withoutComment(line));
    return organization_id === '' ? [] : [{ organization_id, line: index + 1, cells: [] }];
  });
  return { columns: [], rows, repeated: [] };
}

type Parsed = { record: string[]; info: { lines: number } }[];

function parseWith(delimiter: string, text: string, options = {}): Parsed {
  return parse(text, {
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    info: true,
    ...options,
  }) as never;
}

const normal = (heading: string) => heading.trim().toLowerCase();
const isBlank = (cell: string) => cell.trim() === '';

function readTable(whole: string, column: string): OrganizationsFile {
  // Excel's own line, by which a file names its delimiter.
  const said = /^"?sep=(.)"?(?:\r\n|\n|\r)/i.exec(whole);
  const text = said ? whole.slice(said[0].length) : whole;
  const linesBefore = said ? 1 : 0;
  const blank = /^(?:[^\S\r\n]*(?:\r\n|\n|\r))*/.exec(text)?.[0] ?? '';
  const body = text.slice(blank.length);
  const firstLine = linesBefore + blank.split(LINE_END).length;
  const headings = (said ? [said[1] as string] : DELIMITERS).map((delimiter) => {
    try {
      return { delimiter, cells: parseWith(delimiter, body, { to: 1 })[0]?.record ?? [] };
    } catch {
      return { delimiter, cells: [] };
    }
  });
  const fits = headings.filter(({ cells }) => cells.some((cell) => normal(cell) === normal(column)));
  const [found] = fits;
  if (!found) throw noSuchColumn(column, body, firstLine, headings);
  if (new Set(fits.map(({ cells }) => JSON.stringify(cells))).size > 1)
    throw new Refusal('The heading can be read with more than one delimiter: put "sep=," (or ;) on a line before it.');
  const columns = found.cells.map((cell) => cell.trim());
  const places = columns.flatMap((name, index) => (normal(name) === normal(column) ? [index] : []));
  if (places.length > 1)
    throw new Refusal(`The file has ${places.length} columns "${plain(column)}": it must have one.`);
  let parsed: Parsed;
  try {
    parsed = parseWith(found.delimiter, body);
  } catch (error) {
    const { lines } = Object(error);
    const where = typeof lines === 'number' ? `, line ${lines + firstLine - 1}` : '';
    throw new Refusal(`The file is no CSV${where}: ${reasonOf(error)}.`);
  }
  const rows: Row[] = [];
  const long: number[] = [];
  let line = firstLine;
  for (const { record, info } of parsed) {
    const start = line;
    line = info.lines + firstLine;
    if (start === firstLine && rows.length === 0 && record === parsed[0]?.record) continue;
    if (record.every(isBlank)) continue;
    // Spreadsheets leave out empty cells at the end; one more that says something has moved the others.
    if (!record.slice(columns.length).every(isBlank)) long.push(start);
    const cells = columns.map((_, index) => record[index] ?? '');
    rows.push({ organization_id: (cells[places[0] as number] ?? '').trim(), line: start, cells });
  }
  if (long.length > 0)
    throw new Refusal(
      `The file has more cells than headings in ${many(long.length, 'row')}, line ${long.slice(0, MOST_SHOWN).join(', ')}: text with a "${found.delimiter}" in it must be quoted.`,
    );
  return { columns, rows, repeated: [] };
}

function noSuchColumn(column: string, body: string, line: number, headings: { cells: string[] }[]): Refusal {
  const widest = headings.reduce((most, one) => (one.cells.length > most.cells.length ? one : most)).cells;
  const names = widest.filter((cell) => !isBlank(cell)).map((cell) => `"${short(cell, 40)}"`);
  if (body.trim() === '') return new Refusal('The file names no organization.');
  if (names.length === 0) return new Refusal(`The file is no CSV, line ${line}: its heading can not be read.`);
  return new Refusal(
    `The file has no column "${plain(column)}"; its first line has ${names.slice(0, MOST_SHOWN).join(', ')}. --column names another one.`,
  );
}

function refuseWrong(rows: Row[]): void {
  const wrong = rows.filter(({ organization_id }) => !ORGANIZATION_ID.test(organization_id));
  if (wrong.length === 0) return;
  const shown = wrong
    .slice(0, MOST_SHOWN)
    .map(({ line, organization_id }) =>
      organization_id === '' ? `line ${line} has none` : `line ${line} "${short(organization_id, 60)}"`,
    );
  const more = wrong.length > MOST_SHOWN ? `, and ${wrong.length - MOST_SHOWN} more` : '';
  throw new Refusal(
    `${wrong.length} of ${many(rows.length, 'row')} ${wrong.length === 1 ? 'has' : 'have'} no organization id: ${shown.join(', ')}${more}.`,
  );
}
