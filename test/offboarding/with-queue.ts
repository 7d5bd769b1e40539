// What tests of the queue and of its deliveries start from: the code in this process, its real clients against the stand-ins.
import { randomUUID } from 'node:crypto';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';
import { DEAD_LETTERS, type LocalEnvironment, QUEUE, startEnvironment } from '../../infra/local/environment.ts';
import { record } from './records.ts';

export const DUE = 'organization.offboarding.due';
export const REQUESTED = 'organization.offboarding.requested';
export let local: LocalEnvironment;
export let queue: typeof import('../../lib/offboarding/queue.ts');
export let receiveCountOf: typeof import('../../lib/aws/queue.ts').receiveCountOf;
export let delivery: typeof import('../../lib/offboarding/delivery.ts');
export let records: typeof import('../../lib/offboarding/record.ts');
export let organizations: typeof import('../../lib/offboarding/organization.ts');
export let sqs: SQSClient;
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  queue = await import('../../lib/offboarding/queue.ts');
  ({ receiveCountOf } = await import('../../lib/aws/queue.ts'));
  delivery = await import('../../lib/offboarding/delivery.ts');
  records = await import('../../lib/offboarding/record.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
  sqs = new SQSClient({});
});
afterAll(() => local.close());
export const lines: Record<string, unknown>[] = [];
beforeEach(async () => {
  lines.length = 0;
  local.aws.clearFaults();
  local.tenant.clearFaults();
  local.aws.purge(QUEUE);
  local.aws.purge(DEAD_LETTERS);
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(JSON.parse(String(line))) > 0);
  // What a container has learned of an outage is over.
  for (const group of ['single', 'batch', 'watch']) await deliver(await received(notice('org_NobodyAsked0000'), group));
  local.aws.purge(QUEUE);
  lines.length = 0;
  local.tenant.clearCalls();
});
afterEach(() => void vi.restoreAllMocks());

export const notice = (organization_id: string, offboarding_id?: string) =>
  JSON.stringify({ 'detail-type': DUE, detail: { organization_id, offboarding_id } });
export const anOrg = () => `org_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
export const waiting = (name = QUEUE) =>
  local.aws.messages(name).map(({ body, group }) => ({ group, ...JSON.parse(body) }));
/** How long the queue's message is hidden from now on, seconds. */
export const hiddenFor = (id: string) =>
  Math.round(((local.aws.messages(QUEUE).find((one) => one.id === id)?.visibleAt ?? 0) - Date.now()) / 1000);
/** The message as Lambda hands it out. */
export async function received(body: string, group = 'single', count = 1): Promise<SQSRecord> {
  local.aws.purge(QUEUE);
  local.aws.send(QUEUE, body, group);
  const take = new ReceiveMessageCommand({ QueueUrl: local.environment.OFFBOARDING_QUEUE_URL });
  const { Messages: [message] = [] } = await sqs.send(take);
  const attributes = {
    MessageGroupId: group,
    ApproximateReceiveCount: String(count),
    SentTimestamp: String(Date.now() - 50),
  };
  return {
    messageId: message?.MessageId,
    receiptHandle: message?.ReceiptHandle,
    body,
    attributes,
  } as unknown as SQSRecord;
}
export const deliver = (message: SQSRecord, ms = 20_000) => delivery.deliver(message, Date.now() + ms, 'request');
export const event = (detail: object, more: object = {}) =>
  JSON.stringify({
    id: randomUUID(),
    source: 'billing',
    account: '1',
    time: new Date().toISOString(),
    'detail-type': REQUESTED,
    detail,
    ...more,
  });
export const asks = (organization_id: string, more: object = {}) => ({
  organization_id,
  action: 'disable',
  requested_by: 'billing',
  reason: 'ended',
  ...more,
});
export const withConnection = (...ids: string[]) => {
  const org = anOrg();
  local.tenant.setOrganizations({ [org]: ids.map((connection_id) => ({ connection_id })) });
  return org;
};
export const told = (organization_id: string) =>
  local.aws.events.filter(
    ({ source, detail }) => source === 'org-connections' && detail.organization_id === organization_id,
  );

/** A record of the organization as new, asked for a second ago where `more` does not say when, and admitted. */
export async function put(organization_id: string, more: object) {
  const time = new Date(Date.now() - 1000).toISOString();
  const times = { asked_at: time, created_at: time };
  const made = await records.put({ ...record(randomUUID(), times), ...more, organization_id, version: '' });
  await organizations.admit(made);
  return made;
}
