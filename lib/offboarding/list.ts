import { type Item, readIndex, SHARDS } from '../aws/table.ts';
import { pick } from '../json.ts';
import { Problem } from '../problem.ts';
import { type Offboarding, STATUSES, type Status } from './offboarding.ts';
import { lastChecksOf } from './organization.ts';
import { getRecords, statusShard } from './record.ts';

// An index says which offboardings there are, some moments late, and holds keys alone; what is shown is read from the table
// itself, as it is now. Memory and cost are those of one page, however many records the table has.

export type ListedBy = 'organization_id' | 'batch_id' | 'status';
const INDEXES = {
  organization_id: { index: 'by_organization', attribute: 'organization_id', position: 'position' },
  batch_id: { index: 'by_batch', attribute: 'batch_id', position: 'position' },
  status: { index: 'by_status', attribute: 'status_shard', position: 'status_position' },
};
/** Which page of a list; of which time (ISO 8601, both included). */
export type Page = Partial<Record<'cursor' | 'since' | 'until', string | undefined>> & { limit: number };

/** Where a page ends: which list it is of, the time and the id of its last record, which may be gone by the next. */
const CURSOR = /^(\S+ \S+) (\d{4}-\d\d-\d\dT\S+ \S.{0,150})$/s;

/** Where the list goes on; throws `invalid_query` for a cursor that is not one of its own. */
function readCursor(by: ListedBy, value: string, cursor: string): string {
  const [, list, after] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (after && list === `${by} ${value}`) return after;
  throw new Problem('invalid_query', 'cursor: must be the one that a page of this list came with');
}

/**
 * A page of at most `limit` offboardings and the cursor of the next; null when this is the last. Newest first; by status what is
 * due first, or ended first. Throws `invalid_query`.
 */
export async function listOffboardings(by: ListedBy, value: string, { limit, cursor, since, until }: Page) {
  const after = cursor === undefined ? undefined : readCursor(by, value, cursor);
  const isByStatus = by === 'status';
  const last = until && `${until}\uffff`;
  const { index, attribute, position } = INDEXES[by];
  const range = isByStatus ? { above: after ?? since, below: last } : { above: since, below: after ?? last };
  const readPart = async (key: string) => {
    const found: Item[] = [];
    // DynamoDB takes no range that ends before it begins.
    if ((range.above ?? '') > (range.below ?? '\uffff')) return found;
    // One more than a page, and the one that the last page ended with.
    const options = { descending: !isByStatus, limit: limit + 2 };
    for await (const item of readIndex({ index, attribute, value: key, position, ...range }, options))
      if (found.push(item) === limit + 2) break;
    return found;
  };
  const keys = isByStatus ? SHARDS.map((shard) => statusShard(value as Status, shard)) : [value];
  const parts = (await Promise.all(keys.map(readPart))).flat().filter((item) => item[position] !== after);
  const ascending = (a: Item, b: Item) => (String(a[position]) < String(b[position]) ? -1 : 1);
  const items = parts.sort(isByStatus ? ascending : (a, b) => -ascending(a, b)).slice(0, limit);
  const found = await getRecords(items);
  const next = parts.length > limit && `${by} ${value} ${items.at(-1)?.[position]}`;
  return {
    // The index may be late: what has another status by now is not one of these.
    offboardings: found.filter((record) => record[by] === value),
    cursor: next ? Buffer.from(next).toString('base64url') : null,
  };
}

/** How many offboardings of a batch have each status. */
export async function countBatch(batchId: string): Promise<Record<Status, number>> {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  for await (const { status } of readIndex({ ...INDEXES.batch_id, value: batchId })) counts[status as Status] += 1;
  return counts;
}

/** A page as its readers see it; of a batch with how many of its offboardings have each status. Throws `invalid_query`. */
export async function showPage(by: ListedBy, value: string, page: Page) {
  const counted = by === 'batch_id' ? countBatch(value) : undefined;
  const [{ offboardings: records, cursor }, counts] = await Promise.all([listOffboardings(by, value, page), counted]);
  const watched = records.filter(({ watch }) => watch === 'on');
  const checks = await lastChecksOf(watched.map(({ organization_id }) => organization_id));
  const offboardings = records.map((record) => shown(record, checks.get(record.organization_id)));
  return { offboardings, cursor, counts };
}

/** What a record, each of its connections and the ending of its sessions show: asked is not ended, for Auth0 works it off later. */
const SHOWN =
  'offboarding_id organization_id batch_id status action grace_period connection_ids dry_run on_reenable end_sessions requested_by reason caller correlation_id request asked_at created_at updated_at ended_at removal_due_at attempts last_error next_try_at error superseded_by cancelled watch watch_ended drifted';
const OF_CONNECTION =
  'connection_id name strategy before outcome error disabled_by_offboarding added drifted_at reenabled_at';
const OF_SESSIONS = 'status members asked skipped failed error updated_at';

/** A record as its readers see it. `looked_at` is its organization's. */
export const shown = (record: Offboarding, looked_at?: string) => ({
  ...pick(record, SHOWN),
  connections: record.connections.map((connection) => pick(connection, OF_CONNECTION)),
  looked_at: record.watch === 'on' ? looked_at : undefined,
  ...(record.end_sessions && { sessions: shownSessions(record) }),
});

/** How far the ending of sessions has come. */
export const shownSessions = ({ sessions }: Offboarding) => (sessions ? pick(sessions, OF_SESSIONS) : null);
