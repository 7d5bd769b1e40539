// A worker whose process ends at the worst moment: what it had begun is finished by the next one.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, outcomesOf, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const CON3 = 'con_Hg6Jk2MnVs8DfZp1';
const DAY_MS = 86_400_000;

let service: Service;
beforeAll(async () => {
  service = await startService({ processes: ['offboard-organization'], visibilityTimeout: 1500 });
});
afterAll(() => service.close());
beforeEach(async () => {
  service.aws.messages(DEAD_LETTERS).splice(0);
  service.aws.messages(QUEUE).splice(0);
  await service.worker.idle();
  // What a killed worker had on its way is carried out before the next test begins.
  const arrived = () => service.managementCalls().every(({ status }) => status !== 0);
  await expect.poll(arrived, { timeout: 10_000 }).toBe(true);
  await service.forget();
  service.tenant.clearFaults();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({
    [ORG]: [{ connection_id: CON }, { connection_id: CON2, is_enabled: false }, { connection_id: CON3 }],
  });
});

const writes = () => service.managementCalls().filter(({ method }) => method !== 'GET');
const requeues = () => service.aws.calls.filter((operation) => operation === 'SendMessage').length;

test('when a worker is killed between two connections, the rest is done and nothing is done twice', async () => {
  service.tenant.addFaults({ method: 'PATCH', path: CON3, delay: 1000 });
  const { id } = service.publish({ action: 'disable' });
  await expect.poll(() => writes().length).toBe(2);
  service.worker.kill();
  const event = await service.outcomeInAHurry(id);
  expect(event['detail-type']).toMatch('completed');
  expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
  expect(writes().filter(({ path }) => path.endsWith(CON)).length).toBe(1);
  expect((await service.records())[0]).toMatchObject({
    status: 'completed',
    connections: [{ outcome: 'disabled' }, {}, { outcome: 'disabled' }],
  });
  expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
});

test('when a worker is killed, what was disabled before its offboarding is not given back by a cancellation', async () => {
  service.tenant.addFaults({ method: 'PATCH', path: CON, delay: 1000 });
  const { id } = service.publish({ action: 'disable_then_remove' });
  await expect.poll(() => writes().length).toBe(1);
  service.worker.kill();
  await expect.poll(() => writes()[0]?.status).toBe(200);
  await service.outcomeInAHurry(id, 'scheduled');
  await service.request('cancel-offboarding');
  expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
});

test('when a message ends its worker again and again, it gives way to the others, and is given up by its age', async () => {
  service.tenant.addFaults({ method: 'PATCH', path: CON, delay: 2000, status: 503, body: '', times: 99 });
  const before = requeues();
  const { id } = service.publish({ action: 'disable', connection_ids: [CON] });
  for (let kills = 0; kills < 4; kills++) {
    const begun = () => service.hurry().then(() => writes().length);
    await expect.poll(begun, { timeout: 30_000 }).toBe(kills + 1);
    service.worker.kill();
    await service.worker.idle();
  }
  await expect.poll(() => service.hurry().then(requeues), { timeout: 30_000 }).toBeGreaterThan(before);
  service.worker.kill();
  await service.pass(8 * DAY_MS);
  const event = await service.outcomeInAHurry(id, 'failed');
  expect(event.detail.error).toMatchObject({ code: 'internal_error' });
});
