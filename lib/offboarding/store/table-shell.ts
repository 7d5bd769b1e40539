import * as table from '../../aws/table.ts';
import type { Batch } from '../model/batch.ts';
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
    // A later record is there: this one is out of date, and nobody misses it.
    await table.putProjection({ ...toRecordItem(record), revision: record.revision });
    return undefined;
  },
  readBatch: async ({ batch_id }) => {
    const item = await table.getItem(batchKey(batch_id));
    return item && fromBatchItem(item);
  },
  writeBatch: ({ batch, expected }: { batch: Batch; expected: string | undefined }) =>
    table.putItem(toBatchItem(batch, Date.now()), expected),
} satisfies Performer;
