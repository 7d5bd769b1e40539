// What readers see: the lists and the current offboarding, on the embedded table and the stand-in tenant.
import '../../own-modules.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LocalEnvironment } from '../../../infra/local/environment.ts';
import { createLog } from '../../../lib/log.ts';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../../lib/offboarding/model/record.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { startEnvironmentInProcess } from '../../in-process.ts';
import { DAY, entry, HOUR, organization as itemOf, request } from '../items.ts';

let local: LocalEnvironment;
let table: typeof import('../../../lib/aws/table.ts');
let items: typeof import('../../../lib/offboarding/store/items.ts');
let lists: typeof import('../../../lib/offboarding/views/list.ts');
let current: typeof import('../../../lib/offboarding/views/current.ts');
let calls: typeof import('../../../lib/auth0/call-context.ts');
let limits: typeof import('../../../lib/auth0/rate-limit.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  table = await import('../../../lib/aws/table.ts');
  items = await import('../../../lib/offboarding/store/items.ts');
  lists = await import('../../../lib/offboarding/views/list.ts');
  current = await import('../../../lib/offboarding/views/current.ts');
  calls = await import('../../../lib/auth0/call-context.ts');
  limits = await import('../../../lib/auth0/rate-limit.ts');
});
afterAll(() => local.close());
afterEach(() => {
  local.aws.clearFaults();
  local.tenant.clearFaults();
});

const DUE = '2099-01-01T00:00:00Z';
let organizations = 0;
const newOrganization = () => `org_Lists${String(++organizations).padStart(11, '0')}`;
let years = 2030;
/** A year that nothing else in the table is of, also where the mutation tests run a test again. */
const newYear = () => String(++years);
const iso = (ago: number) => new Date(Date.now() - ago).toISOString();
async function putItem(organization_id: string, changes: Partial<Organization>) {
  const item: Organization = { ...itemOf(changes), organization_id, version: randomUUID() };
  expect(await table.putItem(items.toOrganizationItem(item, Date.now()), undefined)).toBe(true);
  return item;
}
async function putRecord(organization_id: string, one: OpenRequest, changes: Partial<OffboardingRecord> = {}) {
  const record = { ...recordOf({ ...itemOf(), organization_id, requests: [one] }, one), ...changes };
  await table.putProjection({ ...items.toRecordItem(record), revision: record.revision });
  return record;
}
const idsOf = ({ offboardings }: Awaited<ReturnType<typeof lists.listOffboardings>>) =>
  (offboardings as Record<string, unknown>[]).map((one) => one.offboarding_id);
const listOf = (id: string, page: Partial<Parameters<typeof lists.listOffboardings>[2]> = {}) =>
  lists.listOffboardings('organization_id', id, { limit: 100, ...page });

const view = (organization: string) =>
  current.currentOffboarding(
    organization,
    calls.createCallContext({ deadline: Date.now() + 20_000, log: createLog({}), pacer: limits.createPacer(0) }),
  );
const inAuth0 = (organization: string, ...connections: { connection_id: string; is_enabled?: boolean }[]) =>
  local.tenant.setOrganizations({ [organization]: connections });

const batchOf = (batch_id: string, status: 'open' | 'accepted' | 'void' | 'cancelled', organization_ids: string[]) =>
  table.putItem(
    items.toBatchItem(
      { batch_id, status, organization_ids, attempt: 1, fingerprint: 'f', created_at: iso(0), version: '1' },
      Date.now(),
    ),
    undefined,
  );
/** A batch that is accepted. */
async function putBatch({ organization_ids }: { organization_ids: string[] }): Promise<string> {
  const id = randomUUID();
  await batchOf(id, 'accepted', organization_ids);
  return id;
}

describe('the list of an organization', () => {
  test('when some are in its item and some only on record, all are listed once, newest first, as they are now', async () => {
    const id = newOrganization();
    const open = request('B', { status: 'scheduled', requested_at: iso(HOUR) });
    await putItem(id, { requests: [open, request('C', { requested_at: iso(0) })] });
    await putRecord(id, request('A', { status: 'completed', requested_at: iso(DAY) }));
    await putRecord(id, { ...open, status: 'working' });
    const page = await listOf(id);
    expect(
      (page.offboardings as Record<string, unknown>[]).map(({ offboarding_id, status }) => [offboarding_id, status]),
    ).toEqual([
      ['C', 'requested'],
      ['B', 'scheduled'],
      ['A', 'completed'],
    ]);
    expect([page.cursor, page.counts]).toEqual([null, undefined]);
  });
  test('when a member of a batch is not accepted, it is not there', async () => {
    const id = newOrganization();
    await putItem(id, { requests: [request('A', { batch: { id: 'X', attempt: 1, is_accepted: false } })] });
    expect(idsOf(await listOf(id))).toEqual([]);
  });
  test('when the batch’s own item accepted it, it is there, and pending, before any worker has met it', async () => {
    const id = newOrganization();
    const batch = await putBatch({ organization_ids: [id] });
    await putItem(id, { requests: [request('A', { batch: { id: batch, attempt: 1, is_accepted: false } })] });
    expect(idsOf(await listOf(id))).toEqual(['A']);
    inAuth0(id, { connection_id: 'con_1', is_enabled: true });
    expect(await view(id)).toMatchObject({ offboarding_id: 'A', status: 'requested' });
  });
  test('when there are more than a page, each page begins where the last one ended', async () => {
    const id = newOrganization();
    for (let i = 0; i < 5; i++)
      await putRecord(id, request(`r${i}`, { status: 'completed', requested_at: iso(DAY - i) }));
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await listOf(id, { limit: 2, cursor });
      seen.push(...(idsOf(page) as string[]));
      cursor = page.cursor ?? undefined;
      pages += 1;
    } while (cursor);
    expect([seen, pages]).toEqual([['r4', 'r3', 'r2', 'r1', 'r0'], 3]);
    const first = await listOf(id, { limit: 2 });
    await expect(listOf(newOrganization(), { cursor: first.cursor ?? '' })).rejects.toMatchObject({
      code: 'invalid_query',
      message: 'cursor: must be the one that a page of this list came with',
    });
    for (const wrong of ['', 'x', Buffer.from(`organization_id ${id} yesterday x`).toString('base64url')])
      await expect(listOf(id, { cursor: wrong })).rejects.toMatchObject({ code: 'invalid_query' });
  });
  test('when one offboarding is asked for, it alone is listed, in the item or on record', async () => {
    const id = newOrganization();
    await putItem(id, { requests: [request('B')] });
    await putRecord(id, request('A', { status: 'completed' }));
    expect(idsOf(await listOf(id, { offboarding_id: 'A' }))).toEqual(['A']);
    expect(idsOf(await listOf(id, { offboarding_id: 'B' }))).toEqual(['B']);
    expect(idsOf(await listOf(id, { offboarding_id: 'C' }))).toEqual([]);
  });
});

describe('the list of a batch', () => {
  test('when it is accepted, its counts sum to what was accepted from the first moment', async () => {
    const batch_id = randomUUID();
    const ids = [newOrganization(), newOrganization(), newOrganization()];
    await batchOf(batch_id, 'accepted', ids);
    const batch = { id: batch_id, attempt: 1, is_accepted: true };
    await putRecord(ids[0] as string, request('A', { status: 'completed', batch }));
    await putRecord(ids[1] as string, request('B', { status: 'scheduled', batch }));
    const page = await lists.listOffboardings('batch_id', batch_id, { limit: 100 });
    expect(page.counts).toMatchObject({ requested: 1, completed: 1, scheduled: 1, failed: 0, cancelled: 0 });
    expect(idsOf(page).sort()).toEqual(['A', 'B']);
    for (const status of ['open', 'void'] as const) {
      const other = randomUUID();
      await batchOf(other, status, ids);
      expect((await lists.listOffboardings('batch_id', other, { limit: 1 })).counts).toMatchObject({ requested: 0 });
    }
    const cancelled = randomUUID();
    await batchOf(cancelled, 'cancelled', ids);
    expect((await lists.listOffboardings('batch_id', cancelled, { limit: 1 })).counts).toMatchObject({ requested: 3 });
    expect((await lists.listOffboardings('batch_id', randomUUID(), { limit: 1 })).counts).toMatchObject({
      requested: 0,
    });
  });
});

describe('the list of a status', () => {
  test('when it is listed, what is due first comes first, within the times that are asked for', async () => {
    const dueYear = newYear();
    const due = (day: string) => `${dueYear}-05-${day}T09:00:00.000Z`;
    for (const day of ['03', '01', '02'])
      await putRecord(
        newOrganization(),
        request(`s${day}`, { status: 'scheduled', removal_due_at: due(day).replace('.000Z', 'Z') }),
      );
    const scheduled = async (page: object) =>
      idsOf(await lists.listOffboardings('status', 'scheduled', { limit: 100, ...page }));
    const year = { since: `${dueYear}-01-01T00:00:00.000Z`, until: `${dueYear}-12-31T00:00:00.000Z` };
    expect(await scheduled(year)).toEqual(['s01', 's02', 's03']);
    expect(await scheduled({ since: due('02'), until: due('02') })).toEqual(['s02']);
    expect(await scheduled({ since: due('02'), until: year.until })).toEqual(['s02', 's03']);
    const first = await lists.listOffboardings('status', 'scheduled', { limit: 2, ...year });
    expect(idsOf(first)).toEqual(['s01', 's02']);
    const second = await lists.listOffboardings('status', 'scheduled', {
      limit: 2,
      ...year,
      cursor: first.cursor ?? '',
    });
    expect([idsOf(second), second.cursor]).toEqual([['s03'], null]);
    // A page that ended behind `until` is followed by nothing.
    expect(
      idsOf(
        await lists.listOffboardings('status', 'scheduled', { limit: 2, until: due('01'), cursor: first.cursor ?? '' }),
      ),
    ).toEqual([]);
  });
  test('when nobody has begun it, it is listed from the organization’s item, until its record is written', async () => {
    const id = newOrganization();
    const year = newYear();
    const at = (second: number) => `${year}-01-01T00:00:0${second}.000Z`;
    const unbegun = (name: string, second: number, changes: Partial<OpenRequest> = {}) =>
      request(name, { requested_at: at(second), is_unrecorded: true, ...changes });
    const requested = (page: object = {}) =>
      lists.listOffboardings('status', 'requested', { limit: 100, since: at(0), until: `${year}-12`, ...page });
    const batch = await putBatch({ organization_ids: [id] });
    const ofBatch = unbegun('u2', 2, { batch: { id: batch, attempt: 1, is_accepted: false } });
    const ofNone = unbegun('u1', 1, { batch: { id: 'none', attempt: 1, is_accepted: false } });
    await putItem(id, { requests: [ofBatch, unbegun('u3', 3), ofNone] });
    await putItem(newOrganization(), { requests: [unbegun('u4', 4)] });
    const member = newOrganization();
    await putItem(member, { requests: [ofNone, { ...ofBatch, offboarding_id: 'u5', requested_at: at(5) }] });
    const other = newOrganization();
    await putItem(other, { requests: [{ ...ofBatch, offboarding_id: 'u6', requested_at: at(6) }] });
    // Of several the first that counts for sure, or else the first; a member of a batch that is none does not count.
    expect(idsOf(await requested())).toEqual(['u3', 'u4', 'u6']);
    const first = await requested({ limit: 2 });
    expect(idsOf(first)).toEqual(['u3']);
    expect(idsOf(await requested({ limit: 2, cursor: first.cursor ?? '' }))).toEqual(['u4', 'u6']);
    expect(idsOf(await requested({ since: at(4), until: at(4) }))).toEqual(['u4']);
    await putRecord(other, { ...ofBatch, offboarding_id: 'u6', requested_at: at(6), is_unrecorded: undefined });
    expect(idsOf(await requested())).toEqual(['u3', 'u4', 'u6']);
  });
  test('when a page is more than Lambda may answer, the rest is on the next one', async () => {
    const id = newOrganization();
    const large = { name: 'x'.repeat(300_000) };
    for (let i = 0; i < 15; i++)
      await putRecord(id, request(`l${i}`, { status: 'completed', requested_at: iso(DAY - i) }), {
        connections: [{ ...large, connection_id: 'con_1', strategy: null, before: null, outcome: null, error: null }],
      } as Partial<OffboardingRecord>);
    const first = await listOf(id);
    expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThan(4_100_000);
    const second = await listOf(id, { cursor: first.cursor ?? '' });
    expect([...idsOf(first), ...idsOf(second)]).toHaveLength(15);
    expect(second.cursor).toBeNull();
  });
  test('when the index is late, what has another status by now is not listed', async () => {
    const id = newOrganization();
    const one = request('late', { status: 'working', requested_at: '2032-01-01T00:00:00.000Z' });
    await putRecord(id, one);
    await local.aws.dynamoDb.staleReads({ operations: 100 });
    await putRecord(id, { ...one, status: 'failed' });
    expect(
      idsOf(await lists.listOffboardings('status', 'working', { limit: 100, since: '2032-01-01', until: '2033' })),
    ).toEqual([]);
    await local.aws.dynamoDb.staleReads();
  });
});

describe('a record as its readers see it', () => {
  test('when it has members that nobody described, they are not shown', () => {
    const record = {
      ...recordOf(itemOf(), request('A', { fingerprint: 'secret' })),
      revision: 7,
      more: 1,
    } as OffboardingRecord;
    const view = lists.toView(record) as Record<string, unknown>;
    for (const name of ['fingerprint', 'revision', 'more', 'expires_at', 'sessions'])
      expect(Object.keys(view)).not.toContain(name);
    expect(view).toMatchObject({ offboarding_id: 'A', connections: [] });
  });
  test('when its sessions are ended, how far that has come is shown, without where', () => {
    const sessions = {
      status: 'ending' as const,
      cursor: 'secret',
      members: 1,
      revocations_requested: 1,
      skipped: 0,
      failed: 0,
      updated_at: iso(0),
    };
    const one = request('A', { sessions }, { end_sessions: true });
    const { cursor: _, ...shown } = sessions;
    expect(lists.toView(recordOf(itemOf(), one))).toMatchObject({ sessions: shown });
    expect(Object.keys(lists.sessionsView(recordOf(itemOf(), one)) ?? {})).not.toContain('cursor');
    expect(lists.toView(recordOf(itemOf(), request('A', {}, { end_sessions: true })))).toMatchObject({
      sessions: null,
    });
  });
});

describe('the current offboarding', () => {
  test('when there is none, its members are null, and the connections are those of Auth0', async () => {
    const id = newOrganization();
    inAuth0(id, { connection_id: 'con_1' }, { connection_id: 'con_2', is_enabled: false });
    expect(await view(id)).toMatchObject({
      ...{
        organization_id: id,
        offboarding_id: null,
        status: null,
        action: null,
        removal_due_at: null,
        requested_at: null,
        requested_by: null,
      },
      ...{
        caller: null,
        reason: null,
        last_error: null,
        next_try_at: null,
        watch: null,
        drift_count: 0,
        next_drift_check_at: null,
      },
      ...{ last_drift_check_at: null, sessions: null, connections_source: 'auth0', remaining_access: [] },
      connections: [
        {
          connection_id: 'con_1',
          name: 'con-1',
          strategy: 'okta',
          is_enabled: true,
          removal_pending: false,
          disabled_by_offboarding: false,
        },
        { connection_id: 'con_2', is_enabled: false, removal_pending: false },
      ],
    });
  });
  test('when one is scheduled, it says what its removal, and what its cancellation, would do', async () => {
    const id = newOrganization();
    inAuth0(
      id,
      { connection_id: 'con_1', is_enabled: false },
      { connection_id: 'con_2' },
      { connection_id: 'con_3', is_enabled: false },
    );
    const one = request('A', {
      status: 'scheduled',
      removal_due_at: DUE,
      watch: 'on',
      last_error: { code: 'x', message: 'x' },
      next_try_at: 'next',
    });
    const dry = request('D', { requested_at: iso(0) }, { dry_run: true });
    const ledger = [entry('con_1', ['A']), entry('con_2', ['A'], { disabled_by_us: false })];
    await putItem(id, { requests: [one, dry], ledger, next_drift_check_at: 'check', last_drift_check_at: 'last' });
    const shown = await view(id);
    expect(shown).toMatchObject({
      ...{
        offboarding_id: 'A',
        status: 'scheduled',
        removal_due_at: DUE,
        requested_by: 'billing',
        caller: 'arn:caller',
        reason: 'contract ended',
      },
      ...{
        last_error: { code: 'x' },
        next_try_at: 'next',
        watch: 'on',
        next_drift_check_at: 'check',
        last_drift_check_at: 'last',
      },
    });
    expect(
      shown.connections.map((one_) => [one_.connection_id, one_.removal_pending, one_.disabled_by_offboarding]),
    ).toEqual([
      ['con_1', true, true],
      ['con_2', false, false],
      ['con_3', false, false],
    ]);
  });
  test('when it is being cancelled, nothing is to be removed any more', async () => {
    const id = newOrganization();
    inAuth0(id, { connection_id: 'con_1', is_enabled: false });
    await putItem(id, {
      requests: [request('A', { status: 'cancelling', removal_due_at: DUE })],
      ledger: [entry('con_1', ['A'])],
    });
    const shown = await view(id);
    expect(shown).toMatchObject({ status: 'cancelling', removal_due_at: null });
    expect(shown.connections[0]).toMatchObject({ removal_pending: false, disabled_by_offboarding: true });
  });
  test('when it has left the item, its record is shown; a newer one in the item goes first', async () => {
    const id = newOrganization();
    inAuth0(id, { connection_id: 'con_1' });
    const left = request('A', { status: 'failed', error: { code: 'x', message: 'x' }, requested_at: iso(DAY) });
    await putRecord(id, left);
    const item = await putItem(id, { current: { offboarding_id: 'A', requested_at: left.requested_at } });
    expect(await view(id)).toMatchObject({
      offboarding_id: 'A',
      status: 'failed',
      last_error: { code: 'x' },
      watch: null,
    });
    const next = {
      ...item,
      requests: [request('B', { status: 'completed', watch: 'on', ended_at: iso(0), requested_at: iso(HOUR) })],
      version: 'next',
    };
    expect(await table.putItem(items.toOrganizationItem(next, Date.now()), item.version)).toBe(true);
    expect(await view(id)).toMatchObject({ offboarding_id: 'B', status: 'completed', watch: 'on' });
    const older = { ...next, current: { offboarding_id: 'A', requested_at: iso(0) }, version: 'older' };
    expect(await table.putItem(items.toOrganizationItem(older, Date.now()), 'next')).toBe(true);
    expect(await view(id)).toMatchObject({ offboarding_id: 'A' });
  });
  test('when Auth0 does not answer, what is on record is shown; where nothing is, Auth0’s failure', async () => {
    const id = newOrganization();
    inAuth0(id, { connection_id: 'con_1', is_enabled: false });
    local.tenant.addFaults({ path: id, status: 503, body: {}, times: 99 });
    await expect(view(id)).rejects.toMatchObject({ code: 'auth0_unavailable' });
    const outcomes = {
      con_1: { outcome: 'disabled' as const },
      con_2: { outcome: 'enabled' as const },
      con_3: { outcome: 'unchanged' as const },
    };
    await putItem(id, {
      requests: [request('A', { status: 'scheduled', removal_due_at: DUE, outcomes })],
      ledger: [entry('con_1', ['A'])],
    });
    const shown = await view(id);
    expect(shown).toMatchObject({ connections_source: 'record', organization_name: null, remaining_access: null });
    expect(shown.connections.map((one) => [one.connection_id, one.is_enabled, one.removal_pending])).toEqual([
      ['con_1', false, true],
      ['con_2', true, false],
      ['con_3', null, false],
    ]);
  });
  test('when a cancellation came after what is on record, nobody knows what is enabled', async () => {
    const id = newOrganization();
    local.tenant.addFaults({ path: id, status: 503, body: {}, times: 99 });
    const one = request('A', { status: 'completed', watch: 'on', outcomes: { con_1: { outcome: 'disabled' } } });
    const cancellation = { at: iso(0), caller: 'arn:support', found: [], reenabled: [] };
    await putItem(id, { requests: [one], cancellation });
    expect((await view(id)).connections).toMatchObject([{ connection_id: 'con_1', is_enabled: null }]);
  });
  test('when Auth0 has no such organization, that is an error, also with something on record', async () => {
    const id = newOrganization();
    await putItem(id, { requests: [request('A', { status: 'scheduled' })] });
    await expect(view(id)).rejects.toMatchObject({ code: 'unknown_organization' });
  });
});
