import { setImmediate } from 'node:timers/promises';
import * as table from '../../aws/table.ts';
import type { Batch } from '../model/batch.ts';
import type { Organization } from '../model/organization.ts';
import {
  batchKey,
  fromBatchItem,
  fromOrganizationItem,
  fromRecordItem,
  organizationKey,
  toBatchItem,
  toOrganizationItem,
  toRecordItem,
} from './items.ts';
import type { Performer } from './shell.ts';

async function read<T>(key: table.Key, from: (item: table.Item) => T): Promise<T | undefined> {
  const item = await table.getItem(key);
  return item && from(item);
}

// What the table has now; undefined where there is nothing.
export const readOrganization = (id: string) => read(organizationKey(id), fromOrganizationItem);
export const readBatch = (id: string) => read(batchKey(id), fromBatchItem);
export const readRecord = (key: table.Key) => read(key, fromRecordItem);

/** Performs the effects of the table: each is one request to DynamoDB. */
export const TABLE_EFFECTS = {
  readOrganization: ({ organization_id }) => readOrganization(organization_id),
  writeOrganization: ({ item, expected }) => table.putItem(toOrganizationItem(item, Date.now()), expected),
  readRecord,
  writeRecord: async ({ record }) => {
    // Where a later record is there, this one is out of date, and nobody misses it.
    await table.putProjection({ ...toRecordItem(record), revision: record.revision });
  },
  readBatch: ({ batch_id }) => readBatch(batch_id),
  writeBatch: ({ batch, expected }: { batch: Batch; expected: string | undefined }) =>
    table.putItem(toBatchItem(batch, Date.now()), expected),
} satisfies Performer;

/** The organizations that the next request asks for, and what it finds; as many as `CALLS_AT_ONCE`, of the hundred that BatchGetItem takes. */
let waiting: { ids: string[]; found: Promise<Organization[]> } | undefined;

function readSoon() {
  const ids: string[] = [];
  const read = async () => {
    await setImmediate();
    waiting = undefined;
    return (await table.getItems(ids.map(organizationKey))).map(fromOrganizationItem);
  };
  return { ids, found: read() };
}

/** For a function that reads many organizations: those that it asks for at the same time are one request to DynamoDB. */
export const READ_TOGETHER = {
  readOrganization: async ({ organization_id }) => {
    waiting ??= readSoon();
    waiting.ids.push(organization_id);
    return (await waiting.found).find((one) => one.organization_id === organization_id);
  },
} satisfies Performer;
