// What an operator and the clock ask of the dispatcher: the real one, against the stand-ins of AWS.
import '../../own-modules.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEAD_LETTERS, type LocalEnvironment, QUEUE, UNDELIVERED } from '../../../infra/local/environment.ts';
import { createLog } from '../../../lib/log.ts';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { startEnvironmentInProcess } from '../../in-process.ts';
import { DAY, entry, HOUR, organization as itemOf, MINUTE, request } from '../items.ts';

let local: LocalEnvironment;
let dispatcher: typeof import('../../../lib/offboarding/worker/dispatcher.ts');
let table: typeof import('../../../lib/aws/table.ts');
let items: typeof import('../../../lib/offboarding/store/items.ts');
const lines: string[] = [];
const log = createLog({});
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment, {
    UNDELIVERED_QUEUE_URLS: local.environment.UNDELIVERED_QUEUE_URLS ?? '',
  });
  vi.resetModules();
  dispatcher = await import('../../../lib/offboarding/worker/dispatcher.ts');
  table = await import('../../../lib/aws/table.ts');
  items = await import('../../../lib/offboarding/store/items.ts');
});
beforeEach(() => {
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
});
afterEach(async () => {
  vi.restoreAllMocks();
  local.aws.clearFaults();
  for (const queue of [QUEUE, DEAD_LETTERS, UNDELIVERED]) local.aws.purge(queue);
  lines.length = 0;
  // Nothing is due any more.
  for (const id of known.splice(0)) await put(id, {});
});
afterAll(() => local.close());

const known: string[] = [];
let organizations = 0;
const iso = (ago: number) => new Date(Date.now() - ago).toISOString();
async function put(organization_id: string, changes: Partial<Organization>) {
  const before = await table.getItem(items.organizationKey(organization_id));
  const item = { ...itemOf(changes), organization_id, version: `${before?.version ?? ''}+` };
  await table.putItem(items.toOrganizationItem(item, Date.now()), before?.version);
}
async function organizationWith(changes: Partial<Organization>) {
  const id = `org_Dispatch${String(++organizations).padStart(8, '0')}`;
  known.push(id);
  await put(id, changes);
  return id;
}
const waiting = (ago: number) => ({ requests: [request('A', { accepted_at: iso(ago) })] });
const watched = (ago: number) => ({
  requests: [request('A', { status: 'completed', watch: 'on' })],
  next_drift_check_at: iso(ago),
});
const sent = () => local.aws.messages(QUEUE).map(({ body, group }) => [JSON.parse(body).detail.organization_id, group]);
const soon = () => Date.now() + 30_000;
const lastLine = (code: string) => JSON.parse(lines.filter((line) => line.includes(`"code":"${code}"`)).at(-1) ?? '{}');

describe('the clock', () => {
  test('when nothing is due, nothing is sent', async () => {
    await organizationWith(watched(-HOUR));
    expect(await dispatcher.dispatch(soon(), log)).toBe(0);
    expect(lastLine('due_noticed')).toMatchObject({ sent: 0, checks_due: 0 });
    const members = Object.keys(lastLine('due_noticed'));
    for (const metric of ['OldestOverdue', 'DriftChecksLate']) expect(members).not.toContain(metric);
    expect(lastLine('due_work_dispatched').DueWorkDispatched).toBe(1);
  });
  test('when work is due, its notice goes out in its group, and its age is measured', async () => {
    const a = await organizationWith(waiting(HOUR));
    const b = await organizationWith({
      requests: [request('A', { accepted_at: iso(MINUTE), batch: { id: 'X', attempt: 1, is_accepted: true } })],
    });
    expect(await dispatcher.dispatch(soon(), log)).toBe(2);
    expect(sent().sort()).toEqual([
      [a, 'single'],
      [b, 'batch'],
    ]);
    expect(lastLine('due_noticed').OldestOverdue).toBeGreaterThanOrEqual(3600);
    expect(lastLine('due_noticed').OldestOverdue).toBeLessThan(3700);
  });
  test('when a notice is on its way, another goes out half an hour later, or when an operator wants all', async () => {
    const id = await organizationWith(waiting(HOUR));
    expect(await dispatcher.dispatch(soon(), log)).toBe(1);
    expect((await table.getItem(items.organizationKey(id)))?.notice_at).toBeGreaterThan(Date.now() + 29 * MINUTE);
    expect(await dispatcher.dispatch(soon(), log)).toBe(0);
    expect(lastLine('due_noticed').OldestOverdue).toBeGreaterThanOrEqual(3600);
    expect(await dispatcher.requeue('overdue', soon(), log)).toBe(1);
  });
  test('when a drift check is due, it goes in its own group; a day late, that is measured', async () => {
    const a = await organizationWith(watched(MINUTE));
    const b = await organizationWith(watched(DAY + MINUTE));
    expect(await dispatcher.dispatch(soon(), log)).toBe(2);
    expect(sent().sort()).toEqual([
      [a, 'watch'],
      [b, 'watch'],
    ]);
    expect(lastLine('due_noticed')).toMatchObject({ checks_due: 2, DriftChecksLate: 1 });
    expect(Object.keys(lastLine('due_noticed'))).not.toContain('OldestOverdue');
  });
  test('when work lies behind an overdue drift check, its age is measured, and it goes in its own group', async () => {
    const id = await organizationWith({
      ...watched(2 * DAY),
      requests: [...watched(0).requests, request('B', { accepted_at: iso(HOUR) })],
    });
    await dispatcher.dispatch(soon(), log);
    expect(sent()).toEqual([[id, 'single']]);
    expect(lastLine('due_noticed').OldestOverdue).toBeLessThan(3700);
  });
  test('when the queue takes nothing, nothing is marked, and the next run sends it', async () => {
    await organizationWith(waiting(HOUR));
    local.aws.addFaults({ operation: 'SendMessageBatch', error: 'AccessDenied', times: 9 });
    expect(await dispatcher.dispatch(soon(), log)).toBe(0);
    local.aws.clearFaults();
    expect(await dispatcher.dispatch(soon(), log)).toBe(1);
  });
  test('when the index does not answer, the run ends, and the next finds all', async () => {
    await organizationWith(waiting(HOUR));
    local.aws.addFaults({ operation: 'Query', error: 'AccessDeniedException', times: 9 });
    expect(await dispatcher.dispatch(soon(), log)).toBe(0);
    expect(lastLine('due_work_dispatched'), 'the alarm is on its absence').toEqual({});
    local.aws.clearFaults();
    expect(await dispatcher.dispatch(soon(), log)).toBe(1);
  });
});

describe('an operator', () => {
  test('when one organization has work, its notice is sent at once; when it has none, none is', async () => {
    const id = await organizationWith(watched(-HOUR));
    expect(await dispatcher.requeue({ organization_id: id }, soon(), log)).toBe(1);
    expect(sent()).toEqual([[id, 'single']]);
    expect(lastLine('requeued')).toMatchObject({ organization_id: id });
    lines.length = 0;
    const idle = await organizationWith({ ledger: [entry('con_1', [])] });
    expect(await dispatcher.requeue({ organization_id: idle }, soon(), log)).toBe(0);
    expect(await dispatcher.requeue({ organization_id: 'org_none' }, soon(), log)).toBe(0);
    expect(lastLine('requeued')).toEqual({});
  });
  test.each(['all', {}, null, { organization_id: 'globex' }, undefined])(
    'when %j is to be requeued, the answer says what may be',
    async (what) => {
      await expect(dispatcher.requeue(what, soon(), log)).rejects.toThrow(
        'requeue: must be "overdue" or {"organization_id": "org_…"}',
      );
    },
  );
  test('when the table does not answer, the operator is told', async () => {
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    await expect(dispatcher.requeue({ organization_id: 'org_none' }, soon(), log)).rejects.toThrow(
      'The table did not answer',
    );
  });
});

describe('a notification', () => {
  const of = (organization_id: string, isOfInterest = true) => ({ organization_id, time: undefined, isOfInterest });
  const received = () => {
    const { organization_id, check_requested } = lastLine('notification_received');
    return { organization_id, check_requested };
  };

  test('when it is about an organization that is watched, a check is requested', async () => {
    const organization_id = await organizationWith(watched(-HOUR));
    await dispatcher.requestCheck(of(organization_id), soon(), log);
    expect(received()).toEqual({ organization_id, check_requested: true });
    expect(sent()).toEqual([[organization_id, 'watch']]);
  });
  test('when its organization is not watched, or it says nothing of interest, none is', async () => {
    const organization_id = await organizationWith({});
    await dispatcher.requestCheck(of(organization_id), soon(), log);
    expect(received()).toEqual({ organization_id, check_requested: false });
    const another = await organizationWith(watched(-HOUR));
    await dispatcher.requestCheck(of(another, false), soon(), log);
    expect(received()).toEqual({ organization_id: another, check_requested: false });
    await dispatcher.requestCheck(undefined, soon(), log);
    expect(received()).toEqual({ organization_id: undefined, check_requested: false });
    expect(sent()).toEqual([]);
  });
  test('when the table is away, it says so, for it to come again', async () => {
    const organization_id = await organizationWith(watched(-HOUR));
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    await expect(dispatcher.requestCheck(of(organization_id), soon(), log)).rejects.toThrow(
      /^The check was not requested: \w/,
    );
  });
});

describe('dead letters', () => {
  const due = (organization_id: string) =>
    JSON.stringify({ 'detail-type': 'organization.offboarding.due', detail: { organization_id } });
  const bodies = (queue: string) => local.aws.messages(queue).map(({ body }) => body);
  const redrive = (what: unknown, deadline = soon()) => dispatcher.redriveDeadLetters(what, deadline, log);

  test('when all are redriven, those that can be read go back; what is malformed stays', async () => {
    for (const body of [due('org_a'), 'malformed', due('org_b')]) local.aws.send(DEAD_LETTERS, body, 'batch');
    expect(await redrive('all')).toEqual({ redriven: 2, left: 1 });
    expect(bodies(QUEUE)).toEqual([due('org_a'), due('org_b')]);
    expect(local.aws.messages(QUEUE).map(({ group }) => group)).toEqual(['single', 'single']);
    expect(bodies(DEAD_LETTERS)).toEqual(['malformed']);
    expect(lastLine('dead_letters_redriven')).toMatchObject({ redriven: 2, left: 1 });
  });
  test('when one organization’s are redriven, all others stay', async () => {
    for (const id of ['org_a', 'org_b', 'org_a']) local.aws.send(DEAD_LETTERS, due(id), id);
    expect(await redrive({ organization_id: 'org_a' })).toEqual({ redriven: 2, left: 1 });
    expect(bodies(DEAD_LETTERS)).toEqual([due('org_b')]);
  });
  test('when there are more than one receive takes, all are moved', async () => {
    for (let i = 0; i < 25; i++) local.aws.send(DEAD_LETTERS, due(`org_${i}`), `g${i}`);
    expect(await redrive('all')).toEqual({ redriven: 25, left: 0 });
    expect(bodies(DEAD_LETTERS)).toEqual([]);
    expect(new Set(bodies(QUEUE)).size).toBe(25);
  });
  test('when the time is over, the rest stays', async () => {
    local.aws.send(DEAD_LETTERS, due('org_a'), 'batch');
    expect(await redrive('all', Date.now())).toEqual({ redriven: 0, left: 1 });
    expect(bodies(DEAD_LETTERS).length).toBe(1);
  });
  test.each([
    'some',
    {},
    undefined,
    { organization_id: 'globex' },
    { organization_id: 'org_a', more: 1 },
    { organization_id: `org_${'a'.repeat(47)}` },
  ])('when %j is to be redriven, the answer says what may be', async (what) => {
    await expect(redrive(what)).rejects.toThrow('redrive: must be "all" or {"organization_id": "org_…"}');
  });
  test('when the queue has no dead-letter queue, that is said', async () => {
    local.aws.addFaults({ operation: 'GetQueueAttributes', answer: {} });
    await expect(redrive('all')).rejects.toThrow('The queue has no dead-letter queue');
  });
  test('when schedules could not deliver a message, it is redriven from their queue too', async () => {
    expect(process.env.UNDELIVERED_QUEUE_URLS).toContain(UNDELIVERED);
    local.aws.send(UNDELIVERED, due('org_c'), 'batch');
    expect(await redrive('all')).toEqual({ redriven: 1, left: 0 });
    expect(bodies(QUEUE)).toEqual([due('org_c')]);
    expect(bodies(UNDELIVERED)).toEqual([]);
  });
});
