// The offboarding queue and what is done with one message of it, in this process: the real clients against the stand-ins.
import { randomUUID } from 'node:crypto';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEAD_LETTERS, type LocalEnvironment, QUEUE, startEnvironment } from '../../infra/local/environment.ts';
import { record, scheduled } from './records.ts';

const DUE = 'organization.offboarding.due';
const REQUESTED = 'organization.offboarding.requested';
let local: LocalEnvironment;
let queue: typeof import('../../lib/offboarding/queue.ts');
let receiveCountOf: typeof import('../../lib/aws/queue.ts').receiveCountOf;
let delivery: typeof import('../../lib/offboarding/delivery.ts');
let records: typeof import('../../lib/offboarding/record.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
let sqs: SQSClient;
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
const lines: Record<string, unknown>[] = [];
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

const notice = (organization_id: string, offboarding_id?: string) =>
  JSON.stringify({ 'detail-type': DUE, detail: { organization_id, offboarding_id } });
const anOrg = () => `org_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
const waiting = (name = QUEUE) => local.aws.messages(name).map(({ body, group }) => ({ group, ...JSON.parse(body) }));
/** How long the queue's message is hidden from now on, seconds. */
const hiddenFor = (id: string) =>
  Math.round(((local.aws.messages(QUEUE).find((one) => one.id === id)?.visibleAt ?? 0) - Date.now()) / 1000);
/** The message as Lambda hands it out. */
async function received(body: string, group = 'single', count = 1): Promise<SQSRecord> {
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
const deliver = (message: SQSRecord, ms = 20_000) => delivery.deliver(message, Date.now() + ms, 'request');
const event = (detail: object, more: object = {}) =>
  JSON.stringify({
    id: randomUUID(),
    source: 'billing',
    account: '1',
    time: new Date().toISOString(),
    'detail-type': REQUESTED,
    detail,
    ...more,
  });
const asks = (organization_id: string, more: object = {}) => ({
  organization_id,
  action: 'disable',
  requested_by: 'billing',
  reason: 'ended',
  ...more,
});
const withConnection = (...ids: string[]) => {
  const org = anOrg();
  local.tenant.setOrganizations({ [org]: ids.map((connection_id) => ({ connection_id })) });
  return org;
};
const told = (organization_id: string) =>
  local.aws.events.filter(
    ({ source, detail }) => source === 'org-connections' && detail.organization_id === organization_id,
  );

describe('notices', () => {
  test('are sent each in its group, more than one call takes, and none equals another', async () => {
    const due = Array.from({ length: 23 }, (_, i) => ({
      organization_id: `org_${i}`,
      priority: (['single', 'batch', 'watch'] as const)[i % 3] ?? 'single',
    }));
    await queue.sendDue(due);
    await queue.sendDue(due.slice(0, 1));
    const all = waiting().map(({ group, detail, ...rest }) => ({ priority: group, ...detail, ...rest }));
    expect(all.length).toBe(24);
    for (const one of due) expect(all).toContainEqual({ ...one, 'detail-type': DUE });
  });
  test('of which the queue takes a part only are told as not sent', async () => {
    local.aws.addFaults({ operation: 'SendMessageBatch', entries: [1] });
    const due = [1, 2, 3].map((i) => ({ organization_id: `org_${i}`, priority: 'single' as const }));
    await expect(queue.sendDue(due)).rejects.toThrow(/rejected messages: \w/);
  });
});

describe('a message', () => {
  test('is of the group that it says, else of the first, and was received once at least', () => {
    const of = (attributes: object | undefined) => [
      queue.priorityOf({ attributes } as SQSRecord),
      receiveCountOf({ attributes } as SQSRecord),
    ];
    for (const MessageGroupId of ['single', 'batch', 'watch'])
      expect(of({ MessageGroupId, ApproximateReceiveCount: '3' })).toEqual([MessageGroupId, 3]);
    expect(of({ MessageGroupId: 'x' })).toEqual(['single', 1]);
    expect(of({})).toEqual(['single', 1]);
    expect(of(undefined)).toEqual(['single', 1]);
  });
  test('is hidden for whole seconds, and never for longer than SQS takes', async () => {
    const hide = async (ms: number) => {
      const message = await received('{}');
      await queue.changeVisibility(message, ms);
      return hiddenFor(message.messageId);
    };
    expect(await hide(4200)).toBe(5);
    expect(await hide(1e12)).toBe(12 * 3600 - 60);
    await hide(-1);
  });
  test('goes to the end of its group as it is, however often', async () => {
    const message = await received(notice('org_1'), 'batch');
    for (let i = 0; i < 2; i++) await queue.requeue(message);
    expect(
      waiting().filter(({ group, detail }) => group === 'batch' && detail.organization_id === 'org_1').length,
    ).toBe(3);
  });
  test('that is given up is left with its reason', async () => {
    await queue.sendToDeadLetterQueue('{"x":1}', 'batch', 'r'.repeat(600));
    const [left] = local.aws.messages(DEAD_LETTERS);
    expect(left).toMatchObject({
      body: '{"x":1}',
      group: 'batch',
      attributes: { reason: { DataType: 'String', StringValue: 'r'.repeat(500) } },
    });
    for (const Attributes of [undefined, { RedrivePolicy: '{}' }]) {
      local.aws.addFaults({ operation: 'GetQueueAttributes', answer: { Attributes } });
      await expect(queue.sendToDeadLetterQueue('x', 'batch', 'r')).rejects.toThrow('no dead-letter queue');
    }
  });
});

describe('a delivery', () => {
  test('of a request disables what is there, and tells', async () => {
    const org = withConnection('con_A');
    const message = await received(event(asks(org, { correlation_id: 'c-1' })));
    expect(await deliver(message)).toBe(true);
    expect(told(org)).toMatchObject([
      { 'detail-type': 'organization.offboarding.completed', detail: { connections: [{ outcome: 'disabled' }] } },
    ]);
    expect(lines.at(-1)).toMatchObject({
      code: 'offboarding_delivery_ended',
      priority: 'single',
      done: true,
      organization_id: org,
      correlation_id: 'c-1',
      request_id: 'request',
      message_id: message.messageId,
      offboarding_id: JSON.parse(message.body).id,
    });
    expect(lines.at(-1)?.waited_ms).toBeGreaterThanOrEqual(50);
    expect(lines.at(-1)?.waited_ms).toBeLessThan(1e9);
    const before = local.aws.calls.length;
    expect(await deliver(message), 'a second time there is nothing to do').toBe(true);
    expect(told(org).length).toBe(1);
    expect(local.aws.calls.slice(before)).not.toContain('PutItem');
  });
  test('of a request to remove later tells Scheduler', async () => {
    const org = withConnection('con_A');
    await deliver(await received(event(asks(org, { action: 'disable_then_remove', grace_period: 'P2D' }))));
    expect([...local.aws.schedules.keys()].filter((name) => name.includes(org)).length).toBe(1);
    expect(told(org)).toMatchObject([{ 'detail-type': 'organization.offboarding.scheduled' }]);
  });
  test('of what is no message ends in its event and its dead letter, out of a replay in neither', async () => {
    const invalid = event({ action: 'x' });
    expect(await deliver(await received(invalid, 'batch'))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      {
        body: invalid,
        group: 'batch',
        attributes: { reason: { StringValue: expect.stringMatching(/^invalid_message: .*organization_id/) } },
      },
    ]);
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'offboarding_dead_lettered',
        level: 'ERROR',
        reason: expect.objectContaining({ code: 'invalid_message' }),
      }),
    );
    local.aws.purge(DEAD_LETTERS);
    expect(await deliver(await received(event({ action: 'x' }, { 'replay-name': 'r' })))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS).length).toBe(0);
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'replayed_event_ignored',
        level: 'WARN',
        error: expect.objectContaining({ code: 'invalid_message' }),
      }),
    );
    await deliver(await received('7'));
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { attributes: { reason: { StringValue: expect.stringContaining('message: ') } } },
    ]);
    local.aws.purge(DEAD_LETTERS);
    await deliver(await received('no JSON'));
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { body: 'no JSON', attributes: { reason: { StringValue: 'invalid_message: The message is not JSON' } } },
    ]);
  });
  test("that can never be carried out, for the service's own record is not there, ends so, too", async () => {
    const org = anOrg();
    expect(await deliver(await received(event(asks(org), { source: 'org-connections' })))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { attributes: { reason: { StringValue: expect.stringContaining('invalid_body') } } },
    ]);
    expect(told(org)).toMatchObject([
      { 'detail-type': 'organization.offboarding.failed', detail: { error: { code: 'invalid_body' } } },
    ]);
  });
  test('of an event that failed leaves it, of a dry run or of what came over HTTP nothing', async () => {
    const failing = async (more: object, over: object = {}) => {
      local.aws.purge(DEAD_LETTERS);
      const org = anOrg();
      const body = event(asks(org, more), over);
      await deliver(await received(body));
      expect(told(org).at(-1)).toMatchObject({ 'detail-type': 'organization.offboarding.failed' });
      return local.aws.messages(DEAD_LETTERS).map((one) => one.body === body);
    };
    expect(await failing({})).toEqual([true]);
    expect(await failing({ dry_run: true })).toEqual([]);
    const org = anOrg();
    local.aws.purge(DEAD_LETTERS);
    const own = { id: 'own', source: 'org-connections', time: new Date().toISOString() };
    const other = { ...own, id: 'other', source: 'billing' };
    for (const request of [own, other])
      await put(org, { request, offboarding_id: request.id, reason: 'gone', requested_by: 'crm' });
    await deliver(await received(notice(org)));
    const left = local.aws.messages(DEAD_LETTERS).map(({ body }) => JSON.parse(body));
    expect(left, 'as the event that it was').toEqual([
      {
        ...other,
        'detail-type': REQUESTED,
        detail: { organization_id: org, action: 'disable', requested_by: 'crm', reason: 'gone' },
      },
    ]);
  });
  /** A record of the organization, admitted. */
  async function put(organization_id: string, more: object) {
    const time = new Date(Date.now() - 1000).toISOString();
    const times = { asked_at: time, created_at: time };
    const made = await records.put({ ...record(randomUUID(), times), organization_id, ...more }, true);
    await organizations.admit(made);
    return made;
  }
  test('of a notice costs one read where nothing is due', async () => {
    const org = anOrg();
    const before = local.aws.calls.length;
    expect(await deliver(await received(notice(org)))).toBe(true);
    const made = local.aws.calls.slice(before).filter((call) => !call.includes('Message'));
    expect(made).toEqual(['GetItem']);
  });
  test('of a schedule that fired too early sets it again', async () => {
    const org = anOrg();
    const due = scheduled('s', { removal_due_at: new Date(Date.now() + 3_600_000).toISOString() });
    await records.put({ ...due, organization_id: org }, true);
    await records.put({ ...record('w', { removal_due_at: due.removal_due_at }), organization_id: org }, true);
    const schedules = () => [...local.aws.schedules.keys()].filter((name) => name.includes(org)).length;
    await deliver(await received(notice(org)));
    await deliver(await received(notice(org, 'w')));
    await deliver(await received(notice(org, 'none')));
    expect(schedules()).toBe(0);
    await deliver(await received(notice(org, 's')));
    expect(schedules()).toBe(1);
  });
  test('of a cancelling that finds nothing does no more', async () => {
    const org = anOrg();
    const body = event(
      { organization_id: org, requested_by: 'x', reason: 'y' },
      { 'detail-type': 'organization.offboarding.cancellation_requested' },
    );
    const before = local.aws.calls.length;
    expect(await deliver(await received(body))).toBe(true);
    expect(local.aws.calls.slice(before)).not.toContain('PutItem');
    expect(told(org)).toMatchObject([{ detail: { error: { code: 'not_found' } } }]);
  });
});

describe('a delivery that fails for now', () => {
  const outage = () => local.tenant.addFaults({ status: 500, body: '<html>', times: 99 });
  const limit = (seconds: string) =>
    local.tenant.addFaults({ status: 429, body: { error: 'x' }, headers: { 'retry-after': seconds }, times: 99 });
  const fails = async (group = 'single', count = 1) => {
    local.tenant.clearCalls();
    const message = await received(event(asks(withConnection('con_A'))), group, count);
    const isDone = await deliver(message);
    return { isDone, hidden: hiddenFor(message.messageId), asked: local.tenant.calls().length, message };
  };
  test('is hidden for five seconds, after three errors in its group for thirty; another group waits no longer', async () => {
    outage();
    expect(await fails()).toMatchObject({ isDone: false, hidden: 5, asked: 2 });
    expect(lines.find(({ code }) => code === 'offboarding_waits')).toMatchObject({
      wait_ms: 5000,
      level: 'WARN',
      error: { name: 'Problem' },
    });
    expect(lines.at(-1)).toMatchObject({ done: false });
    // Half-open: one call shows whether it is over.
    expect(await fails()).toMatchObject({ hidden: 5, asked: 1 });
    expect(await fails()).toMatchObject({ hidden: 5 });
    expect(await fails()).toMatchObject({ hidden: 30 });
    expect(await fails('batch')).toMatchObject({ hidden: 5, asked: 2 });
    local.tenant.clearFaults();
    expect(await fails()).toMatchObject({ isDone: true });
    outage();
    expect(await fails(), 'it was over').toMatchObject({ hidden: 5, asked: 2 });
  });
  test('tells on record why, and when it is tried again', async () => {
    outage();
    const { message } = await fails();
    const { id, detail } = JSON.parse(message.body);
    const waits = await records.getRecord(detail.organization_id, id);
    expect(waits).toMatchObject({ last_error: { code: 'auth0_unavailable' }, attempts: 1 });
    expect(Date.parse(waits?.next_try_at ?? '')).toBeGreaterThan(Date.now() + 2000);
  });
  test('for the table can not be reached is no request that can never be carried out', async () => {
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    expect(await deliver(await received(event(asks(anOrg()))))).toBe(false);
    local.aws.clearFaults();
    expect(local.aws.messages(DEAD_LETTERS).length).toBe(0);
  });
  test('leaves a drift check for five minutes', async () => {
    outage();
    expect(await fails('watch')).toMatchObject({ hidden: 300 });
  });
  test('for the rate limit stays where it is for as long as that says, five times, and is no error of its group', async () => {
    limit('40');
    const { hidden, message, isDone } = await fails('batch');
    expect(isDone).toBe(false);
    expect(hidden).toBeGreaterThanOrEqual(40);
    expect(hidden).toBeLessThanOrEqual(45);
    const again = (count: number) =>
      deliver({ ...message, attributes: { ...message.attributes, ApproximateReceiveCount: String(count) } });
    expect(await again(5)).toBe(false);
    expect(waiting().length).toBe(1);
    expect(await again(6), 'to the end of its group').toBe(true);
    expect(waiting().length).toBe(2);
  });
  test('for its time is nearly over begins no write, and goes on at once', async () => {
    const message = await received(event(asks(withConnection('con_A'))));
    expect(await deliver(message, 2500)).toBe(false);
    expect(local.tenant.calls().map(({ method }) => method)).toEqual(['GET']);
    expect(hiddenFor(message.messageId)).toBeLessThanOrEqual(0);
    expect(await deliver(message, 20_000)).toBe(true);
  });
  test('goes to the end of its group when it comes back, that others have their turn', async () => {
    const message = await received(notice(anOrg()), 'single', 2);
    expect(await deliver(message)).toBe(true);
    expect(waiting().length).toBe(2);
  });
  test('for somebody else works on the organization waits for its turn, and is no error of its group', async () => {
    const wait = async () => {
      const org = withConnection('con_A');
      await organizations.take(org, 'other', Date.now() + 60_000);
      const message = await received(event(asks(org)));
      return { isDone: await deliver(message), hidden: hiddenFor(message.messageId) };
    };
    for (let i = 0; i < 4; i++) expect(await wait()).toEqual({ isDone: false, hidden: 2 });
    outage();
    expect(await fails()).toMatchObject({ hidden: 5, asked: 2 });
  });
  test('comes back by itself where the queue can not even be told', async () => {
    outage();
    local.aws.addFaults({ operation: 'ChangeMessageVisibility', error: 'AccessDenied' });
    expect(await fails()).toMatchObject({ isDone: false });
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'offboarding_wait_failed',
        level: 'ERROR',
        error: expect.objectContaining({ name: 'AccessDenied' }),
      }),
    );
  });
});
