import { describe, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, outcomesOf } from '../service.ts';
import { CON2, CON3, IN_A_MONTH, offboard, record, service, startWith } from './one-organization.ts';

startWith({ [CON]: true, [CON2]: false, [CON3]: true }, { containers: 'processes', visibilityTimeout: 1500 });

/** What Scheduler sends when the removal of the organization's last offboarding is due. */
const removalMessage = async () =>
  JSON.stringify({
    'detail-type': 'organization.offboarding.due',
    detail: { organization_id: ORG, offboarding_id: (await record())?.offboarding_id },
  });
const removed = () => service.managementCalls().filter(({ method }) => method === 'DELETE');

test('disabled now, removed when it is due, with the settings from before all of it', async () => {
  const { event, told } = await offboard();
  expect(outcomesOf(told.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
  const days = (Date.parse(told.detail.removal_due_at as string) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  const [schedule] = [...service.aws.schedules.values()];
  expect(schedule?.body).toMatchObject({ ActionAfterCompletion: 'DELETE', FlexibleTimeWindow: { Mode: 'OFF' } });
  const { Input } = (schedule?.body.Target ?? {}) as { Input: string };
  expect(JSON.parse(Input)).toMatchObject({ ...JSON.parse(await removalMessage()), detail: { organization_id: ORG } });

  const pending = await service.request('get-offboarding');
  expect(pending.body).toMatchObject({
    removal_due_at: told.detail.removal_due_at,
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
  expect((await service.request('cancel-offboarding')).status).toBe(404);
});

test('a connection that somebody enabled again in the meantime is left alone and reported', async () => {
  const { event } = await offboard();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON3, is_enabled: false }] });
  await service.makeDue();
  const { detail } = await service.outcome(event.id, 'completed');
  expect(outcomesOf(detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'removed' });
  expect((detail.connections as object[])[0]).toMatchObject({ error: { code: 'enabled_meanwhile' } });
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('a second request takes over what the first had disabled, with the settings from before it, and its date', async () => {
  const first = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  const second = await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  expect(outcomesOf(second.told.detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect((second.told.detail.connections as object[])[0]).toMatchObject({ before: { is_enabled: true } });
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
  expect(first.told.detail.removal_due_at).not.toBe(second.told.detail.removal_due_at);
  const cancelled = await service.request('cancel-offboarding');
  expect(cancelled.body).toMatchObject({ offboarding_id: second.event.id });
  expect(outcomesOf(cancelled.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
});

test('the first goes on belonging to the second when that names other connections', async () => {
  await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  await offboard({ ...IN_A_MONTH, connection_ids: [CON3] });
  expect(outcomesOf((await service.request('cancel-offboarding')).body)).toEqual({
    [CON]: 'enabled',
    [CON3]: 'enabled',
  });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])(
  'killed at its write %i, the second takes over all the same what the first had disabled',
  async (nth) => {
    const { event: first } = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
    const puts = () => service.aws.calls.filter((operation) => operation === 'PutItem').length;
    const before = puts();
    service.aws.addFaults({ operation: 'PutItem', delay: 1, times: nth - 1 }, { operation: 'PutItem', delay: 700 });
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
  },
);

test("what is said of a removal that was superseded removes nothing, nor does Scheduler's word before its time", async () => {
  await offboard();
  service.aws.fireAll(ORG);
  await service.settled();
  // Whoever came too early may have been the only one: the clock is set again.
  expect(service.aws.schedules.size).toBe(1);
  const stale = await removalMessage();
  await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  service.aws.send(QUEUE, stale, 'batch');
  await service.settled();
  expect(removed()).toEqual([]);
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
});

test('the same event twice changes nothing and is told once', async () => {
  const { event } = await offboard();
  const writes = service.managementCalls().length;
  const deliveries = service.logged('offboarding_delivery_ended').length;
  service.publish(IN_A_MONTH, { ...event, resources: ['again'] });
  await expect
    .poll(() => service.logged('offboarding_delivery_ended').length, { timeout: 5000 })
    .toBeGreaterThan(deliveries);
  const told = service.aws.events.filter(({ detail }) => detail.offboarding_id === event.id && detail.connections);
  expect(told.length).toBe(1);
  expect(service.managementCalls().length).toBe(writes);
});

describe('cut off', () => {
  test('between disabling and scheduling: the next delivery goes on, and what it did is still known', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 800 });
    const event = service.publish(IN_A_MONTH);
    await expect.poll(() => service.managementCalls().length, { timeout: 5000 }).toBe(3);
    service.worker.kill();
    const scheduled = await service.outcomeInAHurry(event.id, 'scheduled');
    expect(outcomesOf(scheduled.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    expect(outcomesOf((await service.request('cancel-offboarding')).body)).toEqual({
      [CON]: 'enabled',
      [CON2]: 'unchanged',
      [CON3]: 'enabled',
    });
  });

  test('an answer of the table that was lost is no refusal', async () => {
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times: 3 });
    const { event } = await offboard();
    expect(await record()).toMatchObject({ offboarding_id: event.id, status: 'scheduled' });
  });

  test.each(['PutItem', 'GetItem', 'CreateSchedule', 'PutEvents'])(
    '%s refused for a while: nothing is done that is not on record, and all of it in the end',
    async (operation) => {
      service.aws.addFaults({ operation, error: 'ThrottlingException', status: 400, times: 30 });
      const event = service.publish(IN_A_MONTH);
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
