// Who speaks in somebody else's name, asks for what cannot be undone where only the other is permitted, or fills an organization up.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE } from '../../infra/local/environment.ts';
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

describe("when an event comes in the service's own name", () => {
  const forged = (detail: object) => ({
    id: randomUUID(),
    source: 'org-connections',
    account: '000000000000',
    time: new Date().toISOString(),
    'detail-type': 'organization.offboarding.requested',
    detail: { organization_id: ORG, action: 'remove', requested_by: 'x', reason: 'x', ...detail },
  });
  const queued = (detail: object) => {
    const event = forged(detail);
    service.aws.send(QUEUE, JSON.stringify(event), 'single');
    return event;
  };

  test('the bus does not bring it to the queue', async () => {
    service.aws.publish(forged({}) as never);
    service.publish({ action: 'disable', dry_run: true, organization_id: OTHER });
    await service.settled();
    expect(await service.records()).toEqual([]);
  });

  test('and names no record of its organization, it is a dead letter with its event, and nothing is removed', async () => {
    const { body } = await service.request('request-offboarding', {
      organization: OTHER,
      body: { action: 'disable', dry_run: true, reason: 'x' },
    });
    const { offboarding_id } = body as { offboarding_id: string };
    for (const detail of [{}, { offboarding_id: randomUUID() }, { offboarding_id }]) {
      const before = service.aws.messages(DEAD_LETTERS).length;
      const { id } = queued(detail);
      expect((await service.outcome(id, 'failed')).detail).toMatchObject({
        connections: [],
        error: { code: 'invalid_message' },
      });
      await expect.poll(() => service.aws.messages(DEAD_LETTERS).length).toBe(before + 1);
    }
    expect(await service.records()).toEqual([]);
    expect(service.enabled()).toEqual({ [CON]: true });
  });

  test('and names a record, what is on record is done, whatever the event says', async () => {
    const { body } = await service.request('request-offboarding', {
      body: { action: 'disable', dry_run: true, reason: 'x' },
    });
    const { offboarding_id } = body as { offboarding_id: string };
    queued({ offboarding_id });
    await service.outcome(offboarding_id, 'completed');
    await service.settled();
    expect(await service.records()).toMatchObject([{ offboarding_id, action: 'disable', dry_run: true }]);
    expect(service.enabled()).toEqual({ [CON]: true });
  });
});

test("when a publisher gives ids of another's offboarding, they are not read", async () => {
  const [offboarding_id, batch_id] = [randomUUID(), randomUUID()];
  const { id } = service.publish({ action: 'disable', offboarding_id, batch_id });
  await service.outcome(id, 'completed');
  const [record, ...others] = await service.records();
  expect(others).toEqual([]);
  expect(record).toMatchObject({ offboarding_id: id, batch_id: undefined });
});

test('when something else is requested at the address for what can be undone, it is refused and nothing is left of it', async () => {
  const at = async (name: string, request: object) => {
    const requestContext = { ...gatewayEvent(name).requestContext, stage: 'reversible' };
    return (await service.request(name, { body: { reason: 'x', ...request }, event: { requestContext } })).status;
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

test('when a removal of a connection is requested at that address, it is refused, and a disabling is not', async () => {
  service.tenant.clearCalls();
  const at = async (name: string) => {
    const requestContext = { ...gatewayEvent(name).requestContext, stage: 'reversible' };
    return service.request(name, { event: { requestContext } });
  };
  expect(await at('remove-connection')).toMatchObject({ status: 403, body: { code: 'irreversible_not_permitted' } });
  expect(service.managementCalls()).toEqual([]);
  expect(service.enabled()).toEqual({ [CON]: true });
  expect((await at('disable-connection')).status).toBe(200);
});

test('when a request has a query that its route does not take, it is refused and nothing is left of it', async () => {
  service.tenant.clearCalls();
  const body = { action: 'disable', reason: 'x' };
  const query = { dry_run: 'true' };
  for (const [name, options] of [
    ['request-offboarding', { body }],
    ['request-offboardings', { body: { ...body, organization_ids: [ORG] } }],
    ['get-offboarding', {}],
    ['disable-connection', {}],
    ['remove-connection', {}],
  ] as const)
    expect(await service.request(name, { ...options, query }), name).toMatchObject({
      status: 400,
      body: { code: 'invalid_query', detail: 'dry_run: is not taken here' },
    });
  await service.settled();
  expect(await service.records()).toEqual([]);
  expect(service.managementCalls()).toEqual([]);
  expect(service.enabled()).toEqual({ [CON]: true });
});

test('when an organization has 20 open requests, it takes no more, and all of it can be cancelled', async () => {
  service.tenant.addFaults({ status: 503, times: 100_000, body: '' });
  const request = async (more: object = {}) =>
    (await service.request('request-offboarding', { body: { action: 'disable', reason: 'x'.repeat(1000), ...more } }))
      .status;
  for (let i = 0; i < 20; i++) expect(await request({ dry_run: i % 2 === 0 }), `${i}`).toBe(202);
  expect(await request()).toBe(409);
  const { id } = service.publish({ action: 'disable' });
  expect((await service.outcomeInAHurry(id, 'failed')).detail).toMatchObject({ error: { code: 'conflict' } });
  expect([200, 202]).toContain((await service.request('cancel-offboarding')).status);
});
