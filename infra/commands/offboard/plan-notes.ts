// What deserves a second look in a plan, and the numbers at its end. Nothing is read from the service here.
import type { Plan, PlannedOrganization } from './plan-file.ts';
import { type Connection, isCustomers, nameOf, type Offboarding, PENDING } from './records.ts';
import { dateOf, dayOf, plain } from './terminal.ts';

/** What a plan knows of an organization: the dry run's record, and the earlier records, newest first. */
export interface Knowledge {
  organization: Pick<PlannedOrganization, 'organization_id' | 'cells' | 'only'>;
  record: Offboarding | undefined;
  earlier: Offboarding[];
}

/** The notes of a kind begin with the same words, by which they are counted. */
const KINDS = {
  silent: 'the dry run says nothing about it',
  failed: 'the dry run failed for it',
  empty: 'it has no connections: nothing to do',
  unknown: 'it does not have the connection',
  customers: 'the customer can enable',
  pending: 'pending already:',
  done: 'offboarded already:',
  name: 'the name differs:',
  grants: 'nobody knows its client grants',
};

const byWhom = (record: Offboarding) => `requested by ${plain(record.requested_by)} (${plain(record.reason)})`;
const isMissing = ({ error, before, outcome }: Connection) =>
  error?.code === 'unknown_connection' || (outcome === 'unchanged' && !before);

/** What deserves a second look. */
export function notesOf({ organization, record, earlier: known }: Knowledge): string[] {
  const earlier = known.filter(({ offboarding_id }) => offboarding_id !== record?.offboarding_id);
  const connections = record?.connections ?? [];
  const missing = connections.filter(isMissing);
  const hasFailed = record && record.status !== 'completed' && missing.length === 0;
  return [
    ...(record ? [] : [KINDS.silent]),
    ...(hasFailed ? [KINDS.failed] : []),
    ...(record && !hasFailed && connections.length === 0 ? [KINDS.empty] : []),
    ...missing.map(({ connection_id }) => `${KINDS.unknown} ${connection_id}: is the id mistyped?`),
    ...connections
      .filter(isCustomers)
      .map(
        (one) =>
          `${KINDS.customers} ${nameOf(one)} itself (organization_access_level ${plain(one.before?.organization_access_level)}); applying the plan takes that away`,
      ),
    ...earlierNotes(earlier.filter(({ dry_run }) => !dry_run)),
    ...nameNotes(organization, record, earlier),
    ...(record && record.remaining_access === null
      ? [`${KINDS.grants} (read:organization_client_grants is missing, or Auth0 did not answer)`]
      : []),
  ];
}

function earlierNotes(earlier: Offboarding[]): string[] {
  const pending = earlier.find(({ status }) => PENDING.includes(status));
  const done = earlier.find(({ status }) => status === 'completed');
  if (pending) {
    const due = pending.removal_due_at ? `, removal on ${dateOf(pending.removal_due_at)}` : '';
    return [`${KINDS.pending} ${plain(pending.action)} is ${plain(pending.status)}${due}, ${byWhom(pending)}`];
  }
  if (!done || done.watch === 'ended') return [];
  return [`${KINDS.done} ${plain(done.action)} on ${dateOf(done.ended_at ?? done.requested_at)}, ${byWhom(done)}`];
}

/** A name that an earlier record has not: the organization was renamed, or the lines of the file were sorted apart. */
function nameNotes(
  { organization_id, cells }: Knowledge['organization'],
  record: Offboarding | undefined,
  earlier: Offboarding[],
) {
  const before = earlier.find(({ organization_name }) => organization_name)?.organization_name;
  if (!before) return [];
  const now = record?.organization_name;
  if (now) return now === before ? [] : [`${KINDS.name} Auth0 says ${plain(now)}, an earlier record ${plain(before)}`];
  const named = cells.filter((cell) => cell.trim() && cell.trim() !== organization_id);
  const bare = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  const isNamed = named.some(
    (cell) => bare(cell).includes(bare(before)) || (bare(cell) && bare(before).includes(bare(cell))),
  );
  return named.length === 0 || isNamed
    ? []
    : [`${KINDS.name} an earlier record of this organization says ${plain(before)}`];
}

/** The numbers at the end of a plan, each with its words; those that are 0 are left out. */
export function numbersOf(
  organizations: PlannedOrganization[],
  found: Map<string, Offboarding>,
  request: Plan['request'],
): string[] {
  const all = organizations.flatMap(({ organization_id }) => found.get(organization_id) ?? []);
  const connections = all.flatMap((record) => record.connections.map((connection) => ({ record, connection })));
  const outcomes = (outcome: string) =>
    connections.filter(({ connection }) => connection.outcome === outcome && !isMissing(connection));
  const due = connections.filter(
    ({ record, connection }) => record.removal_due_at && connection.before && connection.outcome !== 'failed',
  );
  const dates = [...new Set(due.map(({ record }) => dayOf(record.removal_due_at ?? '')))];
  const missing = connections.filter(({ connection }) => isMissing(connection)).length;
  const having = (kind: string) =>
    organizations.filter(({ notes }) => notes.some((note) => note.startsWith(kind))).length;
  const unknown = all.filter(({ error }) => error?.code === 'unknown_organization').length;
  const numbers: [string, number][] = [
    ['Organizations', organizations.length],
    ['Connections that would be disabled now', outcomes('disabled').length],
    [`Connections that would be removed on ${dates.join(' or ')}`, due.length],
    ['Connections that would be removed now', outcomes('removed').length],
    ['Connections that would stay as they are', outcomes('unchanged').length],
    ['! Connections that would fail', outcomes('failed').length],
    ['! Connections that the organization does not have (mistyped?)', missing],
    ['! Organizations that Auth0 does not know', unknown],
    ['! Organizations whose dry run failed otherwise', having(KINDS.failed) + having(KINDS.silent) - unknown],
    ['! Organizations without connections', having(KINDS.empty)],
    ['! Organizations with one pending already', having(KINDS.pending)],
    ['! Organizations that are offboarded already', having(KINDS.done)],
    ['! Organizations that can enable a connection themselves', having(KINDS.customers)],
    ['! Organizations with another name than before', having(KINDS.name)],
    ['! Organizations whose client grants nobody knows', having(KINDS.grants)],
  ];
  return [
    ...numbers.flatMap(([words, count]) => (count > 0 ? [`${words}: ${count.toLocaleString('en')}`] : [])),
    ...grantNumbers(all, canEndMachineAccess(organizations, request)),
  ];
}

/** Whether --end-machine-access would end more: it is for whole organizations alone. */
const canEndMachineAccess = (organizations: PlannedOrganization[], request: Plan['request']) =>
  !request.end_machine_access && !request.connection_ids && !organizations.some(({ only }) => only);

function grantNumbers(all: Offboarding[], canEnd: boolean): string[] {
  const ending = all
    .flatMap(({ client_grants = [] }) => client_grants)
    .filter(({ outcome }) => outcome === 'removed').length;
  const staying = all.flatMap(({ remaining_access }) => remaining_access ?? []).length;
  return [
    ...(ending > 0 ? [`Client grants that would be removed now: ${ending.toLocaleString('en')}`] : []),
    ...(staying > 0
      ? [
          `! ${staying.toLocaleString('en')} client ${staying === 1 ? 'grant stays' : 'grants stay'}: machines of the customer still get in${canEnd ? ' (end with --end-machine-access)' : ''}`,
        ]
      : []),
  ];
}
