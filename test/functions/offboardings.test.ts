// Many at once, and a view of it all.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Offboarding } from '../../lib/offboarding/offboarding.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const organization = (i: number) => `org_batch${String(i).padStart(11, '0')}`;
const ids = (count: number) => Array.from({ length: count }, (_, i) => organization(i));
const ORDER = { action: 'disable', reason: 'the reseller has gone' };

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  await service.startOver();
  for (const id of [ORG, ...ids(30)]) await service.forget(id);
  service.tenant.setOrganizations(Object.fromEntries([ORG, ...ids(30)].map((id) => [id, [{ connection_id: CON }]])));
});

interface Batch {
  batch_id: string;
  accepted: number;
  rejected: { organization_id: string; code: string }[];
}
interface Page {
  offboardings: Offboarding[];
  cursor: string | null;
  counts?: Record<string, number>;
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

describe('a batch', () => {
  test('each organization has its record and its event; what is none is told and stops nobody else', async () => {
    const { status, body } = await post({ ...ORDER, organization_ids: [...ids(12), 'org_a/b', organization(3), ''] });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      accepted: 12,
      rejected: [
        { organization_id: 'org_a/b', code: 'invalid_organization_id' },
        { organization_id: organization(3), code: 'duplicate' },
        { organization_id: '', code: 'invalid_organization_id' },
      ],
    });
    await expect.poll(() => counts(body.batch_id), { timeout: 20_000 }).toMatchObject({ completed: 12, requested: 0 });
    for (const id of ids(12)) expect(service.enabled(id)).toEqual({ [CON]: false });
    const told = service.aws.events.filter(({ detail }) => detail.batch_id === body.batch_id && detail.connections);
    expect(told.length).toBe(12);
  });

  test('with an idempotency key, cut off half-way, the same call goes on; another body is refused', async () => {
    const headers = { 'idempotency-key': 'contract-year-2026' };
    const request = { ...ORDER, organization_ids: ids(25) };
    service.aws.addFaults(
      ...Array.from({ length: 9 }, () => ({ operation: 'PutEvents', error: 'InternalFailure', status: 500 })),
    );
    expect((await post(request, headers)).status).toBe(500);
    const first = await post(request, headers);
    const again = await post(request, headers);
    expect(again).toEqual(first);
    expect(first.body.accepted).toBe(25);
    await expect.poll(() => counts(first.body.batch_id), { timeout: 20_000 }).toMatchObject({ completed: 25 });
    expect((await service.records(organization(7))).length).toBe(1);
    for (const changed of [{ reason: 'another' }, { organization_ids: ids(24) }]) {
      const other = await post({ ...request, ...changed }, headers);
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    }
  });

  test.each<[string, object]>([
    ['no organizations', { organization_ids: [] }],
    ['more than 1,000', { organization_ids: ids(1001) }],
    ['a number for an id', { organization_ids: [7] }],
    ['an unknown member', { organization_ids: ids(1), force: true }],
    ['no action', { organization_ids: ids(1), action: undefined }],
    ['a blank requester', { organization_ids: ids(1), requested_by: '  ' }],
  ])('%s is refused as a whole, in a sentence', async (_what, body) => {
    const answer = await post({ ...ORDER, ...body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_body' } });
    expect((answer.body as unknown as { detail: string }).detail).not.toMatch(/Invalid (length|type|key)|Expected/);
    expect(await service.records(organization(0))).toEqual([]);
  });

  test('one asked for singly does not wait for it', async () => {
    service.tenant.setPlan('enterprise');
    const { body } = await post({ ...ORDER, organization_ids: ids(30) });
    const { id } = service.publish({ action: 'disable' });
    await service.outcome(id, 'completed');
    expect((await counts(body.batch_id))?.completed).toBeLessThan(15);
    service.tenant.setPlan('unlimited');
    await expect.poll(() => counts(body.batch_id), { timeout: 60_000 }).toMatchObject({ completed: 30 });
  });
});

describe('lists', () => {
  test('by organization: its history, newest first, with who, why and what became of each connection', async () => {
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

  test('by status: what is due first; what has moved on is not shown', async () => {
    for (const [i, days] of [20, 5, 10].entries()) {
      const detail = { organization_id: organization(i), action: 'disable_then_remove', grace_period: `P${days}D` };
      await service.outcome(service.publish(detail).id, 'scheduled');
    }
    const due = async () => (await list({ status: 'scheduled' })).body.offboardings.map((one) => one.organization_id);
    expect(await due()).toEqual([organization(1), organization(2), organization(0)]);
    const cancelled = await service.request('cancel-offboarding', { organization: organization(2) });
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(await due()).toEqual([organization(1), organization(0)]);
  });

  test('in pages, each organization once; a cursor is nothing to another list', async () => {
    const { body } = await post({ ...ORDER, organization_ids: ids(5), dry_run: true });
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
  ])('%s is no query, in a sentence', async (_what, query) => {
    const answer = await list(query);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    expect((answer.body as unknown as { detail: string }).detail).not.toMatch(/Invalid (length|type|key)|Expected/);
  });

  test('a table that can not be reached is a 503 with Retry-After', async () => {
    service.aws.addFaults({ operation: 'Query', error: 'ThrottlingException', times: 9 });
    expect(await list({ status: 'failed' })).toMatchObject({ status: 503, body: { code: 'record_unavailable' } });
  });
});
