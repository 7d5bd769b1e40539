// CSV with a heading, as spreadsheets write it.
import { parse } from 'csv-parse/sync';
import { Refusal } from './ending.ts';
import { ORGANIZATION_ID } from './records.ts';
import { many, plain, reasonOf, short } from './terminal.ts';

/** A row as it stands in the file. */
export interface RawRow {
  organization_id: string;
  line: number;
  cells: string[];
  connection_id?: string;
}

export const LINE_END = /\r\n|\n|\r/;
const MOST_SHOWN = 20;
const DELIMITERS = [',', ';', '\t'];

type Parsed = { record: string[]; info: { lines: number } }[];
interface Heading {
  delimiter: string;
  cells: string[];
}

function parseWith(delimiter: string, text: string, options = {}): Parsed {
  return parse(text, {
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    info: true,
    ...options,
  }) as never;
}

/** Auth0's ids are sixteen letters and digits at random: a word like org_parent is a heading, or nobody knows. */
export const isLikeAHeading = (id: string) => /^org_([a-z]+|[A-Z]+|[A-Za-z]{1,15})$/.test(id);

const normal = (heading: string) => heading.trim().toLowerCase();
const isBlank = (cell: string) => cell.trim() === '';

/** The rows under a heading that has `column`. Throws a `Refusal`. */
export function readTable(whole: string, column: string): { columns: string[]; rows: RawRow[] } {
  // Excel's own line, by which a file names its delimiter.
  const said = /^"?sep=(.)"?(?:\r\n|\n|\r)/i.exec(whole);
  const text = said ? whole.slice(said[0].length) : whole;
  const blank = /^(?:[^\S\r\n]*(?:\r\n|\n|\r))*/.exec(text)?.[0] ?? '';
  const body = text.slice(blank.length);
  const firstLine = (said ? 1 : 0) + blank.split(LINE_END).length;
  const { delimiter, cells } = headingOf(body, column, firstLine, said?.[1]);
  const columns = cells.map((cell) => cell.trim());
  return { columns, rows: rowsOf({ body, delimiter, columns, firstLine }, column) };
}

/** The heading, with the only delimiter by which it has `column`. */
function headingOf(body: string, column: string, line: number, delimiter: string | undefined): Heading {
  const headings = (delimiter ? [delimiter] : DELIMITERS).map((one) => {
    try {
      return { delimiter: one, cells: parseWith(one, body, { to: 1 })[0]?.record ?? [] };
    } catch {
      return { delimiter: one, cells: [] };
    }
  });
  refuseCustomerAsHeading(headings, line);
  const fits = headings.filter(({ cells }) => cells.some((cell) => normal(cell) === normal(column)));
  const [found] = fits;
  if (!found) throw noSuchColumn(column, body, line, headings);
  if (new Set(fits.map(({ cells }) => JSON.stringify(cells))).size > 1)
    throw new Refusal('The heading can be read with more than one delimiter: put "sep=," (or ;) on a line before it.');
  return found;
}

/** A first line with an organization's id in it is a customer: taken for a heading, the customer would be left out. */
function refuseCustomerAsHeading(headings: Heading[], line: number): void {
  for (const { cells } of headings) {
    const id = cells.map((cell) => cell.trim()).find((cell) => ORGANIZATION_ID.test(cell) && !isLikeAHeading(cell));
    if (id === undefined || cells.some((cell) => normal(cell) === 'organization_id')) continue;
    const heading = cells.map((cell, index) =>
      cell.trim() === id ? 'organization_id' : index === 0 ? 'name' : `column_${index + 1}`,
    );
    throw new Refusal(
      `The file has no heading, its line ${line} names ${id} already: put a heading on top, such as ${heading.slice(0, 5).join(',')}.`,
    );
  }
}

interface Body {
  body: string;
  delimiter: string;
  columns: string[];
  firstLine: number;
}

function rowsOf({ body, delimiter, columns, firstLine }: Body, column: string): RawRow[] {
  const idPlace = placeOf(columns, column) as number;
  const connectionPlace = placeOf(columns, 'connection_id');
  const rows: RawRow[] = [];
  const long: number[] = [];
  let line = firstLine;
  for (const [index, { record, info }] of parsed(body, delimiter, firstLine).entries()) {
    const start = line;
    line = info.lines + firstLine;
    if (index === 0 || record.every(isBlank)) continue;
    // Spreadsheets leave out empty cells at the end; one more that says something has moved the others.
    if (!record.slice(columns.length).every(isBlank)) long.push(start);
    const cells = columns.map((_, place) => record[place] ?? '');
    rows.push({
      organization_id: (cells[idPlace] ?? '').trim(),
      line: start,
      cells,
      ...(connectionPlace !== undefined && { connection_id: (cells[connectionPlace] ?? '').trim() }),
    });
  }
  if (long.length > 0)
    throw new Refusal(
      `The file has more cells than headings in ${many(long.length, 'row')}, line ${long.slice(0, MOST_SHOWN).join(', ')}: text with a "${delimiter}" in it must be quoted.`,
    );
  return rows;
}

function placeOf(columns: string[], column: string): number | undefined {
  const places = columns.flatMap((name, index) => (normal(name) === normal(column) ? [index] : []));
  if (places.length > 1)
    throw new Refusal(`The file has ${places.length} columns "${plain(column)}": it must have one.`);
  return places[0];
}

function parsed(body: string, delimiter: string, firstLine: number): Parsed {
  try {
    return parseWith(delimiter, body);
  } catch (error) {
    const { lines } = Object(error);
    const where = typeof lines === 'number' ? `, line ${lines + firstLine - 1}` : '';
    throw new Refusal(`The file is no CSV${where}: ${reasonOf(error)}.`);
  }
}

function noSuchColumn(column: string, body: string, line: number, headings: Heading[]): Refusal {
  const widest = headings.reduce((most, one) => (one.cells.length > most.cells.length ? one : most)).cells;
  const names = widest.filter((cell) => !isBlank(cell)).map((cell) => `"${short(cell, 40)}"`);
  if (body.trim() === '') return new Refusal('The file names no organization.');
  if (names.length === 0) return new Refusal(`The file is no CSV, line ${line}: its heading cannot be read.`);
  return new Refusal(
    `The file has no column "${plain(column)}"; its first line has ${names.slice(0, MOST_SHOWN).join(', ')}. If that line is a heading, --column names the column of the ids; if it is a customer, put a heading on top.`,
  );
}
