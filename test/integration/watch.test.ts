// Stays offboarded: checks by the clock and by notification, and somebody who enables connections behind the service's back.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { randomOf } from '../random.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  await service.startOver();
  await service.forget();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }] });
  service.aws.events.splice(0);
});

async function offboard(detail: object) {
  const { id } = service.publish(detail);
  await service.outcome(id);
  await expect.poll(async () => (await service.records()).at(-1)?.unpublished).toBeUndefined();
  await service.worker.idle();
  service.tenant.clearCalls();
  return id;
}
/** Somebody's tool enables a connection, or adds it again. */
const enable = (...connections: string[]) =>
  service.tenant.setOrganizations({ [ORG]: connections.map((connection_id) => ({ connection_id })) });
const drifts = () =>
  service.aws.events
    .filter((event) => event['detail-type'] === 'organization.offboarding.drifted')
    .map(({ detail }) => (detail.connections as { connection_id: string; outcome: string; error: object | null }[])[0]);
const settled = () => service.settled();
/** The date of the next check has come. */
const makeLookDue = async () => {
  const past = new Date(Date.now() - 1000).toISOString();
  await service.changeRecord(ORG, 'organization', { look_at: past, due_at: past, notice_at: 0 });
};
/** A check by the clock, now, where one is due. */
async function checkByClock() {
  await service.worker.idle();
  if ((await service.organization()).look_at) await makeLookDue();
  await service.sweep();
}
const notification = (change: object = {}, object: object = {}) => ({
  id: `notification-${Math.random()}`,
  type: 'organization.connection.updated',
  time: new Date(Date.now() + 1000).toISOString(),
  ...change,
  data: { object: { organization: { id: ORG }, connection: { id: CON }, is_enabled: true, ...object } },
});
async function sendNotification(detail: unknown) {
  const before = service.logged('notification_received').length;
  const envelope = { id: 'x', time: 'x', 'detail-type': 'organization.connection.updated' };
  service.aws.publish({ ...envelope, source: 'aws.partner/auth0.com/local/auth0.events', detail: detail as never });
  await expect.poll(() => service.logged('notification_received').length, { timeout: 30_000 }).toBe(before + 1);
  await settled();
}

describe('a check by the clock', () => {
  test.each(['disable', 'remove', 'disable_then_remove'])(
    'after %s: reports once each time that it happens',
    async (action) => {
      const id = await offboard({ action });
      await checkByClock();
      expect(drifts()).toEqual([]);
      expect(service.managementCalls().map(({ method }) => method)).toEqual(['GET']);
      enable(CON);
      await checkByClock();
      await checkByClock();
      expect(drifts()).toMatchObject([
        { connection_id: CON, outcome: 'unchanged', before: { is_enabled: true }, now: { is_enabled: true } },
      ]);
      expect(service.enabled()).toEqual({ [CON]: true });
      expect(
        (await service.records()).find((record) => record.offboarding_id === id)?.connections[0]?.drifted_at,
      ).toBeTruthy();
      service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, is_enabled: false }] });
      await checkByClock();
      enable(CON);
      await checkByClock();
      expect(drifts().length).toBe(2);
    },
  );

  test('disables again where the request says so, and never what this offboarding did not end', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON, CON2);
    await checkByClock();
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: true });
    expect(drifts()).toMatchObject([{ connection_id: CON, outcome: 'disabled' }]);
    expect(service.managementCalls().map(({ method }) => method)).toEqual(['GET', 'PATCH']);
  });

  test('three times within a day: it is left as it is, reported as such, with its own metric', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    for (let time = 0; time < 3; time++) {
      enable(CON);
      await checkByClock();
    }
    expect(drifts().map((drift) => drift?.outcome)).toEqual(['disabled', 'disabled', 'unchanged']);
    expect(drifts().at(-1)?.error).toMatchObject({ code: 'reenabled_repeatedly' });
    expect(service.enabled()).toEqual({ [CON]: true });
    expect(service.logged('reenabled_repeatedly').length).toBeGreaterThan(0);
  });

  test('Auth0 away during a check: nothing is lost, and the check is due again', async () => {
    await offboard({ action: 'disable' });
    enable(CON);
    service.tenant.addFaults({ status: 503, body: 'down', times: 99 });
    await makeLookDue();
    await service.checkByClock();
    await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 30_000 }).toBeGreaterThan(0);
    expect((await service.organization()).look_at).toBeTruthy();
    service.tenant.clearFaults();
    service.hurry();
    await checkByClock();
    expect(drifts().length).toBe(1);
  });

  test('cut off between disabling again and telling it: the next check tells it', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON);
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 12 });
    await makeLookDue();
    await service.checkByClock();
    await expect.poll(() => service.enabled()[CON], { timeout: 30_000 }).toBe(false);
    await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 30_000 }).toBeGreaterThan(0);
    service.aws.clearFaults();
    service.hurry();
    await checkByClock();
    expect(drifts()).toMatchObject([{ connection_id: CON, outcome: 'disabled' }]);
  });
});

describe('a check by notification', () => {
  test.each<[what: string, detail: () => unknown]>([
    ['the CloudEvent itself', () => notification()],
    ['inside an envelope', () => ({ payload: { event: notification() } })],
    ['in a list', () => [{ a: 1 }, notification()]],
    ['as text', () => JSON.stringify(notification())],
    ['as text inside an envelope', () => ({ body: JSON.stringify({ event: notification() }) })],
    [
      'of an added connection, without saying whether it is enabled',
      () => notification({ type: 'organization.connection.added' }, { is_enabled: undefined }),
    ],
  ])('%s: seconds instead of a day', async (_what, detail) => {
    await offboard({ action: 'remove', on_reenable: 'disable_again' });
    enable(CON);
    await sendNotification(detail());
    await expect.poll(() => service.enabled()[CON], { timeout: 30_000 }).toBe(false);
    await settled();
    expect(drifts()).toMatchObject([{ connection_id: CON, outcome: 'disabled' }]);
  });

  test.each<[what: string, detail: unknown, reads: number]>([
    ['a test', notification({ a0purpose: 'test' }), 0],
    ['one that this service caused', notification({}, { is_enabled: false }), 0],
    ['an old one', notification({ time: '2020-01-01T00:00:00Z' }), 1],
    ['a removed connection', notification({ type: 'organization.connection.removed' }), 0],
    ['an organization that nobody offboarded', notification({}, { organization: { id: 'org_Qk2vN8sT5rWx1YzA' } }), 1],
    ['an id that is none', notification({}, { organization: { id: 'org_a/../b' } }), 0],
    ['nothing', null, 0],
    ['something else', { deep: { deeper: [1, 'x', null] } }, 0],
  ])('%s costs %# read(s) of the table at most, and no call of Auth0', async (_what, detail, reads) => {
    await offboard({ action: 'disable' });
    await checkByClock();
    service.tenant.clearCalls();
    const before = service.aws.calls.length;
    await sendNotification(detail);
    expect(service.aws.calls.slice(before)).toEqual(Array(reads).fill('GetItem'));
    expect(service.managementCalls()).toEqual([]);
  });

  test('a flood becomes a few checks, and what they find is told once', async () => {
    await offboard({ action: 'disable' });
    service.tenant.addFaults({ method: 'GET', delay: 300 });
    enable(CON);
    const detail = notification({ time: new Date().toISOString() });
    // Two hundred at once may be more than a busy machine's table can take: Lambda would make those again.
    const all = await Promise.allSettled(Array.from({ length: 200 }, () => service.watch.invoke({ detail })));
    expect(all.some(({ status }) => status === 'fulfilled')).toBe(true);
    await settled();
    expect(service.managementCalls().length).toBeLessThanOrEqual(50);
    expect(drifts().length).toBe(1);
  });
});

const RUNS = process.env.DEEP ? 500 : 25;
test(`${RUNS} interleavings of checks, notifications, requests, cancellings and somebody enabling: nothing is disabled after it was allowed`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const { below, chance } = randomOf(seed);
    const organization_id = `org_watch${String(seed).padStart(11, '0')}`;
    service.tenant.setOrganizations({ [organization_id]: [{ connection_id: CON }] });
    const effects = () => service.tenant.effects().filter((effect) => effect.organizationId === organization_id).length;
    const actions = ['disable', 'remove', 'disable_then_remove'];
    const request = () =>
      service.publish({
        organization_id,
        action: actions[below(3)],
        on_reenable: chance(0.8) ? 'disable_again' : 'report',
      });
    await service.outcome(request().id);
    const busy: Promise<unknown>[] = [];
    for (let step = 3 + below(5); step > 0; step--) {
      const kind = below(8);
      if (kind < 3) service.tenant.enableConnection(organization_id, CON);
      else if (kind < 4) busy.push(service.checkByClock());
      else if (kind < 5)
        busy.push(service.watch.invoke({ detail: notification({}, { organization: { id: organization_id } }) }));
      else if (kind < 6) await service.outcome(request().id);
      else service.worker.idle();
      if (chance(0.5)) await new Promise((resolve) => setTimeout(resolve, below(25)));
    }
    // The last word: the customer is back, while checks are under way.
    service.tenant.enableConnection(organization_id, CON);
    const { status } = await service.request('cancel-offboarding', { organization: organization_id });
    expect([200, 409], `seed ${seed}`).toContain(status);
    const then = effects();
    service.tenant.enableConnection(organization_id, CON);
    await Promise.all(busy);
    await settled();
    if (status === 200) expect(effects(), `seed ${seed}: changed after it was allowed`).toBe(then);
  }
}, 900_000);

describe('how it ends', () => {
  test('DELETE of a completed offboarding ends the watch and enables nothing; then there is nothing left', async () => {
    const offboarding_id = await offboard({ action: 'disable', on_reenable: 'disable_again' });
    const answer = await service.request('cancel-offboarding');
    expect(answer).toMatchObject({
      status: 200,
      body: { offboarding_id, watch: 'ended', status: 'completed', connections: [] },
    });
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false });
    enable(CON);
    await checkByClock();
    await sendNotification(notification());
    expect(service.enabled()).toEqual({ [CON]: true });
    expect(drifts()).toEqual([]);
    expect((await service.request('cancel-offboarding')).status).toBe(404);
  });

  test('a later offboarding that was cancelled means that the customer is back', async () => {
    await offboard({ action: 'remove', on_reenable: 'disable_again' });
    enable(CON);
    await offboard({ action: 'disable_then_remove' });
    await service.request('cancel-offboarding');
    await checkByClock();
    expect(service.enabled()).toEqual({ [CON]: true });
  });

  test('the stage says for how long', async () => {
    const id = await offboard({ action: 'disable' });
    await service.changeRecord(ORG, id, { ended_at: new Date(Date.now() - 401 * 86_400_000).toISOString() });
    enable(CON);
    await checkByClock();
    expect(drifts()).toEqual([]);
    expect((await service.records())[0]).toMatchObject({ watch: 'ended' });
  });

  test('cancelling waits for a check that is disabling something, so that nothing is disabled after it was answered', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON);
    service.tenant.addFaults({ method: 'PATCH', delay: 1500 });
    await makeLookDue();
    await service.checkByClock();
    await expect
      .poll(() => service.managementCalls().some(({ method }) => method === 'PATCH'), { timeout: 30_000 })
      .toBe(true);
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    const then = service.tenant.effects().length;
    await settled();
    expect(service.tenant.effects().length).toBe(then);
  });
});
