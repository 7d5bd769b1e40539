// `plan`: what would be done to whom and when, by a dry run of the service. It changes nothing.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { organizationsWith } from './auth0.ts';
import { onInterrupt, Refusal } from './ending.ts';
import { type OrganizationsFile, readOrganizations } from './files.ts';
import {
  batchesOf,
  MOST_A_BATCH,
  newPlan,
  type Plan,
  readPlan,
  startedBatches,
  tryPlan,
  writePlan,
} from './plan-file.ts';
import { askedAt, CONNECTION_ID, isCustomers, nameOf, type Offboarding, PENDING, records } from './records.ts';
import { show, tryReport, writeReport } from './report.ts';
import { CallFailed, connect, PATIENT_MS, type Place, type Service } from './service.ts';
import { dateOf, many, plain, quoted, reasonOf } from './terminal.ts';
import { follow } from './watching.ts';

export interface PlanOptions extends Place {
  action?: Plan['request']['action'];
  reason?: string;
  gracePeriod?: string;
  onReenable?: string;
  requestedBy?: string;
  column?: string;
  connection?: string[];
  urgent?: true;
  out?: string;
  report?: string;
}

/** The stage throttles its API for everybody (20 requests a second): this many look-ups at once, each of at least so long. */
const LOOKUPS_AT_ONCE = 4;
const LOOKUP_MS = 400;
const FEW = 20;
const SETTLED = ['completed', 'failed', 'cancelled', 'superseded'];
const UNTOUCHED = 'Nothing was changed, and no plan was written.';

export async function plan(file: string | undefined, options: PlanOptions): Promise<number> {
  const request = await requestOf(options);
  const id = randomUUID();
  const created_at = new Date().toISOString();
  const out = options.out ?? `offboard-${created_at.slice(0, 16).replace(/\D/g, '')}-${id.slice(0, 4)}.json`;
  const given = await organizationsOf(file, options);
  tryPlan(out);
  tryReport(options.report);
  const service = await connect(options);
  await refuseApplied(out, service);
  const before = lastTime(service);
  const made_by = service.operator?.arn ?? userInfo().username;
  console.log(service.who);
  console.log(
    `Dry run of ${request.action}, ${many(given.rows.length, 'organization')}. Reason: ${plain(request.reason)}`,
  );

  const keys = Array.from(
    { length: Math.ceil(given.rows.length / MOST_A_BATCH) },
    (_, index) => `plan-${id}-${index + 1}`,
  );
  const organizations = given.rows.map((row) => ({ ...row, connection_ids: [] as string[], notes: [] as string[] }));
  onInterrupt(() => `\nStopped. ${UNTOUCHED}`, 2);
  const [found, earlier] = await Promise.all([
    dryRun(service, { keys, organizations }, request),
    earlierOnes(
      service,
      organizations.map(({ organization_id }) => organization_id),
    ),
  ]).catch((error: unknown) => {
    if (error instanceof CallFailed) throw new Refusal(`${reasonOf(error)}. ${UNTOUCHED}`);
    throw error;
  });
  for (const organization of organizations) {
    const record = found.get(organization.organization_id);
    organization.connection_ids = (record?.connections ?? []).map(({ connection_id }) => connection_id);
    organization.notes = notesOf(record, earlier.get(organization.organization_id) ?? []);
  }
  const lines = organizations.map((one) => ({ ...one, record: found.get(one.organization_id) }));
  console.log('');
  show(lines);
  console.log('');
  const { region, account } = service.operator ?? {};
  const made = newPlan({
    id,
    created_at,
    made_by,
    account: account ?? null,
    ...service.place,
    ...(region && { region }),
    request,
    keys,
    columns: given.columns,
    organizations,
  });
  const counts = countsOf(organizations, found);
  for (const [words, count] of counts) if (count > 0) console.log(`${words}: ${count.toLocaleString('en')}`);
  if (given.repeated.length > 0)
    console.log(`! Named again, and taken once: line ${given.repeated.slice(0, FEW).join(', ')}`);
  if (before && organizations.length > Math.max(10, before.organizations * 2))
    console.log(
      `! Many more than last time: ${organizations.length}, where ${before.organizations} were offboarded on ${dateOf(before.at)}.`,
    );
  if (request.action !== 'disable')
    console.log("! What is removed can't be undone by the service; until then, cancel enables what it disabled.");
  writePlan(out, made);
  writeReport(options.report, lines, given.columns);
  console.log(
    `Nothing was changed. Plan: ${plain(out)}, good for a day. To do exactly this:\n  npm run offboard -- apply ${quoted(out)}`,
  );
  return 0;
}

/** A plan that was applied is how it is watched and called off: it is not written over. */
async function refuseApplied(out: string, service: Service): Promise<void> {
  if (!existsSync(out)) return;
  const { stage, url, ...old } = readPlan(out);
  const isHere = stage === service.place.stage && url === service.place.url;
  if (!isHere)
    throw new Refusal(`${plain(out)} is a plan for ${stage ?? url} and is not written over: say another --out.`);
  const started = await startedBatches(service, old).catch((error: unknown) => {
    throw new Refusal(`${reasonOf(error)}. ${UNTOUCHED}`);
  });
  if (started.size > 0)
    throw new Refusal(`${plain(out)} was applied and is not written over, as "cancel" needs it: say another --out.`);
}

async function requestOf(options: PlanOptions): Promise<Plan['request']> {
  const { action, reason = '', gracePeriod, onReenable, requestedBy, connection = [], urgent } = options;
  if (!action || reason.trim() === '') throw new Refusal('Say what to do and why: --action and --reason.');
  if (reason.trim().length > 1000) throw new Refusal('The --reason is longer than 1,000 characters.');
  if (requestedBy !== undefined && (requestedBy.trim() === '' || requestedBy.trim().length > 200))
    throw new Refusal('The --requested-by is blank or longer than 200 characters.');
  const wrong = connection.find((id) => !CONNECTION_ID.test(id));
  if (wrong !== undefined)
    throw new Refusal(`The --connection "${plain(wrong)}" is no connection id (con_ and letters and digits).`);
  if (connection.length > 50) throw new Refusal('At most 50 --connection can be named.');
  if (gracePeriod !== undefined) {
    if (action !== 'disable_then_remove')
      throw new Refusal('--grace-period is for --action disable_then_remove alone.');
    const { addDuration } = await import('../../../lib/duration.ts');
    const now = new Date();
    const length = (addDuration(now, gracePeriod)?.getTime() ?? 0) - now.getTime();
    if (length < 60_000 || length > 366 * 86_400_000)
      throw new Refusal('The --grace-period is no ISO 8601 duration from a minute to a year, such as P30D.');
  }
  return {
    action,
    reason: reason.trim(),
    ...(gracePeriod && { grace_period: gracePeriod }),
    ...(onReenable && { on_reenable: onReenable }),
    ...(requestedBy && { requested_by: requestedBy.trim() }),
    ...(connection.length > 0 && { connection_ids: [...new Set(connection)] }),
    ...(urgent && { urgent }),
  };
}

async function organizationsOf(
  file: string | undefined,
  { column, connection = [], urgent }: PlanOptions,
): Promise<OrganizationsFile> {
  if (file === undefined && connection.length === 1)
    return { ...(await organizationsWith(connection[0] as string, urgent === true)), repeated: [] };
  if (file === undefined)
    throw new Refusal(
      'Name a file with organizations (- for standard input), or one --connection to find those that have it.',
    );
  let bytes: Uint8Array;
  try {
    bytes = file === '-' ? await buffer(process.stdin) : readFileSync(file);
  } catch (error) {
    throw new Refusal(`The file can not be read: ${reasonOf(error)}.`);
  }
  return readOrganizations(bytes, column);
}

/** What would become of each organization. */
async function dryRun(service: Service, batches: Pick<Plan, 'keys' | 'organizations'>, request: Plan['request']) {
  const ids: string[] = [];
  for (const { key, organizations } of batchesOf(batches)) {
    const organization_ids = organizations.map(({ organization_id }) => organization_id);
    const body = { ...request, organization_ids, dry_run: true };
    const { batch_id } = await service.call('POST', '/offboardings', { body, key: `${key}-look` });
    ids.push(String(batch_id));
    service.patience = PATIENT_MS;
  }
  const total = batches.organizations.length;
  await follow({ service, batches: ids, settled: SETTLED, total, stopped: `Stopped. ${UNTOUCHED}`, exitStatus: 2 });
  const found = new Map<string, Offboarding>();
  for (const batch_id of ids)
    for await (const record of records(service, { batch_id })) found.set(record.organization_id, record);
  return found;
}

/** What is pending of each organization, or was done: from the record alone, Auth0 is not asked. */
async function earlierOnes(service: Service, organizationIds: string[]): Promise<Map<string, Offboarding[]>> {
  const look = async (organization_id: string) => {
    const [page] = await Promise.all([
      service.call('GET', `/offboardings?${new URLSearchParams({ organization_id, limit: '20' })}`),
      service.operator && organizationIds.length > FEW && sleep(LOOKUP_MS),
    ]);
    const all = page.offboardings as Offboarding[];
    return [organization_id, all.filter(({ dry_run }) => !dry_run)] as const;
  };
  return new Map(await pMap(organizationIds, look, { concurrency: LOOKUPS_AT_ONCE }));
}

const byWhom = (record: Offboarding) => `asked for by ${plain(record.requested_by)} (${plain(record.reason)})`;

/** What deserves a second look. */
function notesOf(record: Offboarding | undefined, earlier: Offboarding[]): string[] {
  const notes: string[] = [];
  if (!record) notes.push('the dry run says nothing about it');
  else if (record.status !== 'completed') notes.push('the dry run failed for it');
  else if (record.connections.length === 0) notes.push('it has no connections: nothing to do');
  for (const one of record?.connections ?? [])
    if (isCustomers(one))
      notes.push(
        `the customer can enable ${nameOf(one)} itself (organization_access_level ${plain(one.before?.organization_access_level)})`,
      );
  const pending = earlier.find(({ status }) => PENDING.includes(status));
  const done = earlier.find(({ status }) => status === 'completed');
  if (pending) {
    const due = pending.removal_due_at ? `, removal on ${dateOf(pending.removal_due_at)}` : '';
    notes.push(`pending already: ${pending.action} is ${pending.status}${due}, ${byWhom(pending)}`);
  } else if (done && done.watch !== 'ended')
    notes.push(`offboarded already: ${done.action} on ${dateOf(done.ended_at ?? askedAt(done))}, ${byWhom(done)}`);
  return notes;
}

function countsOf(organizations: Plan['organizations'], found: Map<string, Offboarding>): [string, number][] {
  const all = organizations.flatMap(({ organization_id }) => found.get(organization_id) ?? []);
  const connections = all.flatMap((record) => record.connections.map((connection) => ({ record, connection })));
  const outcomes = (outcome: string) => connections.filter(({ connection }) => connection.outcome === outcome);
  const due = connections.filter(
    ({ record, connection }) => record.removal_due_at && connection.before && connection.outcome !== 'failed',
  );
  const dates = [...new Set(due.map(({ record }) => dateOf(record.removal_due_at).replace(/,.*/, '')))];
  const withNote = (start: string) =>
    organizations.filter(({ notes }) => notes.some((note) => note.startsWith(start))).length;
  const unknown = all.filter(({ error }) => error?.code === 'unknown_organization').length;
  return [
    ['Organizations', organizations.length],
    ['Connections that would be disabled now', outcomes('disabled').length],
    [`Connections that would be removed on ${dates.join(' or ')}`, due.length],
    ['Connections that would be removed now', outcomes('removed').length],
    ['Connections that would stay as they are', outcomes('unchanged').length],
    ['! Organizations that Auth0 does not know', unknown],
    ['! Organizations whose dry run failed otherwise', withNote('the dry run') - unknown],
    ['! Organizations without connections', withNote('it has no')],
    ['! Organizations with one pending already', withNote('pending')],
    ['! Organizations that are offboarded already', withNote('offboarded')],
    ['! Organizations that can enable a connection themselves', withNote('the customer')],
  ];
}

/** Where this machine keeps how many were offboarded the last time, by place. */
const memory = () =>
  join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'org-connections', 'last-time.json');

function remembered(): Record<string, { organizations: number; at: string }> {
  try {
    return Object(JSON.parse(readFileSync(memory(), 'utf8')));
  } catch {
    return {};
  }
}

const lastTime = ({ where }: Service) => remembered()[where];

/** Remembers how many were offboarded, so that a plan can say when it is many more. Never fails. */
export function remember({ where }: Service, organizations: number): void {
  try {
    mkdirSync(dirname(memory()), { recursive: true });
    writeFileSync(
      memory(),
      JSON.stringify({ ...remembered(), [where]: { organizations, at: new Date().toISOString() } }),
    );
  } catch {
    // Nothing but a comparison is lost.
  }
}
