import { type Item, shardOf } from '../../aws/table.ts';
import { BATCH, type Batch } from '../model/batch.ts';
import { type OpenRequest, ORGANIZATION, type Organization } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { iso } from '../model/stage.ts';
import type { Status } from '../model/status.ts';
import { dueOf } from '../rules/due-work.ts';
import { byRequestedAt, isAccepted } from '../rules/requests.ts';
import { batchExpiresAfter, expiresAfter } from '../rules/retention.ts';

// How an organization, a batch and a record lie in the table: what decides is text, for Auth0's settings hold numbers and depths
// that DynamoDB does not take; beside it stand the attributes that its conditions and indexes need.

export const organizationKey = (organization_id: string) => ({ organization_id, offboarding_id: ORGANIZATION });
export const batchKey = (batch_id: string) => ({ organization_id: batch_id, offboarding_id: BATCH });

/** The organization as an item; `now` in Unix ms. */
export function toOrganizationItem(organization: Organization, now: number): Item {
  const { organization_id, version, notice_at, lease } = organization;
  const { due_at, work_due_at, priority } = dueOf(organization);
  const waiting = unbegunOf(organization);
  const isIdle = organization.requests.length === 0 && organization.outbox.length === 0;
  return {
    ...organizationKey(organization_id),
    version,
    state: JSON.stringify(organization),
    // In the index of what is due are those that something is due for.
    due_shard: due_at && `due ${shardOf(organization_id)}`,
    due_at,
    work_due_at,
    priority,
    notice_at,
    // What nobody has begun has no record yet: in the list of its status the item stands for it.
    status_shard: waiting && statusShard('requested', shardOf(organization_id)),
    status_position: waiting && statusPosition(waiting.requested_at, waiting.offboarding_id),
    // For people who look into the table.
    lease_owner: lease?.owner,
    lease_until: lease && iso(lease.until),
    expires_at: isIdle ? expiresAfter(now) : undefined,
  };
}

/**
 * The first request that no worker has begun and no record shows; a member of a batch that may not count where there is no other. A
 * worker begins all of them at once.
 */
export function unbegunOf({ requests }: Organization): OpenRequest | undefined {
  const all = requests
    .filter(({ status, is_unrecorded }) => status === 'requested' && is_unrecorded)
    .sort(byRequestedAt);
  return all.find(isAccepted) ?? all[0];
}

export const fromOrganizationItem = ({ state }: Item): Organization => JSON.parse(String(state));

/** The batch as an item; `now` in Unix ms. */
export function toBatchItem(batch: Batch, now: number): Item {
  const { batch_id, version, due_at } = batch;
  const due = due_at && { due_shard: `due ${shardOf(batch_id)}`, due_at, work_due_at: due_at, priority: 'batch' };
  return {
    ...batchKey(batch_id),
    version,
    state: JSON.stringify(batch),
    ...due,
    expires_at: batchExpiresAfter(now),
  };
}

export const fromBatchItem = ({ state }: Item): Batch => JSON.parse(String(state));

/** The key of a status in its index, which is spread over shards. */
export const statusShard = (status: Status, shard: number) => `${status} ${shard}`;

/** A place in the list of a status: a time to the millisecond, as those that it is compared with. */
const statusPosition = (at: string, id: string) => `${iso(Date.parse(at))} ${id}`;

/** The place of an offboarding in the lists of its organization and its batch. */
export const positionOf = ({ requested_at, offboarding_id }: Pick<OpenRequest, 'requested_at' | 'offboarding_id'>) =>
  `${requested_at} ${offboarding_id}`;

/** The record as an item, with the attributes by which lists are sorted. */
export function toRecordItem(record: OffboardingRecord): Item {
  const { organization_id, offboarding_id, batch_id, status, revision, expires_at } = record;
  const isDue = status === 'scheduled' || status === 'removing';
  const due = (isDue ? record.removal_due_at : record.ended_at) ?? record.requested_at;
  return {
    ...{ organization_id, offboarding_id, batch_id, status, revision, expires_at },
    position: positionOf(record),
    status_shard: statusShard(status, shardOf(offboarding_id)),
    status_position: statusPosition(due, offboarding_id),
    state: JSON.stringify(record),
  };
}

export const fromRecordItem = ({ state }: Item): OffboardingRecord => JSON.parse(String(state));
