// `plan`: what would be done to whom and when, by a dry run of the service. It changes nothing.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { organizationsWith } from './auth0.ts';
import { dryRun } from './dry-run.ts';
import { onInterrupt, Refusal } from './ending.ts';
import { type OrganizationsFile, type Row, readOrganizations } from './files.ts';
import { fingerprintOf, keyOf } from './fingerprint.ts';
import { lastTime } from './last-time.ts';
import { lookUpEach } from './lookups.ts';
import { isSameFile } from './owner-file.ts';
import { groupsOf, newPlan, type Plan, type PlannedOrganization, readPlan, tryPlan, writePlan } from './plan-file.ts';
import { notesOf, numbersOf } from './plan-notes.ts';
import { type PlanOptions, requestOf } from './plan-request.ts';
import { type Offboarding, recordsOfOrganization } from './records.ts';
import { tryReport, writeReport } from './report.ts';
import { CallFailed, connect, type Service, SessionEnded } from './service.ts';
import { startedBatches } from './started.ts';
import { show } from './summary.ts';
import { dateOf, many, plain, print, quoted, reasonOf } from './terminal.ts';

const FEW = 20;
/** A batch has one selection of connections, and each batch is a request and is watched. */
const MOST_BATCHES = 200;
const UNTOUCHED = 'Nothing was changed, and no plan was written.';

/**
 * Shows what would be done and writes it as a plan. `file` is a path, `-` for standard input, or undefined to find the organizations
 * of one connection. Resolves to the exit status; throws a `Refusal` where nothing was changed and no plan was written.
 */
export async function plan(file: string | undefined, options: PlanOptions): Promise<number> {
  const request = await requestOf(options);
  const id = randomUUID();
  const created_at = new Date().toISOString();
  const out = options.out ?? `offboard-${created_at.slice(0, 16).replace(/\D/g, '')}-${id.slice(0, 4)}.plan.json`;
  const given = await organizationsOf(file, options);
  refuseSelections(given, request);
  tryPlan(out);
  refuseOneFileForTwo(file, out, options.report);
  tryReport(options.report);
  const service = await connect(options);
  await refuseApplied(out, service);
  const before = lastTime(service);
  const made_by = service.operator?.arn ?? userInfo().username;
  const { region, account = null } = service.operator ?? {};
  const { rows, columns } = given;
  const place = { ...service.place, ...(region && { region }) };
  const content = { id, created_at, made_by, account, ...place, request, columns };
  const fingerprint = fingerprintOf({ ...content, organizations: rows });
  print(service.who);
  print(`Dry run of ${request.action}, ${many(rows.length, 'organization')}. Reason: ${plain(request.reason)}`);
  const { organizations, found, dry_runs } = await lookUp(service, rows, { request, fingerprint });
  const lines = organizations.map((one) => ({ ...one, record: found.get(one.organization_id) }));
  print();
  show(lines);
  print();
  for (const words of numbersOf(organizations, found, request)) print(words);
  warn(given, request, before);
  const keys = groupsOf(rows).map((_, index) => keyOf(fingerprint, index));
  writePlan(out, newPlan({ ...content, keys, dry_runs, organizations }));
  writeReport(options.report, lines, { title: 'Dry run of an offboarding', where: service.where, columns });
  print(
    `Nothing was changed. Plan: ${plain(out)}, good for a day. To do exactly this:\n  npm run offboard -- apply ${quoted(out)}`,
  );
  return 0;
}

/** Throws a `Refusal` for connections that are named in two ways, and for a file that would need too many batches. */
function refuseSelections({ rows }: OrganizationsFile, request: Plan['request']): void {
  const isSelected = rows.some(({ only }) => only);
  if (isSelected && request.connection_ids)
    throw new Refusal('The file has a column connection_id: leave out --connection, or say it for a file without one.');
  if (isSelected && request.end_machine_access)
    throw new Refusal(
      'The file has a column connection_id, and --end-machine-access is for whole organizations: --all-connections ignores the column.',
    );
  const count = groupsOf(rows).length;
  if (count > MOST_BATCHES)
    throw new Refusal(
      `The column connection_id names ${count} different selections of connections, and a plan has at most ${MOST_BATCHES}: split the file, or say --all-connections.`,
    );
}

/** The organizations with what the dry run and the records say of them. */
async function lookUp(
  service: Service,
  rows: Row[],
  { request, fingerprint }: { request: Plan['request']; fingerprint: string },
) {
  onInterrupt({ words: () => `Stopped. ${UNTOUCHED}`, exitStatus: 2 });
  const named = rows.map((row) => ({ ...row, organization_name: null, connection_ids: [], notes: [] }));
  const ids = rows.map(({ organization_id }) => organization_id);
  const [{ found, batches }, earlier] = await Promise.all([
    dryRun(service, { organizations: named, request, fingerprint }, UNTOUCHED),
    earlierOnes(service, ids),
  ]).catch((error: unknown) => {
    if (error instanceof CallFailed || error instanceof SessionEnded)
      throw new Refusal(`${reasonOf(error)}. ${UNTOUCHED}`);
    throw error;
  });
  const organizations: PlannedOrganization[] = named.map((organization) => {
    const { organization_id } = organization;
    const record = found.get(organization_id);
    return {
      ...organization,
      organization_name: record?.organization_name ?? null,
      connection_ids: (record?.connections ?? []).map(({ connection_id }) => connection_id),
      notes: notesOf({ organization, record, earlier: earlier.get(organization_id) ?? [] }),
    };
  });
  return { organizations, found, dry_runs: batches };
}

function warn({ rows, repeated }: OrganizationsFile, request: Plan['request'], before: ReturnType<typeof lastTime>) {
  if (repeated.length > 0) print(`! Named again, and taken once: line ${repeated.slice(0, FEW).join(', ')}`);
  if (before && rows.length > Math.max(10, before.organizations * 2))
    print(
      `! Many more than last time: ${rows.length}, where ${before.organizations} were offboarded on ${dateOf(before.at)}.`,
    );
  if (request.action !== 'disable')
    print("! The service can't undo a removal; until then, cancel enables what it disabled.");
}

/** Throws a `Refusal` where the report would be written over what it is made from, or over the plan. */
function refuseOneFileForTwo(file: string | undefined, out: string, report: string | undefined): void {
  if (report === undefined) return;
  if (isSameFile(out, report))
    throw new Refusal(`--out and --report are one file, ${plain(report)}: say two names. Nothing was started.`);
  if (file !== undefined && file !== '-' && isSameFile(file, report))
    throw new Refusal(`The --report is the file with the organizations: say another name. Nothing was started.`);
}

/** A plan that was applied is how it is watched and cancelled: it is not written over. */
async function refuseApplied(out: string, service: Service): Promise<void> {
  if (!existsSync(out)) return;
  const old = readPlan(out);
  const isHere = old.stage === service.place.stage && old.url === service.place.url;
  if (!isHere)
    throw new Refusal(
      `${plain(out)} is a plan for ${plain(old.stage ?? old.url)} and is not written over: say another --out.`,
    );
  const started = await startedBatches(service, old).catch((error: unknown) => {
    throw new Refusal(`${reasonOf(error)}. ${UNTOUCHED}`);
  });
  if (started.size > 0)
    throw new Refusal(`${plain(out)} was applied and is not written over, as "cancel" needs it: say another --out.`);
}

async function organizationsOf(file: string | undefined, options: PlanOptions): Promise<OrganizationsFile> {
  const { column, connection = [], urgent, allConnections } = options;
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
    throw new Refusal(`The file cannot be read: ${reasonOf(error)}.`);
  }
  return readOrganizations(bytes, { column, allConnections });
}

/** The records of each organization, newest first: Auth0 is not asked. */
async function earlierOnes(service: Service, organizationIds: string[]): Promise<Map<string, Offboarding[]>> {
  const look = async (organization_id: string) =>
    [organization_id, await recordsOfOrganization(service, organization_id)] as const;
  return new Map(await lookUpEach(service, organizationIds, look));
}
