// A file of organizations: CSV with a heading, or one id a line. What can be read in two ways is not read at all.
import { Refusal } from './ending.ts';
import { decode, refuseJson, shownValue } from './file-text.ts';
import { CONNECTION_ID, ORGANIZATION_ID } from './records.ts';
import { isLikeAHeading, LINE_END, type RawRow, readTable } from './table.ts';
import { many } from './terminal.ts';

/** An organization with the line that names it, and the line's cells in the order of the columns. */
export interface Row {
  organization_id: string;
  line: number;
  cells: string[];
  /** The connections that the file names for it. */
  only?: string[];
}
export interface OrganizationsFile {
  /** The headings as they stand in the file; none for one id a line. */
  columns: string[];
  rows: Row[];
  /** Lines that name again what was named before. */
  repeated: number[];
}
export interface Reading {
  /** The heading of the ids. */
  column?: string | undefined;
  /** A column `connection_id` is ignored, and all connections are meant. */
  allConnections?: boolean | undefined;
}

const MOST_SHOWN = 20;

/** The organizations that `bytes` name, each once, in the file's order. Throws a `Refusal` that says which lines are wrong. */
export function readOrganizations(bytes: Uint8Array, { column, allConnections }: Reading = {}): OrganizationsFile {
  const text = decode(bytes);
  refuseJson(text);
  const isTable = column !== undefined || !isList(text);
  const file = isTable ? readTable(text, column ?? 'organization_id') : { columns: [], rows: listed(text) };
  if (file.rows.length === 0) throw new Refusal('The file names no organization.');
  refuseWrong('organization', ORGANIZATION_ID, file.rows, ({ organization_id }) => organization_id);
  const rows = allConnections ? file.rows.map(({ connection_id: _, ...row }): RawRow => row) : file.rows;
  if (rows.some(({ connection_id }) => connection_id !== undefined)) refuseConnections(rows);
  else if (!allConnections) refuseOtherHeading(file.columns, rows);
  return { columns: file.columns, ...merged(rows) };
}

/** One row an organization: with the connections of all its rows. */
function merged(raw: RawRow[]): Pick<OrganizationsFile, 'rows' | 'repeated'> {
  const rows = new Map<string, Row>();
  const repeated: number[] = [];
  for (const { connection_id, ...row } of raw) {
    const known = rows.get(row.organization_id);
    const isNew = connection_id !== undefined && !known?.only?.includes(connection_id);
    if (!known)
      rows.set(row.organization_id, { ...row, ...(connection_id !== undefined && { only: [connection_id] }) });
    else if (isNew) known.only?.push(connection_id);
    else repeated.push(row.line);
  }
  return { rows: [...rows.values()], repeated };
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
  if (isLikeAHeading(id))
    throw new Refusal(
      `Line ${lines.indexOf(first) + 1}, "${id}", can be read as a heading and as an id: put the heading organization_id on top, or say --column ${id}.`,
    );
  return true;
}

const listed = (text: string): RawRow[] =>
  text.split(LINE_END).flatMap((line, index) => {
    const organization_id = unquoted(withoutComment(line));
    return organization_id === '' ? [] : [{ organization_id, line: index + 1, cells: [] }];
  });

function refuseConnections(rows: RawRow[]): void {
  refuseWrong(
    'connection',
    CONNECTION_ID,
    rows,
    ({ connection_id = '' }) => connection_id,
    ' The column connection_id names the only connections that are meant; --all-connections ignores it.',
  );
}

/** One connection id or several, and nothing else. */
const CONNECTION_IDS = /^(?:[\s\p{Cf},;|"'[\]]*con_[A-Za-z0-9]{1,46}(?![A-Za-z0-9_]))+[\s\p{Cf},;|"'[\]]*$/u;

/** Connection ids under another heading: whoever wrote them means these connections, and not all. */
function refuseOtherHeading(columns: string[], rows: RawRow[]): void {
  for (const [place, column] of columns.entries()) {
    const row = rows.find(({ cells }) => CONNECTION_IDS.test(cells[place] ?? ''));
    if (row)
      throw new Refusal(
        `The column ${shownValue(column)} has connection ids (line ${row.line} ${shownValue(row.cells[place] ?? '')}), and only a column connection_id names the connections that are meant: give it that heading, or say --all-connections.`,
      );
  }
}

function refuseWrong(what: string, form: RegExp, rows: RawRow[], textOf: (row: RawRow) => string, hint = ''): void {
  const wrong = rows.filter((row) => !form.test(textOf(row)));
  if (wrong.length === 0) return;
  const shown = wrong
    .slice(0, MOST_SHOWN)
    .map((row) => (textOf(row) === '' ? `line ${row.line} has none` : `line ${row.line} ${shownValue(textOf(row))}`));
  const more = wrong.length > MOST_SHOWN ? `, and ${wrong.length - MOST_SHOWN} more` : '';
  throw new Refusal(
    `${wrong.length} of ${many(rows.length, 'row')} ${wrong.length === 1 ? 'has' : 'have'} no ${what} id: ${shown.join(', ')}${more}.${hint}`,
  );
}
