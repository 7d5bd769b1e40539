// Cancelling: what was disabled is given back, what was asked for before it does not happen, and it goes on by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DEAD_LETTERS } from '../../infra/local/environment.ts';
import { CON, ORG, outcomesOf } from '../service.ts';
import { CON2, CON3, IN_A_MONTH, offboard, record, service, startWith } from './one-organization.ts';

startWith({ [CON]: true, [CON2]: false, [CON3]: true });
const enabledByUs = () =>
  service.managementCalls().filter(({ method, body }) => method === 'PATCH' && body.includes('true'));

const cancel = (options: object = {}) => service.request('cancel-offboarding', options);
const LIMITED = { status: 429, body: { statusCode: 429, error: 'Too Many Requests', message: 'x' } };
const ALL_AS_BEFORE = { [CON]: true, [CON2]: false, [CON3]: true };

test('when an offboarding is cancelled, exactly what it disabled is enabled, and who and why is on record and in the event', async () => {
  const { event } = await offboard();
  const query = { reason: 'renewed', requested_by: 'sales' };
  const answer = await cancel({ headers: { 'x-correlation-id': 'cancel-1' }, query });
  const about = { organization_id: ORG, offboarding_id: event.id, status: 'cancelled' };
  expect(answer).toMatchObject({ status: 200, body: about });
  expect(outcomesOf(answer.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
  expect(service.enabled()).toEqual(ALL_AS_BEFORE);
  const { detail } = await service.outcome(event.id, 'cancelled');
  expect(outcomesOf(detail)).toEqual(outcomesOf(answer.body));
  const caller = 'arn:aws:sts::000000000000:assumed-role/billing-service/session';
  expect(detail.cancelled).toMatchObject({ ...query, caller, at: expect.any(String) });
  expect((await record())?.cancelled).toEqual(detail.cancelled);
  expect(await cancel()).toMatchObject({ status: 200, body: { ...about, replayed: true } });
  expect((await service.request('get-offboarding')).body).toMatchObject({ removal_due_at: null, status: null });
});

test('when nothing was requested, there is nothing to cancel', async () => {
  expect(await cancel()).toMatchObject({ status: 404, body: { code: 'not_found' } });
  expect(service.managementCalls()).toEqual([]);
});

test('when a request has not begun, its cancellation has nothing to enable, and nothing is done afterwards', async () => {
  const waiting = { ...LIMITED, headers: { 'retry-after': '25' } };
  service.tenant.addFaults({ method: 'GET', ...waiting });
  const answer = await service.request('request-offboarding', { body: { ...IN_A_MONTH, reason: 'contract ended' } });
  const { offboarding_id } = answer.body as { offboarding_id: string };
  await expect.poll(() => service.logged('offboarding_waits').length).toBeGreaterThan(0);
  expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id, status: 'requested' });
  expect(await cancel()).toMatchObject({ status: 200, body: { offboarding_id, connections: [] } });
  await service.outcomeInAHurry(offboarding_id, 'cancelled');
  await service.settled();
  expect(service.enabled()).toEqual(ALL_AS_BEFORE);
});

test('when a duplicate of the request or the notice of the removal comes after it, nothing changes', async () => {
  const { event } = await offboard();
  await cancel();
  service.publish(IN_A_MONTH, { ...event, resources: ['late'] });
  service.aws.fireAll(ORG);
  await service.settled();
  expect(service.enabled()).toEqual(ALL_AS_BEFORE);
  expect(service.managementCalls().filter(({ method }) => method === 'DELETE')).toEqual([]);
});

test('when a new request comes after it, it starts anew', async () => {
  await offboard();
  await cancel();
  const { event } = await offboard();
  await service.makeDue();
  const { detail } = await service.outcome(event.id, 'completed');
  expect(outcomesOf(detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
});

test('when somebody enables a connection at once after a completed offboarding, the next one disables it, and its cancellation enables it', async () => {
  await offboard({ action: 'disable' }, 'completed');
  service.tenant.enableConnection(ORG, CON);
  const { event, published } = await offboard();
  expect(outcomesOf(published.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'unchanged' });
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
  expect((await cancel()).status).toBe(200);
  await service.outcome(event.id, 'cancelled');
  expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: false });
});

test('when somebody has removed a connection meanwhile, that is unchanged', async () => {
  await offboard();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  service.tenant.clearCalls();
  const answer = await cancel();
  // A list may be old: what the service disabled is enabled whatever it says.
  expect(outcomesOf(answer.body)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'unchanged' });
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('when the organization was deleted in Auth0, nothing is left to enable', async () => {
  await offboard();
  service.tenant.deleteOrganization(ORG);
  const answer = await cancel();
  expect(answer.status).toBe(200);
  expect(outcomesOf(answer.body)).toEqual({ [CON]: 'unchanged', [CON2]: 'unchanged', [CON3]: 'unchanged' });
});

describe('a cancellation that goes on by itself', () => {
  test.each([
    ['the rate limit', { ...LIMITED, headers: { 'retry-after': '100' } }],
    ['an outage', { status: 503, body: '<html>' }],
  ])(
    'when there is %s, the answer is 202, nothing is removed any more, and it ends in its event',
    async (_what, fault) => {
      const { event } = await offboard();
      service.tenant.addFaults({ method: 'PATCH', path: CON3, times: 99, ...fault });
      expect(await cancel({ remaining: 8000 })).toMatchObject({ status: 202, body: { status: 'cancelling' } });
      expect(service.enabled()).toEqual({ ...ALL_AS_BEFORE, [CON3]: false });
      expect((await service.request('get-offboarding')).body).toMatchObject({
        status: 'cancelling',
        removal_due_at: null,
      });
      await service.makeDue();
      service.tenant.clearFaults();
      service.worker.kill(); // A new container knows nothing of the limit.
      const { detail } = await service.outcomeInAHurry(event.id, 'cancelled');
      expect(outcomesOf(detail)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'enabled' });
      expect(service.enabled()).toEqual(ALL_AS_BEFORE);
    },
  );

  test('when a worker is at it, the answer is 202, and the worker enables what it has disabled', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 3000 });
    const { id } = service.publish(IN_A_MONTH);
    await expect.poll(() => service.enabled()[CON], { timeout: 10_000 }).toBe(false);
    expect(await cancel({ remaining: 1500 })).toMatchObject({ status: 202, body: { status: 'cancelling' } });
    await service.outcome(id, 'cancelled');
    await service.settled();
    expect(service.enabled()).toEqual(ALL_AS_BEFORE);
    expect(await cancel()).toMatchObject({ status: 200, body: { status: 'cancelled', replayed: true } });
  });

  test('when it is requested again while it goes on, it is one cancellation, with one event', async () => {
    const { event } = await offboard();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, times: 99, status: 503, body: '' });
    for (let times = 0; times < 2; times++) expect((await cancel({ remaining: 2000 })).status).toBe(202);
    service.tenant.clearFaults();
    await service.outcomeInAHurry(event.id, 'cancelled');
    await service.settled();
    const published = service.aws.events.filter(
      ({ detail, source }) => detail.offboarding_id === event.id && source === 'org-connections',
    );
    expect(published.map((one) => one['detail-type'].split('.').at(-1))).toEqual(['scheduled', 'cancelled']);
  });

  test('when it is cut off half-way, it goes on where it was, and what somebody disables after that stays disabled', async () => {
    const { event } = await offboard();
    service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 503, body: 'down', times: 99 });
    expect((await cancel({ remaining: 8000 })).status).toBe(202);
    expect(service.enabled()[CON]).toBe(true);
    const disabled = [CON, CON2, CON3].map((connection_id) => ({ connection_id, is_enabled: false }));
    service.tenant.setOrganizations({ [ORG]: disabled });
    service.tenant.clearFaults();
    await service.outcomeInAHurry(event.id, 'cancelled');
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: true });
  });

  test('when the bus does not take the outcome, it gets it later', async () => {
    const { event } = await offboard();
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 3 });
    const { status } = await cancel();
    expect([200, 202]).toContain(status);
    expect(service.enabled()).toEqual(ALL_AS_BEFORE);
    await service.outcomeInAHurry(event.id, 'cancelled');
  });
});

test('when Auth0 refuses to enable a connection, the caller gets the problem, the record is failed, and it can be cancelled again', async () => {
  const { event } = await offboard();
  service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 400, body: { statusCode: 400, message: 'no' } });
  expect(await cancel()).toMatchObject({ status: 400, body: { code: 'rejected_by_auth0' } });
  const { detail } = await service.outcome(event.id, 'failed');
  expect(outcomesOf(detail)).toEqual({ [CON]: 'enabled', [CON2]: 'unchanged', [CON3]: 'failed' });
  expect(await record()).toMatchObject({ status: 'failed' });
  expect(await cancel()).toMatchObject({ status: 200, body: { status: 'cancelled' } });
  expect(service.enabled()).toEqual(ALL_AS_BEFORE);
});

test('when connections are being removed, the answer is 409, and they are removed', async () => {
  const { event } = await offboard();
  service.tenant.addFaults({ method: 'DELETE', path: CON3, delay: 3000 });
  await service.makeDue();
  await expect.poll(async () => (await record())?.status, { timeout: 10_000 }).toBe('removing');
  expect(await cancel({ remaining: 2000 })).toMatchObject({ status: 409, body: { code: 'conflict' } });
  expect(outcomesOf((await service.outcome(event.id, 'completed')).detail)).toMatchObject({ [CON3]: 'removed' });
});

describe('a cancellation by event', () => {
  const publish = (detail: object = {}, envelope: object = {}) =>
    service.publish(detail, { 'detail-type': 'organization.offboarding.cancellation_requested', ...envelope });

  test('when it comes, it does as DELETE, with who and why in the outcome', async () => {
    const { event } = await offboard();
    publish({ requested_by: 'sales', reason: 'renewed' });
    const { detail } = await service.outcome(event.id, 'cancelled');
    const who = { requested_by: 'sales', reason: 'renewed', caller: '000000000000 billing' };
    expect(detail.cancelled).toMatchObject(who);
    expect(service.enabled()).toEqual(ALL_AS_BEFORE);
  });

  test('when it finds nothing, its own event says so, and it is no dead letter', async () => {
    const { id } = publish();
    const { detail } = await service.outcome(id, 'cancellation_failed');
    expect(detail).toMatchObject({ organization_id: ORG, error: { code: 'not_found' }, connections: [] });
    expect(service.aws.messages(DEAD_LETTERS)).toHaveLength(0);
    await service.settled();
    expect(service.managementCalls()).toEqual([]);
  });

  test('when it is delivered twice, what was requested after it stands', async () => {
    await offboard();
    const sent = publish();
    await service.settled();
    const second = await offboard();
    service.publish({}, { ...sent, resources: ['again'] });
    await service.settled();
    expect((await service.records()).map(({ status }) => status)).toEqual(['cancelled', 'scheduled']);
    expect(await record()).toMatchObject({ offboarding_id: second.event.id });
  });

  test('when a request with an earlier time arrives after it, that is cancelled; one with a later time is not', async () => {
    await offboard();
    const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString().replace(/\.\d+/, '');
    await service.pass(3_600_000);
    publish({}, { time: minutesAgo(10) });
    await service.settled();
    const late = service.publish(IN_A_MONTH, { time: minutesAgo(20) });
    await service.outcome(late.id, 'cancelled');
    expect(service.enabled()).toEqual(ALL_AS_BEFORE);
    const after = service.publish(IN_A_MONTH, { time: minutesAgo(5) });
    await service.outcome(after.id, 'scheduled');
  });
});

test.each([
  ['refuses', { error: 'AccessDeniedException', status: 400, times: 9 }],
  ['is throttled', { error: 'ThrottlingException', status: 400, times: 9 }],
  ['breaks off', { reset: true, times: 9 }],
  ['answers garbage', { garbage: '<html>', times: 9 }],
])('when the table %s, the answer is a 503 with Retry-After, and the next try works', async (_what, fault) => {
  await offboard();
  service.tenant.clearCalls();
  service.aws.addFaults({ operation: 'GetItem', ...fault });
  expect(await cancel()).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
  expect(enabledByUs()).toEqual([]);
  service.aws.clearFaults();
  expect((await cancel()).status).toBe(200);
});

test('when the table is slow, the request ends at the deadline, and nothing is done afterwards', async () => {
  await offboard();
  service.tenant.clearCalls();
  service.aws.addFaults({ operation: 'GetItem', delay: 2500, times: 9 });
  expect((await cancel({ remaining: 2000 })).status).toBeGreaterThanOrEqual(500);
  await sleep(1500);
  expect(enabledByUs()).toEqual([]);
  service.aws.clearFaults();
  expect((await cancel()).status).toBe(200);
});
