// The plan as a file: what is applied is what was looked at.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { chunksOf } from '../../../lib/json.ts';
import { Refusal } from './ending.ts';
import { decode } from './file-text.ts';
import { tryOwnerFile, writeOwnerFile } from './owner-file.ts';
import { CONNECTION_ID, ORGANIZATION_ID } from './records.ts';
import { plain, reasonOf } from './terminal.ts';

/** What POST /offboardings takes in one call. */
const MOST_A_BATCH = 1000;
const STALE_MS = 86_400_000;
const FORMAT = 'org-connections plan 2';

const Text = v.string();
const ConnectionIds = v.array(v.pipe(Text, v.regex(CONNECTION_ID)));
const PlannedOrganization = v.strictObject({
  organization_id: v.pipe(Text, v.regex(ORGANIZATION_ID)),
  /** Auth0's name for it; null where the stage may not read it. */
  organization_name: v.nullable(Text),
  line: v.number(),
  cells: v.array(Text),
  /** The connections that the file names; undefined for those of the request, or all. */
  only: v.optional(v.pipe(ConnectionIds, v.minLength(1))),
  /** What the dry run found, and what deserves a second look. */
  connection_ids: v.array(Text),
  notes: v.array(Text),
});
const Plan = v.strictObject({
  format: v.literal(FORMAT),
  id: v.pipe(Text, v.uuid()),
  created_at: v.pipe(Text, v.isoTimestamp()),
  made_by: Text,
  account: v.nullable(Text),
  stage: v.optional(Text),
  url: v.optional(Text),
  region: v.optional(Text),
  /** The body of each batch, but for its organizations. */
  request: v.strictObject({
    action: v.picklist(['disable', 'remove', 'disable_then_remove']),
    reason: Text,
    grace_period: v.optional(Text),
    on_reenable: v.optional(Text),
    requested_by: v.optional(Text),
    connection_ids: v.optional(ConnectionIds),
    urgent: v.optional(v.literal(true)),
    end_sessions: v.optional(v.literal(true)),
    end_machine_access: v.optional(v.literal(true)),
  }),
  /** One idempotency key a batch, in the order of `batchesOf`. */
  keys: v.pipe(v.array(v.pipe(Text, v.regex(/^[!-~]{1,128}$/))), v.minLength(1)),
  /** The batches of the dry run: with them the plan is compared before it is applied. */
  dry_runs: v.pipe(v.array(v.pipe(Text, v.uuid())), v.minLength(1)),
  columns: v.array(Text),
  organizations: v.pipe(v.array(PlannedOrganization), v.minLength(1)),
});
export type Plan = v.InferOutput<typeof Plan>;
export type PlannedOrganization = v.InferOutput<typeof PlannedOrganization>;

export const newPlan = (plan: Omit<Plan, 'format'>): Plan => ({ format: FORMAT, ...plan });

/**
 * The organizations in the groups in which they are sent: those with the same connections together, at most `most` in a group, in
 * the order of the plan.
 */
export function groupsOf<T extends { only?: string[] | undefined }>(organizations: T[], most = MOST_A_BATCH): T[][] {
  const bySelection = Map.groupBy(organizations, ({ only }) => only?.join() ?? '');
  return [...bySelection.values()].flatMap((all) => chunksOf(all, most));
}

/** The organizations of each batch, beside its key and the body that asks for it. */
export const batchesOf = ({ keys, request, organizations }: Pick<Plan, 'keys' | 'request' | 'organizations'>) =>
  groupsOf(organizations).map((group, index) => ({
    key: keys[index] as string,
    organizations: group,
    body: bodyOf(request, group),
  }));

/** The body that asks for one group of organizations. */
export const bodyOf = (request: Plan['request'], group: Pick<PlannedOrganization, 'organization_id' | 'only'>[]) => ({
  ...request,
  ...(group[0]?.only && { connection_ids: group[0].only }),
  organization_ids: group.map(({ organization_id }) => organization_id),
});

const checksumOf = (plan: object) => `sha256:${createHash('sha256').update(JSON.stringify(plan)).digest('hex')}`;

/** Whether a plan could be written to `path`; an existing file must be a plan. Throws a `Refusal`. */
export function tryPlan(path: string): void {
  if (existsSync(path)) readPlan(path, 'is no plan and is not written over');
  tryOwnerFile('The plan', path);
}

export const writePlan = (path: string, plan: Plan) =>
  writeOwnerFile(path, `${JSON.stringify({ ...plan, checksum: checksumOf(plan) }, null, 1)}\n`);

/** The plan at `path`. Throws a `Refusal` when it is none, or was edited. */
export function readPlan(path: string, otherwise = 'is no plan: "plan" makes one'): Plan {
  let content: unknown;
  try {
    content = JSON.parse(decode(readFileSync(path)));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Refusal) throw new Refusal(`${plain(path)} ${otherwise}.`);
    throw new Refusal(`${plain(path)} cannot be read: ${reasonOf(error)}.`);
  }
  const { checksum, ...rest } = Object(content);
  if (rest.format !== FORMAT) throw new Refusal(`${plain(path)} ${otherwise}.`);
  if (checksum !== checksumOf(rest)) throw new Refusal(`${plain(path)} was edited since it was made: plan anew.`);
  const parsed = v.safeParse(Plan, rest);
  if (!parsed.success || parsed.output.keys.length !== groupsOf(parsed.output.organizations).length)
    throw new Refusal(`${plain(path)} is not whole: plan anew.`);
  const ids = parsed.output.organizations.map(({ organization_id }) => organization_id);
  if (new Set(ids).size < ids.length) throw new Refusal(`${plain(path)} names an organization twice: plan anew.`);
  return parsed.output;
}

/** Two machines' clocks may differ so far. */
const CLOCKS_DIFFER_MS = 10 * 60_000;

export const isOfTheFuture = ({ created_at }: Plan) => Date.parse(created_at) - Date.now() > CLOCKS_DIFFER_MS;
export const isStale = ({ created_at }: Plan) => Date.now() - Date.parse(created_at) > STALE_MS;
