// What the clock and an operator find overdue, and what a list shows. In this process, against the stand-ins.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LocalEnvironment, QUEUE, startEnvironment } from '../../infra/local/environment.ts';
import { createLog } from '../../lib/log.ts';
import type { Organization } from '../../lib/offboarding/offboarding.ts';
import { record, scheduled } from './records.ts';

const [MINUTE, DAY] = [60_000, 86_400_000];
let local: LocalEnvironment;
let sweep: typeof import('../../lib/offboarding/sweep.ts');
let lists: typeof import('../../lib/offboarding/list.ts');
let records: typeof import('../../lib/offboarding/record.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  sweep = await import('../../lib/offboarding/sweep.ts');
  lists = await import('../../lib/offboarding/list.ts');
  records = await import('../../lib/offboarding/record.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
});
afterAll(() => local.close());
const lines: Record<string, unknown>[] = [];
beforeEach(() => {
  lines.length = 0;
  local.aws.purge(QUEUE);
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(JSON.parse(String(line))) > 0);
});
afterEach(() => void vi.restoreAllMocks());

const anOrg = () => `org_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
const at = (ms: number) => new Date(Date.now() + ms).toISOString();
const made: Organization[] = [];
/** An organization of which something is due. */
const due = async (ms: number, more: Partial<Organization> = {}) => {
  const changes = { open: ['a'], due_at: at(ms), notice_at: 0, priority: 'single' as const, ...more };
  const one = (await organizations.write({ organization_id: anOrg(), open: [] }, changes)) as Organization;
  made.push(one);
  return one.organization_id;
};
/** Nothing is due any more of what an earlier test has made. */
const forget = async () => {
  for (const { organization_id } of made.splice(0)) {
    const one = await organizations.getOrganization(organization_id);
    await organizations.write(one, { due_at: undefined });
  }
};
const messages = () =>
  local.aws
    .messages(QUEUE)
    .map(({ body, group }) => ({ group, ...JSON.parse(body).detail }) as Record<string, unknown>);
const noticed = () => lines.findLast(({ code }) => code === 'due_noticed') ?? {};

describe('by the clock', () => {
  afterEach(forget);
  test('what is due is sent in its group where no message is on its way, and once', async () => {
    const [first, batch] = [await due(-MINUTE), await due(-MINUTE, { priority: 'batch' })];
    const [onItsWay] = [await due(-MINUTE, { notice_at: Date.now() + MINUTE }), await due(MINUTE)];
    expect(await sweep.sendWhatIsDue(createLog({}))).toBe(2);
    expect(messages()).toEqual(
      expect.arrayContaining([
        { group: 'single', organization_id: first },
        { group: 'batch', organization_id: batch },
      ]),
    );
    expect(noticed()).toMatchObject({ sent: 2, checks_due: 0 });
    expect(await sweep.sendWhatIsDue(createLog({})), 'a message is on its way').toBe(0);
    expect((await organizations.getOrganization(first)).notice_at).toBeGreaterThan(Date.now() + 29 * MINUTE);
    expect(await sweep.sendWhatIsDue(createLog({}), true), 'all that is').toBe(3);
    expect(messages().filter(({ organization_id }) => organization_id === onItsWay).length).toBe(1);
  });
  test('the oldest that is overdue is told in seconds, of drift checks how many are late by a day', async () => {
    expect([await sweep.sendWhatIsDue(createLog({})), noticed()]).toMatchObject([0, { sent: 0 }]);
    for (const metric of ['OldestOverdue', 'DriftChecksLate']) expect(noticed()).not.toHaveProperty(metric);
    await due(-50 * MINUTE);
    await due(-10 * MINUTE);
    await due(-2 * DAY, { priority: 'watch' });
    for (let n = 0; n < 2; n++) await due(-DAY + MINUTE, { priority: 'watch' });
    await sweep.sendWhatIsDue(createLog({}));
    expect(noticed()).toMatchObject({ OldestOverdue: 3000, DriftChecksLate: 1, sent: 5, checks_due: 3 });
  });
});

describe('an operator', () => {
  afterEach(forget);
  test('has one organization looked at, whatever its date, and before others', async () => {
    const org = await due(DAY, { priority: 'watch' });
    expect(await sweep.sendWhatIsAskedFor({ organization_id: org }, createLog({}))).toBe(1);
    expect(messages()).toEqual([{ group: 'single', organization_id: org, asked: true }]);
    expect(lines.at(-1)).toMatchObject({ code: 'requeued', organization_id: org });
    expect(await sweep.sendWhatIsAskedFor({ organization_id: anOrg() }, createLog({})), 'nothing is due').toBe(0);
  });
  test('has all sent that is overdue, and is told what else may be asked for', async () => {
    await due(-MINUTE, { notice_at: Date.now() + MINUTE });
    expect(await sweep.sendWhatIsAskedFor('overdue', createLog({}))).toBe(1);
    for (const wrong of ['all', {}, null, { organization_id: 'x' }])
      await expect(sweep.sendWhatIsAskedFor(wrong, createLog({}))).rejects.toThrow(/requeue: must be "overdue" or/);
  });
});

describe('a list', () => {
  const put = (id: string, more: object) => records.put({ ...record(id), version: '', ...more });
  const day = (n: number) => `2026-11-${String(n).padStart(2, '0')}T09:00:00.000Z`;
  const idsOf = ({ offboardings }: { offboardings: { offboarding_id: string }[] }) =>
    offboardings.map(({ offboarding_id }) => offboarding_id);

  test('of an organization or a batch is newest first, page by page, and has each once', async () => {
    const [organization_id, batch_id] = [anOrg(), randomUUID()];
    for (const n of [1, 2, 3, 4, 5]) await put(`r${n}`, { organization_id, batch_id, created_at: day(n) });
    for (const [by, value] of [
      ['organization_id', organization_id],
      ['batch_id', batch_id],
    ] as const) {
      const first = await lists.listOffboardings(by, value, { limit: 2 });
      expect(idsOf(first)).toEqual(['r5', 'r4']);
      const second = await lists.listOffboardings(by, value, { limit: 2, cursor: first.cursor ?? '' });
      expect(idsOf(second)).toEqual(['r3', 'r2']);
      const last = await lists.listOffboardings(by, value, { limit: 2, cursor: second.cursor ?? '' });
      expect([idsOf(last), last.cursor]).toEqual([['r1'], null]);
      const whole = await lists.listOffboardings(by, value, { limit: 5 });
      expect([idsOf(whole).length, whole.cursor]).toEqual([5, null]);
    }
    expect(await lists.countBatch(batch_id)).toMatchObject({ requested: 5, completed: 0 });
  });
  test('by status is what is due first, over all shards, within a time; what has another status by now is left out', async () => {
    // A time of its own: others are scheduled, too.
    const year = 2100 + Math.floor(Math.random() * 7000);
    const day = (n: number) => `${year}-11-${n}T09:00:00.000Z`;
    const ids = Array.from({ length: 9 }, (_, n) => `${randomUUID()}-${n + 1}`);
    for (const [n, id] of ids.entries())
      await records.put({ ...scheduled(id, { removal_due_at: day(n + 10) }), organization_id: anOrg(), version: '' });
    const page = (more: object) =>
      lists.listOffboardings('status', 'scheduled', { limit: 4, since: day(10), until: day(18), ...more });
    const first = await page({});
    expect(idsOf(first)).toEqual(ids.slice(0, 4));
    const second = await page({ cursor: first.cursor });
    expect(idsOf(second)).toEqual(ids.slice(4, 8));
    expect(idsOf(await page({ since: day(12), until: day(13) }))).toEqual(ids.slice(2, 4));
    expect(idsOf(await page({ cursor: first.cursor, until: day(11) }))).toEqual([]);
    // Its index may be late, and this one's is.
    const [one] = first.offboardings;
    if (one) await local.changeRecord(one.organization_id, one.offboarding_id, { status: 'removing' });
    expect(idsOf(await page({}))).toEqual(ids.slice(1, 4));
  });
  test('goes on with a cursor of its own alone', async () => {
    const [organization_id, other] = [anOrg(), anOrg()];
    for (const n of [1, 2]) await put(`r${n}`, { organization_id, created_at: day(n) });
    const { cursor } = await lists.listOffboardings('organization_id', organization_id, { limit: 1 });
    for (const wrong of ['', 'x', Buffer.from(`organization_id ${organization_id} yesterday`).toString('base64url')])
      await expect(
        lists.listOffboardings('organization_id', organization_id, { limit: 1, cursor: wrong }),
      ).rejects.toMatchObject({ code: 'invalid_query', message: expect.stringContaining('cursor: ') });
    await expect(
      lists.listOffboardings('organization_id', other, { limit: 1, cursor: cursor ?? '' }),
    ).rejects.toMatchObject({ code: 'invalid_query' });
  });
  test('shows what is named and no more, with the last check of what is watched and the counts of sessions', () => {
    const sessions = {
      status: 'ended',
      members: 3,
      asked: 2,
      skipped: 1,
      failed: 0,
      cursor: 'secret',
      updated_at: day(1),
    };
    const whole = { ...scheduled('a'), end_sessions: true, sessions, fingerprint: 'secret', expires_at: 1 };
    const shown = lists.shown(whole as Parameters<typeof lists.shown>[0], day(2));
    expect(shown).toMatchObject({ offboarding_id: 'a', looked_at: day(2), connections: [{ connection_id: 'con_A' }] });
    expect(shown).toMatchObject({ sessions: { members: 3, asked: 2, skipped: 1, failed: 0 } });
    expect(JSON.stringify(shown)).not.toMatch(/secret|expires_at|attempted/);
    expect(lists.shown(record('b'), day(2))).not.toHaveProperty('sessions');
    expect(lists.shown(record('b'), day(2)).looked_at).toBeUndefined();
    expect(lists.shown({ ...record('b'), end_sessions: true }).sessions).toBeNull();
  });
});
