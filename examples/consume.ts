// A Lambda function that keeps a table of what became of each offboarding. Its rule on the stage's bus, without dry runs:
//
//   { "source": ["org-connections"], "detail": { "dry_run": [false] }, "detail-type": [
//     "organization.offboarding.scheduled", "organization.offboarding.superseded", "organization.offboarding.completed",
//     "organization.offboarding.cancelled", "organization.offboarding.failed", "organization.offboarding.drifted"] }
//
// The table (TABLE_NAME) has the partition key `event_key`. npm install @aws-sdk/client-dynamodb @types/aws-lambda
import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { EventBridgeEvent } from 'aws-lambda';

interface Detail {
  offboarding_id: string;
  organization_id: string | null;
  removal_due_at?: string;
  cancelled?: { at: string };
  connections: { connection_id: string; outcome: string }[];
}
const table = new DynamoDBClient();

/**
 * What tells one step of one offboarding from every other. An event may come twice, also with another `id`. `drifted` alone needs
 * the `id`: an offboarding can drift many times. `failed` needs `cancelled.at`: a failed offboarding can fail again when cancelled.
 */
function keyOf({ id, 'detail-type': type, detail }: EventBridgeEvent<string, Detail>): string {
  const parts = [type, detail.offboarding_id, detail.cancelled?.at, type.endsWith('.drifted') ? id : undefined];
  return parts.filter((part) => part !== undefined).join(' ');
}

export async function handler(event: EventBridgeEvent<string, Detail>): Promise<void> {
  const { organization_id, removal_due_at, connections } = event.detail;
  const Item = {
    event_key: { S: keyOf(event) },
    published_at: { S: event.time },
    ...(organization_id && { organization_id: { S: organization_id } }),
    ...(removal_due_at && { removal_due_at: { S: removal_due_at } }),
    connections: { S: connections.map(({ connection_id, outcome }) => `${connection_id} ${outcome}`).join(', ') },
  };
  // The key and the effect are one write, so a repetition changes nothing and a crash loses nothing.
  const put = { TableName: process.env.TABLE_NAME, Item, ConditionExpression: 'attribute_not_exists(event_key)' };
  try {
    await table.send(new PutItemCommand(put));
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}
