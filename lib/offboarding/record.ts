import { randomUUID } from 'node:crypto';
import * as table from '../aws/table.ts';
import { RetryLater } from '../problem.ts';
import { hasEnded, type Offboarding, type Status } from './offboarding.ts';
import type { OffboardingRequest } from './request.ts';
import { heldBy } from './rules.ts';

const DAY_S = 86_400;
/** Records are kept for as long after their end as the archive keeps events; a dry run is looked at for days. */
const KEEP_S = 400 * DAY_S;
const KEEP_DRY_RUN_S = 7 * DAY_S;
/** Whoever was quicker has written by then, milliseconds. */
const RECORD_CHANGED_WAIT_MS = 1000;
/** So long a request without a key may take until it is on the bus: longer than an HTTP request may, milliseconds. */
const ACCEPT_WITHIN_MS = 45_000;

export type NewOffboarding = OffboardingRequest &
  Pick<Offboarding, 'offboarding_id' | 'fingerprint' | 'caller'> &
  Partial<Pick<Offboarding, 'request' | 'asked_at' | 'batch_id' | 'urgent'>>;

/** A conditional write was rejected: the record is `current` by now (undefined: there is none). */
export class RecordChanged extends RetryLater {
  readonly current: Offboarding | undefined;

  constructor(current: Offboarding | undefined) {
    super(`The record has changed; its status is ${current?.status ?? 'none'}`, RECORD_CHANGED_WAIT_MS);
    this.current = current;
  }
}

/** The record as it is now. Throws `record_unavailable`, as everything here does. */
export async function getRecord(organization_id: string, offboarding_id: string): Promise<Offboarding | undefined> {
  const item = await table.getItem({ organization_id, offboarding_id });
  return item && fromItem(item);
}

/** The records of these keys as they are now, in the same order; what is not there is left out. At most 100. */
export const getRecords = async (keys: table.Key[]): Promise<Offboarding[]> =>
  (await table.getItems(keys)).map(fromItem);

/** Writes `record` upon the version that it has, or, without one (''), as new. Returns it with its new version; throws `RecordChanged` with what won. */
export async function put(record: Offboarding): Promise<Offboarding> {
  const now = new Date();
  const next = { ...record, version: randomUUID(), updated_at: now.toISOString() };
  if (hasEnded(record)) {
    next.ended_at ??= next.updated_at;
    // What is still held is never forgotten.
    const keep = record.dry_run ? KEEP_DRY_RUN_S : KEEP_S;
    next.expires_at = heldBy(record).length > 0 ? undefined : Math.floor(now.getTime() / 1000) + keep;
  }
  // What is never accepted is nothing to keep.
  if (record.accept_by) next.expires_at = Math.floor(now.getTime() / 1000) + DAY_S;
  if (await table.putItem(toItem(next), record.version)) return next;
  throw new RecordChanged(await getRecord(record.organization_id, record.offboarding_id));
}

/**
 * Puts a new record as `requested`, or finds the one that is there (`isNew` says which). One that is not `accepted` yet is
 * nothing until `accept`: no list shows it, and no rule takes it for a request.
 */
export async function createRecord(request: NewOffboarding, accepted = true) {
  const time = new Date().toISOString();
  const own = { id: request.offboarding_id, source: 'org-connections', time };
  const times = { created_at: time, asked_at: time, updated_at: time, accept_by: accepted ? undefined : acceptBy() };
  const start = { request: own, status: 'requested' as const, ...times, attempts: 0, connections: [], version: '' };
  try {
    return { record: await put({ ...start, ...request, asked_at: request.asked_at ?? time }), isNew: true };
  } catch (error) {
    if (error instanceof RecordChanged && error.current) return { record: error.current, isNew: false };
    throw error;
  }
}

/** A request that is not accepted yet may be accepted for as long again. */
export const postponeAcceptance = (record: Offboarding) => put({ ...record, accept_by: acceptBy() });

const acceptBy = () => new Date(Date.now() + ACCEPT_WITHIN_MS).toISOString();

/** From now on the request is one. */
export const accept = (record: Offboarding) => put({ ...record, accept_by: undefined, expires_at: undefined });

/** A batch: what was asked for, of whom. */
export type Batch = { batch_id: string; fingerprint: string; organization_ids: string[]; cancelled?: boolean };

// An item beside the records, in no index: it has no position.
const keyOfBatch = (batch_id: string) => ({ organization_id: batch_id, offboarding_id: 'batch' });

/** The batch of this id: put as new where there was none, else as it was put first. */
export async function createBatch(batch: Batch): Promise<Batch> {
  const expires_at = Math.floor(Date.now() / 1000) + KEEP_S;
  const item = { ...batch, ...keyOfBatch(batch.batch_id), expires_at, version: randomUUID() };
  return (await table.putItem(item, undefined)) ? batch : ((await getBatch(batch.batch_id)) ?? batch);
}

/** The batch as it was asked for; undefined when there is none. */
export const getBatch = async (batchId: string) =>
  (await table.getItem(keyOfBatch(batchId))) as object as Batch | undefined;

/** Nothing of the batch begins any more that has not begun. */
export async function endBatch(batch: Batch): Promise<void> {
  const { version, ...item } = batch as Batch & table.Item;
  await table.putItem({ ...item, cancelled: true, version: randomUUID() }, version);
}

/** The attributes that indexes are sorted by; what is not accepted is in none. */
function positionsOf({ status, removal_due_at, ended_at, created_at, offboarding_id, accept_by }: Offboarding) {
  if (accept_by) return {};
  const isDue = status === 'scheduled' || status === 'removing';
  const due = isDue ? removal_due_at : (ended_at ?? created_at);
  return {
    position: `${created_at} ${offboarding_id}`,
    status_shard: statusShard(status, table.shardOf(offboarding_id)),
    status_position: `${due} ${offboarding_id}`,
  };
}

/** The key of a status in its index, which is spread over shards. */
export const statusShard = (status: Status, shard: number) => `${status} ${shard}`;

/** Settings are whatever Auth0 sends, numbers and depths that DynamoDB does not take included: they are kept as text. */
export const toItem = (record: Offboarding): table.Item => {
  return { ...record, connections: JSON.stringify(record.connections), ...positionsOf(record) };
};

/** An item of the table as a record. */
export function fromItem({ position: _, status_shard: __, status_position: ___, ...item }: table.Item): Offboarding {
  return { ...item, connections: JSON.parse(String(item.connections)) } as object as Offboarding;
}
