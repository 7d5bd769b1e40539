// Disable now, remove after a grace period, cancel while there is time: the edges, one by one.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { QUEUE, SCHEDULES } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const CON3 = 'con_Hg6Jk2MnVs8DfZp1';
const IN_A_MONTH = { action: 'disable_then_remove', grace_period: 'P30D' };

let service: Service;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 1500 });
});
afterAll(() => service.close());
beforeEach(() => {
  service.tenant.clearFaults();
  service.aws.clearFaults();
  service.tenant.clearCalls();
  service.aws.schedules.clear();
  service.tenant.setOrganizations({
    [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }, { connection_id: CON3 }],
  });
});

const schedule = () => service.aws.schedules.get(`${SCHEDULES}/${ORG}`);
/** What Scheduler will send when the removal is due. */
const removalMessage = () => (schedule()?.body.Target as { Input: string } | undefined)?.Input ?? '';
const fire = () => service.aws.fire(SCHEDULES, ORG);
const outcomes = (detail: unknown) =>
  Object.fromEntries(
    (detail as { connections: { connection_id: string; outcome: string }[] }).connections.map((one) => [
      one.connection_id,
      one.outcome,
    ]),
  );
async function offboard(detail: object = IN_A_MONTH) {
  const event = service.publish(detail);
  return { event, scheduled: await service.outcome(event.id, 'scheduled') };
}
const enabledByUs = () =>
  service.managementCalls().filter(({ method, body }) => method === 'PATCH' && body.includes('true'));
const removed = () => service.managementCalls().filter(({ method }) => method === 'DELETE');

test('disabled now, removed when it is due, with the settings from before all of it', async () => {
  const { event, scheduled } = await offboard();
  expect(outcomes(scheduled.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
  const days = (Date.parse(scheduled.detail.removal_due_at as string) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  expect([...service.aws.schedules.keys()]).toEqual([`${SCHEDULES}/${ORG}`]);
  expect(schedule()?.body).toMatchObject({ ActionAfterCompletion: 'DELETE', FlexibleTimeWindow: { Mode: 'OFF' } });

  const pending = await service.request('get-offboarding');
  expect(pending.body).toMatchObject({
    removal_due_at: scheduled.detail.removal_due_at,
    offboarding_id: event.id,
    connections: [
      { connection_id: CON, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
      { connection_id: CON2, is_enabled: false, removal_pending: true, disabled_by_offboarding: false },
      { connection_id: CON3, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
    ],
  });

  fire();
  const completed = await service.outcome(event.id, 'completed');
  expect(outcomes(completed.detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
  expect(completed.detail.connections).toMatchObject([{ before: { is_enabled: true } }, {}, {}]);
  expect(service.enabled()).toEqual({});
  expect(await service.request('get-offboarding')).toMatchObject({
    status: 200,
    body: { removal_due_at: null, connections: [] },
  });
  expect((await service.request('cancel-offboarding')).status).toBe(404);
});

test('a connection that somebody enabled again in the meantime is left alone and reported', async () => {
  const { event } = await offboard();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON3, is_enabled: false }] });
  fire();
  const { detail } = await service.outcome(event.id, 'completed');
  expect(outcomes(detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'removed' });
  expect((detail.connections as object[])[0]).toMatchObject({ error: { code: 'enabled_meanwhile' } });
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('a second request replaces the date and merges the connections', async () => {
  const first = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  const before = schedule()?.body.ScheduleExpression;
  const second = await offboard({ action: 'disable_then_remove', grace_period: 'P60D', connection_ids: [CON3] });
  expect(service.aws.schedules.size).toBe(1);
  expect(schedule()?.body.ScheduleExpression).not.toBe(before);
  const cancelled = await service.request('cancel-offboarding');
  expect(outcomes(cancelled.body)).toEqual({ [CON]: 'enabled', [CON3]: 'enabled' });
  expect(first.scheduled.detail.removal_due_at).not.toBe(second.scheduled.detail.removal_due_at);
});

test('the message of a date that was replaced removes nothing', async () => {
  await offboard();
  const stale = removalMessage();
  await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  service.aws.send(QUEUE, stale, 'tenant');
  await expect.poll(() => service.logged('removal_not_due_any_more').length, { timeout: 5000 }).toBe(1);
  expect(removed()).toEqual([]);
});

test('the same event twice changes nothing', async () => {
  const { event, scheduled } = await offboard();
  const writes = service.managementCalls().length;
  service.publish(IN_A_MONTH, { ...event, resources: ['again'] });
  await expect
    .poll(
      () => service.aws.events.filter(({ detail }) => (detail.request as { id?: string })?.id === event.id).length,
      { timeout: 5000 },
    )
    .toBe(2);
  const again = service.aws.events.at(-1);
  expect(again?.detail.removal_due_at).toBe(scheduled.detail.removal_due_at);
  expect(outcomes(again?.detail)).toEqual(outcomes(scheduled.detail));
  expect(service.managementCalls().length).toBe(writes);
});

describe('cancelling', () => {
  test('enables exactly what this offboarding disabled, and is then over', async () => {
    const { event } = await offboard();
    const answer = await service.request('cancel-offboarding', { headers: { 'x-correlation-id': 'cancel-1' } });
    expect(answer).toMatchObject({ status: 200, body: { organization_id: ORG, offboarding_id: event.id } });
    expect(outcomes(answer.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
    expect(outcomes((await service.outcome(event.id, 'cancelled')).detail)).toEqual(outcomes(answer.body));
    expect((await service.request('cancel-offboarding')).body).toMatchObject({ code: 'not_found' });
    expect((await service.request('get-offboarding')).body).toMatchObject({ removal_due_at: null });
  });

  test('before the event was worked off there is nothing to cancel', async () => {
    expect(await service.request('cancel-offboarding')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(service.managementCalls()).toEqual([]);
  });

  test('a duplicate of the request, and the message of the removal, mean nothing after it', async () => {
    const { event } = await offboard();
    const due = removalMessage();
    await service.request('cancel-offboarding');
    const before = service.logged('removal_not_due_any_more').length;
    service.publish(IN_A_MONTH, { ...event, resources: ['late'] });
    service.aws.send(QUEUE, due, 'tenant');
    await expect.poll(() => service.logged('offboarding_was_cancelled').length, { timeout: 5000 }).toBe(1);
    await expect.poll(() => service.logged('removal_not_due_any_more').length, { timeout: 5000 }).toBe(before + 1);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
    expect(removed()).toEqual([]);
  });

  test('what it leaves behind ends weeks later without doing anything', async () => {
    await offboard();
    await service.request('cancel-offboarding');
    service.tenant.clearCalls();
    const before = service.logged('offboarding_delivery_ended').length;
    fire();
    await expect.poll(() => service.logged('offboarding_delivery_ended').length, { timeout: 5000 }).toBe(before + 1);
    expect(service.managementCalls()).toEqual([]);
    expect(schedule()).toBeUndefined();
  });

  test('a new request after it starts anew', async () => {
    await offboard();
    await service.request('cancel-offboarding');
    const { event } = await offboard();
    fire();
    expect(outcomes((await service.outcome(event.id, 'completed')).detail)).toEqual({
      [CON]: 'removed',
      [CON2]: 'removed',
      [CON3]: 'removed',
    });
  });

  test('what somebody else has enabled or removed meanwhile is unchanged', async () => {
    await offboard();
    service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
    service.tenant.clearCalls();
    const answer = await service.request('cancel-offboarding');
    expect(outcomes(answer.body)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'unchanged' });
    expect(enabledByUs()).toEqual([]);
  });

  test('an organization that was deleted in Auth0 has nothing left', async () => {
    await offboard();
    service.tenant.deleteOrganization(ORG);
    const answer = await service.request('cancel-offboarding');
    expect(outcomes(answer.body)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'unchanged' });
  });

  test('cut off half-way it goes on where it was, and never enables twice', async () => {
    await offboard();
    service.tenant.clearCalls();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 503, body: 'down', times: 4 });
    expect((await service.request('cancel-offboarding')).status).toBe(502);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: false });
    // Nothing is removed any more, and what somebody disables after it was enabled stays so.
    expect((await service.request('get-offboarding')).body).toMatchObject({ removal_due_at: null });
    service.tenant.setOrganizations({
      [ORG]: [CON, CON2, CON3].map((connection_id) => ({ connection_id, is_enabled: false })),
    });
    const answer = await service.request('cancel-offboarding');
    expect(outcomes(answer.body)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'enabled' });
  });

  test('an Auth0 that stalls half-way is the timeout that it is, and what was enabled is on record', async () => {
    await offboard();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 4000, times: 9 });
    const answer = await service.request('cancel-offboarding', { remaining: 2500 });
    expect(answer).toMatchObject({ status: 504, body: { code: 'auth0_timeout' } });
    expect(JSON.parse(removalMessage()).detail).toMatchObject({
      status: 'cancelled',
      connections: [{ disabled_by_offboarding: false }, {}, { disabled_by_offboarding: true }],
    });
    service.tenant.clearFaults();
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    expect(service.enabled()[CON3]).toBe(true);
    // The stalled call takes effect at last, and to the same end.
    await sleep(2500);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('while a worker holds the record the caller is told to come again', async () => {
    await offboard();
    const lock = `${SCHEDULES}/${ORG}.lock`;
    service.aws.schedules.set(lock, { body: { Target: {} }, at: Date.now() + 300_000, timer: undefined });
    const answer = await service.request('cancel-offboarding', { remaining: 3000 });
    expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(answer.headers['retry-after']).toBeTruthy();
    service.aws.schedules.delete(lock);
    expect((await service.request('cancel-offboarding')).status).toBe(200);
  });

  test.each([
    ['refuses', { error: 'AccessDeniedException', status: 403 }],
    ['is throttled', { error: 'ThrottlingException', status: 429, times: 9 }],
    ['breaks off', { reset: true, times: 9 }],
    ['answers garbage', { garbage: '<html>', times: 9 }],
  ])('a Scheduler that %s is a problem response, and the next try works', async (_what, fault) => {
    await offboard();
    service.tenant.clearCalls();
    service.aws.addFaults({ operation: 'GetSchedule', times: 1, ...fault });
    expect(await service.request('cancel-offboarding')).toMatchObject({
      status: 500,
      body: { code: 'internal_error' },
    });
    expect(enabledByUs()).toEqual([]);
    service.aws.clearFaults();
    expect((await service.request('cancel-offboarding')).status).toBe(200);
  });

  test('a Scheduler that is slow ends at the deadline', async () => {
    await offboard();
    service.tenant.clearCalls();
    service.aws.addFaults({ operation: 'GetSchedule', delay: 2500, times: 9 });
    expect(await service.request('cancel-offboarding', { remaining: 2000 })).toMatchObject({ status: 500 });
    await sleep(1500);
    // What was begun for a caller who has his answer is not gone on with.
    expect(enabledByUs()).toEqual([]);
    expect(removalMessage()).toContain('"status":"pending"');
    service.aws.clearFaults();
    service.aws.schedules.delete(`${SCHEDULES}/${ORG}.lock`);
    expect((await service.request('cancel-offboarding')).status).toBe(200);
  });
});

describe('cut off', () => {
  test('between disabling and scheduling: the next delivery goes on, and what it did is still known', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 800 });
    const event = service.publish(IN_A_MONTH);
    await expect.poll(() => service.managementCalls().length, { timeout: 5000 }).toBe(3);
    service.worker.kill();
    // The dead worker's lock would hold for five minutes.
    service.aws.schedules.delete(`${SCHEDULES}/${ORG}.lock`);
    const scheduled = await service.outcome(event.id, 'scheduled');
    expect(outcomes(scheduled.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    expect(outcomes((await service.request('cancel-offboarding')).body)).toEqual({
      [CON]: 'enabled',
      [CON2]: 'unchanged',
      [CON3]: 'enabled',
    });
  });

  test('a Scheduler that refuses the schedule: nothing is disabled that is not on record', async () => {
    service.aws.addFaults({ operation: 'UpdateSchedule', error: 'ThrottlingException', status: 429, times: 4 });
    const event = service.publish(IN_A_MONTH);
    await expect.poll(() => service.logged('offboarding_goes_on_later').length, { timeout: 9000 }).toBeGreaterThan(0);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
    service.aws.clearFaults();
    service.hurry();
    expect(outcomes((await service.outcome(event.id, 'scheduled')).detail)).toMatchObject({ [CON]: 'disabled' });
  });
});

describe('over HTTP', () => {
  test('POST puts the event on the bus with the caller, and its id is the id of the outcome', async () => {
    const answer = await service.request('request-offboarding', {
      body: { ...IN_A_MONTH, reason: 'contract ended' },
      headers: { 'x-correlation-id': 'crm-77' },
    });
    expect(answer).toMatchObject({
      status: 202,
      body: { organization_id: ORG, action: 'disable_then_remove', dry_run: false },
    });
    const { offboarding_id } = answer.body as { offboarding_id: string };
    const { detail } = await service.outcome(offboarding_id, 'scheduled');
    expect(detail).toMatchObject({
      requested_by: 'arn:aws:sts::000000000000:assumed-role/billing-service/session',
      correlation_id: 'crm-77',
      request: { id: offboarding_id, source: 'org-connections' },
    });
  });

  test.each<[string, unknown, number]>([
    ['nothing', undefined, 400],
    ['no action', { reason: 'x' }, 422],
    ['no reason', { action: 'disable' }, 422],
    ['an unknown member', { action: 'disable', reason: 'x', force: true }, 422],
    [
      'another organization than the path',
      { action: 'disable', reason: 'x', organization_id: 'org_Qk2vN8sT5rWx1YzA' },
      422,
    ],
    ['a grace period for another action', { action: 'remove', reason: 'x', grace_period: 'P1D' }, 422],
    [
      'a grace period that is no duration',
      { action: 'disable_then_remove', reason: 'x', grace_period: '30 days' },
      422,
    ],
    ['a connection that is no id', { action: 'disable', reason: 'x', connection_ids: ['*'] }, 422],
  ])('POST with %s puts nothing on the bus', async (_what, body, status) => {
    const before = service.aws.events.length;
    expect(await service.request('request-offboarding', { body })).toMatchObject({
      status,
      body: { code: 'invalid_body' },
    });
    expect(service.aws.events.length).toBe(before);
  });

  test('a bus that refuses the event for good is a problem response', async () => {
    const refusal = { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] };
    service.aws.addFaults({ operation: 'PutEvents', answer: refusal, times: 4 });
    const body = { action: 'disable', reason: 'x' };
    expect(await service.request('request-offboarding', { body })).toMatchObject({
      status: 500,
      body: { code: 'internal_error' },
    });
  });

  test('GET of an organization that Auth0 does not know is a 404', async () => {
    expect(await service.request('get-offboarding', { organization: 'org_Qk2vN8sT5rWx1YzA' })).toMatchObject({
      status: 404,
    });
  });
});
