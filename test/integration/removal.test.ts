import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, outcomesOf } from '../service.ts';
import { CON2, CON3, DAY_MS, HOUR_MS, IN_A_MONTH, offboard, record, service, startWith } from './one-organization.ts';

startWith(
  { [CON]: true, [CON2]: false, [CON3]: true },
  { processes: ['offboard-organization'], visibilityTimeout: 1500 },
);

/** What Scheduler sends when the removal of the organization's last offboarding is due. */
const removalMessage = async () =>
  JSON.stringify({
    'detail-type': 'organization.offboarding.due',
    detail: { organization_id: ORG, offboarding_id: (await record())?.offboarding_id },
  });
/** A write of a killed worker arrives so late. */
const LATE_MS = 400;
const removed = () => service.managementCalls().filter(({ method }) => method === 'DELETE');

test('when it is due, what was disabled is removed, with the settings from before all of it', async () => {
  const { event, published } = await offboard();
  expect(outcomesOf(published.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
  const days = (Date.parse(published.detail.removal_due_at as string) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  const [schedule] = [...service.aws.schedules.values()];
  expect(schedule?.body).toMatchObject({ ActionAfterCompletion: 'DELETE', FlexibleTimeWindow: { Mode: 'OFF' } });
  const { Input } = (schedule?.body.Target ?? {}) as { Input: string };
  expect(JSON.parse(Input)).toMatchObject({ ...JSON.parse(await removalMessage()), detail: { organization_id: ORG } });

  const pending = await service.request('get-offboarding');
  expect(pending.body).toMatchObject({
    removal_due_at: published.detail.removal_due_at,
    offboarding_id: event.id,
    status: 'scheduled',
    connections: [
      { connection_id: CON, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
      { connection_id: CON2, is_enabled: false, removal_pending: true, disabled_by_offboarding: false },
      { connection_id: CON3, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
    ],
  });

  await service.makeDue();
  const completed = await service.outcome(event.id, 'completed');
  expect(outcomesOf(completed.detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
  expect(completed.detail.connections).toMatchObject([{ before: { is_enabled: true } }, {}, {}]);
  expect(service.enabled()).toEqual({});
  expect(await service.request('get-offboarding')).toMatchObject({
    status: 200,
    body: { status: 'completed', removal_due_at: null, connections: [] },
  });
  expect((await service.request('cancel-offboarding')).body).toMatchObject({ watch: 'ended' });
  expect((await service.request('cancel-offboarding')).body).toMatchObject({ watch: 'ended', replayed: true });
});

test.each([
  ['the stage says', 'P30D', 27 * DAY_MS],
  ['half of a shorter grace period', 'P2D', DAY_MS],
])('when its removal comes near, at %s, that is an event, once', async (_what, grace_period, until) => {
  const { event } = await offboard({ action: 'disable_then_remove', grace_period });
  const upcoming = () =>
    service.aws.events.filter(
      (one) => one['detail-type'].endsWith('removal_upcoming') && one.detail.offboarding_id === event.id,
    );
  await service.pass(until - HOUR_MS);
  await service.sweep();
  expect(upcoming()).toEqual([]);
  for (const ms of [2 * HOUR_MS, HOUR_MS]) {
    await service.pass(ms);
    await service.sweep();
    expect(upcoming()).toMatchObject([{ detail: { offboarding_id: event.id, removal_due_at: expect.any(String) } }]);
  }
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
});

test('when somebody enables a connection in the meantime, it is left alone and reported', async () => {
  const { event } = await offboard();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON3, is_enabled: false }] });
  await service.makeDue();
  const { detail } = await service.outcome(event.id, 'completed');
  expect(outcomesOf(detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'removed' });
  expect((detail.connections as object[])[0]).toMatchObject({ error: { code: 'enabled_meanwhile' } });
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('when a second request comes, it takes over what the first had disabled, with the settings from before it, and its own date', async () => {
  const first = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  const second = await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  expect(outcomesOf(second.published.detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect((second.published.detail.connections as object[])[0]).toMatchObject({ before: { is_enabled: true } });
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
  expect(first.published.detail.removal_due_at).not.toBe(second.published.detail.removal_due_at);
  const cancelled = await service.request('cancel-offboarding');
  expect(cancelled.body).toMatchObject({ offboarding_id: second.event.id });
  expect(outcomesOf(cancelled.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
});

test('when the second request names other connections, what the first disabled belongs to it, too', async () => {
  await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  await offboard({ ...IN_A_MONTH, connection_ids: [CON3] });
  expect(outcomesOf((await service.request('cancel-offboarding')).body)).toEqual({
    [CON]: 'enabled',
    [CON3]: 'enabled',
  });
});

test.each([1, 2, 3, 4, 5])(
  'when the second is killed at its write %i, it takes over all the same what the first had disabled',
  async (nth) => {
    const { event: first } = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
    const puts = () => service.aws.calls.filter((operation) => operation === 'PutItem').length;
    const before = puts();
    service.aws.addFaults({ operation: 'PutItem', delay: 1, times: nth - 1 }, { operation: 'PutItem', delay: LATE_MS });
    const { id } = service.publish({ ...IN_A_MONTH, connection_ids: [CON3] });
    await expect.poll(puts, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + nth);
    service.worker.kill();
    await service.outcomeInAHurry(id, 'scheduled');
    await service.settled();
    // A write of the one that was killed before may arrive only now.
    const both = (await service.records()).filter(({ offboarding_id: one }) => one === first.id || one === id);
    expect(both.map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
    const cancelled = await service.request('cancel-offboarding');
    expect(outcomesOf(cancelled.body)).toEqual({ [CON]: 'enabled', [CON3]: 'enabled' });
    await sleep(LATE_MS);
  },
);

test("when a notice of a superseded removal comes, or Scheduler's before its time, nothing is removed", async () => {
  await offboard();
  service.aws.fireAll(ORG);
  await service.settled();
  expect(removed()).toEqual([]);
  const stale = await removalMessage();
  await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  service.aws.send(QUEUE, stale, 'batch');
  await service.settled();
  expect(removed()).toEqual([]);
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
});

test('when the same event comes twice, it changes nothing and has one outcome', async () => {
  const { event } = await offboard();
  const writes = service.managementCalls().length;
  const deliveries = service.logged('offboarding_delivery_ended').length;
  service.publish(IN_A_MONTH, { ...event, resources: ['again'] });
  await expect
    .poll(() => service.logged('offboarding_delivery_ended').length, { timeout: 5000 })
    .toBeGreaterThan(deliveries);
  const published = service.aws.events.filter(({ detail }) => detail.offboarding_id === event.id && detail.connections);
  expect(published.length).toBe(1);
  expect(service.managementCalls().length).toBe(writes);
});

describe('a worker that is cut off', () => {
  test('when it is cut off between disabling and scheduling, the next delivery goes on, and what it did is still known', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 800 });
    const event = service.publish(IN_A_MONTH);
    await expect.poll(() => service.managementCalls().filter(({ method }) => method === 'PATCH').length).toBe(2);
    service.worker.kill();
    const scheduled = await service.outcomeInAHurry(event.id, 'scheduled');
    expect(outcomesOf(scheduled.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    expect(outcomesOf((await service.request('cancel-offboarding')).body)).toEqual({
      [CON]: 'enabled',
      [CON2]: 'unchanged',
      [CON3]: 'enabled',
    });
  });

  test('when an answer of the table is lost, that is no refusal', async () => {
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times: 3 });
    const { event } = await offboard();
    expect(await record()).toMatchObject({ offboarding_id: event.id, status: 'scheduled' });
  });

  test.each(['PutItem', 'GetItem', 'CreateSchedule', 'PutEvents'])(
    'when %s is refused for a while, nothing is done that is not stored, and all of it in the end',
    async (operation) => {
      service.aws.addFaults({ operation, error: 'ThrottlingException', status: 400, times: 30 });
      const event = service.publish(IN_A_MONTH);
      // A schedule makes a removal punctual; nobody waits for it.
      if (operation !== 'CreateSchedule')
        await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 30_000 }).toBeGreaterThan(0);
      if (operation.endsWith('Item')) expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
      service.aws.clearFaults();
      expect(outcomesOf((await service.outcomeInAHurry(event.id, 'scheduled')).detail)).toEqual({
        [CON]: 'disabled',
        [CON2]: 'unchanged',
        [CON3]: 'disabled',
      });
      service.logs.splice(0);
    },
  );
});
