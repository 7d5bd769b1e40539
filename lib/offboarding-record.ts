import { randomUUID } from 'node:crypto';
import {
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  type QueryCommandOutput,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { addStageDuration } from './duration.ts';
import { AWS_CLIENT, required } from './environment.ts';
import type { OffboardingRequest } from './offboarding-request.ts';
import { Problem, RetryLater } from './problem.ts';

/**
 * The statuses of an offboarding, and those that may follow each. Nothing else changes a status, and what is done at Auth0
 * depends on it: disabling and removing at once in `working`, removing what is due in `removing`, enabling in `cancelling`.
 */
export const TRANSITIONS = {
  /** On record, not begun. */
  requested: ['working', 'cancelling'],
  /** Being disabled or removed. */
  working: ['completed', 'failed', 'scheduled'],
  /** Disabled; the removal is due at `removal_due_at`. */
  scheduled: ['removing', 'cancelling', 'superseded'],
  removing: ['completed', 'failed'],
  cancelling: ['cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
  /** A later request took over what this one had disabled. */
  superseded: [],
} as const satisfies Record<string, readonly string[]>;

export type Status = keyof typeof TRANSITIONS;
export const STATUSES = Object.keys(TRANSITIONS) as Status[];

/** Whether nothing may follow the record's status. */
export const hasEnded = ({ status }: Pick<Offboarding, 'status'>) => TRANSITIONS[status].length === 0;

/** Records are kept for as long after their end as the archive keeps events, seconds. */
const KEEP_SECONDS = 400 * 86_400;
const UNAVAILABLE_RETRY_S = 5;
/** Whoever was quicker has written by then, milliseconds. */
const RECORD_CHANGED_WAIT_MS = 1000;

/** What is wrong, as it is shown: a stable code and a sentence. */
export type Fault = { code: string; message: string };

/** What was, or is to be, done to one connection. */
export interface ConnectionRecord {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  /** The association's settings from before the offboarding; null when the organization had no such connection. */
  before: Record<string, unknown> | null;
  /** Null until it is known. */
  outcome: 'disabled' | 'removed' | 'enabled' | 'unchanged' | 'failed' | null;
  error: Fault | null;
  /** Whether Auth0 was asked to change it, or was about to be, since the status last changed. */
  attempted: boolean;
  /** Only what this offboarding itself disabled is ever enabled by its cancelling. */
  disabled_by_offboarding: boolean;
  /** Since when it is enabled again, until it is disabled or removed; the last times that this happened. */
  drifted_at?: string | undefined;
  reenabled_at?: string[] | undefined;
}

/** One request and what became of it: an item of the table, keyed by `organization_id` and `offboarding_id`. Times are ISO 8601. */
export interface Offboarding extends OffboardingRequest {
  offboarding_id: string;
  /** The event that it came as. */
  request: { id: string; source: string; time: string };
  status: Status;
  /** Another one with each write: a write is made upon the revision that its writer knows. */
  revision: string;
  created_at: string;
  updated_at: string;
  removal_due_at?: string | undefined;
  /** Deliveries that ended in a fault, the last fault, and when the work is tried again. */
  tries: number;
  last_error?: Fault | undefined;
  next_try_at?: string | undefined;
  /** Why nothing, or nothing more, could be done. */
  error?: Fault | undefined;
  connections: ConnectionRecord[];
  superseded_by?: string | undefined;
  ended_at?: string | undefined;
  /** Whether it is checked that nobody enables a connection again; when that was done, and when it is due again. */
  watch?: 'on' | 'ended' | undefined;
  checked_at?: string | undefined;
  check_at?: string | undefined;
  /** A check is disabling a connection again, until then at the latest. */
  disabling_until?: string | undefined;
  /** The outcome of this status is not on the bus yet. */
  unpublished?: boolean | undefined;
  /** What the caller sent along with an idempotency key, as a hash. */
  fingerprint?: string | undefined;
  /** Never shown: signs the cursors that end at this record. */
  cursor_key: string;
  /** Unix time in seconds; DynamoDB deletes the item some time after it. */
  expires_at?: number | undefined;
}

/** `request` may be left out by this service's own. */
export type NewOffboarding = OffboardingRequest &
  Pick<Offboarding, 'offboarding_id' | 'fingerprint'> &
  Partial<Pick<Offboarding, 'request'>>;

/** A conditional write was refused: the record is `current` by now (undefined: there is none). */
export class RecordChanged extends RetryLater {
  readonly current: Offboarding | undefined;

  constructor(current: Offboarding | undefined) {
    super(`The record has changed; its status is ${current?.status ?? 'none'}`, RECORD_CHANGED_WAIT_MS);
    this.current = current;
  }
}

const TableName = required('OFFBOARDINGS_TABLE');
const client = new DynamoDBClient(AWS_CLIENT);

/** What DynamoDB throws, but for a refused condition, as the problem `record_unavailable`. */
function unavailable(cause: unknown): never {
  if (cause instanceof ConditionalCheckFailedException) throw cause;
  const options = { retryAfter: UNAVAILABLE_RETRY_S, cause };
  throw new Problem('record_unavailable', 'The record of offboardings can not be reached', options);
}

/** The record as it is now; a strongly consistent read. Throws `record_unavailable`, as everything here does. */
export async function getRecord(organization_id: string, offboarding_id: string): Promise<Offboarding | undefined> {
  const Key = marshall({ organization_id, offboarding_id });
  const { Item } = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true })).catch(unavailable);
  return Item && fromItem(Item);
}

/** The records of these keys as they are now, in the same order; what is not there is left out. At most 100. */
export async function getRecords(keys: { organization_id: string; offboarding_id: string }[]): Promise<Offboarding[]> {
  const found: Offboarding[] = [];
  let Keys = keys.map(({ organization_id, offboarding_id }) => marshall({ organization_id, offboarding_id }));
  while (Keys.length > 0) {
    const get = new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } });
    const { Responses, UnprocessedKeys } = await client.send(get).catch(unavailable);
    found.push(...(Responses?.[TableName] ?? []).map(fromItem));
    Keys = UnprocessedKeys?.[TableName]?.Keys ?? [];
  }
  const keyOf = (one: (typeof keys)[number]) => `${one.organization_id} ${one.offboarding_id}`;
  const byKey = new Map(found.map((record) => [keyOf(record), record]));
  return keys.flatMap((key) => byKey.get(keyOf(key)) ?? []);
}

/**
 * Puts `record`. Condition: there is none of its key, or status and revision are those of `known`, so a decision never rests
 * on what a read returned. Whoever loses gets `RecordChanged` with what won. (DynamoDB: "Condition expressions".)
 */
async function put(record: Offboarding, known?: Offboarding): Promise<Offboarding> {
  const condition = known
    ? {
        ConditionExpression: '#status = :status AND revision = :revision',
        ExpressionAttributeNames: { '#status': 'status' },
        ExpressionAttributeValues: marshall({ ':status': known.status, ':revision': known.revision }),
      }
    : { ConditionExpression: 'attribute_not_exists(offboarding_id)' };
  try {
    await client.send(new PutItemCommand({ TableName, Item: toItem(record), ...condition })).catch(unavailable);
    return record;
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const current = await getRecord(record.organization_id, record.offboarding_id);
    // The SDK sends a write again when its answer was lost, and is then refused for its own first success.
    if (current?.revision === record.revision) return record;
    throw new RecordChanged(current);
  }
}

/** For `catch` of `put`: the record that was there. */
function existing(error: unknown): Offboarding {
  if (error instanceof RecordChanged && error.current) return error.current;
  throw error;
}

const stamp = (now: Date) => ({ revision: randomUUID(), updated_at: now.toISOString() });
const expiresAt = (now: Date) => Math.floor(now.getTime() / 1000) + KEEP_SECONDS;
const nextCheck = () => addStageDuration(new Date(), 'WATCH_INTERVAL').toISOString();

/** Writes `changes` to the record as `known`, and its next status if it gets one. */
async function change(known: Offboarding, changes: Partial<Offboarding>, to?: Status): Promise<Offboarding> {
  const allowed: readonly Status[] = TRANSITIONS[known.status];
  if (to && !allowed.includes(to)) throw new RecordChanged(known);
  const now = new Date();
  const moved = to && { status: to, tries: 0, last_error: undefined, next_try_at: undefined, ...watching(known, to) };
  const ended = to && hasEnded({ status: to }) && { ended_at: now.toISOString(), expires_at: expiresAt(now) };
  return put({ ...known, ...moved, ...ended, ...changes, ...stamp(now) }, known);
}

/** What a status means for the watch: it is on while connections are disabled or removed and nobody has undone that. */
function watching({ dry_run }: Offboarding, to: Status) {
  if (dry_run || to === 'working') return {};
  const watched = to === 'scheduled' || to === 'completed';
  return watched ? { watch: 'on' as const, check_at: nextCheck() } : { watch: undefined, check_at: undefined };
}

/** Puts a new record as `requested`, or finds the one that is there. */
export async function createRecord(request: NewOffboarding): Promise<Offboarding> {
  const now = new Date();
  const own = { id: request.offboarding_id, source: 'org-connections', time: now.toISOString() };
  const created = { status: 'requested' as const, created_at: own.time, tries: 0, connections: [] };
  return put({ request: own, ...request, ...created, cursor_key: randomUUID(), ...stamp(now) }).catch(existing);
}

/** Whether a batch is this one: there was none of its id, or one that was asked for in the same words. */
export async function createBatch(batchId: string, fingerprint: string): Promise<boolean> {
  const now = new Date();
  const key = { organization_id: batchId, offboarding_id: 'batch', connections: [] };
  // No offboarding, and in no index: it has no status.
  const header = { ...key, fingerprint, expires_at: expiresAt(now), ...stamp(now) } as object as Offboarding;
  return (await put(header).catch(existing)).fingerprint === fingerprint;
}

/** requested → working: the connections that this is about are on record, nothing is done yet. */
export const begin = (known: Offboarding, connections: ConnectionRecord[], removal_due_at?: string) =>
  change(known, { connections, removal_due_at }, 'working');

/** What is done, or about to be done, to the connections. Allowed while the status is as known. */
export const progress = (known: Offboarding, connections: ConnectionRecord[]) => change(known, { connections });

/** A delivery ended in a fault; the next is at `nextTryAt`. */
export const waiting = (known: Offboarding, last_error: Fault, nextTryAt: Date) =>
  change(known, { last_error, tries: known.tries + 1, next_try_at: nextTryAt.toISOString() });

/** working → scheduled: all is disabled, and Scheduler knows the date. */
export const schedule = (known: Offboarding) => change(known, { unpublished: true }, 'scheduled');

/** scheduled → removing: from here on nobody can cancel. What could not be disabled is not removed. */
export async function startRemoving(known: Offboarding): Promise<Offboarding> {
  const connections = known.connections.map((one) => (one.outcome === 'failed' ? one : fresh(one)));
  return change(known, { connections }, 'removing');
}

/** working or removing → completed, or failed where a connection is not as it was to be, or for `error`. */
export async function finish(known: Offboarding, error?: Fault): Promise<Offboarding> {
  const connections = known.connections.map((connection) =>
    connection.outcome === null && error ? { ...connection, outcome: 'failed' as const, error } : connection,
  );
  const failed = error || connections.some(({ outcome }) => outcome === 'failed');
  return change(known, { connections, error, unpublished: true }, failed ? 'failed' : 'completed');
}

/** requested or scheduled → cancelling: from here on nobody can remove, and only here anything is enabled. */
export const startCancelling = (known: Offboarding) =>
  change(known, { connections: known.connections.map(fresh) }, 'cancelling');

/** cancelling → cancelled: what this offboarding had disabled is enabled again. */
export const finishCancelling = (known: Offboarding) => change(known, { unpublished: true }, 'cancelled');

/** requested → cancelled: it was never accepted, and has no outcome. */
export const withdraw = async (known: Offboarding) => change(await change(known, {}, 'cancelling'), {}, 'cancelled');

/** scheduled → superseded: `later`, which is working, takes over what this one had disabled. */
export const supersede = (known: Offboarding, later: Offboarding) =>
  change(known, { superseded_by: later.offboarding_id }, 'superseded');

/** The outcome of the status is on the bus. */
export const published = (known: Offboarding) => change(known, { unpublished: undefined });

/** The connections of a scheduled or completed offboarding are checked now, and again when they are due. */
export const startCheck = (known: Offboarding) =>
  change(known, { checked_at: new Date().toISOString(), check_at: nextCheck() });

/** A check was cut off, or has to wait: it is due at once. */
export const checkSoon = (known: Offboarding) => change(known, { check_at: new Date().toISOString() });

/** A check is about to disable again what somebody has enabled; cancelling and ending the watch wait for it until `until`. */
export const disablingAgain = (known: Offboarding, connections: ConnectionRecord[], until: Date) =>
  change(known, { connections, disabling_until: until.toISOString() });

/** What a check has found, and did, is on record. */
export const finishCheck = (known: Offboarding, connections: ConnectionRecord[]) =>
  change(known, { connections, disabling_until: undefined });

/** The watch of a completed offboarding ends; nothing else changes. */
export const endWatch = (known: Offboarding) => change(known, { watch: 'ended', check_at: undefined });

/** A connection as it is at the beginning of a status in which something is done to it. */
export const fresh = (connection: ConnectionRecord): ConnectionRecord => ({
  ...connection,
  outcome: null,
  error: null,
  attempted: false,
});

type Query = Omit<QueryCommandInput, 'TableName'>;

/** A query for the items whose `attribute` is `value`: of the table for an organization, else of an index, which may be late. */
export const whereEqual = (attribute: string, value: string, IndexName?: string): Query => ({
  IndexName,
  KeyConditionExpression: '#attribute = :value',
  ExpressionAttributeNames: { '#attribute': attribute },
  ExpressionAttributeValues: marshall({ ':value': value }),
});

/** One page of a query. */
export const queryPage = (query: Query): Promise<QueryCommandOutput> =>
  client.send(new QueryCommand({ TableName, ...query })).catch(unavailable);

/** The items of a query; as many as the reader takes. */
export async function* queryAll(query: Query) {
  let start: QueryCommandInput['ExclusiveStartKey'];
  do {
    const { Items = [], LastEvaluatedKey } = await queryPage({ ...query, ExclusiveStartKey: start });
    yield* Items;
    start = LastEvaluatedKey;
  } while (start);
}

/** Every record of an organization, oldest first; strongly consistent. */
export async function recordsOf(organizationId: string): Promise<Offboarding[]> {
  const query = { ...whereEqual('organization_id', organizationId), ConsistentRead: true };
  const found: Offboarding[] = [];
  for await (const item of queryAll(query)) found.push(fromItem(item));
  return found.sort(byTime);
}

/** Oldest first; a tie is broken by the id, so that everybody sees the same order. */
export function byTime(a: Offboarding, b: Offboarding): number {
  return `${a.created_at} ${a.offboarding_id}` < `${b.created_at} ${b.offboarding_id}` ? -1 : 1;
}

/** The organization's current offboarding, of all its records, oldest first: the newest that is pending, or that has ended without being undone. */
export function currentOf(all: Offboarding[]): Offboarding | undefined {
  const last = all.filter(({ status, dry_run }) => !dry_run && status !== 'superseded').at(-1);
  return all.findLast((record) => !hasEnded(record)) ?? (last?.status === 'cancelled' ? undefined : last);
}

/**
 * The offboardings of an organization that are watched, newest first, of all its records, oldest first. A cancelling, or an
 * ended watch, means that the customer is back: what is older is over.
 */
export function watchedOf(all: Offboarding[]): Offboarding[] {
  const newestFirst = all.filter(({ dry_run, status }) => !dry_run && status !== 'superseded').reverse();
  const over = newestFirst.findIndex(({ status, watch }) => status === 'cancelled' || watch === 'ended');
  return newestFirst.slice(0, over < 0 ? undefined : over).filter(({ watch }) => watch === 'on');
}

/** Whether a check is disabling a connection of the offboarding right now: what would contradict it waits. */
export const isDisablingAgain = ({ disabling_until }: Offboarding) =>
  disabling_until !== undefined && Date.parse(disabling_until) > Date.now();

/** Settings are whatever Auth0 sends, numbers and depths that DynamoDB does not take included: they are kept as text. */
function toItem(record: Offboarding) {
  const connections = record.connections.map((one) => ({ ...one, before: one.before && JSON.stringify(one.before) }));
  // What the index by status is sorted by: what is due, is tried again, or has changed.
  const due_at = record.status === 'scheduled' ? record.removal_due_at : (record.next_try_at ?? record.updated_at);
  return marshall({ ...record, connections, due_at }, { removeUndefinedValues: true });
}

/** An item of the table as a record. */
export function fromItem(item: Parameters<typeof unmarshall>[0]): Offboarding {
  const { due_at: _, ...record } = unmarshall(item);
  for (const connection of record.connections) connection.before &&= JSON.parse(connection.before);
  return record as Offboarding;
}
