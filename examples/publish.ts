// Requests an offboarding by event, as a service does that already publishes on EventBridge, and prints the event's id.
//
//   npm install @aws-sdk/client-eventbridge
//   EVENT_BUS_NAME=org-connections-prod AWS_REGION=… node publish.ts org_… contract-4711
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';

const [organization_id = '', idempotency_key = ''] = process.argv.slice(2);
const detail = {
  organization_id,
  action: 'disable_then_remove',
  grace_period: 'P30D',
  requested_by: 'billing',
  reason: 'contract ended',
  // Without a key the same event put twice is two offboardings. The SDK itself puts an event again when an answer is lost.
  idempotency_key,
};
const { Entries = [] } = await new EventBridgeClient().send(
  new PutEventsCommand({
    Entries: [
      {
        EventBusName: process.env.EVENT_BUS_NAME,
        Source: 'billing',
        DetailType: 'organization.offboarding.requested',
        Detail: JSON.stringify(detail),
      },
    ],
  }),
);
// PutEvents succeeds even when the bus refused the event.
const [{ EventId, ErrorCode, ErrorMessage } = {}] = Entries;
if (!EventId) throw new Error(`The bus refused the event: ${ErrorCode} ${ErrorMessage}`);
// Every outcome event has it as detail.request.id.
console.log(EventId);
