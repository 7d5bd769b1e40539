// Whatever is not ended and whose next step is overdue is found by the clock, and goes on by the same steps as ever.
import { beforeEach, describe, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { metricsIn } from '../embedded-metrics.ts';
import { CON, ORG } from '../service.ts';
import {
  BOTH,
  CON2,
  DAY_MS,
  HOUR_MS,
  IN_A_MONTH,
  NEITHER,
  offboard,
  record,
  service,
  startWith,
} from './one-organization.ts';

const BUS_AWAY = { operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 99 };

startWith(BOTH, { processes: ['offboard-organization', 'request-offboarding'], visibilityTimeout: 1500 });

const SENDS = ['SendMessage', 'SendMessageBatch'];
const loseMessages = () => service.aws.messages(QUEUE).splice(0);
/** Publishes a request while Auth0 is away, and loses its message once it was tried. Auth0 is back afterwards. */
async function loseMessageOfRequest() {
  service.tenant.addFaults({ path: ORG, status: 503, body: '', times: 99 });
  service.publish({ action: 'disable' });
  await expect.poll(async () => (await record())?.attempts, { timeout: 20_000 }).toBeGreaterThan(0);
  await service.worker.idle();
  loseMessages();
  service.tenant.clearFaults();
}
const hourGoesBy = async () => {
  await service.worker.idle();
  await service.pass(HOUR_MS);
  await service.sweep();
};

test('when the message of a request is lost, the request is found', async () => {
  await loseMessageOfRequest();
  await hourGoesBy();
  expect(service.enabled()).toEqual(NEITHER);
});

test('when the schedule of a removal is lost, the removal is found, and not before its date', async () => {
  await offboard();
  service.aws.schedules.clear();
  await service.pass(29 * DAY_MS);
  await service.sweep();
  expect(service.enabled()).toEqual(NEITHER);
  await service.pass(DAY_MS + HOUR_MS);
  await service.sweep();
  expect(service.enabled()).toEqual({});
});

test('when a worker is killed and its message is gone, its work is found', async () => {
  service.tenant.addFaults({ method: 'PATCH', path: CON2, delay: 500 });
  const { id } = service.publish({ action: 'disable' });
  await expect.poll(() => service.enabled()[CON], { timeout: 20_000 }).toBe(false);
  service.worker.kill();
  await service.worker.idle();
  loseMessages();
  await hourGoesBy();
  await service.outcome(id, 'completed');
  expect(service.enabled()).toEqual(NEITHER);
});

test('when the bus does not take an outcome, it is published later', async () => {
  service.aws.addFaults(BUS_AWAY);
  const { id } = service.publish({ action: 'disable' });
  await expect.poll(async () => (await record())?.status, { timeout: 20_000 }).toBe('completed');
  await service.worker.idle();
  loseMessages();
  service.aws.clearFaults();
  await hourGoesBy();
  await service.outcome(id, 'completed');
});

test('when a cancellation is accepted and its caller and its message are gone, it is carried out', async () => {
  const { id } = await offboard();
  service.tenant.addFaults({ method: 'PATCH', status: 503, body: '', times: 99 });
  expect((await service.request('cancel-offboarding', { remaining: 2000 })).status).toBe(202);
  await service.worker.idle();
  loseMessages();
  service.tenant.clearFaults();
  await hourGoesBy();
  await service.outcome(id, 'cancelled');
  expect(service.enabled()).toEqual(BOTH);
});

describe('when a request is accepted and its notice is lost', () => {
  test('because its function was killed, it is found and carried out', async () => {
    const { calls } = service.aws;
    const before = calls.length;
    service.aws.addFaults(...SENDS.map((operation) => ({ operation, delay: 3000, times: 9 })));
    const sent = service
      .request('request-offboarding', { body: { action: 'disable', reason: 'x' } })
      .catch(() => undefined);
    // Its start sends, too.
    const acceptedAt = () => calls.indexOf('PutItem', before);
    const isSending = () => acceptedAt() > 0 && calls.slice(acceptedAt()).some((name) => SENDS.includes(name));
    await expect.poll(isSending, { timeout: 10_000 }).toBe(true);
    service.functionNamed('request-offboarding').kill();
    await sent;
    loseMessages();
    service.aws.clearFaults();
    await hourGoesBy();
    expect(service.enabled()).toEqual(NEITHER);
    expect((await service.request('get-offboarding')).body).toMatchObject({ status: 'completed' });
  });

  test('because the queue takes nothing, each organization of a batch is found and carried out', async () => {
    const organization_ids = Array.from({ length: 12 }, (_, i) => `org_rest${String(i).padStart(12, '0')}`);
    const one = [{ connection_id: CON }];
    service.tenant.setOrganizations(Object.fromEntries(organization_ids.map((id) => [id, one])));
    service.aws.addFaults(...SENDS.map((operation) => ({ operation, error: 'AccessDeniedException', times: 99 })));
    const body = { action: 'disable', reason: 'x', organization_ids };
    expect((await service.request('request-offboardings', { body })).status).toBe(202);
    service.aws.clearFaults();
    for (const id of organization_ids) await service.pass(2 * HOUR_MS, id);
    await service.sweep();
    expect(organization_ids.filter((id) => service.enabled(id)[CON] !== false)).toEqual([]);
  });
});

describe('when an operator requeues', () => {
  test.each<[string, unknown]>([
    ['of one organization', { organization_id: ORG }],
    ['of all that is overdue', 'overdue'],
  ])('%s, it is done', async (_what, requeue) => {
    await loseMessageOfRequest();
    expect(await service.watch.invoke({ requeue })).toMatchObject({ requeued: expect.any(Number) });
    await service.settled();
    expect(service.enabled()).toEqual(NEITHER);
  });

  test.each(['all', { organization_id: 'x' }, null, {}])('when it is %o, it is refused', async (requeue) => {
    await expect(service.watch.invoke({ requeue })).rejects.toThrow('requeue');
  });
});

test('when a drift check is a day late, it is counted, and nothing else is', async () => {
  const { id } = service.publish({ action: 'disable' });
  await service.outcome(id);
  await service.worker.idle();
  const counted = async () => {
    service.logs.splice(0);
    await service.sweep();
    const line = service.logs.find((one) => one.includes('due_noticed')) ?? '';
    return Object.fromEntries(metricsIn(line).metrics.map(({ name, value }) => [name, value]));
  };
  expect(await counted()).toEqual({});
  await service.pass(2 * DAY_MS + HOUR_MS);
  expect(await counted()).toEqual({ DriftChecksLate: 1 });
  expect(await counted()).toEqual({});
});

describe('when a batch is cancelled', () => {
  const organization_ids = Array.from({ length: 12 }, (_, i) => `org_cancel${String(i).padStart(10, '0')}`);
  const [FIRST = '', SECOND = ''] = organization_ids;
  const batch = async (headers = {}, body = {}) => {
    const request = { body: { ...IN_A_MONTH, reason: 'x', organization_ids, ...body }, headers };
    const answer = await service.request('request-offboardings', request);
    return (answer.body as { batch_id: string }).batch_id;
  };
  const cancelBatch = (batch_id: string, query = {}) =>
    service.request('cancel-offboardings', { query: { batch_id, ...query } });
  const statusesOf = async (id: string) => (await service.records(id)).map(({ status }) => status);
  beforeEach(async () => {
    for (const id of organization_ids) await service.forget(id);
    const both = [{ connection_id: CON }, { connection_id: CON2 }];
    service.tenant.setOrganizations(Object.fromEntries(organization_ids.map((id) => [id, both])));
  });

  test('what it had disabled is enabled by itself, with who and why; another offboarding of the same organization is not', async () => {
    const batch_id = await batch();
    await service.settled();
    const { id } = service.publish({
      ...IN_A_MONTH,
      reason: 'x',
      organization_id: FIRST,
      connection_ids: [CON2],
      grace_period: 'P60D',
    });
    await service.outcome(id, 'scheduled');
    await service.worker.idle();
    const other = service.publish({ action: 'disable', organization_id: SECOND, connection_ids: [CON] });
    await service.outcome(other.id, 'completed');
    await service.worker.idle();
    const answer = await cancelBatch(batch_id, { reason: 'renewed', requested_by: 'sales' });
    expect(answer).toMatchObject({ status: 202, body: { batch_id, cancelling: 11, not_pending: 1 } });
    await service.settled();
    for (const one of organization_ids.slice(2)) {
      expect(service.enabled(one)).toEqual(BOTH);
      expect((await service.records(one))[0]).toMatchObject({
        status: 'cancelled',
        cancelled: { reason: 'renewed', requested_by: 'sales' },
      });
    }
    // Taken over by a later one, it is that one's; asked for by another afterwards, it stays disabled.
    expect(await statusesOf(FIRST)).toEqual(['superseded', 'scheduled']);
    expect(service.enabled(FIRST)).toEqual(NEITHER);
    expect(service.enabled(SECOND)).toEqual({ [CON]: false, [CON2]: true });
    expect((await cancelBatch(batch_id)).body).toMatchObject({ cancelling: 0, not_pending: 12 });
  });

  test('before it was worked off, nothing of it begins, also when its caller sends it once more', async () => {
    service.tenant.addFaults({ path: 'org_cancel', status: 503, body: '', times: 9999 });
    const headers = { 'idempotency-key': 'batch-2' };
    const request = { body: { ...IN_A_MONTH, reason: 'x', organization_ids }, headers };
    const { batch_id } = (await service.request('request-offboardings', request)).body as { batch_id: string };
    expect(await cancelBatch(batch_id)).toMatchObject({ status: 202, body: { cancelling: 12 } });
    service.tenant.clearFaults();
    expect(await service.request('request-offboardings', request)).toMatchObject({
      status: 202,
      body: { replayed: true },
    });
    await service.settled();
    for (const id of organization_ids) await service.pass(2 * HOUR_MS, id);
    await service.sweep();
    for (const id of organization_ids) expect(service.enabled(id)).toEqual(BOTH);
    expect(await statusesOf(FIRST)).toEqual(['cancelled']);
  });

  test('and does not exist, the answer is a 404', async () => {
    expect(await cancelBatch('0b6585c0-a0d7-8479-8331-c98f5557bbc9')).toMatchObject({ status: 404 });
  });
});
