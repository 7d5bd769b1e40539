// When an event counts as a request, or as a cancelling: what is found, made, refused, or is nothing any more.
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CallContext, createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import type { CancellationMessage, RequestMessage } from '../../lib/offboarding/messages.ts';
import { RetryLater } from '../../lib/problem.ts';
import { completed, heldOne, record, scheduled } from './records.ts';
import { anOrg, lines, local, organizations, put, REQUESTED, records, told } from './with-queue.ts';

let acceptance: typeof import('../../lib/offboarding/acceptance.ts');
beforeAll(async () => {
  acceptance = await import('../../lib/offboarding/acceptance.ts');
});
const DAY_MS = 86_400_000;
const later = (ms: number) => new Date(Date.now() + ms).toISOString();
const calls = (): CallContext =>
  createCallContext({ deadline: Date.now() + 9000, log: createLog({}), pacer: createPacer(0) });

describe('an event that asks for an offboarding', () => {
  const message = (organization_id: string, more: object = {}, detail: object = {}) =>
    ({
      ...{ id: randomUUID(), source: 'billing', account: '123456789012', time: later(-60_000) },
      'detail-type': REQUESTED,
      ...more,
      detail: {
        ...{ organization_id, action: 'disable', reason: 'ended', requested_by: 'crm', dry_run: false },
        ...{ on_reenable: 'report', end_sessions: false, ...detail },
      },
    }) as RequestMessage;
  const accept = (one: RequestMessage) => acceptance.acceptRequest(one, calls());
  const own = (organization_id: string, offboarding_id?: string) =>
    message(organization_id, { source: 'org-connections' }, { offboarding_id });
  const openOf = async (org: string) => (await organizations.getOrganization(org)).open;

  test('is put on record as it came, and is one of those that decide', async () => {
    const org = anOrg();
    const time = later(-60_000);
    const one = message(org, { time }, { offboarding_id: randomUUID(), batch_id: randomUUID() });
    expect(await accept(one)).toMatchObject({
      ...{ organization_id: org, offboarding_id: one.id, status: 'requested', asked_at: time },
      ...{ caller: '123456789012 billing', request: { id: one.id, source: 'billing', time }, reason: 'ended' },
    });
    const found = await records.getRecord(org, one.id);
    expect(found, 'what a publisher says of a batch is not read').not.toHaveProperty('batch_id');
    expect(await openOf(org)).toEqual([one.id]);
    expect((await accept(one))?.offboarding_id, 'delivered twice').toBe(one.id);
    expect(await openOf(org)).toEqual([one.id]);
  });
  test('that was cut off between its record and the organization is one of those that decide, too', async () => {
    const org = anOrg();
    const one = message(org);
    await records.put({ ...record(one.id), organization_id: org, version: '' });
    expect(await accept(one)).toMatchObject({ offboarding_id: one.id });
    expect(await openOf(org)).toEqual([one.id]);
  });
  test.each([
    ['in the future, or', later(3 * DAY_MS)],
    ['nonsense', 'yesterday'],
  ])('with a time that is %s is asked for now', async (_what, time) => {
    const asked = Date.parse((await accept(message(anOrg(), { time })))?.asked_at ?? '');
    expect(Math.abs(asked - Date.now())).toBeLessThan(5000);
  });
  test('of nobody that IAM names is of its source', async () => {
    expect(await accept(message(anOrg(), { account: '' }))).toMatchObject({ caller: 'billing' });
  });
  test('whose record has ended is nothing to do, and one that is not told or not over is', async () => {
    const [over, untold, pending] = [anOrg(), anOrg(), anOrg()];
    const ended = await put(over, completed('c'));
    expect(await accept(message(over, { id: ended.offboarding_id }))).toBeUndefined();
    const silent = await put(untold, completed('c', { unpublished: 'status' }));
    expect(await accept(message(untold, { id: silent.offboarding_id }))).toMatchObject({ unpublished: 'status' });
    const waits = await put(pending, { status: 'working' });
    expect(await accept(message(pending, { id: waits.offboarding_id }))).toMatchObject({ status: 'working' });
  });
  test('of the service itself is its record, and never another', async () => {
    const org = anOrg();
    const { offboarding_id } = await put(org, {});
    expect(await accept(own(org, offboarding_id))).toMatchObject({ offboarding_id, status: 'requested' });
    for (const id of [undefined, randomUUID()]) {
      const problem = await accept(own(org, id)).catch((error) => error);
      expect(problem).toMatchObject({ code: 'invalid_body', isTransient: false });
      expect(problem.message).toContain('it is not its own');
    }
  });
  test('of the service itself waits until its request is accepted, and is nothing when it never was', async () => {
    const org = anOrg();
    const waits = await put(org, { accept_by: later(20_000) });
    const problem = await accept(own(org, waits.offboarding_id)).catch((error) => error);
    expect(problem).toBeInstanceOf(RetryLater);
    expect(problem).toMatchObject({ waitMs: 1000, message: 'The request is not accepted yet' });
    const never = await put(org, { accept_by: later(-1) });
    expect(await accept(own(org, never.offboarding_id))).toBeUndefined();
  });
  test('out of a replay is one where it is young, or on record; an old one is nobody’s wish today', async () => {
    const replay = { 'replay-name': 'r' };
    const old = { ...replay, time: later(-8 * DAY_MS) };
    const org = anOrg();
    expect(await accept(message(org, old))).toBeUndefined();
    expect(await openOf(org)).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ code: 'replayed_request_ignored', level: 'INFO', time: old.time });
    expect(await accept(message(org, { time: old.time })), 'that was only late').toMatchObject({ asked_at: old.time });
    expect(await accept(message(org, replay))).toMatchObject({ status: 'requested' });
    const { offboarding_id } = await put(org, {});
    expect(await accept(message(org, { ...old, id: offboarding_id }))).toMatchObject({ offboarding_id });
  });
  test('for an organization that takes no more ends as failed, with the reason', async () => {
    const org = anOrg();
    const open = Array.from({ length: 100 }, () => randomUUID());
    await organizations.write(await organizations.getOrganization(org), { open });
    const one = message(org);
    expect(await accept(one).catch((error) => error)).toMatchObject({ code: 'conflict' });
    const failed = await records.getRecord(org, one.id);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'conflict' } });
    expect(failed?.unpublished, 'its event is the message’s own').toBeUndefined();
  });
});

describe('an event that cancels', () => {
  const message = (organization_id: string, time = new Date().toISOString()) =>
    ({
      ...{ id: 'c', source: 'sales', account: '1', time, 'detail-type': 'x' },
      detail: { organization_id, requested_by: 'crm', reason: 'renewed' },
    }) as unknown as CancellationMessage;
  const accept = (one: CancellationMessage) => acceptance.acceptCancellationEvent(one, calls());
  const cancelledOf = async (org: string) => (await organizations.getOrganization(org)).cancelled;
  /** An organization with one that is scheduled, asked for at `asked_at`. */
  async function pending(asked_at: string) {
    const org = anOrg();
    const { offboarding_id } = await put(org, scheduled('s', { asked_at, connections: [heldOne('con_A')] }));
    return { org, offboarding_id };
  }

  test('covers what was asked for before it, to the second, and says who it was', async () => {
    const second = `${later(-10_000).slice(0, 19)}`;
    const { org, offboarding_id } = await pending(`${second}.700Z`);
    expect(await accept(message(org, `${second}Z`))).toBe(true);
    const of = { ids: [offboarding_id], pending: [offboarding_id] };
    const act = { at: `${second}.999Z`, caller: '1 sales', requested_by: 'crm', reason: 'renewed' };
    expect(await cancelledOf(org)).toEqual({ ...act, ...of });
    expect(await accept(message(org, `${second}Z`)), 'delivered twice').toBe(true);
    expect(await cancelledOf(org)).toEqual({ ...act, ...of });
  });
  test('that is older than the one that was accepted changes nothing, and a later one stands', async () => {
    const { org } = await pending(later(-20_000));
    const [older, second, third] = [later(-15_000), later(-10_000), later(-5000)];
    expect(await accept(message(org, second))).toBe(true);
    const { version } = await organizations.getOrganization(org);
    expect(await accept(message(org, older))).toBe(true);
    expect(await accept(message(org, second))).toBe(true);
    expect((await organizations.getOrganization(org)).version).toBe(version);
    expect(told(org)).toEqual([]);
    expect(await accept(message(org, third))).toBe(true);
    expect(await cancelledOf(org)).toMatchObject({ at: third });
  });
  test('finds nothing that was asked for afterwards: that is told, and nobody’s alarm', async () => {
    const { org } = await pending(later(-1000));
    expect(await accept(message(org, later(-60_000)))).toBe(false);
    expect(await cancelledOf(org)).toBeUndefined();
    const error = { code: 'not_found', message: 'No offboarding of this organization is pending, held or watched' };
    expect(told(org)).toMatchObject([{ 'detail-type': 'organization.offboarding.failed', detail: { error } }]);
    expect(lines).toMatchObject([
      { code: 'cancellation_found_nothing' },
      { code: 'offboarding_failed', level: 'INFO' },
    ]);
    expect(lines[1]).not.toHaveProperty('Offboardings');
  });
  test('while connections are being removed is a failure', async () => {
    const { org, offboarding_id } = await pending(later(-5000));
    const since = later(-1000);
    await organizations.write(await organizations.getOrganization(org), { removing: { offboarding_id, since } });
    expect(await accept(message(org))).toBe(false);
    expect(told(org)).toMatchObject([{ detail: { error: { code: 'conflict' }, caller: '1 sales' } }]);
    expect(lines).toMatchObject([{ code: 'offboarding_failed', level: 'ERROR', Offboardings: 1 }]);
  });
  test('comes back where the table can not be reached', async () => {
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    const org = anOrg();
    expect(await accept(message(org)).catch((error) => error)).toMatchObject({ code: 'record_unavailable' });
    expect(told(org)).toEqual([]);
  });
});

describe('a cancelling that is asked for now', () => {
  test('is of this moment where all was asked for before', async () => {
    const org = anOrg();
    await put(org, {});
    const act = { at: later(0), caller: 'x' };
    await acceptance.acceptCancelling(org, act, true);
    expect((await organizations.getOrganization(org)).cancelled).toMatchObject(act);
  });
  test('is after all that is on record, whatever another clock said', async () => {
    const org = anOrg();
    const ahead = later(30_000);
    const { offboarding_id: first_id } = await put(org, {});
    const { offboarding_id } = await put(org, { asked_at: ahead });
    const act = { at: later(0), caller: 'x' };
    const found = await acceptance.acceptCancelling(org, act, true);
    expect(found).toEqual({ ids: [first_id, offboarding_id], pending: [first_id, offboarding_id] });
    const first = new Date(Date.parse(ahead) + 1).toISOString();
    expect((await organizations.getOrganization(org)).cancelled).toMatchObject({ at: first });
    await acceptance.acceptCancelling(org, act, true);
    const second = new Date(Date.parse(ahead) + 2).toISOString();
    expect((await organizations.getOrganization(org)).cancelled).toMatchObject({ at: second });
  });
});
