import { describe, expect, test } from 'vitest';
import { CON, ORG } from '../service.ts';
import { CON2, CON3, IN_A_MONTH, service, startWith } from './one-organization.ts';

startWith({ [CON]: true, [CON2]: false, [CON3]: true });

const BODY = { action: 'disable', reason: 'x' };

describe('a request over HTTP', () => {
  test('when it is accepted, its id is the id of the outcome, which has the caller', async () => {
    const answer = await service.request('request-offboarding', {
      body: { ...IN_A_MONTH, reason: 'contract ended' },
      headers: { 'x-correlation-id': 'crm-77' },
    });
    expect(answer).toMatchObject({
      status: 202,
      body: { organization_id: ORG, action: 'disable_then_remove', dry_run: false },
    });
    const { offboarding_id } = answer.body as { offboarding_id: string };
    const { detail } = await service.outcome(offboarding_id, 'scheduled');
    expect(detail).toMatchObject({
      requested_by: 'arn:aws:sts::000000000000:assumed-role/billing-service/session',
      correlation_id: 'crm-77',
      request: { id: offboarding_id, source: 'org-connections' },
    });
  });

  test.each<[string, unknown, number]>([
    ['nothing', undefined, 400],
    ['no action', { reason: 'x' }, 422],
    ['no reason', { action: 'disable' }, 422],
    ['an unknown member', { action: 'disable', reason: 'x', force: true }, 422],
    [
      'another organization than the path',
      { action: 'disable', reason: 'x', organization_id: 'org_Qk2vN8sT5rWx1YzA' },
      422,
    ],
    ['a grace period for another action', { action: 'remove', reason: 'x', grace_period: 'P1D' }, 422],
    [
      'a grace period that is no duration',
      { action: 'disable_then_remove', reason: 'x', grace_period: '30 days' },
      422,
    ],
    ['a connection that is no id', { action: 'disable', reason: 'x', connection_ids: ['*'] }, 422],
  ])('when it has %s, it is refused, and nothing is on the bus', async (_what, body, status) => {
    const before = service.aws.events.length;
    expect(await service.request('request-offboarding', { body })).toMatchObject({
      status,
      body: { code: 'invalid_body' },
    });
    expect(service.aws.events.length).toBe(before);
  });

  test('when the table refuses the write, the answer is a 503, and nothing of the request is carried out', async () => {
    service.aws.addFaults({ operation: 'PutItem', error: 'AccessDeniedException', times: 9 });
    expect(await service.request('request-offboarding', { body: BODY })).toMatchObject({
      status: 503,
      body: { code: 'record_unavailable' },
    });
    service.aws.clearFaults();
    // Nobody can come back for it: what was not accepted is neither carried out nor shown, nor in the way of anything.
    expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id: null, status: null });
    const { body: page } = await service.request('list-offboardings', { query: { organization_id: ORG } });
    expect(page).toMatchObject({ offboardings: [] });
    expect((await service.request('cancel-offboarding')).status).toBe(404);
    await service.pass(3_600_000);
    await service.sweep();
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('when the answer of the table is lost, the item tells that the request was accepted', async () => {
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times: 1 });
    const answer = await service.request('request-offboarding', { body: BODY });
    expect(answer).toMatchObject({ status: 202, body: { replayed: false } });
    await service.outcome((answer.body as { offboarding_id: string }).offboarding_id, 'completed');
  });

  test('when the table answers neither the write nor a read after it, the caller gets the id to look up', async () => {
    service.aws.addFaults(
      { operation: 'PutItem', resetAfter: true, times: 99 },
      { operation: 'GetItem', delay: 0, times: 1 },
      { operation: 'GetItem', reset: true, times: 99 },
    );
    const answer = await service.request('request-offboarding', { body: BODY });
    expect(answer).toMatchObject({ status: 503, body: { code: 'acceptance_unknown' } });
    service.aws.clearFaults();
    const { offboarding_id } = answer.body as { offboarding_id: string };
    await service.pass(3_600_000);
    await service.sweep();
    const query = { organization_id: ORG, offboarding_id };
    const { body } = await service.request('list-offboardings', { query });
    expect(body).toMatchObject({ offboardings: [{ offboarding_id, status: 'completed' }] });
  });

  test('when the table is silent from the write on, the caller gets the id in time, and the request counts', async () => {
    service.aws.addFaults({ operation: 'PutItem', delay: 5000, times: 1 });
    const answer = await service.request('request-offboarding', { body: BODY, remaining: 2500 });
    expect(answer).toMatchObject({ status: 503, body: { code: 'acceptance_unknown' } });
    service.aws.clearFaults();
    const { offboarding_id } = answer.body as { offboarding_id: string };
    await service.pass(3_600_000);
    const found = async () => {
      await service.sweep();
      const query = { organization_id: ORG, offboarding_id };
      return (await service.request('list-offboardings', { query })).body;
    };
    await expect.poll(found).toMatchObject({ offboardings: [{ offboarding_id, status: 'completed' }] });
  });

  test('when the table is silent before the write, nothing is stored later', async () => {
    const reason = 'before the write';
    service.aws.addFaults({ operation: 'GetItem', delay: 2200, times: 1 });
    const answer = await service.request('request-offboarding', { body: { ...BODY, reason }, remaining: 2500 });
    expect(answer).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
    service.aws.clearFaults();
    await service.pass(3_600_000);
    await service.sweep();
    await service.settled();
    expect((await service.records()).filter((one) => one.reason === reason)).toEqual([]);
  });

  test('when the queue is silent, the answer comes in time: the request is stored', async () => {
    service.aws.addFaults({ operation: 'SendMessageBatch', delay: 5000, times: 9 });
    const answer = await service.request('request-offboarding', { body: BODY, remaining: 2500 });
    expect(answer.status).toBe(202);
    service.aws.clearFaults();
  });

  test('when it has an idempotency key, the same request is one offboarding, and a repetition finishes the first', async () => {
    const headers = { 'idempotency-key': 'order-4711' };
    service.aws.addFaults({ operation: 'PutItem', error: 'AccessDeniedException', times: 9 });
    expect((await service.request('request-offboarding', { body: BODY, headers })).status).toBe(503);
    service.aws.clearFaults();
    const first = await service.request('request-offboarding', { body: BODY, headers });
    expect(first).toMatchObject({ status: 202, body: { replayed: false } });
    await service.outcome((first.body as { offboarding_id: string }).offboarding_id, 'completed');
    await service.settled();
    const again = await service.request('request-offboarding', { body: { ...BODY, dry_run: false }, headers });
    expect(again).toMatchObject({
      status: 202,
      body: { ...(first.body as object), status: 'completed', replayed: true },
    });
    expect((await service.records()).length).toBe(1);
    const other = await service.request('request-offboarding', { body: { ...BODY, reason: 'y' }, headers });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  test('when two with one key overlap, they are one, and it is carried out', async () => {
    const headers = { 'idempotency-key': 'order-4712' };
    service.aws.addFaults({ operation: 'PutItem', delay: 200, times: 2 });
    const send = () => service.request('request-offboarding', { body: BODY, headers });
    const [one, other] = await Promise.all([send(), send()]);
    expect([one.status, other.status]).toEqual([202, 202]);
    const { offboarding_id } = one.body as { offboarding_id: string };
    expect(other.body).toMatchObject({ offboarding_id });
    await service.outcome(offboarding_id, 'completed');
    expect((await service.records()).length).toBe(1);
  });

  test.each(['', 'a b', 'ü', 'x'.repeat(129)])('when its idempotency key is "%s", it is refused', async (key) => {
    const body = { action: 'disable', reason: 'x' };
    const answer = await service.request('request-offboarding', { body, headers: { 'idempotency-key': key } });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_header' } });
    expect(await service.records()).toEqual([]);
  });

  test('when Auth0 does not know the organization, GET is a 404', async () => {
    expect(await service.request('get-offboarding', { organization: 'org_Qk2vN8sT5rWx1YzA' })).toMatchObject({
      status: 404,
    });
  });
});
