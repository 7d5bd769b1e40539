// Stays offboarded: checks by the clock and by notification, and somebody who enables connections behind the service's back.
import { beforeEach, describe, expect, test } from 'vitest';
import { randomOf } from '../random.ts';
import { CON, ORG } from '../service.ts';
import {
  CON2,
  checkByClock,
  DAY_MS,
  makeCheckDue,
  notification,
  service,
  settledInAHurry,
  startWith,
} from './one-organization.ts';

startWith({ [CON]: true, [CON2]: false });
beforeEach(() => void service.aws.events.splice(0));

async function offboard(detail: object) {
  const { id } = service.publish(detail);
  await service.outcome(id);
  await service.settled();
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
const endsOfWatch = () =>
  service.aws.events
    .filter((event) => event['detail-type'] === 'organization.offboarding.watch_ended')
    .map(({ detail }) => detail.offboarding_id);
async function sendNotification(detail: unknown) {
  const before = service.logged('notification_received').length;
  const envelope = { id: 'x', time: 'x', 'detail-type': 'organization.connection.updated' };
  service.aws.publish({ ...envelope, source: 'aws.partner/auth0.com/local/auth0.events', detail: detail as never });
  await expect.poll(() => service.logged('notification_received').length, { timeout: 30_000 }).toBe(before + 1);
  await settledInAHurry();
}

describe('a drift check by the clock', () => {
  test.each(['disable', 'remove', 'disable_then_remove'])(
    'after %s, it reports a connection that is enabled again once each time that it happens',
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

  test('when the request says so, each connection that is enabled is disabled again, whoever had disabled it', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON, CON2);
    await checkByClock();
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false });
    expect(drifts()).toMatchObject([
      { connection_id: CON, outcome: 'disabled', drift: 'reenabled' },
      { connection_id: CON2, outcome: 'disabled', drift: 'reenabled' },
    ]);
    expect(service.managementCalls().filter(({ method }) => method === 'PATCH').length).toBe(2);
  });

  test('when the request named connections, only these are disabled again; a new one is none of its business', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again', connection_ids: [CON] });
    enable(CON, CON2, 'con_new');
    await checkByClock();
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: true, con_new: true });
    expect(drifts()).toMatchObject([{ connection_id: CON, outcome: 'disabled' }]);
  });

  test('when a connection is new in an organization of which all was offboarded, that is drift', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    service.tenant.setOrganizations({ [ORG]: [{ connection_id: 'con_new' }] });
    await checkByClock();
    expect(drifts()).toMatchObject([{ connection_id: 'con_new', outcome: 'disabled', drift: 'added' }]);
    expect(service.enabled()).toEqual({ con_new: false });
  });

  test('when that happens three times within a day, the connection is left as it is and reported as such, with a metric', async () => {
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

  test('when Auth0 is away during a check, nothing is lost and the check is due again', async () => {
    await offboard({ action: 'disable' });
    enable(CON);
    service.tenant.addFaults({ status: 503, body: 'down', times: 99 });
    await makeCheckDue();
    await service.checkByClock();
    await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 30_000 }).toBeGreaterThan(0);
    expect((await service.organization()).next_drift_check_at).toBeTruthy();
    service.tenant.clearFaults();
    service.hurry();
    await checkByClock();
    expect(drifts().length).toBe(1);
  });

  test('when it is cut off between disabling again and its event, the event comes later', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON);
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 12 });
    await makeCheckDue();
    await service.checkByClock();
    await expect.poll(() => service.enabled()[CON], { timeout: 30_000 }).toBe(false);
    await expect.poll(() => service.logged('offboarding_waits').length, { timeout: 30_000 }).toBeGreaterThan(0);
    service.aws.clearFaults();
    service.hurry();
    await checkByClock();
    expect(drifts()).toMatchObject([{ connection_id: CON, outcome: 'disabled' }]);
  });
});

describe('a drift check by notification', () => {
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
  ])('when it is %s, what it is about is found in seconds instead of a day', async (_what, detail) => {
    await offboard({ action: 'remove', on_reenable: 'disable_again' });
    enable(CON);
    await sendNotification(detail());
    await expect.poll(() => service.enabled()[CON], { timeout: 30_000 }).toBe(false);
    await settledInAHurry();
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

  test('when notifications come as a flood, they become a few checks, and what these find is reported once', async () => {
    await offboard({ action: 'disable' });
    service.tenant.addFaults({ method: 'GET', delay: 100 });
    enable(CON);
    const detail = notification({ time: new Date().toISOString() });
    // Many at once may be more than a busy machine's table can take: Lambda would make those again.
    const all = await Promise.allSettled(Array.from({ length: 40 }, () => service.watch.invoke({ detail })));
    expect(all.some(({ status }) => status === 'fulfilled')).toBe(true);
    await settledInAHurry();
    // A check for each would be more than 40; how many become one depends on how fast the machine is.
    expect(service.managementCalls().length).toBeLessThan(40);
    expect(drifts().length).toBe(1);
  });
});

const RUNS = process.env.DEEP ? 500 : 8;
test(`${RUNS} interleavings of checks, notifications, requests, cancellings and somebody enabling: nothing is disabled after it was allowed`, async () => {
  const answered: number[] = [];
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
    // 202: on a busy machine a check is still at it, and the cancellation goes on by itself.
    expect([200, 202, 409], `seed ${seed}`).toContain(status);
    answered.push(status);
    const then = effects();
    service.tenant.enableConnection(organization_id, CON);
    await Promise.all(busy);
    await settledInAHurry();
    if (status === 200) expect(effects(), `seed ${seed}: changed after it was allowed`).toBe(then);
  }
  expect(answered.filter((status) => status === 200).length).toBeGreaterThan(RUNS / 4);
}, 900_000);

describe('the watch', () => {
  test('when a completed offboarding is cancelled, the watch ends with its event, and nothing is enabled', async () => {
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
    expect(endsOfWatch()).toEqual([offboarding_id]);
    expect(await service.request('cancel-offboarding')).toMatchObject({ status: 200, body: { replayed: true } });
  });

  test('when a later offboarding is cancelled, the customer is back, and the earlier watch ends', async () => {
    await offboard({ action: 'remove', on_reenable: 'disable_again' });
    enable(CON);
    await offboard({ action: 'disable_then_remove' });
    await service.request('cancel-offboarding');
    await checkByClock();
    expect(service.enabled()).toEqual({ [CON]: true });
  });

  test('when it has lasted for as long as the stage says, it ends by itself, with its event', async () => {
    const id = await offboard({ action: 'disable' });
    await service.pass(401 * DAY_MS);
    enable(CON);
    await checkByClock();
    expect(drifts()).toEqual([]);
    expect((await service.records())[0]).toMatchObject({ watch: 'ended' });
    expect(endsOfWatch()).toEqual([id]);
  });

  test('when a check is disabling something, a cancellation waits for it, and nothing is disabled after its answer', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    enable(CON);
    service.tenant.addFaults({ method: 'PATCH', delay: 1500 });
    await makeCheckDue();
    await service.checkByClock();
    await expect
      .poll(() => service.managementCalls().some(({ method }) => method === 'PATCH'), { timeout: 30_000 })
      .toBe(true);
    expect((await service.request('cancel-offboarding')).status).toBe(200);
    const then = service.tenant.effects().length;
    await settledInAHurry();
    expect(service.tenant.effects().length).toBe(then);
  });
});
