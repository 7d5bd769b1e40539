// What records, events and answers say: ways in which they contradicted what was done.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { DEAD_LETTERS } from '../../infra/local/environment.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { CON, ORG } from '../service.ts';
import {
  CON2,
  eventsOf,
  HOUR_MS,
  offboard,
  record,
  service,
  setConnections,
  settledInAHurry,
  startWith,
} from './one-organization.ts';

startWith({ [CON]: true, [CON2]: true }, { environment: { MACHINE_ACCESS: 'true' } });
const idOf = ({ body }: { body: unknown }) => (body as { offboarding_id: string }).offboarding_id;
const cancel = () => service.request('cancel-offboarding');

test('when an earlier offboarding lowered a level for good, a later cancellation does not give it back', async () => {
  setConnections({ connection_id: CON, organization_access_level: 'limited' });
  await offboard({ action: 'disable' }, 'completed');
  await settledInAHurry();
  await service.pass(HOUR_MS);
  setConnections({ connection_id: CON, organization_access_level: 'readonly' });
  await offboard({ action: 'disable_then_remove' });
  await settledInAHurry();
  expect((await cancel()).status).toBe(200);
  expect(service.tenant.state().organizations[ORG]).toMatchObject([
    { is_enabled: true, organization_access_level: 'readonly' },
  ]);
});

test('when a failed offboarding is cancelled, its record and its event still say who and why', async () => {
  service.tenant.addFaults({
    method: 'PATCH',
    path: CON2,
    status: 400,
    body: { statusCode: 400, error: 'Bad Request', message: 'no' },
  });
  await offboard({ action: 'disable', reason: 'why', requested_by: 'who' }, 'failed');
  await settledInAHurry();
  expect(await record()).toMatchObject({ status: 'failed', reason: 'why', requested_by: 'who' });
  expect((await cancel()).status).toBe(200);
  await settledInAHurry();
  const list = await service.request('list-offboardings', { query: { organization_id: ORG } });
  const [shown] = (list.body as { offboardings: Record<string, unknown>[] }).offboardings;
  const published = eventsOf('cancelled').at(-1)?.detail;
  expect(shown).toMatchObject({ status: 'cancelled', reason: 'why', requested_by: 'who' });
  expect(published).toMatchObject({ reason: 'why', requested_by: 'who' });
});

test('when a list has since and until, both are included', async () => {
  await offboard({ action: 'disable_then_remove', grace_period: 'P30D' });
  await settledInAHurry();
  const due = String((await record())?.removal_due_at);
  const at = Date.parse(due);
  const list = async (query: object) => {
    const answer = await service.request('list-offboardings', { query: { status: 'scheduled', ...query } });
    return (answer.body as { offboardings: object[] }).offboardings.length;
  };
  const found = {
    until: await list({ until: due }),
    untilHalf: await list({ until: new Date(at + 500).toISOString() }),
    untilSecond: await list({ until: new Date(at + 1000).toISOString() }),
    since: await list({ since: due }),
    sinceHalf: await list({ since: new Date(at + 500).toISOString() }),
  };
  expect(found).toEqual({ until: 1, untilHalf: 1, untilSecond: 1, since: 1, sinceHalf: 0 });
});

test('when a visit goes on with the next offboarding, the record of the first keeps the settings before', async () => {
  service.logs.splice(0);
  service.tenant.addFaults({
    method: 'PATCH',
    path: CON2,
    status: 403,
    body: '<html>blocked</html>',
    headers: { 'content-type': 'text/html' },
    times: 1,
  });
  const a = await service.request('request-offboarding', { body: { action: 'disable', reason: 'first' } });
  await expect
    .poll(() => service.logs.filter((line) => line.includes('effect_failed')).length, { interval: 10, timeout: 10_000 })
    .toBeGreaterThan(0);
  const second = await service.request('request-offboarding', { body: { action: 'disable', reason: 'second' } });
  expect([a.status, second.status]).toEqual([202, 202]);
  await sleep(3000);
  await settledInAHurry();
  const list = await service.request('list-offboardings', { query: { organization_id: ORG } });
  const first = (list.body as { offboardings: OffboardingRecord[] }).offboardings.find(
    ({ offboarding_id }) => offboarding_id === idOf(a),
  );
  expect(first?.connections.map(({ before }) => before?.is_enabled)).toEqual([true, true]);
}, 60_000);

test('when the bus refuses one of two events, the outcome is the last that it gets', async () => {
  service.aws.events.splice(0);
  service.aws.addFaults({ operation: 'PutEvents', entries: [0] });
  const answer = await service.request('request-offboarding', { body: { action: 'disable', reason: 'x' } });
  expect(answer.status).toBe(202);
  await settledInAHurry();
  const types = service.aws.events.map((one) => one['detail-type']);
  expect(types.indexOf('organization.offboarding.requested')).toBeGreaterThanOrEqual(0);
  expect(types.at(-1)).toBe('organization.offboarding.completed');
}, 60_000);

test('when the dead letter of an event with a key is moved back, it is the same offboarding', async () => {
  service.aws.messages(DEAD_LETTERS).splice(0);
  const body = { statusCode: 400, error: 'Bad Request', message: 'no' };
  service.tenant.addFaults({ method: 'PATCH', times: 2, status: 400, body });
  await offboard({ action: 'disable', idempotency_key: 'key-1' }, 'failed');
  await settledInAHurry();
  expect(await service.watch.invoke({ redrive: 'all' })).toMatchObject({ redriven: 1 });
  await sleep(500);
  await settledInAHurry();
  expect((await service.records()).length).toBe(1);
}, 60_000);

test('when an offboarding gives back client grants that it took over, it shows them', async () => {
  service.tenant.setClientGrants(ORG, [{ id: 'cgr_0000000000000001' }]);
  await service.request('request-offboarding', {
    body: { ...{ action: 'disable_then_remove', grace_period: 'P30D' }, reason: 'a', end_machine_access: true },
  });
  await settledInAHurry();
  const b = await service.request('request-offboarding', {
    body: { ...{ action: 'disable_then_remove', grace_period: 'P60D' }, reason: 'b' },
  });
  await settledInAHurry();
  await cancel();
  await settledInAHurry();
  const published = eventsOf('cancelled').find(({ detail }) => detail.offboarding_id === idOf(b));
  expect(published?.detail.client_grants).toMatchObject([{ outcome: 'restored' }]);
}, 60_000);

test('when client grants can never be listed, a request to end them is not completed', async () => {
  service.tenant.addClientGrant?.(ORG, 'cgr_1' as never);
  const body = {
    statusCode: 403,
    error: 'Forbidden',
    message: 'Please upgrade your subscription',
    errorCode: 'insufficient_entitlement',
  };
  service.tenant.addFaults({ method: 'GET', path: 'client-grants', times: 99, status: 403, body });
  const answer = await service.request('request-offboarding', {
    body: { action: 'disable', reason: 'x', end_machine_access: true },
  });
  expect(answer.status).toBe(202);
  await settledInAHurry();
  const found = await record();
  expect(found?.status).not.toBe('completed');
});

test('when the message of a cancellation comes back, what it found the first time is not nothing', async () => {
  service.aws.events.splice(0);
  await offboard();
  await settledInAHurry();
  service.aws.events.splice(0);
  service.logs.splice(0);
  service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 100 });
  service.publish(
    { requested_by: 'sales', reason: 'renewed' },
    { 'detail-type': 'organization.offboarding.cancellation_requested' },
  );
  await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 20_000 }).toBeGreaterThan(0);
  await service.worker.idle();
  service.aws.clearFaults();
  await settledInAHurry();
  expect(eventsOf('cancelled').length).toBeGreaterThan(0);
  expect(eventsOf('cancellation_failed')).toEqual([]);
}, 60_000);

test('when a batch was given up after a cancellation, a repeated DELETE answers as before', async () => {
  await offboard();
  await settledInAHurry();
  expect((await cancel()).status).toBe(200);
  expect(await cancel()).toMatchObject({ status: 200, body: { replayed: true } });
  await settledInAHurry();
  // The batch's own item is written, then its member; then the table takes nothing.
  service.aws.addFaults(
    { operation: 'PutItem', delay: 1, times: 3 },
    { operation: 'PutItem', error: 'ProvisionedThroughputExceededException', status: 400, times: 60 },
  );
  const answer = await service.request('request-offboardings', {
    body: { organization_ids: [ORG], action: 'disable', reason: 'x' },
    remaining: 6000,
  });
  service.aws.clearFaults();
  expect(answer.status).toBe(503);
  const again = await cancel();
  expect(again).toMatchObject({ status: 200, body: { replayed: true } });
}, 60_000);

test('when an earlier event arrives after a cancellation, a repeated DELETE answers as before', async () => {
  await offboard();
  await settledInAHurry();
  const time = new Date(Date.now() - 60_000).toISOString();
  expect((await cancel()).status).toBe(200);
  await settledInAHurry();
  const event = service.publish({ action: 'disable' }, { time });
  await service.outcome(event.id, 'cancelled');
  await settledInAHurry();
  const again = await cancel();
  expect(again).toMatchObject({ status: 200, body: { replayed: true } });
});

test('when Auth0 shows a connection as enabled, its removal leaves it, whatever we did a moment ago', async () => {
  setConnections({ connection_id: CON });
  const { event } = await offboard();
  await settledInAHurry();
  await offboard({ action: 'remove' }, 'completed');
  await service.worker.idle();
  // An operator adds it again, enabled, and the older removal is due.
  setConnections({ connection_id: CON });
  service.tenant.clearCalls();
  await service.changeOrganization(ORG, (item) => ({
    ...item,
    requests: item.requests.map((one) =>
      one.offboarding_id === event.id
        ? { ...one, removal_due_at: new Date(Date.now() - 1000).toISOString(), notice_due_at: undefined }
        : one,
    ),
  }));
  service.aws.fireAll(ORG);
  await service.outcomeInAHurry(event.id, 'completed');
  await settledInAHurry();
  expect(service.managementCalls().filter(({ method }) => method === 'DELETE')).toEqual([]);
  expect(service.enabled()).toEqual({ [CON]: true });
}, 60_000);

test('when an organization has many client grants with many scopes, it is offboarded all the same', async () => {
  const scope = Array.from({ length: 200 }, (_, index) => `read:something-${String(index).padStart(8, '0')}`);
  service.tenant.setClientGrants(
    ORG,
    Array.from({ length: 100 }, (_, index) => ({ id: `cgr_${String(index).padStart(16, '0')}`, scope })),
  );
  await service.request('request-offboarding', { body: { action: 'disable', reason: 'x' } });
  await sleep(3000);
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false });
}, 60_000);

test('when a dry run has listed many client grants, the next request has room', async () => {
  const scope = Array.from({ length: 45 }, (_, index) => `read:something-${String(index).padStart(8, '0')}`);
  service.tenant.setClientGrants(
    ORG,
    Array.from({ length: 100 }, (_, index) => ({ id: `cgr_${String(index).padStart(16, '0')}`, scope })),
  );
  await service.request('request-offboarding', {
    body: { action: 'disable', reason: 'x', dry_run: true },
  });
  await sleep(1500);
  await settledInAHurry();
  const second = await service.request('request-offboarding', { body: { action: 'disable', reason: 'x' } });
  expect(second.status).toBe(202);
}, 60_000);

test('when an organization of a batch takes no more and its record is not written at once, it is written later', async () => {
  service.tenant.addFaults({ method: 'GET', path: ORG, status: 503, body: '', times: 999 });
  for (let times = 0; times < 20; times++)
    expect(
      (await service.request('request-offboarding', { body: { action: 'disable', reason: `r${times}` } })).status,
    ).toBe(202);
  expect(
    (await service.request('request-offboarding', { body: { action: 'disable', reason: 'one more' } })).status,
  ).toBe(409);
  service.aws.events.splice(0);
  await service.worker.idle();
  // The batch is accepted by its second write; after that the function is cut off, or the table is away.
  service.aws.addFaults(
    { operation: 'PutItem', delay: 1, times: 3 },
    { operation: 'PutItem', error: 'ProvisionedThroughputExceededException', status: 400, times: 3 },
  );
  const answer = await service.request('request-offboardings', {
    body: { organization_ids: [ORG], action: 'disable', reason: 'x' },
  });
  service.aws.clearFaults();
  service.tenant.clearFaults();
  await settledInAHurry();
  const { batch_id } = answer.body as { batch_id: string };
  await service.pass(HOUR_MS, batch_id);
  await service.pass(HOUR_MS);
  await service.checkByClock();
  await settledInAHurry();
  const list = await service.request('list-offboardings', { query: { batch_id } });
  expect(answer.status).toBe(202);
  expect((list.body as { counts: object }).counts).toMatchObject({ failed: 1, requested: 0 });
}, 60_000);
