// A plan's fingerprint: all that it says to whom, in one word. The keys of its dry run and of its batches have it, and the service
// keeps these keys in its records: a plan that was edited since has another fingerprint than the records.
import { createHash } from 'node:crypto';
import type { Plan, PlannedOrganization } from './plan-file.ts';

/** What a plan says before its dry run is made. */
export type Content = Pick<
  Plan,
  'id' | 'created_at' | 'made_by' | 'account' | 'stage' | 'url' | 'region' | 'request' | 'columns'
> & { organizations: Pick<PlannedOrganization, 'organization_id' | 'line' | 'cells' | 'only'>[] };

/** 64 hexadecimal digits; the same for the same content, whatever the order of the members in the file. */
export function fingerprintOf(plan: Content): string {
  const { id, created_at, made_by, account, stage = null, url = null, region = null, request, columns } = plan;
  const members = Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1));
  const organizations = plan.organizations.map(({ organization_id, line, cells, only = null }) => [
    ...[organization_id, line, cells, only],
  ]);
  const content = [id, created_at, made_by, account, stage, url, region, members, columns, organizations];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** The idempotency key of the batch at `index` of a plan, from 0. */
export const keyOf = (fingerprint: string, index: number) => `plan-${fingerprint}-${index + 1}`;

/** What the keys of a plan's dry run begin with; a number follows. */
export const dryRunKeyOf = (fingerprint: string) => `dry-run-${fingerprint}-`;
