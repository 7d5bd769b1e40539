// Ways in which several offboardings of one organization, each right by itself, once broke a promise together.
import { describe, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { metricsIn } from '../embedded-metrics.ts';
import { CON, ORG } from '../service.ts';
import { BOTH, CON2, DAY_MS, HOUR_MS, NEITHER, offboard, service, startWith } from './one-organization.ts';

const LATER = (grace_period: string) => ({ action: 'disable_then_remove', grace_period });
startWith(BOTH);

const cancel = (remaining = 29_000) => service.request('cancel-offboarding', { remaining });
const statuses = async () => (await service.records()).map(({ status }) => status);
const removed = () => service.managementCalls().filter(({ method }) => method === 'DELETE').length;
const reads = () => service.managementCalls().filter(({ method }) => method === 'GET').length;
const secondsAgo = (s: number) => new Date(Date.now() - s * 1000).toISOString().replace(/\.\d+/, '');
/** The outcomes of an offboarding, as they were told. */
const toldOf = (id: unknown) =>
  service.aws.events
    .filter(({ source, detail }) => source === 'org-connections' && detail.offboarding_id === id)
    .map((event) => event['detail-type'].split('.').at(-1))
    .filter((type) => type !== 'requested');
/** Days go by, each with its drift check. */
async function days(count: number): Promise<void> {
  for (let day = 0; day < count; day++) {
    await service.pass(DAY_MS + HOUR_MS);
    await service.sweep();
  }
}

describe('1: ninety days that were asked for last became seven', () => {
  const isRemovedAfterNinety = async () => {
    await service.pass(30 * DAY_MS);
    await service.sweep();
    expect(service.enabled()).toEqual(NEITHER);
    await service.pass(61 * DAY_MS);
    await service.sweep();
    expect(service.enabled()).toEqual({});
  };

  test('for a batch that was asked for before them waited behind others', async () => {
    const body = { statusCode: 429, error: 'Too Many Requests', message: 'x' };
    service.tenant.addFaults({ method: 'GET', status: 429, body, headers: { 'retry-after': '25' } });
    const batch = { ...LATER('P7D'), reason: 'x', organization_ids: [ORG] };
    expect((await service.request('request-offboardings', { body: batch })).status).toBe(202);
    await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 10_000 }).toBeGreaterThan(0);
    const { id: single } = await offboard(LATER('P90D'), 'scheduled');
    await service.settled();
    expect(await service.request('get-offboarding')).toMatchObject({ body: { offboarding_id: single } });
    expect(await statuses()).toEqual(['superseded', 'scheduled']);
    await isRemovedAfterNinety();
  });

  test('for an event that was sent before them came after them', async () => {
    await service.pass(0);
    const { id: last } = await offboard(LATER('P90D'), 'scheduled', { time: secondsAgo(60) });
    const { id: first } = await offboard(LATER('P7D'), 'scheduled', { time: secondsAgo(120) });
    const [a, b] = await service.records();
    expect([a, b].find((one) => one?.offboarding_id === first)).toMatchObject({ superseded_by: last });
    await isRemovedAfterNinety();
  });
});

test('2: with two offboardings that are watched nobody looked any more from the second day on', async () => {
  await offboard({ action: 'disable', connection_ids: [CON] }, 'completed');
  await offboard({ action: 'disable', connection_ids: [CON2] }, 'completed');
  await days(3);
  service.tenant.clearCalls();
  await days(1);
  expect(reads()).toBe(1);
  service.tenant.enableConnection(ORG, CON);
  await days(1);
  const drifted = service.aws.events.filter((event) => event['detail-type'].endsWith('drifted'));
  expect(drifted.at(-1)?.detail).toMatchObject({ connections: [{ connection_id: CON, drift: 'reenabled' }] });
});

test('3: a request that names only a mistyped connection took over, and nothing was ever removed', async () => {
  const { id: first } = await offboard(LATER('P30D'), 'scheduled');
  await offboard({ ...LATER('P30D'), connection_ids: ['con_mistyped'] }, 'completed');
  expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id: first, status: 'scheduled' });
  await service.pass(31 * DAY_MS);
  await service.sweep();
  expect(service.enabled()).toEqual({});
});

test('4: a later request that failed left all of it disabled for ever', async () => {
  await offboard({ ...LATER('P30D'), connection_ids: [CON] }, 'scheduled');
  service.tenant.addFaults({ method: 'PATCH', path: CON2, status: 503, body: '', times: 999 });
  const { id } = service.publish(LATER('P60D'));
  await expect.poll(async () => (await service.records()).at(-1)?.last_error, { timeout: 20_000 }).toBeTruthy();
  await service.worker.idle();
  await service.pass(8 * DAY_MS);
  await service.outcomeInAHurry(id, 'failed');
  service.tenant.clearFaults();
  await service.settled();
  expect(await statuses()).toEqual(['scheduled', 'failed']);
  expect((await cancel()).status).toBe(200);
  expect(service.enabled()).toEqual(BOTH);
});

test('5: one page of a firewall with 403 ended a request for good', async () => {
  service.tenant.addFaults({ method: 'PATCH', status: 403, body: '<html>Access denied</html>', times: 3 });
  const { id } = service.publish({ action: 'disable' });
  await service.outcomeInAHurry(id, 'completed');
  expect(service.enabled()).toEqual(NEITHER);
});

test('6: a POST that was answered 500 ended the watch of what was done before, and GET showed nothing', async () => {
  const { id } = await offboard({ action: 'disable' }, 'completed');
  const refusal = { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] };
  service.aws.addFaults({ operation: 'PutEvents', answer: refusal, times: 4 });
  const body = { action: 'remove', reason: 'x' };
  expect((await service.request('request-offboarding', { body })).status).toBe(500);
  const shown = { offboarding_id: id, status: 'completed', watch: 'on' };
  expect((await service.request('get-offboarding')).body).toMatchObject(shown);
  service.tenant.enableConnection(ORG, CON);
  await days(1);
  expect(toldOf(id)).toContain('drifted');
  expect((await service.request('get-offboarding')).body).toMatchObject(shown);
  expect(removed()).toBe(0);
});

test('7: on record and not on the bus, the caller gone: requested for ever', async () => {
  service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 30 });
  const headers = { 'idempotency-key': 'order-1' };
  const body = { action: 'disable', reason: 'x' };
  expect((await service.request('request-offboarding', { body, headers })).status).toBe(500);
  service.aws.clearFaults();
  await service.pass(HOUR_MS);
  await service.sweep();
  expect(service.enabled()).toEqual(NEITHER);
  expect(await statuses()).toEqual(['completed']);
});

test('8: a request waited for days and no alarm could fire', async () => {
  service.tenant.addFaults({ path: ORG, status: 503, body: '', times: 999 });
  service.publish({ action: 'disable' });
  await expect.poll(async () => (await service.records())[0]?.attempts, { timeout: 20_000 }).toBeGreaterThan(0);
  await service.worker.idle();
  await service.pass(3 * DAY_MS);
  service.logs.splice(0);
  await service.checkByClock();
  await expect.poll(() => service.logged('due_noticed').length).toBe(1);
  const line = service.logs.find((one) => one.includes('due_noticed')) ?? '';
  const { metrics } = metricsIn(line);
  expect(metrics).toMatchObject([{ name: 'OldestOverdue' }]);
  expect(metrics[0]?.value).toBeGreaterThanOrEqual((3 * DAY_MS) / 1000);
  service.tenant.clearFaults();
  await service.settled();
});

describe('9: what became of it was told in words that nobody knows, or not at all', () => {
  test('of one that is worked off after a later one', async () => {
    const { id: last } = await offboard(LATER('P60D'), 'scheduled', { time: secondsAgo(10) });
    const { id: first } = await offboard(LATER('P30D'), 'scheduled', { time: secondsAgo(20) });
    expect([toldOf(first), toldOf(last)]).toEqual([['scheduled'], ['scheduled']]);
  });

  test('of one that is cancelled before the bus has taken that it is scheduled', async () => {
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 6 });
    const { id } = service.publish(LATER('P30D'));
    await expect.poll(async () => (await service.records())[0]?.status, { timeout: 20_000 }).toBe('scheduled');
    await service.worker.idle();
    service.aws.clearFaults();
    expect((await cancel()).status).toBe(200);
    await service.settled();
    expect(toldOf(id)).toEqual(['scheduled', 'cancelled']);
  });
});

test('10: Auth0 refused to enable: the caller was told 200, and it was cancelling for ever', async () => {
  const { id } = await offboard(LATER('P30D'), 'scheduled');
  service.tenant.addFaults({ method: 'PATCH', path: CON2, status: 400, body: { statusCode: 400, message: 'no' } });
  expect(await cancel()).toMatchObject({ status: 400, body: { code: 'rejected_by_auth0' } });
  expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id: id, status: 'failed' });
  expect(toldOf(id)).toEqual(['scheduled', 'failed']);
});

test('11: what an administrator had disabled was enabled by a cancelling', async () => {
  const body = { statusCode: 429, error: 'Too Many Requests', message: 'x' };
  service.tenant.addFaults({ method: 'PATCH', path: CON, status: 429, body, headers: { 'retry-after': '25' } });
  const { id } = service.publish(LATER('P30D'));
  await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 10_000 }).toBeGreaterThan(0);
  await service.worker.idle();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, is_enabled: false }, { connection_id: CON2 }] });
  service.worker.kill(); // A new container knows nothing of the limit.
  await service.outcomeInAHurry(id, 'scheduled');
  expect((await cancel()).status).toBe(200);
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: true });
});

test("12: a drift check's call that Auth0 carried out late disabled a customer who had been told 200", async () => {
  const { id } = await offboard({ action: 'disable', on_reenable: 'disable_again' }, 'completed');
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
  service.tenant.addFaults({ method: 'PATCH', delay: 3500 });
  service.tenant.clearCalls();
  await service.pass(DAY_MS + HOUR_MS);
  await service.checkByClock();
  const calls = () => service.managementCalls().filter(({ method }) => method === 'PATCH');
  await expect.poll(() => calls().length, { timeout: 10_000 }).toBe(1);
  service.worker.kill();
  // Nobody may say that it is over while Auth0 may still do it.
  expect(await cancel(1500)).toMatchObject({ status: 202, body: { status: 'cancelling' } });
  expect(toldOf(id)).not.toContain('watch_ended');
  await expect.poll(() => calls()[0]?.status, { timeout: 10_000 }).toBe(200);
  await service.settled();
  expect(toldOf(id)).toContain('watch_ended');
  service.tenant.enableConnection(ORG, CON);
  await days(1);
  expect(service.enabled()).toEqual({ [CON]: true });
});

describe('13: the word that a removal is due was swallowed, for it was said before', () => {
  test('a minute early', async () => {
    await offboard(LATER('P30D'), 'scheduled');
    service.aws.fireAll(ORG);
    await service.settled();
    expect(removed()).toBe(0);
    await service.makeDue();
    await service.settled();
    expect(service.enabled()).toEqual({});
  });

  test('by a worker that was killed between scheduling and its record', async () => {
    const { id } = service.publish(LATER('P30D'));
    service.aws.addFaults({ operation: 'CreateSchedule', resetAfter: true, delay: 700 });
    await expect.poll(() => service.aws.calls.includes('CreateSchedule'), { timeout: 10_000 }).toBe(true);
    service.worker.kill();
    await service.outcomeInAHurry(id, 'scheduled');
    await service.worker.idle();
    await service.makeDue();
    await service.settled();
    expect(service.enabled()).toEqual({});
  });
});

test('14: a drift check whose worker was killed was not made before the next day', async () => {
  const { id } = await offboard({ action: 'disable' }, 'completed');
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }] });
  service.tenant.clearCalls();
  service.tenant.addFaults({ method: 'GET', delay: 2000 });
  await service.pass(DAY_MS + HOUR_MS);
  await service.checkByClock();
  await expect.poll(reads, { timeout: 10_000 }).toBe(1);
  service.worker.kill();
  service.aws.messages(QUEUE).splice(0);
  await service.worker.idle();
  await service.pass(HOUR_MS);
  await service.sweep();
  expect(toldOf(id)).toEqual(['completed', 'drifted']);
});

test('15: a batch whose caller was told 5xx went on minutes later', async () => {
  const organization_ids = Array.from({ length: 120 }, (_, i) => `org_thawed${String(i).padStart(10, '0')}`);
  const one = [{ connection_id: CON }];
  service.tenant.setOrganizations(Object.fromEntries(organization_ids.map((id) => [id, one])));
  service.aws.addFaults({ operation: 'PutItem', delay: 400, times: 999 });
  const writes = () => service.aws.calls.filter((operation) => operation === 'PutItem').length;
  const body = { action: 'disable', reason: 'x', organization_ids };
  const { status } = await service.request('request-offboardings', { body, remaining: 1800 });
  expect(status).toBeGreaterThanOrEqual(500);
  // What was on its way arrives; the process here is never frozen, as one that Lambda has thawed.
  const [asked, told] = [writes(), service.aws.events.length];
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(writes() - asked).toBeLessThanOrEqual(50);
  expect(service.aws.events.length).toBe(told);
  service.aws.clearFaults();
  for (const id of organization_ids) await service.pass(HOUR_MS, id);
  await service.sweep();
  expect(organization_ids.filter((id) => service.enabled(id)[CON] !== true)).toEqual([]);
});
