import { describe, expect, test } from 'vitest';
import { CON, ORG } from '../service.ts';
import { CON2, CON3, IN_A_MONTH, record, service, startWith } from './one-organization.ts';

startWith({ [CON]: true, [CON2]: false, [CON3]: true });

describe('over HTTP', () => {
  test('POST puts the request on record and on the bus with the caller, and its id is the id of the outcome', async () => {
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
  ])('POST with %s puts nothing on the bus', async (_what, body, status) => {
    const before = service.aws.events.length;
    expect(await service.request('request-offboarding', { body })).toMatchObject({
      status,
      body: { code: 'invalid_body' },
    });
    expect(service.aws.events.length).toBe(before);
  });

  test('a bus that refuses the event for good is a problem response', async () => {
    const refusal = { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] };
    service.aws.addFaults({ operation: 'PutEvents', answer: refusal, times: 4 });
    const body = { action: 'disable', reason: 'x' };
    expect(await service.request('request-offboarding', { body })).toMatchObject({
      status: 500,
      body: { code: 'internal_error' },
    });
    // Nobody can come back for it: what was not accepted is not carried out, nor shown, nor in the way of anything.
    expect((await service.request('get-offboarding')).body).toMatchObject({ offboarding_id: null, status: null });
    const { body: page } = await service.request('list-offboardings', { query: { organization_id: ORG } });
    expect(page).toMatchObject({ offboardings: [] });
    expect((await service.request('cancel-offboarding')).status).toBe(404);
    await service.pass(60_000);
    await service.sweep();
    expect(service.enabled()).toEqual({ [CON]: true, [CON2]: false, [CON3]: true });
  });

  test('with an idempotency key the same request is one offboarding, and a repetition goes on where it was cut off', async () => {
    const headers = { 'idempotency-key': 'order-4711' };
    const refusal = { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] };
    service.aws.addFaults({ operation: 'PutEvents', answer: refusal, times: 4 });
    const body = { action: 'disable', reason: 'x' };
    expect((await service.request('request-offboarding', { body, headers })).status).toBe(500);
    expect((await record())?.status).toBe('requested');
    const first = await service.request('request-offboarding', { body, headers });
    await service.outcome((first.body as { offboarding_id: string }).offboarding_id, 'completed');
    const again = await service.request('request-offboarding', { body: { ...body, dry_run: false }, headers });
    expect(again).toMatchObject({
      status: 202,
      body: { ...(first.body as object), status: 'completed', replayed: true },
    });
    expect((await service.records()).length).toBe(1);
    const other = await service.request('request-offboarding', { body: { ...body, reason: 'y' }, headers });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  test.each(['', 'a b', 'ü', 'x'.repeat(129)])('"%s" is no idempotency key', async (key) => {
    const body = { action: 'disable', reason: 'x' };
    const answer = await service.request('request-offboarding', { body, headers: { 'idempotency-key': key } });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_header' } });
    expect(await service.records()).toEqual([]);
  });

  test('GET of an organization that Auth0 does not know is a 404', async () => {
    expect(await service.request('get-offboarding', { organization: 'org_Qk2vN8sT5rWx1YzA' })).toMatchObject({
      status: 404,
    });
  });
});
