// Who speaks in somebody else's name, asks for what can not be undone where only the other is permitted, or fills an organization up.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEAD_LETTERS } from '../../infra/local/environment.ts';
import { CON, gatewayEvent, ORG, type Service, startService } from '../service.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  await service.startOver();
  await service.forget();
  await service.forget(OTHER);
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }], [OTHER]: [{ connection_id: CON }] });
});

describe("an event in the service's own name", () => {
  const forged = (detail: object) => service.publish({ action: 'remove', ...detail }, { source: 'org-connections' });

  test('that names no record of its organization is no request: a dead letter, told, and nothing is removed', async () => {
    const { body } = await service.request('request-offboarding', {
      organization: OTHER,
      body: { action: 'disable', dry_run: true, reason: 'x' },
    });
    const { offboarding_id } = body as { offboarding_id: string };
    for (const detail of [{}, { offboarding_id: randomUUID() }, { offboarding_id }]) {
      const before = service.aws.messages(DEAD_LETTERS).length;
      const { id } = forged(detail);
      expect((await service.outcome(id, 'failed')).detail).toMatchObject({ connections: [] });
      await expect.poll(() => service.aws.messages(DEAD_LETTERS).length).toBe(before + 1);
    }
    expect(await service.records()).toEqual([]);
    expect(service.enabled()).toEqual({ [CON]: true });
  });

  test('that names a record does what is on record, whatever it says', async () => {
    const { body } = await service.request('request-offboarding', {
      body: { action: 'disable', dry_run: true, reason: 'x' },
    });
    const { offboarding_id } = body as { offboarding_id: string };
    forged({ offboarding_id });
    await service.outcome(offboarding_id, 'completed');
    await service.settled();
    expect(await service.records()).toMatchObject([{ offboarding_id, action: 'disable', dry_run: true }]);
    expect(service.enabled()).toEqual({ [CON]: true });
  });
});

test("the ids that a publisher gives are not read: it plants no record under another's", async () => {
  const [offboarding_id, batch_id] = [randomUUID(), randomUUID()];
  const { id } = service.publish({ action: 'disable', offboarding_id, batch_id });
  await service.outcome(id, 'completed');
  const [record, ...others] = await service.records();
  expect(others).toEqual([]);
  expect(record?.offboarding_id).toBe(id);
  expect(record).not.toHaveProperty('batch_id');
});

test('at the address for what can be undone nothing else is taken, and nothing is left of it', async () => {
  const at = async (name: string, asked: object) => {
    const requestContext = { ...gatewayEvent(name).requestContext, stage: 'reversible' };
    return (await service.request(name, { body: { reason: 'x', ...asked }, event: { requestContext } })).status;
  };
  const batch = { organization_ids: [ORG, OTHER] };
  const later = { action: 'disable_then_remove' };
  expect(await at('request-offboarding', { action: 'remove' })).toBe(403);
  expect(await at('request-offboarding', { ...later, grace_period: 'PT1M' })).toBe(403);
  expect(await at('request-offboardings', { ...batch, action: 'remove' })).toBe(403);
  expect(await at('request-offboardings', { ...batch, action: 'disable', urgent: true })).toBe(403);
  await service.settled();
  expect(await service.records()).toEqual([]);
  expect(service.enabled()).toEqual({ [CON]: true });
  expect(await at('request-offboarding', { action: 'remove', dry_run: true })).toBe(202);
  expect(await at('request-offboarding', { ...later, grace_period: 'P1D' })).toBe(202);
  expect(await at('request-offboarding', { ...later })).toBe(202);
});

test('an organization takes a hundred offboardings that are not over, and dry runs leave half of them to what ends access', async () => {
  service.tenant.addFaults({ status: 503, times: 100_000, body: '' });
  const ask = async (more: object = {}) =>
    (await service.request('request-offboarding', { body: { action: 'disable', reason: 'x', ...more } })).status;
  for (let i = 0; i < 50; i++) expect(await ask({ dry_run: true }), `${i}`).toBe(202);
  expect(await ask({ dry_run: true })).toBe(409);
  for (let i = 50; i < 100; i++) expect(await ask(), `${i}`).toBe(202);
  expect(await ask()).toBe(409);
  // What is there can be called off all the same.
  expect([200, 202]).toContain((await service.request('cancel-offboarding')).status);
}, 120_000);
