// What became of it, in the terminal.
import { adviceOf } from './advice.ts';
import { type Line, titleOf } from './lines.ts';
import { grantOf, nameOf, type Offboarding, whatBecame, whatBecameOfGrant } from './records.ts';
import { dateOf, many, plain, print, tally } from './terminal.ts';

const MOST_SHOWN = 50;
const MOST_NAMED = 20;

/** One block an organization: what became of each connection, and what failed in Auth0's own words. */
export function show(lines: Line[], most = MOST_SHOWN): void {
  for (const line of lines.slice(0, most)) {
    const { record } = line;
    print(`${titleOf(line)}${record && !record.dry_run ? `: ${plain(record.status)}` : ''}`);
    if (record) showRecord(record);
    for (const note of line.notes) print(`  ! ${plain(note)}`);
  }
  if (lines.length > most) print(`… and ${many(lines.length - most, 'more organization')}; --report has them all.`);
}

function showRecord(record: Offboarding): void {
  for (const connection of record.connections) print(`  ${nameOf(connection)}: ${whatBecame(record, connection)}`);
  for (const grant of record.client_grants ?? []) print(`  ${grantOf(grant)}: ${whatBecameOfGrant(record, grant)}`);
  for (const access of record.remaining_access ?? []) print(`  ${grantOf(access)}: stays, and lets machines in`);
  if (record.error) print(`  ${plain(record.error.message)} (${plain(record.error.code)})`);
  if (record.sessions) {
    const { status, members, revocations_requested, skipped, failed } = record.sessions;
    const parts = [
      `revocations requested of ${revocations_requested} of ${many(members, 'member')}`,
      ...(skipped > 0 ? [`${skipped} skipped as members elsewhere`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ];
    print(`  sessions: ${plain(status)}; ${parts.join(', ')}`);
  }
}

/** The end: a count of each, what failed and what to do about it. */
export function summarize(lines: Line[]): void {
  const all = lines.flatMap(({ record }) => record ?? []);
  const outcomes = (parts: { outcome: string | null }[]) =>
    tally(parts.map(({ outcome }) => outcome ?? 'not known yet'));
  const grants = all.flatMap(({ client_grants }) => client_grants ?? []);
  const staying = all.flatMap(({ remaining_access }) => remaining_access ?? []);
  print(`Organizations: ${tally(all.map(({ status }) => status)) || 'none'}`);
  print(`Connections: ${outcomes(all.flatMap(({ connections }) => connections)) || 'none'}`);
  if (grants.length > 0) print(`Client grants: ${outcomes(grants)}`);
  if (staying.length > 0)
    print(
      `! ${staying.length === 1 ? '1 client grant stays' : `${staying.length} client grants stay`}: machines of the customer still get in.`,
    );
  showFailures(lines);
}

/** Says which organizations of a plan are not on record, and how to go on. Returns whether there are any. */
export function showMissing(lines: Line[], goOn: string): boolean {
  const missing = lines.filter(({ record }) => !record);
  if (missing.length === 0) return false;
  const names = missing.slice(0, MOST_NAMED).map(titleOf).join(', ');
  const more = missing.length > MOST_NAMED ? ` and ${missing.length - MOST_NAMED} more` : '';
  print(`! Not on record: ${names}${more}. To go on:\n  ${goOn}`);
  return true;
}

function showFailures(lines: Line[]): void {
  const failures = lines.flatMap((line) => {
    const { error, connections = [], client_grants = [] } = line.record ?? {};
    const errors = [error, ...connections.map((one) => one.error), ...client_grants.map((one) => one.error)];
    return errors.flatMap((one) => (one ? [{ ...one, line }] : []));
  });
  for (const [code, some] of Map.groupBy(failures, (failure) => failure.code)) {
    print(`${plain(code)} (${new Set(some.map(({ line }) => line)).size}):`);
    for (const message of new Set(some.map(({ message }) => plain(message))))
      print(`  Auth0 or the service said: ${message}`);
    if (adviceOf(code)) print(`  What to do: ${adviceOf(code)}`);
    const names = [...new Set(some.map(({ line }) => titleOf(line)))];
    print(`  ${names.slice(0, MOST_NAMED).join('\n  ')}`);
    if (names.length > MOST_NAMED) print(`  … and ${names.length - MOST_NAMED} more`);
  }
}

/** How to undo it, and until when. */
export function howToUndo(all: Offboarding[], what: string, where: string): void {
  const due = all.flatMap(({ status, removal_due_at }) =>
    status === 'scheduled' && removal_due_at ? [removal_due_at] : [],
  );
  if (due.length > 0)
    print(
      `To undo: npm run offboard -- cancel ${what}${where} enables what it disabled, until the removal on ${dateOf(due.sort()[0])}.`,
    );
  const isFinal = ({ status, connections }: Offboarding) =>
    status !== 'scheduled' && connections.some(({ outcome }) => outcome === 'removed' || outcome === 'disabled');
  if (all.some(isFinal))
    print(
      `The service does not undo what is completed: npm run offboard -- restore ${what}${where} prints the calls that put it back.`,
    );
}

/** Whether anything of it has failed or was cancelled. */
export const hasFailed = (all: Offboarding[]) =>
  all.some(
    ({ status, connections, client_grants = [] }) =>
      status === 'failed' ||
      status === 'cancelled' ||
      [...connections, ...client_grants].some(({ outcome }) => outcome === 'failed'),
  );
