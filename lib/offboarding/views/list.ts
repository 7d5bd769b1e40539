import { getItems, type Item, readIndex, readPartition, SHARDS } from '../../aws/table.ts';
import { pick } from '../../json.ts';
import { Problem } from '../../problem.ts';
import { BATCH } from '../model/batch.ts';
import { emptyOrganization, ORGANIZATION } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { STATUSES, type Status } from '../model/status.ts';
import { recordOf } from '../rules/projection.ts';
import { fromOrganizationItem, fromRecordItem, positionOf, statusShard, unbegunOf } from '../store/items.ts';
import { readBatch } from '../store/table-shell.ts';
import { countedOf } from './counted.ts';

// The list of one organization is consistent: its item and its records are read as they are now. The other lists are indexes,
// which may be some moments late and hold keys alone; what they show is read from the table itself.

export type ListedBy = 'organization_id' | 'batch_id' | 'status';
/** Which page of a list; of which time (ISO 8601, both included); of one offboarding alone. */
export type Page = Partial<Record<'cursor' | 'since' | 'until' | 'offboarding_id', string | undefined>> & {
  limit: number;
};

/** Where a page ends: which list it is of, the time and the id of its last record, which may be gone by the next. */
const CURSOR = /^(\S+ \S+) (\d{4}-\d\d-\d\dT\S+ \S.{0,150})$/s;

/** Where the list goes on; throws `invalid_query` for a cursor that is not one of its own. */
function readCursor(by: ListedBy, value: string, cursor: string): string {
  const [, list, after] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (after && list === `${by} ${value}`) return after;
  throw new Problem('invalid_query', 'cursor: must be the one that a page of this list came with');
}

/** Records in their order, each with its place in the list; `next` is the place after which the list goes on. */
type Found = { shown: { record: OffboardingRecord; place: string }[]; next: string | undefined };

/** Lambda answers with 6 MB at most; what a page has beyond this is on the next one, bytes. */
const MOST_BYTES = 4_000_000;

/** As many views as an answer takes, at least one. */
function withinAnswer({ shown, next }: Found) {
  const views: ReturnType<typeof toView>[] = [];
  let bytes = 0;
  for (const [index, { record }] of shown.entries()) {
    const view = toView(record);
    bytes += Buffer.byteLength(JSON.stringify(view));
    if (index > 0 && bytes > MOST_BYTES) return { views, next: shown[index - 1]?.place };
    views.push(view);
  }
  return { views, next };
}

/**
 * A page of at most `limit` offboardings and the cursor of the next; null when this is the last. Newest first; by status what is
 * due first, or ended first. With a batch also how many of its offboardings have each status. Throws `invalid_query`.
 */
export async function listOffboardings(by: ListedBy, value: string, page: Page) {
  const after = page.cursor === undefined ? undefined : readCursor(by, value, page.cursor);
  const counted = by === 'batch_id' ? countBatch(value) : undefined;
  const [found, counts] = await Promise.all([
    by === 'organization_id' ? listOrganization(value, page, after) : listIndex(by, value, page, after),
    counted,
  ]);
  const { views, next } = withinAnswer(found);
  const cursor = next ? Buffer.from(`${by} ${value} ${next}`).toString('base64url') : null;
  return { offboardings: views, cursor, counts };
}

/** So many records of an organization are kept while it is read; it may have thousands. */
const MOST_KEPT = 500;

/** An organization's offboardings: those in its item as they are there, and the others' records. */
async function listOrganization(
  organization_id: string,
  { limit, offboarding_id: wanted }: Page,
  after?: string,
): Promise<Found> {
  const isWanted = ({ offboarding_id, position }: Placed) =>
    (!wanted || offboarding_id === wanted) && (!after || position < after);
  /** A page, and one more. */
  const newest = <T extends Placed>(all: T[]): T[] =>
    all
      .filter(isWanted)
      .sort((a, b) => (a.position > b.position ? -1 : 1))
      .slice(0, limit + 1);
  let item = emptyOrganization(organization_id);
  let stored: (Item & Placed)[] = [];
  // First comes the item, then the records, whose ids are UUIDs: a request leaves the item only after its record is written.
  for await (const one of readPartition(organization_id)) {
    if (isOrganization(one)) item = fromOrganizationItem(one);
    else if (one.offboarding_id !== BATCH) stored.push({ ...one, position: String(one.position) });
    if (stored.length > MOST_KEPT) stored = newest(stored);
  }
  const listed = new Map(newest(stored).map((one) => [one.offboarding_id, { ...one, record: fromRecordItem(one) }]));
  // As the organization's item has it, or, where it has left that, its record.
  const open = (await countedOf(item.requests)).map((own) => ({
    offboarding_id: own.offboarding_id,
    position: positionOf(own),
    record: recordOf(item, own, listed.get(own.offboarding_id)?.record),
  }));
  for (const { offboarding_id } of open) listed.delete(offboarding_id);
  const found = newest([...listed.values(), ...open]);
  const shown = found.slice(0, limit).map(({ record, position }) => ({ record, place: position }));
  return { shown, next: found.length > limit ? shown.at(-1)?.place : undefined };
}

/** An offboarding and its place in the list of its organization. */
type Placed = { offboarding_id: string; position: string };

const INDEXES = {
  batch_id: { index: 'by_batch', attribute: 'batch_id', position: 'position' },
  status: { index: 'by_status', attribute: 'status_shard', position: 'status_position' },
};

async function listIndex(by: 'batch_id' | 'status', value: string, page: Page, after?: string): Promise<Found> {
  const { limit, since, until } = page;
  const isByStatus = by === 'status';
  const { index, attribute, position } = INDEXES[by];
  const last = until && `${until}\uffff`;
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
  const recordOfItem = await readListed(items);
  const shown = items.flatMap((item) => {
    const record = recordOfItem(item);
    // The index may be late: what has another status by now is not one of these.
    return record?.[by] === value ? [{ record, place: String(item[position]) }] : [];
  });
  return { shown, next: parts.length > limit ? String(items.at(-1)?.[position]) : undefined };
}

const isOrganization = ({ offboarding_id }: Item) => offboarding_id === ORGANIZATION;

/** What an index lists, as the table has it: a record, or an organization's item for its first request that has none yet. */
async function readListed(listed: Item[]): Promise<(item: Item) => OffboardingRecord | undefined> {
  const idOf = ({ organization_id, offboarding_id }: Item) => `${organization_id} ${offboarding_id}`;
  const stored = new Map((await getItems(listed)).map((one) => [idOf(one), one]));
  const organizations = [...stored.values()].filter(isOrganization).map(fromOrganizationItem);
  const counted = await countedOf(organizations.flatMap((one) => unbegunOf(one) ?? []));
  return (listedItem) => {
    const item = stored.get(idOf(listedItem));
    if (!item || !isOrganization(item)) return item && fromRecordItem(item);
    const organization = fromOrganizationItem(item);
    const unbegun = unbegunOf(organization)?.offboarding_id;
    const request = counted.find(({ offboarding_id }) => offboarding_id === unbegun);
    return request && !stored.has(`${item.organization_id} ${unbegun}`) ? recordOf(organization, request) : undefined;
  };
}

/** How many offboardings of a batch have each status; one without a record is `requested`, so that the sum is always what was accepted. */
async function countBatch(batch_id: string): Promise<Record<Status, number>> {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  const batch = await readBatch(batch_id);
  if (!batch || (batch.status !== 'accepted' && batch.status !== 'cancelled')) return counts;
  let recorded = 0;
  for await (const { status } of readIndex({ ...INDEXES.batch_id, value: batch_id })) {
    counts[status as Status] += 1;
    recorded += 1;
  }
  counts.requested += Math.max(0, batch.organization_ids.length - recorded);
  return counts;
}

/** What a record and each of its connections show to their readers: a new member is not shown by itself. */
const SHOWN =
  'offboarding_id organization_id organization_name batch_id status action grace_period connection_ids dry_run on_reenable end_sessions end_machine_access requested_by reason caller correlation_id request requested_at accepted_at updated_at ended_at removal_due_at attempts last_error next_try_at error superseded_by cancelled watch watch_ended drift_count last_drift_check_at client_grants remaining_access';
const OF_CONNECTION =
  'connection_id name strategy before outcome error disabled_by_offboarding added drifted_at reenabled_at';
const OF_SESSIONS = 'status members revocations_requested skipped failed error updated_at';

/** A record as its readers see it. */
export const toView = (record: OffboardingRecord) => ({
  ...pick(record, SHOWN),
  connections: record.connections.map((connection) => pick(connection, OF_CONNECTION)),
  ...(record.end_sessions && { sessions: sessionsView(record) }),
});

/** How far the ending of sessions has come. */
export const sessionsView = ({ sessions }: OffboardingRecord) => (sessions ? pick(sessions, OF_SESSIONS) : null);
