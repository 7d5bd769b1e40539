// Whether a plan is still what it was. The checksum tells an accident; what is on record tells an edit.
import { Refusal } from './ending.ts';
import { dryRunKeyOf, fingerprintOf, keyOf } from './fingerprint.ts';
import { lookUpEach } from './lookups.ts';
import type { Plan, PlannedOrganization } from './plan-file.ts';
import { type Offboarding, recordsOf } from './records.ts';
import type { Service } from './service.ts';

/** Throws a `Refusal` where the plan holds something else than the dry run on record. */
export async function refuseEdited(service: Service, plan: Plan): Promise<void> {
  const pages = await lookUpEach(service, plan.dry_runs, (batch) => recordsOf(service, [batch]));
  const found = new Map(pages.flat().map((record) => [record.organization_id, record]));
  if (found.size === 0) throw new Refusal('The dry run of this plan is not on record: plan anew. Nothing was started.');
  for (const organization of plan.organizations) {
    const record = found.get(organization.organization_id);
    const difference = record ? differenceOf(plan, organization, record) : 'it is not in the dry run';
    if (difference)
      throw new Refusal(
        `The plan is not what its dry run was (${organization.organization_id}: ${difference}), so it was edited: plan anew. Nothing was started.`,
      );
  }
  if (found.size > plan.organizations.length)
    throw new Refusal(
      'The plan has fewer organizations than its dry run, so it was edited: plan anew. Nothing was started.',
    );
  const key = dryRunKeyOf(fingerprintOf(plan));
  if (!hasOwnKeys(plan) || [...found.values()].some(({ correlation_id }) => !correlation_id?.startsWith(key)))
    throw new Refusal(
      'The plan is not the one whose dry run is on record, so it was edited: plan anew. Nothing was started.',
    );
}

/**
 * The same of a plan of which batches are on record. Their keys are those of the plan as it was: its dry run, which is kept for a
 * week, is not needed.
 */
export function refuseEditedSinceStarted(plan: Plan): void {
  if (!hasOwnKeys(plan))
    throw new Refusal(
      'The plan was edited since it was started: go on with the plan as it was, or plan the rest anew. Nothing more was started.',
    );
}

function hasOwnKeys(plan: Plan): boolean {
  const fingerprint = fingerprintOf(plan);
  return plan.keys.every((key, index) => key === keyOf(fingerprint, index));
}

/** The first member in which they differ. */
function differenceOf(plan: Plan, organization: PlannedOrganization, record: Offboarding): string | undefined {
  const { request } = plan;
  const planned = {
    action: request.action,
    reason: request.reason,
    grace_period: request.grace_period ?? null,
    on_reenable: request.on_reenable ?? 'report',
    connection_ids: sorted(organization.only ?? request.connection_ids),
    end_sessions: request.end_sessions === true,
    end_machine_access: request.end_machine_access === true,
    dry_run: true,
    connections: sorted(organization.connection_ids),
    organization_name: organization.organization_name,
    // Left out, it is the role of the caller.
    ...(request.requested_by && { requested_by: request.requested_by }),
    ...(plan.account && { made_by: roleOf(plan.made_by) }),
  };
  const dry = {
    action: record.action,
    reason: record.reason,
    grace_period: record.grace_period ?? null,
    on_reenable: record.on_reenable ?? 'report',
    connection_ids: sorted(record.connection_ids),
    end_sessions: record.end_sessions === true,
    end_machine_access: record.end_machine_access === true,
    dry_run: record.dry_run,
    connections: sorted(record.connections.map(({ connection_id }) => connection_id)),
    organization_name: record.organization_name ?? null,
    requested_by: record.requested_by,
    made_by: roleOf(record.caller ?? ''),
  };
  return Object.keys(planned).find((name) => planned[name as 'action'] !== dry[name as 'action']);
}

const sorted = (ids: string[] | null | undefined) => (ids ? [...ids].sort().join() : '');

/** Whoever an ARN is of, whatever the session: of `arn:aws:sts::1:assumed-role/name/session` the role. */
export const roleOf = (arn: string) => /^(arn:[^:]*:sts::\d*:assumed-role\/[^/]+)/.exec(arn)?.[1] ?? arn;
