// Disable now, remove after a grace period, cancel while there is time: the edges, one by one.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const CON3 = 'con_Hg6Jk2MnVs8DfZp1';
const IN_A_MONTH = { action: 'disable_then_remove', grace_period: 'P30D' };

let service: Service;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 1500 });
});
afterAll(() => service.close());
beforeEach(async () => {
  service.tenant.clearFaults();
  service.aws.clearFaults();
  service.tenant.clearCalls();
  service.aws.schedules.clear();
  service.aws.messages(QUEUE).splice(0);
  await service.worker.idle();
  await service.forget();
  service.tenant.setOrganizations({
    [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }, { connection_id: CON3 }],
  });
});

const record = async () => (await service.records()).at(-1);
const due = () => service.makeDue();
/** What Scheduler sends when the removal of the organization's last offboarding is due. */
const removalMessage = async () =>
  JSON.stringify({
    'detail-type': 'organization.offboarding.removal_due',
    detail: { organization_id: ORG, offboarding_id: (await record())?.offboarding_id },
  });
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
  const [schedule] = [...service.aws.schedules.values()];
  expect(schedule?.body).toMatchObject({ ActionAfterCompletion: 'DELETE', FlexibleTimeWindow: { Mode: 'OFF' } });
  const { Input } = (schedule?.body.Target ?? {}) as { Input: string };
  expect(JSON.parse(Input)).toEqual(JSON.parse(await removalMessage()));

  const pending = await service.request('get-offboarding');
  expect(pending.body).toMatchObject({
    removal_due_at: scheduled.detail.removal_due_at,
    offboarding_id: event.id,
    status: 'scheduled',
    connections: [
      { connection_id: CON, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
      { connection_id: CON2, is_enabled: false, removal_pending: true, disabled_by_offboarding: false },
      { connection_id: CON3, is_enabled: false, removal_pending: true, disabled_by_offboarding: true },
    ],
  });

  await due();
  const completed = await service.outcome(event.id, 'completed');
  expect(outcomes(completed.detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
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
  await due();
  const { detail } = await service.outcome(event.id, 'completed');
  expect(outcomes(detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'removed' });
  expect((detail.connections as object[])[0]).toMatchObject({ error: { code: 'enabled_meanwhile' } });
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('a second request takes over what the first had disabled, with the settings from before it, and its date', async () => {
  const first = await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  const second = await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  expect(outcomes(second.scheduled.detail)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'disabled' });
  expect((second.scheduled.detail.connections as object[])[0]).toMatchObject({ before: { is_enabled: true } });
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
  expect(first.scheduled.detail.removal_due_at).not.toBe(second.scheduled.detail.removal_due_at);
  const cancelled = await service.request('cancel-offboarding');
  expect(cancelled.body).toMatchObject({ offboarding_id: second.event.id });
  expect(outcomes(cancelled.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
});

test('the first goes on belonging to the second when that names other connections', async () => {
  await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  await offboard({ ...IN_A_MONTH, connection_ids: [CON3] });
  expect(outcomes((await service.request('cancel-offboarding')).body)).toEqual({ [CON]: 'enabled', [CON3]: 'enabled' });
});

test('cut off between superseding the first and inheriting from it, the second ends the same', async () => {
  await offboard({ ...IN_A_MONTH, connection_ids: [CON] });
  const before = service.aws.calls.filter((operation) => operation === 'PutItem').length;
  // Its writes: create, begin, supersede, inherit.
  service.aws.addFaults({ operation: 'PutItem', delay: 10, times: 3 }, { operation: 'PutItem', delay: 1500 });
  const { id } = service.publish({ ...IN_A_MONTH, connection_ids: [CON3] });
  await expect
    .poll(() => service.aws.calls.filter((operation) => operation === 'PutItem').length, { timeout: 30_000 })
    .toBe(before + 4);
  service.worker.kill();
  await service.outcome(id, 'scheduled');
  expect((await service.records()).map(({ status }) => status)).toEqual(['superseded', 'scheduled']);
  expect(outcomes((await service.request('cancel-offboarding')).body)).toEqual({ [CON]: 'enabled', [CON3]: 'enabled' });
});

test("the message of a removal that was superseded removes nothing, nor does Scheduler's word before its time", async () => {
  await offboard();
  const stale = await removalMessage();
  await offboard({ action: 'disable_then_remove', grace_period: 'P60D' });
  const before = service.logged('removal_not_due_any_more').length;
  service.aws.send(QUEUE, stale, 'batch');
  await expect.poll(() => service.logged('removal_not_due_any_more').length, { timeout: 5000 }).toBe(before + 1);
  const schedules = service.aws.schedules.size;
  service.aws.send(QUEUE, await removalMessage(), 'batch');
  // Whoever came too early may have been the only one: the clock is set again.
  await expect.poll(() => service.aws.schedules.size, { timeout: 5000 }).toBe(schedules + 1);
  expect(removed()).toEqual([]);
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

  test('where nothing was asked for there is nothing to cancel', async () => {
    expect(await service.request('cancel-offboarding')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(service.managementCalls()).toEqual([]);
  });

  test('before it was processed: nothing is done when its event comes', async () => {
    service.aws.addFaults({ operation: 'GetItem', delay: 600 });
    const answer = await service.request('request-offboarding', { body: { ...IN_A_MONTH, reason: 'contract ended' } });
    const { offboarding_id } = answer.body as { offboarding_id: string };
    expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id, status: 'requested' });
    expect((await service.request('cancel-offboarding')).body).toMatchObject({ offboarding_id, connections: [] });
    await service.outcome(offboarding_id, 'cancelled');
    await expect.poll(() => service.aws.messages(QUEUE).length, { timeout: 5000 }).toBe(0);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('a duplicate of the request, and the message of the removal, change nothing after it', async () => {
    const { event } = await offboard();
    const message = await removalMessage();
    await service.request('cancel-offboarding');
    const before = service.logged('removal_not_due_any_more').length;
    service.publish(IN_A_MONTH, { ...event, resources: ['late'] });
    service.aws.send(QUEUE, message, 'batch');
    await expect.poll(() => service.logged('removal_not_due_any_more').length, { timeout: 5000 }).toBe(before + 1);
    await expect.poll(() => service.aws.messages(QUEUE).length, { timeout: 5000 }).toBe(0);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
    expect(removed()).toEqual([]);
  });

  test('a new request after it starts anew', async () => {
    await offboard();
    await service.request('cancel-offboarding');
    const { event } = await offboard();
    await due();
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
    expect(outcomes(answer.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
    expect(service.enabled()[CON]).toBe(false);
  });

  test('an Auth0 that stalls half-way is the timeout that it is, and what was enabled is on record', async () => {
    await offboard();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 4000, times: 9 });
    const answer = await service.request('cancel-offboarding', { remaining: 2500 });
    expect(answer).toMatchObject({ status: 504, body: { code: 'auth0_timeout' } });
    expect(await record()).toMatchObject({
      status: 'cancelling',
      connections: [{ outcome: 'enabled' }, {}, { outcome: null, attempted: true }],
    });
    service.tenant.clearFaults();
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    expect(service.enabled()[CON3]).toBe(true);
    // The stalled call takes effect at last, and to the same end.
    await sleep(2500);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('while a worker is at the organization the caller is told to come again', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 4000 });
    service.publish(IN_A_MONTH);
    await expect.poll(async () => (await record())?.status, { timeout: 5000 }).toBe('working');
    const answer = await service.request('cancel-offboarding', { remaining: 2000 });
    expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(answer.headers['retry-after']).toBeTruthy();
    // Who waits for it gets it.
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('a connection that Auth0 will not enable is told, and tried again when the caller asks again', async () => {
    const { event } = await offboard();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 400, body: { statusCode: 400, message: 'no' } });
    const answer = await service.request('cancel-offboarding');
    expect(answer).toMatchObject({ status: 200, body: { status: 'cancelling' } });
    expect(outcomes(answer.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'failed' });
    await service.outcome(event.id, 'failed');
    expect((await service.request('cancel-offboarding')).body).toMatchObject({ status: 'cancelled' });
    expect(service.enabled()[CON3]).toBe(true);
  });

  test('a bus that does not take the outcome is a problem, and asking again tells it', async () => {
    const { event } = await offboard();
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 3 });
    expect((await service.request('cancel-offboarding')).status).toBe(500);
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    await service.outcome(event.id, 'cancelled');
    expect((await service.request('cancel-offboarding')).status).toBe(404);
  });

  test.each([
    ['refuses', { error: 'AccessDeniedException', status: 400 }],
    ['is throttled', { error: 'ThrottlingException', status: 400, times: 9 }],
    ['breaks off', { reset: true, times: 9 }],
    ['answers garbage', { garbage: '<html>', times: 9 }],
  ])('a table that %s is a 503 with Retry-After, and the next try works', async (_what, fault) => {
    await offboard();
    service.tenant.clearCalls();
    service.aws.addFaults({ operation: 'Query', times: 1, ...fault });
    for (const route of ['cancel-offboarding', 'get-offboarding']) {
      const answer = await service.request(route);
      if ('times' in fault || route === 'cancel-offboarding')
        expect(answer).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
    }
    expect(enabledByUs()).toEqual([]);
    service.aws.clearFaults();
    expect((await service.request('cancel-offboarding')).status).toBe(200);
  });

  test('a table that is slow ends at the deadline, and nothing is done afterwards', async () => {
    await offboard();
    service.tenant.clearCalls();
    service.aws.addFaults({ operation: 'Query', delay: 2500, times: 9 });
    expect((await service.request('cancel-offboarding', { remaining: 2000 })).status).toBeGreaterThanOrEqual(500);
    await sleep(1500);
    expect(enabledByUs()).toEqual([]);
    service.aws.clearFaults();
    expect((await service.request('cancel-offboarding')).status).toBe(200);
  });
});

describe('cut off', () => {
  test('between disabling and scheduling: the next delivery goes on, and what it did is still known', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 800 });
    const event = service.publish(IN_A_MONTH);
    await expect.poll(() => service.managementCalls().length, { timeout: 5000 }).toBe(3);
    service.worker.kill();
    const scheduled = await service.outcome(event.id, 'scheduled');
    expect(outcomes(scheduled.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    expect(outcomes((await service.request('cancel-offboarding')).body)).toEqual({
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
      const hurry = setInterval(service.hurry, 50);
      expect(
        outcomes((await service.outcome(event.id, 'scheduled').finally(() => clearInterval(hurry))).detail),
      ).toEqual({
        [CON]: 'disabled',
        [CON2]: 'unchanged',
        [CON3]: 'disabled',
      });
      service.logs.splice(0);
    },
  );
});

describe('over HTTP', () => {
  test('POST puts the request on record and on the bus with the caller, and its id is the id of the outcome', async () => {
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
    // Nobody can come back for it: what was not accepted is not carried out.
    expect((await record())?.status).toBe('cancelled');
  });

  test('with an idempotency key the same request is one offboarding, and a repetition goes on where it was cut off', async () => {
    const headers = { 'idempotency-key': 'order-4711' };
    const refusal = { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] };
    service.aws.addFaults({ operation: 'PutEvents', answer: refusal, times: 4 });
    const body = { action: 'disable', reason: 'x' };
    expect((await service.request('request-offboarding', { body, headers })).status).toBe(500);
    expect((await record())?.status).toBe('requested');
    const first = await service.request('request-offboarding', { body, headers });
    await service.outcome((first.body as { offboarding_id: string }).offboarding_id, 'completed');
    const again = await service.request('request-offboarding', { body: { ...body, dry_run: false }, headers });
    expect(again).toMatchObject({ status: 202, body: first.body as object });
    expect((await service.records()).length).toBe(1);
    const other = await service.request('request-offboarding', { body: { ...body, reason: 'y' }, headers });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  test.each(['', 'a b', 'ü', 'x'.repeat(129)])('"%s" is no idempotency key', async (key) => {
    const body = { action: 'disable', reason: 'x' };
    const answer = await service.request('request-offboarding', { body, headers: { 'idempotency-key': key } });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_header' } });
    expect(await service.records()).toEqual([]);
  });

  test('GET of an organization that Auth0 does not know is a 404', async () => {
    expect(await service.request('get-offboarding', { organization: 'org_Qk2vN8sT5rWx1YzA' })).toMatchObject({
      status: 404,
    });
  });
});
