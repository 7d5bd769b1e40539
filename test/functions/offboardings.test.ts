// Many at once, and a view of it all.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const organization = (i: number) => `org_batch${String(i).padStart(11, '0')}`;
const ids = (count: number) => Array.from({ length: count }, (_, i) => organization(i));
/** Organizations that a test has at most. */
const MANY = 16;
const ORDER = { action: 'disable', reason: 'the reseller has gone' };

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  await service.startOver();
  for (const id of [ORG, ...ids(MANY)]) await service.forget(id);
  service.tenant.setOrganizations(Object.fromEntries([ORG, ...ids(MANY)].map((id) => [id, [{ connection_id: CON }]])));
});

interface Batch {
  batch_id: string;
  accepted: number;
  rejected: { organization_id: string; code: string }[];
}
interface Page {
  offboardings: OffboardingRecord[];
  cursor: string | null;
  counts?: Record<string, number>;
}
/** The first writes of the table succeed, and all others fail. */
function failWritesAfter(count: number): void {
  // The SDK does not try again after this one.
  const error = { operation: 'PutItem', error: 'AccessDeniedException' };
  service.aws.addFaults({ operation: 'PutItem', delay: 0, times: count }, { ...error, times: 10_000 });
}
async function post(body: object, headers: Record<string, string> = {}) {
  const answer = await service.request('request-offboardings', { body, headers });
  return { status: answer.status, body: answer.body as Batch };
}
async function list(query: Record<string, string>) {
  const answer = await service.request('list-offboardings', { query });
  return { status: answer.status, body: answer.body as Page };
}
const counts = async (batch_id: string) => (await list({ batch_id })).body.counts;

/** Waits until the batch's numbers are these; `meanwhile` is done again and again. */
const countsBecome = (batch_id: string, expected: object, meanwhile = async () => {}) =>
  expect
    .poll(() => meanwhile().then(() => counts(batch_id)), { interval: 200, timeout: 60_000 })
    .toMatchObject(expected);

/** The number of a batch's organizations over all statuses. */
const total = async (batch_id: string) =>
  Object.values((await counts(batch_id)) ?? {}).reduce((sum, count) => sum + count, 0);
const outcomesOfBatch = (batch_id: string, type: string) =>
  service.aws.events.filter((event) => event.detail.batch_id === batch_id && event['detail-type'].endsWith(type));

describe('a batch', () => {
  test('when some ids are none or doubled, they are rejected, and each other organization has its record and its event', async () => {
    const { status, body } = await post({ ...ORDER, organization_ids: [...ids(8), 'org_a/b', organization(3), ''] });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      accepted: 8,
      rejected: [
        { organization_id: 'org_a/b', code: 'invalid_organization_id' },
        { organization_id: organization(3), code: 'duplicate' },
        { organization_id: '', code: 'invalid_organization_id' },
      ],
    });
    expect(await total(body.batch_id)).toBe(8);
    await countsBecome(body.batch_id, { completed: 8, requested: 0 });
    for (const id of ids(8)) expect(service.enabled(id)).toEqual({ [CON]: false });
    expect(outcomesOfBatch(body.batch_id, 'completed').length).toBe(8);
    expect(outcomesOfBatch(body.batch_id, 'requested').length).toBe(8);
  });

  test('when the table fails half-way, the answer is a 503 and nothing of the batch is carried out', async () => {
    const request = { ...ORDER, organization_ids: ids(12) };
    // The batch's own item and some members are written; each other write fails in all of its attempts.
    await service.startOver();
    failWritesAfter(6);
    const answer = await post(request);
    expect(answer).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
    service.aws.clearFaults();
    // Within minutes a member whose batch was not accepted is void.
    for (const id of ids(12)) await service.pass(360_000, id);
    await service.sweep();
    for (const id of ids(12)) {
      expect(service.enabled(id)).toEqual({ [CON]: true });
      expect(await service.records(id)).toEqual([]);
      expect((await service.organization(id)).requests).toEqual([]);
    }
  });

  test('when it was cut off and is repeated with its key, it is one batch; another body is refused', async () => {
    const headers = { 'idempotency-key': 'contract-year-2026' };
    const request = { ...ORDER, organization_ids: ids(12) };
    failWritesAfter(6);
    expect((await post(request, headers)).status).toBe(503);
    service.aws.clearFaults();
    const first = await post(request, headers);
    expect(first).toMatchObject({ status: 202, body: { accepted: 12, replayed: false } });
    const again = await post(request, headers);
    expect(again).toMatchObject({ status: 202, body: { ...first.body, replayed: true } });
    await countsBecome(first.body.batch_id, { completed: 12 });
    expect((await service.records(organization(7))).length).toBe(1);
    for (const changed of [{ reason: 'another' }, { organization_ids: ids(11) }]) {
      const other = await post({ ...request, ...changed }, headers);
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    }
  });

  test('when it is cancelled, each member is cancelled or counted as not pending', async () => {
    const order = { action: 'disable_then_remove', reason: 'the reseller has gone' };
    const { body } = await post({ ...order, organization_ids: ids(6) });
    await countsBecome(body.batch_id, { scheduled: 6 });
    // One member is being removed already.
    service.tenant.addFaults({ method: 'DELETE', path: organization(0), status: 503, body: 'down', times: 99 });
    await service.makeDue(organization(0));
    await expect.poll(async () => (await service.records(organization(0)))[0]?.status).toBe('removing');
    const cancel = () =>
      service.request('cancel-offboardings', { query: { batch_id: body.batch_id, reason: 'renewed' } });
    expect(await cancel()).toMatchObject({
      status: 202,
      body: { batch_id: body.batch_id, cancelling: 5, not_pending: 1 },
    });
    service.tenant.clearFaults();
    await service.sweep();
    expect(await counts(body.batch_id)).toMatchObject({ cancelled: 5, completed: 1 });
    for (const id of ids(6).slice(1)) expect(service.enabled(id)).toEqual({ [CON]: true });
    expect(service.enabled(organization(0))).toEqual({});
    expect((await cancel()).body).toMatchObject({ cancelling: 0, not_pending: 6 });
    expect(outcomesOfBatch(body.batch_id, 'cancelled').length).toBe(5);
  });

  test('when there is no such batch, its cancellation is a 404', async () => {
    const query = { batch_id: randomUUID() };
    expect(await service.request('cancel-offboardings', { query })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
  });

  test('when an organization has no room left, its offboarding ends as a failed record and the others are carried out', async () => {
    service.tenant.addFaults({ path: ORG, status: 503, body: '', times: 100_000 });
    for (let i = 0; i < 20; i++)
      await service.request('request-offboarding', { body: { ...ORDER, connection_ids: [CON] } });
    const { body } = await post({ ...ORDER, organization_ids: [ORG, organization(1)] });
    expect(body).toMatchObject({ accepted: 2 });
    await countsBecome(body.batch_id, { completed: 1, failed: 1 }, () => service.hurry());
    const failed = (await service.records()).filter(({ batch_id }) => batch_id === body.batch_id);
    expect(failed).toMatchObject([{ status: 'failed', error: { code: 'conflict' } }]);
    expect([200, 202]).toContain((await service.request('cancel-offboarding')).status);
  });

  test.each<[string, object]>([
    ['no organizations', { organization_ids: [] }],
    ['more than 1,000', { organization_ids: ids(1001) }],
    ['a number for an id', { organization_ids: [7] }],
    ['an unknown member', { organization_ids: ids(1), force: true }],
    ['no action', { organization_ids: ids(1), action: undefined }],
    ['a blank requester', { organization_ids: ids(1), requested_by: '  ' }],
  ])('when it has %s, it is refused as a whole, in a sentence', async (_what, body) => {
    const answer = await post({ ...ORDER, ...body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_body' } });
    expect((answer.body as unknown as { detail: string }).detail).not.toMatch(/Invalid (length|type|key)|Expected/);
    expect(await service.records(organization(0))).toEqual([]);
  });

  test('when an organization is requested singly, it does not wait for the batch', async () => {
    service.tenant.setPlan('enterprise');
    const { body } = await post({ ...ORDER, organization_ids: ids(MANY) });
    const { id } = service.publish({ action: 'disable' });
    await service.outcome(id, 'completed');
    expect((await counts(body.batch_id))?.completed).toBeLessThan(MANY / 2);
    service.tenant.setPlan('unlimited');
    await countsBecome(body.batch_id, { completed: MANY });
  });
});

describe('lists', () => {
  test('when listed by organization, its history is newest first, with who, why and what became of each connection', async () => {
    const first = service.publish({ action: 'disable', reason: 'first' });
    await service.outcome(first.id);
    const second = service.publish({ action: 'remove', reason: 'second' });
    await service.outcome(second.id);
    const { body } = await list({ organization_id: ORG });
    expect(body.offboardings.map(({ reason, status }) => [reason, status])).toEqual([
      ['second', 'completed'],
      ['first', 'completed'],
    ]);
    expect(body.offboardings[1]).toMatchObject({
      offboarding_id: first.id,
      requested_by: 'billing-service',
      connections: [{ connection_id: CON, outcome: 'disabled', before: { is_enabled: true } }],
    });
    expect(body.cursor).toBeNull();
  });

  test('when listed by status, what is due first comes first, and what has moved on is not shown', async () => {
    for (const [i, days] of [20, 5, 10].entries()) {
      const detail = { organization_id: organization(i), action: 'disable_then_remove', grace_period: `P${days}D` };
      await service.outcome(service.publish(detail).id, 'scheduled');
    }
    const due = async () => (await list({ status: 'scheduled' })).body.offboardings.map((one) => one.organization_id);
    await expect.poll(due).toEqual([organization(1), organization(2), organization(0)]);
    const cancelled = await service.request('cancel-offboarding', { organization: organization(2) });
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    await expect.poll(due).toEqual([organization(1), organization(0)]);
  });

  test('when listed in pages, each organization comes once, and another list refuses the cursor', async () => {
    const { body } = await post({ ...ORDER, organization_ids: ids(5), dry_run: true });
    await countsBecome(body.batch_id, { completed: 5 });
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let pages = 1; ; pages++) {
      const query = { batch_id: body.batch_id, limit: '2', ...(cursor && { cursor }) };
      const page: Page = (await list(query)).body;
      seen.push(...page.offboardings.map(({ organization_id }) => organization_id));
      if (!page.cursor) break;
      cursor = page.cursor;
      expect(pages).toBeLessThan(5);
    }
    expect(seen.sort()).toEqual(ids(5));
    const own = Buffer.from(String(cursor), 'base64url').toString();
    const [, ...after] = own.split(body.batch_id);
    const forged = [`batch_id ${body.batch_id} x`, `batch_id x${after.join('')}`, own.slice(1), '{}'];
    for (const wrong of ['x', '', ...forged.map((text) => Buffer.from(text).toString('base64url'))])
      expect((await list({ batch_id: body.batch_id, cursor: wrong })).body, wrong).toMatchObject({
        code: 'invalid_query',
      });
    expect((await list({ status: 'requested', cursor: String(cursor) })).status).toBe(400);
    // Another container takes it.
    service.functionNamed('list-offboardings').kill();
    expect((await list({ batch_id: body.batch_id, cursor: String(cursor) })).status).toBe(200);
  });

  test.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['two at once', { organization_id: ORG, status: 'failed' }],
    ['an organization that is none', { organization_id: 'org_*' }],
    ['a batch that is none', { batch_id: '17' }],
    ['a status that is none', { status: 'done' }],
    ['a limit of none', { status: 'failed', limit: '0' }],
    ['a limit of too many', { status: 'failed', limit: '101' }],
    ['an unknown parameter', { status: 'failed', order: 'asc' }],
    ['a day that no month has', { status: 'failed', since: '2026-02-30' }],
    ['a time of a day that no month has', { status: 'failed', until: '2026-04-31T10:00:00Z' }],
    ['a day that is none', { status: 'failed', since: '2026-99-99' }],
  ])('when a query has %s, it is refused in a sentence', async (_what, query) => {
    const answer = await list(query);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    expect((answer.body as unknown as { detail: string }).detail).not.toMatch(/Invalid (length|type|key)|Expected/);
  });

  test('when the table cannot be reached, the answer is a 503 with Retry-After', async () => {
    service.aws.addFaults({ operation: 'Query', error: 'ThrottlingException', times: 9 });
    expect(await list({ status: 'failed' })).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
  });
});
