// Drift checks and notifications: ways in which a drift was lost, attributed to the wrong person, or reported once and for all.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CON, ORG } from '../service.ts';
import {
  CON2,
  CON3,
  checkByClock,
  eventsOf,
  HOUR_MS,
  notification,
  offboard,
  service,
  setConnections,
  settledInAHurry,
  startWith,
} from './one-organization.ts';

startWith({ [CON]: true, [CON2]: true }, { environment: { MACHINE_ACCESS: 'true' } });
async function notify(detail: unknown) {
  await service.watch.invoke({ detail });
  await settledInAHurry();
}

/** An hour ago everything was disabled, and what is enabled again is disabled again. */
async function disabledAndWatched(): Promise<void> {
  service.aws.events.splice(0);
  await offboard({ action: 'disable', on_reenable: 'disable_again' }, 'completed');
  await settledInAHurry();
  await service.pass(HOUR_MS);
}

test('when a connection was new once, a later offboarding removes it with the others', async () => {
  setConnections({ connection_id: CON });
  await offboard({ action: 'disable' }, 'completed');
  await settledInAHurry();
  setConnections({ connection_id: CON, is_enabled: false }, { connection_id: CON3 });
  await checkByClock();
  expect(eventsOf('drifted').at(-1)?.detail.connections).toMatchObject([{ connection_id: CON3, drift: 'added' }]);
  const { event } = await offboard({ action: 'disable_then_remove', grace_period: 'P30D' });
  await settledInAHurry();
  await service.makeDue();
  await service.outcomeInAHurry(event.id, 'completed');
  expect(service.enabled()).toEqual({});
});

test('when ten offboardings of a named connection follow, the watch of the whole organization goes on', async () => {
  service.aws.events.splice(0);
  await offboard({ action: 'disable', on_reenable: 'disable_again' }, 'completed');
  await settledInAHurry();
  for (let times = 0; times < 10; times++) {
    await offboard({ action: 'disable', connection_ids: [CON] }, 'completed');
    await settledInAHurry();
  }
  setConnections(
    { connection_id: CON, is_enabled: false },
    { connection_id: CON2, is_enabled: true },
    { connection_id: CON3 },
  );
  await checkByClock();
  await checkByClock();
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
}, 60_000);

test('when a notification named somebody, a drift two days later is nobody’s', async () => {
  await disabledAndWatched();
  setConnections({ connection_id: CON }, { connection_id: CON2, is_enabled: false });
  await notify(notification({}, {}, 'Alice'));
  expect(eventsOf('drifted').at(-1)?.detail.connections).toMatchObject([{ connection_id: CON, changed_by: 'Alice' }]);
  await service.pass(48 * HOUR_MS);
  setConnections({ connection_id: CON }, { connection_id: CON2, is_enabled: false });
  await checkByClock();
  expect(eventsOf('drifted').length).toBe(2);
  expect(JSON.stringify(eventsOf('drifted').at(-1))).not.toContain('changed_by');
});

test('when the newer notification names nobody, nobody is named', async () => {
  await disabledAndWatched();
  setConnections({ connection_id: CON }, { connection_id: CON2, is_enabled: false });
  await notify(notification({}, {}, 'Alice'));
  await service.pass(48 * HOUR_MS);
  setConnections({ connection_id: CON }, { connection_id: CON2, is_enabled: false });
  await notify(notification());
  expect(eventsOf('drifted').length).toBe(2);
  expect(JSON.stringify(eventsOf('drifted').at(-1))).not.toContain('changed_by');
});

test('when a list was too old for a change, its notification leads to another check', async () => {
  await disabledAndWatched();
  // Somebody enables the connection; a check that is due just then gets a list that is a second old.
  service.tenant.enableConnection(ORG, CON);
  const time = new Date().toISOString();
  const connections = [CON, CON2].map((connection_id) => ({ connection_id, is_enabled: false, connection: {} }));
  service.tenant.addFaults({
    method: 'GET',
    path: `${ORG}/connections`,
    times: 1,
    status: 200,
    body: { connections, start: 0, limit: 50, total: 2 },
  });
  const past = new Date(Date.now() - 1000).toISOString();
  await service.changeOrganization(ORG, (item) => ({ ...item, next_drift_check_at: past, notice_at: 0 }));
  await service.checkByClock();
  await settledInAHurry();
  await notify(notification({ time }));
  expect(service.enabled()[CON]).toBe(false);
}, 60_000);

test('when the table is away, a notification is not lost', async () => {
  await disabledAndWatched();
  setConnections({ connection_id: CON }, { connection_id: CON2, is_enabled: false });
  service.aws.addFaults({ operation: 'GetItem', error: 'InternalServerError', status: 500, times: 12 });
  const answered = await service.watch.invoke({ detail: notification() }).then(
    () => 'done',
    () => 'thrown',
  );
  service.aws.clearFaults();
  await settledInAHurry();
  await service.pass(2 * HOUR_MS);
  await service.checkByClock();
  await settledInAHurry();
  expect(answered === 'thrown' || service.enabled()[CON] === false).toBe(true);
}, 60_000);

test('when a connection drifted once and was offboarded anew, enabling it again is another drift', async () => {
  service.aws.events.splice(0);
  await offboard({ action: 'disable' }, 'completed');
  await settledInAHurry();
  await service.pass(HOUR_MS);
  service.tenant.enableConnection(ORG, CON);
  await checkByClock();
  expect(eventsOf('drifted').length).toBe(1);
  await offboard({ action: 'disable', on_reenable: 'disable_again' }, 'completed');
  await settledInAHurry();
  await service.pass(HOUR_MS);
  expect(service.enabled()[CON]).toBe(false);
  service.tenant.enableConnection(ORG, CON);
  await checkByClock();
  await checkByClock();
  expect(eventsOf('drifted').length).toBe(2);
  expect(service.enabled()[CON]).toBe(false);
}, 60_000);

test('when a call of a drift check takes seconds and fails, the check comes to an end', async () => {
  await disabledAndWatched();
  service.logs.splice(0);
  setConnections({ connection_id: CON }, { connection_id: CON2 });
  service.tenant.addFaults({
    method: 'PATCH',
    path: CON2,
    delay: 7000,
    status: 403,
    body: '<html>blocked</html>',
    headers: { 'content-type': 'text/html' },
  });
  const past = new Date(Date.now() - 1000).toISOString();
  await service.changeOrganization(ORG, (item) => ({ ...item, next_drift_check_at: past, notice_at: 0 }));
  await service.checkByClock();
  await sleep(9500);
  const failed = service.logs.filter((line) => line.includes('offboarding_wait_failed'));
  expect(failed).toEqual([]);
}, 60_000);

test('when two notifications name somebody for two connections, each drift says so', async () => {
  await disabledAndWatched();
  setConnections({ connection_id: CON }, { connection_id: CON2 });
  service.tenant.addFaults({ method: 'GET', path: `${ORG}/connections`, delay: 600 });
  await service.watch.invoke({ detail: notification({}, {}, 'Terraform') });
  await service.watch.invoke({ detail: notification({}, { connection: { id: CON2 } }, 'Terraform') });
  await settledInAHurry();
  const published = eventsOf('drifted').flatMap(({ detail }) => detail.connections as { changed_by?: string }[]);
  expect(published.map(({ changed_by }) => changed_by)).toEqual(['Terraform', 'Terraform']);
}, 60_000);
