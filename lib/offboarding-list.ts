import { createHmac, timingSafeEqual } from 'node:crypto';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import * as v from 'valibot';
import { parseAs, parseJson } from './json.ts';
import type { Offboarding, Status } from './offboarding-record.ts';
import * as records from './offboarding-record.ts';
import { Problem } from './problem.ts';

// An index says which offboardings there are, some moments late, and holds keys alone; what is shown is read from the table
// itself, as it is now. Memory and cost are those of one page, however many records the table has.

/** What a list is asked by, with the index that serves it; by status, what is due or has waited longest comes first. */
const INDEXES = { organization_id: 'by_organization', batch_id: 'by_batch', status: 'by_status' } as const;
export type ListedBy = keyof typeof INDEXES;

const Position = v.objectWithRest({ organization_id: v.string(), offboarding_id: v.string() }, v.string());
type Position = v.InferOutput<typeof Position>;

/** The signature of a position in the list of `by`: with a secret of the record that is there. */
const sign = (list: [by: ListedBy, value: string], encoded: string, { cursor_key }: Offboarding) =>
  createHmac('sha256', cursor_key)
    .update(JSON.stringify([list, encoded]))
    .digest();

/** Where the list goes on; throws `invalid_query` for a cursor that is not one of its own. */
async function positionOf(list: [by: ListedBy, value: string], cursor: string): Promise<Position> {
  const [encoded = '', signature = ''] = cursor.split('.');
  const position = parseAs(Position, parseJson(Buffer.from(encoded, 'base64url').toString()));
  const record = position && (await records.getRecord(position.organization_id, position.offboarding_id));
  const given = Buffer.from(signature, 'base64url');
  if (record && given.length === 32 && timingSafeEqual(given, sign(list, encoded, record))) return position;
  throw new Problem('invalid_query', 'cursor: must be the one that a page of this list came with');
}

/** A page of offboardings and the cursor of the next; null when this is the last. Throws `invalid_query`. */
export async function listOffboardings(by: ListedBy, value: string, Limit: number, cursor: string | undefined) {
  const start = cursor === undefined ? undefined : await positionOf([by, value], cursor);
  const { Items = [], LastEvaluatedKey } = await records.queryPage({
    ...records.whereEqual(by, value, INDEXES[by]),
    ScanIndexForward: by === 'status',
    Limit,
    ExclusiveStartKey: start && marshall(start),
  });
  const found = await records.getRecords(Items.map((item) => unmarshall(item) as Position));
  const last = LastEvaluatedKey && found.at(-1);
  const encoded = LastEvaluatedKey && Buffer.from(JSON.stringify(unmarshall(LastEvaluatedKey))).toString('base64url');
  return {
    // The index may be late: what has another status by now is not one of these.
    offboardings: found.filter((record) => record[by] === value),
    cursor: last && encoded ? `${encoded}.${sign([by, value], encoded, last).toString('base64url')}` : null,
  };
}

/** How many offboardings of a batch have each status. */
export async function countBatch(batchId: string): Promise<Record<Status, number>> {
  const counts = Object.fromEntries(records.STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  for await (const item of records.queryAll(records.whereEqual('batch_id', batchId, INDEXES.batch_id)))
    counts[unmarshall(item).status as Status] += 1;
  return counts;
}

/** How many offboardings have a status; for the dashboard. */
export async function countStatus(status: Status): Promise<number> {
  let count = 0;
  for await (const _ of records.queryAll(records.whereEqual('status', status, INDEXES.status))) count += 1;
  return count;
}

/** The organizations that are due for a check, those that have waited longest first; `most` of them. */
export async function dueForCheck(most: number): Promise<{ organization_id: string; check_at: string }[]> {
  const due = new Map<string, { organization_id: string; check_at: string }>();
  const query = {
    IndexName: 'by_watch',
    KeyConditionExpression: 'watch = :on AND check_at <= :now',
    ExpressionAttributeValues: marshall({ ':on': 'on', ':now': new Date().toISOString() }),
  };
  for await (const item of records.queryAll(query)) {
    const { organization_id, check_at } = unmarshall(item);
    due.set(organization_id, { organization_id, check_at });
    if (due.size >= most) break;
  }
  return [...due.values()];
}
