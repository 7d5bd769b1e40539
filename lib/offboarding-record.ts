import { randomUUID } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { addDuration, type OffboardingRequest, type RequestOrigin } from './offboarding-request.ts';
import { Problem } from './problem.ts';

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

/** Whether nothing may follow `status`. */
export const hasEnded = (status: Status) => TRANSITIONS[status].length === 0;

/** Records are kept for as long after their end as the archive keeps events, seconds. */
const KEEP_SECONDS = 400 * 86_400;
const UNAVAILABLE_RETRY_S = 5;
/** The key of the item that has the signing key of cursors; no organization's id is like it. */
export const SIGNING_KEY = 'cursor-signing-key';

/** What was, or is to be, done to one connection. */
export interface ConnectionRecord {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  /** The association's settings from before the offboarding; null when the organization had no such connection. */
  before: Record<string, unknown> | null;
  /** Null until it is known. */
  outcome: 'disabled' | 'removed' | 'enabled' | 'unchanged' | 'failed' | null;
  error: { code: string; message: string } | null;
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
  request: RequestOrigin;
  status: Status;
  /** Another one with each write: a write is made upon the revision that its writer knows. */
  revision: string;
  created_at: string;
  updated_at: string;
  removal_due_at?: string | undefined;
  /** Deliveries that ended in a fault, the last fault, and when the work is tried again. */
  tries: number;
  last_error?: { code: string; message: string } | undefined;
  next_try_at?: string | undefined;
  /** Why nothing, or nothing more, could be done. */
  error?: { code: string; message: string } | undefined;
  connections: ConnectionRecord[];
  superseded_by?: string | undefined;
  ended_at?: string | undefined;
  /** Whether somebody enabling a connection again is looked for; when that was done, and when it is due again. */
  watch?: 'on' | 'ended' | undefined;
  looked_at?: string | undefined;
  look_at?: string | undefined;
  /** A look is disabling a connection again, until then at the latest. */
  disabling_until?: string | undefined;
  /** The outcome of this status is not on the bus yet. */
  unpublished?: boolean | undefined;
  /** What the caller sent along with an idempotency key, as a hash. */
  fingerprint?: string | undefined;
  /** Unix time in seconds; DynamoDB deletes the item some time after it. */
  expires_at?: number | undefined;
}

/** A conditional write was refused: the record is `current` by now (undefined: there is none). */
export class RecordChanged extends Error {
  readonly current: Offboarding | undefined;
  constructor(current: Offboarding | undefined) {
    super(`The record has changed; its status is ${current?.status ?? 'none'}`);
    this.name = 'RecordChanged';
    this.current = current;
  }
}

/** What DynamoDB throws, but for a refused condition, as the problem `record_unavailable`. */
export function unavailable(cause: unknown): never {
  if (cause instanceof ConditionalCheckFailedException) throw cause;
  throw new Problem('record_unavailable', 'The record of offboardings can not be reached', {
    retryAfter: UNAVAILABLE_RETRY_S,
    cause,
  });
}

export type NewOffboarding = Omit<
  Offboarding,
  'status' | 'revision' | 'created_at' | 'updated_at' | 'tries' | 'connections'
>;

/**
 * The table of offboardings. Each write is conditional on the status and the revision that the writer knows, so a decision
 * never rests on what a read returned; whoever loses gets `RecordChanged` with what won. Reads are strongly consistent.
 * A table that can not be reached is the problem `record_unavailable`.
 * (DynamoDB developer guide: "Condition expressions", "Read consistency".)
 */
export function createOffboardingRecords(TableName: string, client: DynamoDBClient) {
  async function get(organization_id: string, offboarding_id: string): Promise<Offboarding | undefined> {
    const Key = marshall({ organization_id, offboarding_id });
    const { Item } = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true })).catch(unavailable);
    return Item && fromItem(Item);
  }

  /** Puts `record` when `condition` holds of what is there; throws `RecordChanged` when it does not. */
  async function put(record: Offboarding, condition: string, values: Record<string, string>): Promise<Offboarding> {
    const names = values[':status'] && { ExpressionAttributeNames: { '#status': 'status' } };
    const expression = { ConditionExpression: condition, ...names };
    const parameters = Object.keys(values).length > 0 && { ExpressionAttributeValues: marshall(values) };
    try {
      const put = { TableName, Item: toItem(record), ...expression, ...parameters };
      await client.send(new PutItemCommand(put)).catch(unavailable);
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      const current = await get(record.organization_id, record.offboarding_id);
      // The SDK sends a write again when its answer was lost, and is then refused for its own first success.
      if (current?.revision !== record.revision) throw new RecordChanged(current);
    }
    return record;
  }

  /** Puts an item that is no offboarding, unless there is one of its key; returns the one that is there. */
  async function putOnce<T extends { organization_id: string; offboarding_id: string }>(item: T): Promise<T> {
    const { organization_id, offboarding_id } = item;
    const ConditionExpression = 'attribute_not_exists(offboarding_id)';
    const command = new PutItemCommand({ TableName, Item: marshall(item), ConditionExpression });
    const refused = await client
      .send(command)
      .catch(unavailable)
      .then(() => false, unlessRefused);
    if (!refused) return item;
    const Key = marshall({ organization_id, offboarding_id });
    const { Item } = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true })).catch(unavailable);
    return Item ? (unmarshall(Item) as T) : item;
  }

  /** Writes `changes` to the record as `known`, and its next status if it gets one. Condition: status and revision are as known. */
  function change(known: Offboarding, changes: Partial<Offboarding>, to?: Status): Promise<Offboarding> {
    const allowed: readonly Status[] = TRANSITIONS[known.status];
    if (to && !allowed.includes(to)) return Promise.reject(new RecordChanged(known));
    const now = new Date();
    const moved = to && { status: to, tries: 0, last_error: undefined, next_try_at: undefined, ...watching(known, to) };
    const ended = to &&
      hasEnded(to) && { ended_at: now.toISOString(), expires_at: Math.floor(now.getTime() / 1000) + KEEP_SECONDS };
    const record = { ...known, ...moved, ...ended, ...changes, ...stamp(now) };
    return put(record, '#status = :status AND revision = :revision', {
      ':status': known.status,
      ':revision': known.revision,
    });
  }

  return {
    get,

    /** Puts a new record as `requested`, or finds the one that is there. Condition: there is none of this key. */
    async create(request: NewOffboarding): Promise<{ record: Offboarding; created: boolean }> {
      const now = new Date();
      const fresh = { ...request, status: 'requested' as const, connections: [], tries: 0, ...stamp(now) };
      try {
        const record = { ...fresh, created_at: now.toISOString() };
        return { record: await put(record, 'attribute_not_exists(offboarding_id)', {}), created: true };
      } catch (error) {
        if (error instanceof RecordChanged && error.current) return { record: error.current, created: false };
        throw error;
      }
    },

    /** requested → working: the connections that this is about are on record, nothing is done yet. */
    begin: (known: Offboarding, connections: ConnectionRecord[], removalDueAt?: string) =>
      change(known, { connections, removal_due_at: removalDueAt }, 'working'),

    /** What is done, or about to be done, to the connections. Allowed while the status is as known. */
    progress: (known: Offboarding, connections: ConnectionRecord[]) => change(known, { connections }),

    /** A delivery ended in a fault; the next is at `nextTryAt`. */
    waiting: (known: Offboarding, last_error: Offboarding['last_error'], nextTryAt: Date) =>
      change(known, { last_error, tries: known.tries + 1, next_try_at: nextTryAt.toISOString() }),

    /** working → scheduled: all is disabled, and Scheduler knows the date. */
    schedule: (known: Offboarding) => change(known, { unpublished: true }, 'scheduled'),

    /** scheduled → removing: from here on nobody can cancel. What could not be disabled is not removed. */
    startRemoving: (known: Offboarding) =>
      change(
        known,
        { connections: known.connections.map((one) => (one.outcome === 'failed' ? one : anew(one))) },
        'removing',
      ),

    /** working or removing → completed, or failed where a connection is not as it was to be, or for `error`. */
    finish(known: Offboarding, error?: { code: string; message: string }): Promise<Offboarding> {
      const connections = known.connections.map((connection) =>
        connection.outcome === null && error ? { ...connection, outcome: 'failed' as const, error } : connection,
      );
      const failed = error || connections.some(({ outcome }) => outcome === 'failed');
      return change(known, { connections, error, unpublished: true }, failed ? 'failed' : 'completed');
    },

    /** requested or scheduled → cancelling: from here on nobody can remove, and only here anything is enabled. */
    startCancelling: (known: Offboarding) => change(known, { connections: known.connections.map(anew) }, 'cancelling'),

    /** cancelling → cancelled: what this offboarding had disabled is enabled again. */
    finishCancelling: (known: Offboarding) => change(known, { unpublished: true }, 'cancelled'),

    /** requested → cancelled: it was never accepted, and has no outcome. */
    withdraw: async (known: Offboarding) => change(await change(known, {}, 'cancelling'), {}, 'cancelled'),

    /** scheduled → superseded: `later`, which is working, takes over what this one had disabled. */
    supersede: (known: Offboarding, later: Offboarding) =>
      change(known, { superseded_by: later.offboarding_id }, 'superseded'),

    /** The outcome of the status is on the bus. */
    published: (known: Offboarding) => change(known, { unpublished: undefined }),

    /** The connections of a scheduled or completed offboarding are looked at now, and again when they are due. */
    looking: (known: Offboarding) => change(known, { looked_at: new Date().toISOString(), look_at: nextLook() }),

    /** A look was cut off, or has to wait: it is due at once. */
    lookSoon: (known: Offboarding) => change(known, { look_at: new Date().toISOString() }),

    /** A look is about to disable again what somebody has enabled; cancelling and ending the watch wait for it until `until`. */
    disablingAgain: (known: Offboarding, connections: ConnectionRecord[], until: Date) =>
      change(known, { connections, disabling_until: until.toISOString() }),

    /** What a look has found, and did, is on record. */
    looked: (known: Offboarding, connections: ConnectionRecord[]) =>
      change(known, { connections, disabling_until: undefined }),

    /** The watch of a completed offboarding ends; nothing else changes. */
    endWatch: (known: Offboarding) => change(known, { watch: 'ended', look_at: undefined }),

    /** Whether a batch is this one: there was none of its id, or one that was asked for in the same words. */
    async createBatch(batchId: string, fingerprint: string): Promise<boolean> {
      const expires_at = Math.floor(Date.now() / 1000) + KEEP_SECONDS;
      const item = await putOnce({ organization_id: batchId, offboarding_id: 'batch', fingerprint, expires_at });
      return item.fingerprint === fingerprint;
    },

    /** The key that cursors are signed with: `fresh`, unless the table has one. */
    async signingKey(fresh: string): Promise<string> {
      const item = await putOnce({ organization_id: SIGNING_KEY, offboarding_id: SIGNING_KEY, fingerprint: fresh });
      return item.fingerprint;
    },
  };
}

/** What may be asked of the table beside single records; apart from them, as a function may do only what it needs to. */
export function createOffboardingQueries(TableName: string, client: DynamoDBClient) {
  /** The items of a query, page by page; as many as the reader takes. */
  async function* query(parameters: Omit<QueryCommandInput, 'TableName'>) {
    let ExclusiveStartKey: QueryCommandInput['ExclusiveStartKey'];
    do {
      const page = new QueryCommand({ TableName, ...parameters, ExclusiveStartKey });
      const { Items = [], LastEvaluatedKey } = await client.send(page).catch(unavailable);
      yield* Items;
      ExclusiveStartKey = LastEvaluatedKey;
    } while (ExclusiveStartKey);
  }

  return {
    /** Every record of an organization, oldest first; strongly consistent. */
    async ofOrganization(organizationId: string): Promise<Offboarding[]> {
      const found: Offboarding[] = [];
      const parameters = {
        ConsistentRead: true,
        KeyConditionExpression: 'organization_id = :organization_id',
        ExpressionAttributeValues: marshall({ ':organization_id': organizationId }),
      };
      for await (const item of query(parameters)) found.push(fromItem(item));
      return found.sort(byTime);
    },

    /** How many records have a status, by the index; for the dashboard. */
    async count(status: Status): Promise<number> {
      let count = 0;
      const parameters = {
        IndexName: 'by_status',
        KeyConditionExpression: '#status = :status',
        ExpressionAttributeNames: { '#status': 'status' },
        ExpressionAttributeValues: marshall({ ':status': status }),
      };
      for await (const _ of query(parameters)) count += 1;
      return count;
    },

    /** The organizations that are due for a look, those that have waited longest first; `most` of them. */
    async dueForLook(most: number): Promise<{ organization_id: string; look_at: string }[]> {
      const due = new Map<string, { organization_id: string; look_at: string }>();
      const parameters = {
        IndexName: 'by_watch',
        KeyConditionExpression: 'watch = :on AND look_at <= :now',
        ExpressionAttributeValues: marshall({ ':on': 'on', ':now': new Date().toISOString() }),
      };
      for await (const item of query(parameters)) {
        const { organization_id, look_at } = unmarshall(item);
        due.set(organization_id, { organization_id, look_at });
        if (due.size >= most) break;
      }
      return [...due.values()];
    },
  };
}

export type OffboardingQueries = ReturnType<typeof createOffboardingQueries>;

export type OffboardingRecords = ReturnType<typeof createOffboardingRecords>;

/** Oldest first; a tie is broken by the id, so that everybody sees the same order. */
export function byTime(a: Offboarding, b: Offboarding): number {
  return `${a.created_at} ${a.offboarding_id}` < `${b.created_at} ${b.offboarding_id}` ? -1 : 1;
}

/** A connection as it is at the beginning of a status in which something is done to it. */
export const anew = (connection: ConnectionRecord): ConnectionRecord => ({
  ...connection,
  outcome: null,
  error: null,
  attempted: false,
});

/** What a status means for the watch: it is on while connections are disabled or removed and nobody has undone that. */
function watching({ dry_run }: Offboarding, to: Status) {
  if (dry_run || to === 'working') return {};
  const watched = to === 'scheduled' || to === 'completed';
  return watched ? { watch: 'on' as const, look_at: nextLook() } : { watch: undefined, look_at: undefined };
}

function nextLook(): string {
  const at = addDuration(new Date(), process.env.WATCH_INTERVAL || 'P1D');
  if (!at) throw new Error('Environment variable WATCH_INTERVAL is not an ISO 8601 duration');
  return at.toISOString();
}

function unlessRefused(error: unknown): true {
  if (error instanceof ConditionalCheckFailedException) return true;
  throw error;
}

const stamp = (now: Date) => ({ revision: randomUUID(), updated_at: now.toISOString() });

/** Settings are whatever Auth0 sends, numbers and depths that DynamoDB does not take included: they are kept as text. */
function toItem(record: Offboarding) {
  const connections = record.connections.map((connection) => ({
    ...connection,
    before: connection.before && JSON.stringify(connection.before),
  }));
  // What the index by status is sorted by: what is due, is tried again, or has changed.
  const due_at = record.status === 'scheduled' ? record.removal_due_at : (record.next_try_at ?? record.updated_at);
  return marshall({ ...record, connections, due_at }, { removeUndefinedValues: true });
}

/** Whether a completed offboarding has been watched for as long as the stage wants it. */
export function isWatchOver({ ended_at }: Offboarding): boolean {
  const end = ended_at && addDuration(new Date(ended_at), process.env.WATCH_FOR || 'P400D');
  return Boolean(end && end.getTime() < Date.now());
}

/** An item of the table as a record. */
export function fromItem(item: Parameters<typeof unmarshall>[0]): Offboarding {
  const { due_at: _, ...record } = unmarshall(item);
  for (const connection of record.connections) connection.before &&= JSON.parse(connection.before);
  return record as Offboarding;
}

/** The organization's current offboarding, of all its records, oldest first: the newest that is pending, or that has ended without being undone. */
export function currentOf(all: Offboarding[]): Offboarding | undefined {
  const pending = all.filter(({ status }) => !hasEnded(status));
  const last = all.filter(({ status, dry_run }) => !dry_run && status !== 'superseded').at(-1);
  return pending.at(-1) ?? (last?.status === 'cancelled' ? undefined : last);
}
