// What becomes of a message of the offboarding queue: the real delivery, between the stand-ins of Auth0 and AWS.
import '../../own-modules.ts';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEAD_LETTERS, type LocalEnvironment, QUEUE } from '../../../infra/local/environment.ts';
import { createLog } from '../../../lib/log.ts';
import { startEnvironmentInProcess } from '../../in-process.ts';

let local: LocalEnvironment;
let sqs: SQSClient;
type Delivery = typeof import('../../../lib/offboarding/worker/delivery.ts');
let delivery: Delivery;
const lines: string[] = [];
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  sqs = new SQSClient({ endpoint: local.aws.url, region: 'us-east-1' });
});
/** Each test has a container of its own: it knows of no errors. */
beforeEach(async () => {
  vi.resetModules();
  delivery = await import('../../../lib/offboarding/worker/delivery.ts');
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  local.tenant.clearFaults();
  local.aws.clearFaults();
  for (const queue of [QUEUE, DEAD_LETTERS]) local.aws.purge(queue);
  lines.length = 0;
});
afterAll(() => local.close());

let organizations = 0;
function newOrganization(...ids: string[]) {
  const organization = `org_Delivery${String(++organizations).padStart(8, '0')}`;
  local.tenant.setOrganizations({ [organization]: ids.map((connection_id) => ({ connection_id })) });
  return organization;
}
const eventOf = (organization_id: string, detail: object = {}, envelope: object = {}) => ({
  ...{ id: randomUUID(), source: 'billing', account: '000000000000', time: new Date().toISOString() },
  'detail-type': 'organization.offboarding.requested',
  detail: { organization_id, action: 'disable', requested_by: 'billing', reason: 'contract ended', ...detail },
  ...envelope,
});
const dueOf = (organization_id: string) => ({
  'detail-type': 'organization.offboarding.due',
  detail: { organization_id },
});

/** The next message of the queue as Lambda gets it. */
async function receive(): Promise<SQSRecord> {
  const command = new ReceiveMessageCommand({
    QueueUrl: local.environment.OFFBOARDING_QUEUE_URL,
    MessageSystemAttributeNames: ['All'],
  });
  const [message] = (await sqs.send(command)).Messages ?? [];
  if (!message) throw new Error('the queue has no message that can be seen');
  const { MessageId, ReceiptHandle, Body, Attributes } = message;
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    attributes: Attributes,
  } as unknown as SQSRecord;
}
const send = (message: unknown, group = 'single') =>
  local.aws.send(QUEUE, typeof message === 'string' ? message : JSON.stringify(message), group);
const deliver = (record: SQSRecord, ms = 30_000) => delivery.deliver(record, Date.now() + ms, 'request');
/** Sends a message and delivers it. */
async function deliverNew(message: unknown, group?: string, ms?: number) {
  send(message, group);
  const record = await receive();
  return { record, isDone: await deliver(record, ms) };
}
/** Has a message be seen again, and delivers it once more. */
async function deliverAgain() {
  for (const message of local.aws.messages(QUEUE)) message.visibleAt = 0;
  local.aws.wake(QUEUE);
  return deliver(await receive());
}
const hiddenFor = () => Math.round(((local.aws.messages(QUEUE)[0]?.visibleAt ?? 0) - Date.now()) / 1000);
const letters = () =>
  local.aws.messages(DEAD_LETTERS).map(({ body, attributes, group }) => ({
    body,
    group,
    reason: (attributes.reason as { StringValue: string }).StringValue,
  }));
const eventsOf = (organization: string) =>
  local.aws.events.filter(
    ({ source, detail }) => source === 'org-connections' && detail.organization_id === organization,
  );
const isOff = (organization: string) =>
  local.tenant.state().organizations[organization]?.every(({ is_enabled }) => !is_enabled);
const logged = (code: string) =>
  lines.filter((line) => line.includes(`"code":"${code}"`)).map((line) => JSON.parse(line));

describe('a message that is done', () => {
  test('when a request by event arrives, it is carried out', async () => {
    const organization = newOrganization('con_1');
    const { isDone } = await deliverNew(eventOf(organization));
    expect([isDone, isOff(organization)]).toEqual([true, true]);
    expect(eventsOf(organization).map((one) => one['detail-type'])).toEqual(['organization.offboarding.completed']);
    const [ended] = logged('offboarding_delivery_ended');
    expect(ended).toMatchObject({
      priority: 'single',
      done: true,
      organization_id: organization,
      request_id: 'request',
    });
    expect(ended.waited_ms).toBeGreaterThanOrEqual(0);
    expect(logged('request_ignored')).toEqual([]);
  });
  test('when it has waited in the queue, the log says for how long', async () => {
    send(dueOf(newOrganization()));
    await sleep(50);
    expect(await deliver(await receive())).toBe(true);
    const [{ waited_ms }] = logged('offboarding_delivery_ended');
    expect(waited_ms).toBeGreaterThanOrEqual(50);
    expect(waited_ms).toBeLessThan(30_000);
  });
  test('when a due notice is about an organization that has nothing, it is done', async () => {
    expect((await deliverNew(dueOf(newOrganization()))).isDone).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS)).toEqual([]);
  });
  test('when the same event is delivered twice, it is carried out once', async () => {
    const organization = newOrganization('con_1');
    const event = eventOf(organization);
    for (let i = 0; i < 2; i++) {
      expect((await deliverNew(event)).isDone).toBe(true);
      local.aws.purge(QUEUE);
    }
    expect(eventsOf(organization).length).toBe(1);
  });
  test('when two events have one key and one body, they are one offboarding; with another body the second is given up', async () => {
    const organization = newOrganization('con_1');
    const keyed = (detail: object = {}) => eventOf(organization, { idempotency_key: 'k', ...detail });
    await deliverNew(keyed());
    local.aws.purge(QUEUE);
    await deliverNew(keyed());
    local.aws.purge(QUEUE);
    expect(eventsOf(organization).length).toBe(1);
    await deliverNew(keyed({ reason: 'another' }));
    expect(letters()[0]?.reason).toBe('idempotency_key_reused: The idempotency key was used with another body');
    expect(eventsOf(organization).map(({ detail }) => (detail.error as { code: string } | undefined)?.code)).toEqual([
      undefined,
      'idempotency_key_reused',
    ]);
  });
});

describe('a message that can never be carried out', () => {
  test('when it is not JSON, it is a dead letter with its reason, and a failed event', async () => {
    const before = local.aws.events.length;
    const { isDone } = await deliverNew('not json', 'batch');
    expect(isDone).toBe(true);
    expect(letters()).toEqual([
      { body: 'not json', group: 'batch', reason: 'invalid_message: The message is not JSON' },
    ]);
    expect(local.aws.events.slice(before).map((one) => one['detail-type'])).toEqual([
      'organization.offboarding.failed',
    ]);
    expect(logged('offboarding_dead_lettered')).toMatchObject([{ level: 'ERROR', error: { code: 'invalid_message' } }]);
  });
  test('when it is malformed, the reason says which member, and the event what can be read', async () => {
    const organization = newOrganization();
    await deliverNew(eventOf(organization, { action: 'destroy' }));
    expect(letters()[0]?.reason).toBe('invalid_message: detail.action: must be disable, remove or disable_then_remove');
    expect(eventsOf(organization)[0]?.detail).toMatchObject({ action: 'destroy', error: { code: 'invalid_message' } });
  });
  test('when it is JSON and no message, the reason says so', async () => {
    await deliverNew('5');
    expect(letters()[0]?.reason).toMatch(/^invalid_message: message: /);
  });
  test('while the bus is away it comes back, and is one dead letter all the same', async () => {
    local.aws.addFaults({ operation: 'PutEvents', error: 'InternalException', status: 500, times: 99 });
    const { record, isDone } = await deliverNew('not json');
    expect([isDone, letters().length]).toEqual([false, 1]);
    expect([await deliver(record), letters().length]).toEqual([false, 1]);
    local.aws.clearFaults();
    expect([await deliver(record), letters().length]).toEqual([true, 1]);
    // Another one of the same text is a dead letter of its own.
    await deliverNew('not json', 'batch');
    expect(letters().length).toBe(2);
  });

  test('when it comes out of a replay, it was given up before: nothing is told again', async () => {
    const organization = newOrganization();
    const { isDone } = await deliverNew(eventOf(organization, { action: 'destroy' }, { 'replay-name': 'r' }));
    expect([isDone, letters(), eventsOf(organization)]).toEqual([true, [], []]);
    expect(logged('replayed_event_ignored')).toMatchObject([{ level: 'WARN', error: { code: 'invalid_message' } }]);
  });
  test('when it says that it is the service’s own and is not on record, it is given up', async () => {
    const organization = newOrganization('con_1');
    for (const offboarding_id of [undefined, randomUUID()]) {
      await deliverNew(eventOf(organization, { offboarding_id }, { source: 'org-connections' }));
      local.aws.purge(QUEUE);
    }
    expect(letters().map(({ reason }) => reason.split(':')[0])).toEqual(['invalid_message', 'invalid_message']);
    expect(isOff(organization)).toBe(false);
  });
  test('when it is older than the service tries for, it fails; out of a replay it is ignored', async () => {
    const organization = newOrganization('con_1');
    const time = new Date(Date.now() - 8 * 86_400_000).toISOString();
    await deliverNew(eventOf(organization, {}, { time, 'replay-name': 'r' }));
    expect(logged('request_ignored')).toMatchObject([{ time }]);
    expect(letters()).toEqual([]);
    local.aws.purge(QUEUE);
    await deliverNew(eventOf(organization, {}, { time }));
    expect(letters()[0]?.reason).toMatch(/^request_too_old: /);
    expect(isOff(organization)).toBe(false);
  });
  test('when the table will never take the item, it is a failure with its alarm, and a dead letter', async () => {
    const organization = newOrganization('con_1');
    local.aws.addFaults({ operation: 'PutItem', error: 'ValidationException', times: 9 });
    const { isDone } = await deliverNew(eventOf(organization));
    expect(isDone).toBe(true);
    expect(letters()[0]?.reason).toMatch(/^internal_error: The table will never take this item/);
    expect(logged('offboarding_failed')).toMatchObject([
      { level: 'ERROR', outcome: 'failed', Offboardings: 1, error: { code: 'internal_error' } },
    ]);
  });
});

describe('a message that waits', () => {
  const down = (organization: string, times = 99) =>
    local.tenant.addFaults({ path: organization, status: 503, body: {}, times });
  const failsOnce = (organization: string) =>
    local.tenant.addFaults({ path: organization, method: 'PATCH', status: 503, body: {} });
  test('when Auth0 fails, it is hidden for 5 s, and others have their turn: the next time it goes to the end', async () => {
    const organization = newOrganization('con_1');
    down(organization);
    const { isDone } = await deliverNew(dueOf(organization));
    // Nothing is due yet: the request comes with its event.
    expect(isDone).toBe(true);
    local.aws.purge(QUEUE);
    const event = eventOf(organization);
    expect((await deliverNew(event)).isDone).toBe(false);
    expect(hiddenFor()).toBe(5);
    expect(logged('offboarding_waits')).toMatchObject([
      { level: 'WARN', wait_ms: 5000, error: { code: 'auth0_unavailable' } },
    ]);
    expect(await deliverAgain()).toBe(true);
    const [, again] = local.aws.messages(QUEUE);
    expect(again).toMatchObject({ body: JSON.stringify(event), group: 'single', receiveCount: 0 });
  });
  test('when a newer list tells more in some seconds, others wait for one of them: it goes to the end of its group', async () => {
    const organization = newOrganization('con_1');
    await deliverNew(eventOf(organization));
    local.aws.purge(QUEUE);
    const { requestCheck } = await import('../../../lib/offboarding/worker/dispatcher.ts');
    const notification = { organization_id: organization, time: undefined, isOfInterest: true };
    await requestCheck(notification, Date.now() + 10_000, createLog({}));
    local.aws.purge(QUEUE);
    const { isDone } = await deliverNew(dueOf(organization), 'watch');
    expect([isDone, hiddenFor()]).toEqual([false, 1]);
    const [{ wait_ms, error }] = logged('offboarding_waits');
    expect(wait_ms).toBeGreaterThan(5000);
    expect(error).toBeUndefined();
    expect(await deliverAgain()).toBe(true);
    expect(local.aws.messages(QUEUE).at(-1)).toMatchObject({ group: 'watch', receiveCount: 0 });
  });
  test('when three messages of a group fail in a row, it is an outage, and the next wait is 30 s; a success ends it', async () => {
    const waits: number[] = [];
    const failing = newOrganization('con_1');
    down(failing);
    for (let i = 0; i < 4; i++) {
      await deliverNew(eventOf(failing));
      waits.push(hiddenFor());
      local.aws.purge(QUEUE);
    }
    expect(waits).toEqual([5, 5, 5, 30]);
    await deliverNew(dueOf(newOrganization()));
    local.aws.purge(QUEUE);
    await deliverNew(eventOf(failing));
    expect(hiddenFor()).toBe(5);
  });
  test('when Auth0 fails once for a connection, it is asked again in the same visit; after an error in the group, one attempt shows whether it is over', async () => {
    const first = newOrganization('con_1');
    failsOnce(first);
    expect((await deliverNew(eventOf(first))).isDone).toBe(true);
    local.aws.purge(QUEUE);
    const failing = newOrganization('con_1');
    down(failing);
    await deliverNew(eventOf(failing));
    local.aws.purge(QUEUE);
    const next = newOrganization('con_1');
    failsOnce(next);
    expect((await deliverNew(eventOf(next))).isDone).toBe(false);
  });
  test('when it comes back and cannot be requeued, one attempt shows whether it is over, whatever the container knows', async () => {
    const organization = newOrganization('con_1');
    down(organization);
    await deliverNew(eventOf(organization));
    local.tenant.clearFaults();
    failsOnce(organization);
    local.aws.addFaults({ operation: 'SendMessage', error: 'AccessDenied', times: 9 });
    vi.resetModules();
    delivery = await import('../../../lib/offboarding/worker/delivery.ts');
    expect(await deliverAgain()).toBe(false);
  });
  test('when one group has errors, another has none; a drift check comes back much later', async () => {
    const failing = newOrganization('con_1');
    down(failing);
    await deliverNew(eventOf(failing), 'watch');
    expect(hiddenFor()).toBe(300);
    local.aws.purge(QUEUE);
    await deliverNew(eventOf(failing), 'batch');
    expect(hiddenFor()).toBe(5);
  });
  test('when the tenant’s limit is reached, it is hidden for as long as Auth0 says, five times at the most', async () => {
    const organization = newOrganization('con_1');
    const headers = { 'retry-after': '90' };
    local.tenant.addFaults({ path: organization, status: 429, headers, body: {}, times: 99 });
    expect((await deliverNew(eventOf(organization))).isDone).toBe(false);
    expect(hiddenFor()).toBeGreaterThan(45);
    for (let i = 2; i <= 5; i++) {
      expect(await deliverAgain(), `receive ${i}`).toBe(false);
      expect(local.aws.messages(QUEUE).length).toBe(1);
    }
    expect(await deliverAgain()).toBe(true);
    expect(local.aws.messages(QUEUE).length).toBe(2);
    // It is no error: the next one is not taken for an outage.
    expect(logged('offboarding_waits').every(({ error }) => error.code === 'rate_limited')).toBe(true);
  });
  test('when the queue takes nothing, a message that was to be requeued is worked on where it is', async () => {
    const organization = newOrganization('con_1');
    down(organization, 4);
    await deliverNew(eventOf(organization));
    local.tenant.clearFaults();
    local.aws.addFaults({ operation: 'SendMessage', error: 'AccessDenied', times: 9 });
    expect(await deliverAgain()).toBe(true);
    expect(isOff(organization)).toBe(true);
    expect(logged('offboarding_wait_failed')).toMatchObject([{ level: 'ERROR', error: { name: 'AccessDenied' } }]);
  });
  test('when the table does not answer, nothing is lost: it comes back', async () => {
    const organization = newOrganization('con_1');
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 99 });
    expect((await deliverNew(eventOf(organization))).isDone).toBe(false);
    expect(hiddenFor()).toBe(5);
    local.aws.purge(QUEUE);
    expect(
      (
        await deliverNew(
          eventOf(organization, {}, { 'detail-type': 'organization.offboarding.cancellation_requested' }),
        )
      ).isDone,
    ).toBe(false);
    expect(hiddenFor()).toBe(5);
  });
  test('when the time is over after its acceptance, it goes on at once in another delivery', async () => {
    const organization = newOrganization('con_1');
    const { isDone } = await deliverNew(eventOf(organization), 'single', 2000);
    expect(isDone).toBe(false);
    expect(hiddenFor()).toBeLessThanOrEqual(0);
    expect(isOff(organization)).toBe(false);
    expect(await deliverAgain()).toBe(true);
  });
  test('when even its wait cannot be said, it is not done, and the log says why', async () => {
    const organization = newOrganization('con_1');
    down(organization);
    local.aws.addFaults({ operation: 'ChangeMessageVisibility', error: 'AccessDenied', times: 9 });
    expect((await deliverNew(eventOf(organization))).isDone).toBe(false);
    expect(logged('offboarding_wait_failed').length).toBe(1);
    local.aws.clearFaults();
    local.aws.purge(QUEUE);
    local.aws.addFaults({ operation: 'PutEvents', error: 'AccessDenied', times: 99 });
    expect((await deliverNew('not json')).isDone).toBe(false);
    expect(logged('offboarding_wait_failed').length).toBe(2);
  });
});

describe('a cancellation by event', () => {
  const cancellationOf = (organization: string, time = new Date(Date.now() + 1000).toISOString()) =>
    eventOf(organization, {}, { 'detail-type': 'organization.offboarding.cancellation_requested', time });
  test('when it finds nothing, that is an event, and no dead letter', async () => {
    const organization = newOrganization('con_1');
    expect((await deliverNew(cancellationOf(organization))).isDone).toBe(true);
    expect(eventsOf(organization)).toMatchObject([
      {
        'detail-type': 'organization.offboarding.cancellation_failed',
        detail: { error: { code: 'not_found' }, caller: '000000000000 billing', reason: 'contract ended' },
      },
    ]);
    expect(letters()).toEqual([]);
  });
  test('when it finds a scheduled offboarding, that is being cancelled, and a message goes out to carry it out', async () => {
    const organization = newOrganization('con_1');
    await deliverNew(eventOf(organization, { action: 'disable_then_remove' }));
    local.aws.purge(QUEUE);
    expect(isOff(organization)).toBe(true);
    expect((await deliverNew(cancellationOf(organization))).isDone).toBe(true);
    expect(JSON.parse(local.aws.messages(QUEUE)[1]?.body ?? '')).toEqual(dueOf(organization));
    local.aws.purge(QUEUE);
    await deliverNew(dueOf(organization));
    expect(isOff(organization)).toBe(false);
    expect(eventsOf(organization).map((one) => one['detail-type'].split('.').at(-1))).toEqual([
      'scheduled',
      'cancelled',
    ]);
    expect(eventsOf(organization)[1]?.detail.cancelled).toMatchObject({
      caller: '000000000000 billing',
      requested_by: 'billing',
      reason: 'contract ended',
    });
  });
  test('when connections are being removed, that is an event with conflict', async () => {
    const organization = newOrganization('con_1', 'con_2');
    local.tenant.addFaults({
      path: `${organization}/connections/con_2`,
      method: 'DELETE',
      status: 503,
      body: {},
      times: 99,
    });
    await deliverNew(eventOf(organization, { action: 'remove' }));
    local.aws.purge(QUEUE);
    await deliverNew(cancellationOf(organization));
    expect(eventsOf(organization)).toMatchObject([
      {
        detail: {
          error: { code: 'conflict', message: expect.stringContaining('Connections are being removed since') },
        },
      },
    ]);
  });
});
