// What the offboardings of an organization have in common, and its records, as the table keeps them.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { Cancellation, Offboarding, Organization } from '../../lib/offboarding/offboarding.ts';
import { connection, heldOne, record } from './records.ts';

const NOW = Date.parse('2026-11-25T09:00:00.123Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();
const [MINUTE, HOUR] = [60_000, 3_600_000];
const DAY_S = 86_400;
let local: LocalEnvironment;
let records: typeof import('../../lib/offboarding/record.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
let table: typeof import('../../lib/aws/table.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  records = await import('../../lib/offboarding/record.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
  table = await import('../../lib/aws/table.ts');
});
afterAll(() => local.close());
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: NOW }));
afterEach(() => {
  local.aws.clearFaults();
  vi.useRealTimers();
});

const anId = () => `org_${randomUUID()}`;
const keyOf = (organization_id: string) => ({ organization_id, offboarding_id: 'organization' });
const itemOf = async (id: string) =>
  (await table.getItem(keyOf(id))) as (Organization & Record<string, unknown>) | undefined;
const made = async (changes: Partial<Organization> = {}) => {
  const id = anId();
  return (await organizations.write({ organization_id: id, open: [] }, changes)) as Organization;
};
const cancellation = (...ids: string[]): Cancellation => ({ at: at(0), caller: 'x', ids, pending: ids });

describe('an organization', () => {
  test('nobody has offboarded is empty; what is written is found, upon the version that was read alone', async () => {
    const id = anId();
    expect(await organizations.getOrganization(id)).toEqual({ organization_id: id, open: [] });
    const first = await made({ open: ['a'], due_at: at(0) });
    expect(await itemOf(first.organization_id)).toEqual({
      ...first,
      offboarding_id: 'organization',
      due_shard: `due ${table.shardOf(first.organization_id)}`,
    });
    const second = await organizations.write(first, { due_at: undefined });
    expect(second?.version).not.toBe(first.version);
    expect(await organizations.write(first, { open: ['b'] })).toBeUndefined();
    expect((await itemOf(first.organization_id))?.due_shard, 'nothing is due: it is in no index').toBeUndefined();
  });
  test('is kept while something is open, and 400 days after that', async () => {
    const one = await made({ open: ['a'] });
    expect((await itemOf(one.organization_id))?.expires_at).toBeUndefined();
    await organizations.write(one, { open: [] });
    expect((await itemOf(one.organization_id))?.expires_at).toBe(Math.floor(NOW / 1000) + 400 * DAY_S);
  });
  test('tells when it was looked at', async () => {
    const [one, never] = [await made({ looked_at: at(-9) }), await made()];
    expect(
      await organizations.lastChecksOf([one.organization_id, never.organization_id, one.organization_id, anId()]),
    ).toEqual(new Map([[one.organization_id, at(-9)]]));
  });
});

test('the records that an organization is about are read as they are now, in its order', async () => {
  const { organization_id } = await made();
  for (const id of ['b', 'a', 'over']) await records.put(record(id, { organization_id, version: '' }));
  const open = await organizations.openRecords({ organization_id, open: ['a', 'gone', 'b'] });
  expect(open.map(({ offboarding_id }) => offboarding_id)).toEqual(['a', 'b']);
});

describe('a request that is accepted', () => {
  const admitted = async (more: Partial<Offboarding>, before: Partial<Organization> = {}) => {
    const { organization_id } = await made(before);
    await organizations.admit(record('a', { organization_id, ...more }));
    const { open, due_at, notice_at, priority } = (await itemOf(organization_id)) ?? {};
    return { open, due_at, notice_at, priority };
  };
  test('is due at once, a batch after an hour, one that is not on the bus yet when it is forgotten', async () => {
    expect(await admitted({})).toEqual({ open: ['a'], due_at: at(0), notice_at: NOW + 5 * MINUTE, priority: 'single' });
    expect(await admitted({ batch_id: 'b' })).toEqual({
      open: ['a'],
      due_at: at(HOUR),
      notice_at: NOW + HOUR + 5 * MINUTE,
      priority: 'batch',
    });
    expect(await admitted({ accept_by: at(9) })).toEqual({
      open: ['a'],
      due_at: at(9),
      notice_at: NOW + 9 + 5 * MINUTE,
      priority: 'single',
    });
    expect(await admitted({ accept_by: at(-9) })).toMatchObject({ due_at: at(-9), notice_at: NOW + 5 * MINUTE });
  });
  test('takes no earlier date away, and is there once however often it is admitted', async () => {
    expect(await admitted({}, { open: ['a', 'b'], due_at: at(-1), priority: 'watch' })).toMatchObject({
      open: ['b', 'a'],
      due_at: at(-1),
      priority: 'watch',
    });
    expect(await admitted({}, { due_at: at(0), priority: 'watch' })).toMatchObject({
      due_at: at(0),
      priority: 'watch',
    });
    expect(await admitted({}, { due_at: at(1), priority: 'watch' })).toMatchObject({
      due_at: at(0),
      priority: 'single',
    });
  });
  test('is one of a hundred at most, and a dry run takes no place from what ends access', async () => {
    const open = (most: number) => ({ open: Array.from({ length: most }, (_, i) => `${i}`) });
    const conflict = { code: 'conflict', message: expect.stringContaining('not over') };
    await expect(admitted({}, open(100))).rejects.toMatchObject(conflict);
    await expect(admitted({ dry_run: true }, open(50))).rejects.toMatchObject(conflict);
    expect((await admitted({}, open(99))).open?.length).toBe(100);
    expect((await admitted({ dry_run: true }, open(49))).open?.length).toBe(50);
    expect((await admitted({ offboarding_id: '7' }, open(100))).open?.length).toBe(100);
  });
});

describe('a cancelling', () => {
  test('of all is accepted where nothing was written since it was read', async () => {
    const one = await made({ open: ['a'] });
    expect(await organizations.cancelAll(one, cancellation('a'))).toMatchObject({
      cancelled: { ids: ['a'] },
      due_at: at(0),
      priority: 'single',
    });
    expect(await organizations.cancelAll(one, cancellation('a'))).toBeUndefined();
  });
  test('of one is accepted beside others, once, and only upon what was read', async () => {
    const one = await made({ open: ['a'], cancelled_ones: [cancellation('b')] });
    const written = await organizations.cancelOne(one, cancellation('a'));
    expect(written).toMatchObject({ cancelled_ones: [{ ids: ['b'] }, { ids: ['a'] }], priority: 'batch' });
    expect(await organizations.cancelOne(one, cancellation('c')), 'somebody has written since').toBeUndefined();
    if (written) expect(await organizations.cancelOne(written, cancellation('a')), 'the first stands').toBe(written);
    const first = await organizations.cancelOne(await made({ open: ['a'] }), cancellation('a'));
    expect(first?.cancelled_ones).toEqual([cancellation('a')]);
  });
});

describe('a drift check is asked for', () => {
  const asked = async (before: Partial<Organization>) => {
    const { organization_id } = await made(before);
    const needsMessage = await organizations.askForCheck(organization_id);
    const { look_at, check_asked_at, due_at, priority } = (await itemOf(organization_id)) ?? {};
    return { needsMessage, look_at, check_asked_at, due_at, priority };
  };
  test('now, or earlier where it was due already', async () => {
    const now = { needsMessage: true, look_at: at(0), check_asked_at: NOW, due_at: at(0), priority: 'watch' };
    expect(await asked({})).toEqual(now);
    expect(await asked({ look_at: at(HOUR) })).toEqual(now);
    expect(await asked({ look_at: at(-1) })).toEqual({ ...now, look_at: at(-1) });
  });
  test('once for a flood of notifications, again after a minute, and by who looks just now after a second', async () => {
    const flood = (ago: number, more: object = {}) => asked({ look_at: at(-1), check_asked_at: NOW - ago, ...more });
    expect(await flood(59_999)).toMatchObject({ needsMessage: false, check_asked_at: NOW - 59_999 });
    expect(await flood(60_000)).toMatchObject({ needsMessage: true, check_asked_at: NOW });
    expect(await flood(1, { look_at: at(1) }), 'that one was made').toMatchObject({ needsMessage: true });
    expect(await flood(999, { holder: 'x' })).toMatchObject({ needsMessage: false, check_asked_at: NOW - 999 });
    expect(await flood(1000, { holder: 'x' })).toMatchObject({ needsMessage: false, check_asked_at: NOW });
  });
});

describe('who works on an organization', () => {
  const take = async (before: Partial<Organization>) => {
    const { organization_id } = await made(before);
    return organizations.take(organization_id, 'me', NOW + 9);
  };
  test('does so alone, until it is given back or the time is over', async () => {
    expect(await take({})).toMatchObject({ wasAbandoned: false, organization: { holder: 'me', held_until: NOW + 9 } });
    await expect(take({ holder: 'other', held_until: NOW })).rejects.toMatchObject({
      waitMs: 2000,
      message: expect.stringContaining('Somebody'),
    });
    expect(await take({ holder: 'other', held_until: NOW - 1 })).toMatchObject({ wasAbandoned: true });
    expect(await take({ holder: 'other' })).toMatchObject({ wasAbandoned: true });
    expect(await take({ holder: 'me', held_until: NOW + 99 })).toMatchObject({ wasAbandoned: false });
    expect(await take({ holder: 'nobody', held_until: NOW - 1 })).toMatchObject({ wasAbandoned: false });
    await expect(
      take({ holder: 'nobody', held_until: NOW + 1 }),
      'Auth0 may still carry a call out',
    ).rejects.toBeInstanceOf(Error);
  });
  test('gives it back with what it waits for, and keeps it where something was accepted meanwhile', async () => {
    const { organization } = await take({});
    await organizations.admit(record('new', { organization_id: organization.organization_id }));
    expect(await organizations.giveBack(organization, { open: [] }, undefined)).toBe(false);
    const again = await organizations.getOrganization(organization.organization_id);
    expect(await organizations.giveBack(again, { due_at: at(HOUR) }, undefined)).toBe(true);
    const given = await itemOf(organization.organization_id);
    expect(given).toMatchObject({ due_at: at(HOUR), notice_at: NOW + HOUR + 5 * MINUTE });
    expect([given?.holder, given?.held_until]).toEqual([undefined, undefined]);
    const { organization: last } = await organizations.take(organization.organization_id, 'me', NOW + 9);
    await organizations.giveBack(last, { due_at: undefined }, NOW + 7);
    const unknown = await itemOf(organization.organization_id);
    expect(unknown).toMatchObject({ holder: 'nobody', held_until: NOW + 7 });
    expect(unknown?.notice_at).toBeUndefined();
  });
  test('lets go of it after an error, if it has it', async () => {
    const { organization } = await take({ due_at: at(-1) });
    await organizations.letGo({ ...organization, holder: 'other' }, undefined, NOW);
    expect(await itemOf(organization.organization_id)).toMatchObject({ holder: 'me' });
    await organizations.letGo(organization, NOW + 7, NOW + 1);
    expect(await itemOf(organization.organization_id)).toMatchObject({
      holder: 'nobody',
      held_until: NOW + 7,
      due_at: at(-1),
      notice_at: NOW + 1 + 5 * MINUTE,
    });
  });
  test('was told of what is due, and not of what is due by now', async () => {
    const { organization_id } = await made({ due_at: at(-1), notice_at: 1 });
    await organizations.noticed(organization_id, at(-2), 5);
    expect((await itemOf(organization_id))?.notice_at).toBe(1);
    await organizations.noticed(organization_id, at(-1), 5);
    expect((await itemOf(organization_id))?.notice_at).toBe(NOW + 5);
  });
});

describe('a record', () => {
  const order = {
    action: 'disable',
    requested_by: 'x',
    reason: 'y',
    dry_run: false,
    on_reenable: 'report',
    end_sessions: false,
  } as const;
  const create = (more: object = {}, accepted?: boolean) =>
    records.createRecord(
      { organization_id: anId(), offboarding_id: randomUUID(), caller: 'c', ...order, ...more },
      accepted,
    );
  const stored = ({ organization_id, offboarding_id }: Offboarding) =>
    table.getItem({ organization_id, offboarding_id });
  test('is made once, as asked for now or when its event says, and found afterwards', async () => {
    const { record: one, isNew } = await create();
    expect({ ...one, version: '' }).toEqual({
      ...one,
      ...order,
      version: '',
      status: 'requested',
      attempts: 0,
      connections: [],
      asked_at: at(0),
      created_at: at(0),
      updated_at: at(0),
      request: { id: one.offboarding_id, source: 'org-connections', time: at(0) },
    });
    expect(isNew).toBe(true);
    expect(one.accept_by).toBeUndefined();
    const again = await create({ organization_id: one.organization_id, offboarding_id: one.offboarding_id });
    expect(again).toEqual({ record: one, isNew: false });
    const request = { id: 'event', source: 'billing', time: at(-9) };
    expect((await create({ request, asked_at: at(-9) })).record).toMatchObject({
      asked_at: at(-9),
      created_at: at(0),
      request,
    });
    expect(await records.getRecords([one, { organization_id: 'org_1', offboarding_id: 'none' }])).toEqual([one]);
  });
  test('that is not accepted is in no list and is forgotten, until it is accepted', async () => {
    const { record: one } = await create({}, false);
    expect(one.accept_by).toBe(at(45_000));
    const item = await stored(one);
    expect([item?.position, item?.status_shard, item?.status_position]).toEqual([undefined, undefined, undefined]);
    expect(item?.expires_at).toBe(Math.floor(NOW / 1000) + DAY_S);
    vi.setSystemTime(NOW + 10);
    const later = await records.postponeAcceptance(one);
    expect(later.accept_by).toBe(at(45_010));
    const accepted = await records.accept(later);
    expect([accepted.accept_by, accepted.expires_at]).toEqual([undefined, undefined]);
    expect(await stored(one)).toMatchObject({
      position: `${at(0)} ${one.offboarding_id}`,
      status_position: `${at(0)} ${one.offboarding_id}`,
      status_shard: records.statusShard('requested', table.shardOf(one.offboarding_id)),
    });
  });
  test('is listed by its date while its removal is due, by its end afterwards, and kept for 400 days, a dry run for seven', async () => {
    const after = async (more: Partial<Offboarding>) =>
      stored(await records.put({ ...(await create()).record, ...more }));
    const removal_due_at = at(HOUR);
    for (const status of ['scheduled', 'removing'] as const)
      expect((await after({ status, removal_due_at }))?.status_position).toMatch(new RegExp(`^${removal_due_at} `));
    const ended = await after({ status: 'completed', removal_due_at });
    expect(ended).toMatchObject({ ended_at: at(0), expires_at: Math.floor(NOW / 1000) + 400 * DAY_S });
    expect(ended?.status_position).toMatch(new RegExp(`^${at(0)} `));
    expect(await after({ status: 'completed', ended_at: at(-5) })).toMatchObject({ ended_at: at(-5) });
    expect(await after({ status: 'completed', dry_run: true })).toMatchObject({
      expires_at: Math.floor(NOW / 1000) + 7 * DAY_S,
    });
    expect(
      (await after({ status: 'failed', connections: [heldOne('con_A')] }))?.expires_at,
      'what is held is never forgotten',
    ).toBeUndefined();
    expect((await after({ status: 'failed', connections: [connection('con_A')] }))?.expires_at).toBeDefined();
    expect(await after({ status: 'working' })).not.toHaveProperty('ended_at');
  });
  test('that somebody else has written is not written over, and who lost is told what won', async () => {
    const { record: one } = await create();
    const won = await records.put({ ...one, status: 'working' });
    expect(won).toMatchObject({ updated_at: at(0) });
    await expect(records.put(one)).rejects.toMatchObject({
      ...{
        waitMs: 1000,
        current: { version: won.version, status: 'working' },
        message: expect.stringContaining('working'),
      },
    });
    const gone = { ...one, offboarding_id: 'gone' };
    await expect(records.put(gone)).rejects.toMatchObject({
      current: undefined,
      message: expect.stringContaining('none'),
    });
    local.aws.addFaults({ operation: 'PutItem', error: 'ConditionalCheckFailedException' });
    await expect(create(), 'and none is there').rejects.toBeInstanceOf(records.RecordChanged);
  });
});

test('a batch is what it was at first, until it is ended', async () => {
  const batch = { batch_id: randomUUID(), fingerprint: 'a', organization_ids: ['org_1'] };
  expect(await records.getBatch(batch.batch_id)).toBeUndefined();
  expect(await records.createBatch(batch)).toEqual(batch);
  expect(await records.createBatch({ ...batch, fingerprint: 'b' })).toMatchObject({ fingerprint: 'a' });
  const found = await records.getBatch(batch.batch_id);
  expect(found).toMatchObject({ ...batch, expires_at: Math.floor(NOW / 1000) + 400 * DAY_S });
  await records.endBatch(found as NonNullable<typeof found>);
  expect(await records.createBatch(batch)).toMatchObject({ ...batch, cancelled: true });
});

test('an organization that too many write at once is a problem that passes, and one who was quicker loses nothing', async () => {
  const one = await made();
  local.aws.addFaults({ operation: 'PutItem', times: 99, error: 'ConditionalCheckFailedException' });
  await expect(organizations.admit(record('a', { organization_id: one.organization_id }))).rejects.toMatchObject({
    code: 'record_unavailable',
    message: expect.stringContaining('at once'),
  });
  local.aws.clearFaults();
  local.aws.addFaults({ operation: 'PutItem', times: 2, error: 'ConditionalCheckFailedException' });
  await organizations.admit(record('a', { organization_id: one.organization_id }));
  expect((await itemOf(one.organization_id))?.open).toEqual(['a']);
});
