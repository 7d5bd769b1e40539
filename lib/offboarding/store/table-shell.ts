import * as table from '../../aws/table.ts';
import type { Batch } from '../model/batch.ts';
import { emptyOrganization, type Organization } from '../model/organization.ts';
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

/** The organization's item as it is now; an empty one where there is none. */
export async function readOrganization(organization_id: string): Promise<Organization> {
  const item = await table.getItem(organizationKey(organization_id));
  return item ? fromOrganizationItem(item) : emptyOrganization(organization_id);
}

/** Performs the effects of the table: each is one request to DynamoDB. */
export const TABLE_EFFECTS = {
  readOrganization: async ({ organization_id }) => {
    const item = await table.getItem(organizationKey(organization_id));
    return item && fromOrganizationItem(item);
  },
  writeOrganization: ({ item, expected }) => table.putItem(toOrganizationItem(item, Date.now()), expected),
  readRecord: async (key) => {
    const item = await table.getItem(key);
    return item && fromRecordItem(item);
  },
  writeRecord: async ({ record }) => {
    // Where a later record is there, this one is out of date, and nobody misses it.
    await table.putProjection({ ...toRecordItem(record), revision: record.revision });
  },
  readBatch: async ({ batch_id }) => {
    const item = await table.getItem(batchKey(batch_id));
    return item && fromBatchItem(item);
  },
  writeBatch: ({ batch, expected }: { batch: Batch; expected: string | undefined }) =>
    table.putItem(toBatchItem(batch, Date.now()), expected),
} satisfies Performer;

interface WaitingRead {
  organization_id: string;
  resolve: (found: Organization | undefined) => void;
  reject: (cause: unknown) => void;
}
let waiting: WaitingRead[] = [];

/** One request for all that waits: as many as `CALLS_AT_ONCE`, of the hundred that BatchGetItem takes. */
async function readWaiting(): Promise<void> {
  const reads = waiting;
  waiting = [];
  try {
    const items = await table.getItems(reads.map(({ organization_id }) => organizationKey(organization_id)));
    const found = new Map(items.map((item) => [item.organization_id, fromOrganizationItem(item)]));
    for (const { organization_id, resolve } of reads) resolve(found.get(organization_id));
  } catch (cause) {
    for (const { reject } of reads) reject(cause);
  }
}

/** For a function that reads many organizations: those that it asks for at the same time are one request to DynamoDB. */
export const READ_TOGETHER = {
  readOrganization: ({ organization_id }) =>
    new Promise((resolve, reject) => {
      waiting.push({ organization_id, resolve, reject });
      if (waiting.length === 1) setImmediate(readWaiting);
    }),
} satisfies Performer;
