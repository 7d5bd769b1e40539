// The plan as a file: what is applied is what was looked at.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import * as v from 'valibot';
import { Refusal } from './ending.ts';
import { CONNECTION_ID, type Offboarding, ORGANIZATION_ID, records } from './records.ts';
import type { Service } from './service.ts';
import { plain, reasonOf } from './terminal.ts';

/** What POST /offboardings takes in one call. */
export const MOST_A_BATCH = 1000;
const STALE_MS = 86_400_000;
const FORMAT = 'org-connections plan 1';

const Text = v.string();
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
    connection_ids: v.optional(v.array(v.pipe(Text, v.regex(CONNECTION_ID)))),
    urgent: v.optional(v.literal(true)),
  }),
  /** One idempotency key a batch of up to 1,000 organizations, in their order. */
  keys: v.pipe(v.array(v.pipe(Text, v.regex(/^[!-~]{1,128}$/))), v.minLength(1)),
  columns: v.array(Text),
  organizations: v.pipe(
    v.array(
      v.strictObject({
        organization_id: v.pipe(Text, v.regex(ORGANIZATION_ID)),
        line: v.number(),
        cells: v.array(Text),
        /** What the dry run found, and what deserves a second look. */
        connection_ids: v.array(Text),
        notes: v.array(Text),
      }),
    ),
    v.minLength(1),
  ),
});
export type Plan = v.InferOutput<typeof Plan>;

export const newPlan = (plan: Omit<Plan, 'format'>): Plan => ({ format: FORMAT, ...plan });

const checksumOf = (plan: object) => `sha256:${createHash('sha256').update(JSON.stringify(plan)).digest('hex')}`;

/** The organizations of each batch, beside its key. */
export const batchesOf = ({ keys, organizations }: Pick<Plan, 'keys' | 'organizations'>) =>
  keys.map((key, index) => ({
    key,
    organizations: organizations.slice(index * MOST_A_BATCH, (index + 1) * MOST_A_BATCH),
  }));

/** Whether a plan could be written to `path`; an existing file must be a plan. Throws a `Refusal`. */
export function tryPlan(path: string): void {
  if (existsSync(path)) readPlan(path, 'is no plan and is not written over');
  try {
    writeFileSync(`${path}.part`, '');
    unlinkSync(`${path}.part`);
  } catch (error) {
    throw new Refusal(`The plan can not be written to ${plain(path)}: ${reasonOf(error)}.`);
  }
}

export function writePlan(path: string, plan: Plan): void {
  // What reads the cells of a file may be personal: only its owner reads it. Renamed, it is there whole or not at all.
  writeFileSync(`${path}.part`, `${JSON.stringify({ ...plan, checksum: checksumOf(plan) }, null, 1)}\n`, {
    mode: 0o600,
  });
  renameSync(`${path}.part`, path);
}

/** The plan at `path`. Throws a `Refusal` when it is none, or was edited. */
export function readPlan(path: string, otherwise = 'is no plan: "plan" makes one'): Plan {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(`${plain(path)} ${otherwise}.`);
    throw new Refusal(`${plain(path)} can not be read: ${reasonOf(error)}.`);
  }
  const { checksum, ...rest } = Object(content);
  if (rest.format !== FORMAT) throw new Refusal(`${plain(path)} ${otherwise}.`);
  if (checksum !== checksumOf(rest)) throw new Refusal(`${plain(path)} was edited since it was made: plan anew.`);
  const parsed = v.safeParse(Plan, rest);
  if (!parsed.success || parsed.output.keys.length !== Math.ceil(parsed.output.organizations.length / MOST_A_BATCH))
    throw new Refusal(`${plain(path)} is not whole: plan anew.`);
  return parsed.output;
}

export const isStale = ({ created_at }: Plan) => Date.now() - Date.parse(created_at) > STALE_MS;

/** How many organizations of a batch are looked at for what became of it. */
const LOOKED_AT = 10;

/** The batches of the plan that the service knows, by their place in it, each with one of its records. */
export async function startedBatches(
  service: Service,
  plan: Plan,
): Promise<Map<number, Offboarding & { batch_id: string }>> {
  const started = new Map<number, Offboarding & { batch_id: string }>();
  for (const [index, { key, organizations }] of batchesOf(plan).entries()) {
    const step = Math.max(1, Math.floor(organizations.length / LOOKED_AT));
    for (const { organization_id } of organizations.filter((_, place) => place % step === 0)) {
      const found = await recordOf(service, organization_id, key, plan.created_at);
      if (!found?.batch_id) continue;
      started.set(index, { ...found, batch_id: found.batch_id });
      break;
    }
  }
  return started;
}

/** Newest first: what is older than the plan is not of it. */
async function recordOf(service: Service, organization_id: string, key: string, since: string) {
  for await (const record of records(service, { organization_id })) {
    if (record.correlation_id === key) return record;
    if (Date.parse(record.created_at) < Date.parse(since) - 3_600_000) return undefined;
  }
  return undefined;
}
