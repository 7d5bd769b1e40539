// DynamoDB is dynalite's, and around it what AWS documents that one database in memory has not: readers that see the past,
// keys of a batch that are left over, and the writes that one partition takes in a second. Items past their expiry stay, as
// they may.
import { EventEmitter } from 'node:events';
import dynalite from 'dynalite';
import type { Call, Json } from './wire.ts';

interface Answer {
  status: number;
  body: string;
}
type Item = Record<string, object>;
interface Table {
  TableName: string;
  KeySchema: Key[];
  AttributeDefinitions: object[];
  GlobalSecondaryIndexes?: {
    IndexName: string;
    KeySchema: Key[];
    Projection: { ProjectionType: string; NonKeyAttributes?: string[] };
  }[];
}
type NewTable = { TableName: string } & Json;
type Key = { AttributeName: string; KeyType: string };

const WRITES = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem']);
const CREATE_AT_ONCE = { createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 };
/** A write of one kilobyte is one unit ("DynamoDB read and write operations"). */
const UNIT_BYTES = 1024;
const HEADERS = {
  'content-type': 'application/x-amz-json-1.0',
  'x-amz-date': '20260101T000000Z',
  authorization: 'AWS4-HMAC-SHA256 Credential=local, SignedHeaders=host, Signature=local',
};

const THROTTLED = {
  __type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
  message: 'The write throughput of a partition is exceeded: ',
};

type Database = ReturnType<typeof dynalite>;

/** One call of a database, without a socket between. */
function ask(database: Database, operation: string, body: string): Promise<Answer> {
  return new Promise((resolve) => {
    const headers = { ...HEADERS, 'x-amz-target': `DynamoDB_20120810.${operation}` };
    const request = Object.assign(new EventEmitter(), { headers, method: 'POST', url: '/' });
    const response = {
      statusCode: 200,
      setHeader() {},
      end: (text = '') => resolve({ status: response.statusCode, body: text }),
    };
    database.emit('request', request, response);
    request.emit('data', Buffer.from(body));
    request.emit('end');
  });
}

export function createDynamoDb() {
  const primary = dynalite(CREATE_AT_ONCE);
  const call = async (database: Database, operation: string, input: object): Promise<Json> => {
    const { status, body } = await ask(database, operation, JSON.stringify(input));
    if (status !== 200) throw new Error(`${operation}: ${body}`);
    return JSON.parse(body);
  };

  /** Creates a table; it is there when this resolves. */
  async function createTable(database: Database, table: NewTable): Promise<void> {
    await call(database, 'CreateTable', table);
    const isActive = async () => {
      const { Table } = await call(database, 'DescribeTable', { TableName: table.TableName });
      return Object(Table).TableStatus === 'ACTIVE';
    };
    while (!(await isActive())) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  // Readers that see the past

  let replica:
    | { database: Database; behind: { operation: string; body: string; at: number }[]; operations: number; ms: number }
    | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  /** One after the other: the replica repeats the writes in the order in which they were made. */
  function inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = queue.then(run);
    queue = result.catch(() => undefined);
    return result;
  }

  async function copyTables(database: Database): Promise<void> {
    for (const name of ((await call(primary, 'ListTables', {})).TableNames as string[]) ?? []) {
      const { KeySchema, AttributeDefinitions, GlobalSecondaryIndexes = [] } = await describe(name);
      const indexes = GlobalSecondaryIndexes.map(({ IndexName, KeySchema, Projection }) => ({
        IndexName,
        KeySchema,
        Projection,
      }));
      await createTable(database, {
        TableName: name,
        KeySchema,
        AttributeDefinitions,
        BillingMode: 'PAY_PER_REQUEST',
        ...(indexes.length && { GlobalSecondaryIndexes: indexes }),
      });
      for (let from: unknown; ; ) {
        const page = await call(primary, 'Scan', {
          TableName: name,
          ...(from !== undefined && { ExclusiveStartKey: from }),
        });
        for (const Item of page.Items as Item[]) await call(database, 'PutItem', { TableName: name, Item });
        from = page.LastEvaluatedKey;
        if (from === undefined) break;
      }
    }
  }

  async function catchUp(isDue: (write: { at: number }, left: number) => boolean): Promise<void> {
    const { database, behind } = replica ?? { behind: [] };
    while (behind[0] && isDue(behind[0], behind.length)) {
      const { operation, body } = behind.shift() as { operation: string; body: string };
      await ask(database as Database, operation, body);
    }
  }

  const isStale = (operation: string, input: Json) =>
    input.IndexName !== undefined ||
    (operation === 'BatchGetItem'
      ? Object.values(Object(input.RequestItems)).every((one) => !Object(one).ConsistentRead)
      : ['GetItem', 'Query', 'Scan'].includes(operation) && !input.ConsistentRead);

  // The writes of a partition

  let limit: number | undefined;
  const tables = new Map<string, Table>();
  const partitions = new Map<string, { second: number; units: number; most: number; all: number; throttled: number }>();

  async function describe(name: string): Promise<Table> {
    const table = tables.get(name) ?? ((await call(primary, 'DescribeTable', { TableName: name })).Table as Table);
    tables.set(name, table);
    return table;
  }

  const unitsOf = (item: Item | undefined) => Math.max(1, Math.ceil(JSON.stringify(item ?? {}).length / UNIT_BYTES));

  /** The units that a write costs each partition that it touches: the item's, and of each index those of its entry before and after. */
  async function costs(
    TableName: string,
    before: Item | undefined,
    after: Item | undefined,
  ): Promise<[partition: string, units: number][]> {
    const { KeySchema, GlobalSecondaryIndexes = [] } = await describe(TableName);
    const hashOf = (keys: Key[]) => keys[0]?.AttributeName ?? '';
    const at = (where: string, item: Item | undefined, keys: Key[]) =>
      `${where}/${JSON.stringify(Object.values(item?.[hashOf(keys)] ?? {})[0])}`;
    const found: [string, number][] = [
      [at(TableName, after ?? before, KeySchema), Math.max(unitsOf(before), unitsOf(after))],
    ];
    for (const { IndexName, KeySchema: keys, Projection } of GlobalSecondaryIndexes) {
      const names = [...keys, ...KeySchema]
        .map(({ AttributeName }) => AttributeName)
        .concat(Projection.NonKeyAttributes ?? []);
      const entryOf = (item: Item | undefined) => {
        if (!item || !keys.every(({ AttributeName }) => item[AttributeName])) return undefined;
        return Projection.ProjectionType === 'ALL'
          ? item
          : Object.fromEntries(names.filter((name) => item[name]).map((name) => [name, item[name] as object]));
      };
      const [old, now] = [entryOf(before), entryOf(after)];
      if (JSON.stringify(old) === JSON.stringify(now)) continue;
      const keyOf = (item: Item | undefined) =>
        item && JSON.stringify(keys.map(({ AttributeName }) => item[AttributeName]));
      // A changed key is an entry less and an entry more.
      if (old && keyOf(old) !== keyOf(now)) found.push([at(IndexName, old, keys), unitsOf(old)]);
      if (now) found.push([at(IndexName, now, keys), unitsOf(now)]);
    }
    return found;
  }

  function charge(found: [partition: string, units: number][]): string | undefined {
    const second = Math.floor(Date.now() / 1000);
    const touched = found.map(([name, units]) => {
      const partition = partitions.get(name) ?? { second, units: 0, most: 0, all: 0, throttled: 0 };
      partitions.set(name, partition);
      if (partition.second !== second) Object.assign(partition, { second, units: 0 });
      return { name, partition, units };
    });
    // One that is full throttles the write, and with it the table.
    const full = touched.find(({ partition, units }) => partition.units + units > (limit ?? Number.POSITIVE_INFINITY));
    if (full) full.partition.throttled += 1;
    if (full) return full.name;
    for (const { partition, units } of touched) {
      partition.units += units;
      partition.all += units;
      partition.most = Math.max(partition.most, partition.units);
    }
    return undefined;
  }

  /** Writes, unless a partition that it touches is full. What an update makes of an item is known when it is made: then it is undone. */
  async function writeWithinLimit(operation: string, input: Json): Promise<Answer> {
    const TableName = String(input.TableName);
    const { KeySchema } = await describe(TableName);
    const whole = (input.Item ?? input.Key) as Item;
    const Key = Object.fromEntries(KeySchema.map(({ AttributeName }) => [AttributeName, whole[AttributeName]]));
    const read = async () => {
      const { Item } = await call(primary, 'GetItem', { TableName, Key, ConsistentRead: true });
      return Item as Item | undefined;
    };
    const before = await read();
    const answer = await ask(primary, operation, JSON.stringify(input));
    if (answer.status !== 200) return answer;
    const full = charge(await costs(TableName, before, await read()));
    if (full === undefined) return answer;
    await (before
      ? call(primary, 'PutItem', { TableName, Item: before })
      : call(primary, 'DeleteItem', { TableName, Key }));
    return { status: 400, body: JSON.stringify({ ...THROTTLED, message: THROTTLED.message + full }) };
  }

  async function write(operation: string, body: string): Promise<Answer> {
    const isLimited = limit !== undefined && operation !== 'BatchWriteItem';
    const answer = isLimited
      ? await writeWithinLimit(operation, JSON.parse(body))
      : await ask(primary, operation, body);
    if (answer.status === 200 && replica) replica.behind.push({ operation, body, at: Date.now() });
    return answer;
  }

  /** Reads what is left of a batch when its last `count` keys are not processed. */
  async function readPart(database: Database, input: Json, count: number): Promise<Answer> {
    const [wanted, UnprocessedKeys]: [Json, Json] = [{}, {}];
    let left = count;
    for (const [table, request] of Object.entries(input.RequestItems as Record<string, { Keys: object[] }>)) {
      const keep = Math.max(0, request.Keys.length - left);
      left -= request.Keys.length - keep;
      if (keep > 0) wanted[table] = { ...request, Keys: request.Keys.slice(0, keep) };
      if (keep < request.Keys.length) UnprocessedKeys[table] = { ...request, Keys: request.Keys.slice(keep) };
    }
    const read = Object.keys(wanted).length
      ? await call(database, 'BatchGetItem', { ...input, RequestItems: wanted })
      : {};
    return { status: 200, body: JSON.stringify({ Responses: {}, ...read, UnprocessedKeys }) };
  }

  return {
    partitions,
    async run(operation: string, body: string, { fault }: Call = {}): Promise<Answer> {
      if (WRITES.has(operation))
        return replica || limit !== undefined ? inTurn(() => write(operation, body)) : ask(primary, operation, body);
      let database = primary;
      if (replica && isStale(operation, JSON.parse(body))) {
        const { operations, ms } = replica;
        database = replica.database;
        await inTurn(() => catchUp(({ at }, left) => left > operations || at + ms <= Date.now()));
      }
      if (operation === 'BatchGetItem' && fault?.leftOver) return readPart(database, JSON.parse(body), fault.leftOver);
      return ask(database, operation, body);
    },
    create: (table: NewTable) => createTable(primary, table),
    /**
     * From now on, what is read from an index, or without ConsistentRead, is as it was so many writes or milliseconds ago,
     * whichever is less; `staleReads()` ends it.
     */
    async staleReads(lag?: { operations?: number; ms?: number }): Promise<void> {
      await inTurn(async () => {
        if (!lag) {
          replica?.database.close();
          replica = undefined;
          return;
        }
        const { operations = Number.POSITIVE_INFINITY, ms = Number.POSITIVE_INFINITY } = lag;
        if (replica) return void Object.assign(replica, { operations, ms });
        const database = dynalite(CREATE_AT_ONCE);
        await copyTables(database);
        replica = { database, behind: [], operations, ms };
      });
    },
    /** From now on a partition, of the table or of an index, takes so many units of writes a second, and what it takes is counted. */
    limitWrites(perSecond: number | undefined) {
      limit = perSecond;
      partitions.clear();
    },
    close() {
      primary.close();
      replica?.database.close();
    },
  };
}
