// A report for a spreadsheet: a row for each connection and client grant.
import { stringify } from 'csv-stringify/sync';
import { adviceOf } from './advice.ts';
import type { Line } from './lines.ts';
import { type ClientGrant, type Connection, type Fault, grantOf, whatBecame, whatBecameOfGrant } from './records.ts';
import type { About } from './report.ts';
import { plain } from './terminal.ts';

/** The rows as CSV; the file's own columns come first, under their own headings. */
export function csvOf(lines: Line[], { columns = [] }: About): string {
  const taken = new Set(columns.map((column) => column.toLowerCase()));
  // The file's own headings stay as they are, so that a report can be joined with it, and planned from.
  const kept = Object.keys(rowOf(EMPTY, {})).filter((name) => name !== 'organization_id' || !taken.has(name));
  const header = [...columns, ...kept.map((name) => (taken.has(name) ? `offboarding_${name}` : name))];
  const rows = lines.flatMap((line) =>
    rowsOf(line).map((row) => [
      ...columns.map((_, index) => line.cells[index] ?? ''),
      ...kept.map((name) => row[name as keyof typeof row]),
    ]),
  );
  // A mark tells a spreadsheet that this is UTF-8.
  return stringify(
    [header, ...rows].map((row) => row.map(harmless)),
    { record_delimiter: '\r\n', bom: true },
  );
}

const EMPTY: Line = { organization_id: '', cells: [], notes: [], record: undefined };

/**
 * A cell that no spreadsheet takes for a formula: not at its beginning, and not after a semicolon, where spreadsheets of many
 * countries begin another cell. The letters of full width count, too.
 */
const harmless = (cell: string) =>
  plain(cell).replace(/(^|;)(\s*["']?\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g, "$1'$2");

interface Part {
  connection?: Connection;
  grant?: ClientGrant;
  /** Text of access that stays. */
  remaining?: string;
}

/** One row for each connection, client grant and access that stays; one for an organization that has none. */
function rowsOf(line: Line) {
  const { connections = [], client_grants = [], remaining_access } = line.record ?? {};
  const parts: Part[] = [
    ...connections.map((connection) => ({ connection })),
    ...client_grants.map((grant) => ({ grant })),
    ...(remaining_access ?? []).map((access) => ({ remaining: grantOf(access) })),
  ];
  return (parts.length > 0 ? parts : [{}]).map((part) => rowOf(line, part));
}

function rowOf({ organization_id, organization_name, notes, record }: Line, { connection, grant, remaining }: Part) {
  const fault: Fault | null | undefined = connection?.error ?? grant?.error ?? record?.error;
  const outcome =
    (record && connection && whatBecame(record, connection)) ?? (record && grant && whatBecameOfGrant(record, grant));
  return {
    organization_id,
    organization_name: organization_name ?? '',
    dry_run: record?.dry_run ? 'dry run: nothing was changed' : 'no',
    status: record?.status ?? 'not on record',
    kind: connection ? 'connection' : grant ? 'client grant' : remaining ? 'remaining access' : '',
    connection_id: connection?.connection_id ?? '',
    connection: connection?.name ?? (grant ? grantOf(grant) : (remaining ?? '')),
    strategy: connection?.strategy ?? '',
    outcome: outcome ?? (remaining ? 'stays' : ''),
    settings_before: connection?.before ? JSON.stringify(connection.before) : '',
    error_code: fault?.code ?? '',
    error_message: fault?.message ?? '',
    what_to_do: adviceOf(fault?.code),
    removal_due_at: record?.removal_due_at ?? '',
    action: record?.action ?? '',
    reason: record?.reason ?? '',
    requested_by: record?.requested_by ?? '',
    caller: record?.caller ?? '',
    requested_at: record?.requested_at ?? '',
    ended_at: record?.ended_at ?? '',
    cancelled_at: record?.cancelled?.at ?? '',
    cancelled_by: record?.cancelled ? (record.cancelled.requested_by ?? record.cancelled.caller) : '',
    cancelled_reason: record?.cancelled?.reason ?? '',
    offboarding_id: record?.offboarding_id ?? '',
    batch_id: record?.batch_id ?? '',
    notes: notes.join('; '),
  };
}
