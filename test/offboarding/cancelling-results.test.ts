// What the caller of a cancelling is told, and what is done by then.
import { beforeAll, describe, expect, test } from 'vitest';
import { createCallContext } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog } from '../../lib/log.ts';
import type { Problem } from '../../lib/problem.ts';
import { completed, connection, heldOne, scheduled } from './records.ts';
import { anOrg, DUE, lines, local, organizations, put, records, told, waiting } from './with-queue.ts';

let cancelling: typeof import('../../lib/offboarding/cancelling.ts');
beforeAll(async () => {
  cancelling = await import('../../lib/offboarding/cancelling.ts');
});

const act = { at: new Date().toISOString(), caller: 'support', reason: 'renewed', requested_by: 'sales' };
const cancel = (organization_id: string, ms = 10_000) => {
  const deadline = Date.now() + ms;
  const calls = createCallContext({ deadline, log: createLog({}), pacer: createPacer(0), maxAttempts: 1 });
  return cancelling.cancelOrganization(organization_id, act, calls);
};
const failed = (organization_id: string): Promise<Problem> =>
  cancel(organization_id).then(
    () => expect.unreachable(),
    (error) => error,
  );
const due = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
/** An organization whose connections an offboarding has disabled, to remove them in ten days. */
async function pending(more: Parameters<typeof scheduled>[1] = {}, ...ids: string[]) {
  const org = anOrg();
  const all = ids.length > 0 ? ids : ['con_A'];
  local.tenant.setOrganizations({ [org]: all.map((connection_id) => ({ connection_id, is_enabled: false })) });
  const connections = all.map((id) => heldOne(id));
  const time = { removal_due_at: due(10), asked_at: due(-1), created_at: due(-1) };
  const made = await put(org, { ...scheduled('s'), ...time, connections, ...more });
  return { org, id: made.offboarding_id };
}
const refuses = (connection_id: string) => {
  const body = { statusCode: 403, error: 'Forbidden', message: 'not with this plan' };
  return { method: 'PATCH', path: connection_id, status: 403, body };
};
const enabled = (org: string) =>
  local.tenant.state().organizations[org]?.map(({ connection_id, is_enabled }) => [connection_id, is_enabled]);

describe('a cancelling', () => {
  test('enables what is held, and says what was to be removed when', async () => {
    const removal_due_at = due(10);
    const { org, id } = await pending({ removal_due_at }, 'con_A', 'con_B');
    expect(await cancel(org)).toEqual({
      organization_id: org,
      offboarding_id: id,
      status: 'cancelled',
      detail: 'Nothing is pending any more.',
      watch: null,
      cancelled_removal_due_at: removal_due_at,
      connections: ['con_A', 'con_B'].map((connection_id) =>
        expect.objectContaining({ connection_id, outcome: 'enabled', name: connection_id, error: null }),
      ),
    });
    expect(enabled(org)).toEqual([
      ['con_A', true],
      ['con_B', true],
    ]);
    expect(await records.getRecord(org, id)).toMatchObject({
      status: 'cancelled',
      cancelled: { ...act, at: expect.stringContaining('T') },
    });
    expect(told(org)).toMatchObject([
      { 'detail-type': 'organization.offboarding.cancelled', detail: { offboarding_id: id } },
    ]);
    expect(waiting(), 'nothing is left to be done').toEqual([]);
    expect((await organizations.getOrganization(org)).holder).toBeUndefined();
    expect(await failed(org)).toMatchObject({ code: 'not_found' });
  });
  test('of what is completed ends its watch, and says by name what stays as it is', async () => {
    const connections = [heldOne('con_A'), heldOne('con_B')];
    const { org, id } = await pending({ ...completed('c'), ended_at: due(-1), connections });
    expect(await cancel(org)).toEqual({
      organization_id: org,
      offboarding_id: id,
      status: 'completed',
      detail:
        'Nothing is pending any more. The watch of what was completed has ended; it stays as it is: con_A, con_B.',
      watch: 'ended',
      cancelled_removal_due_at: null,
      connections: [],
    });
    expect(enabled(org)).toEqual([['con_A', false]]);
    expect(local.tenant.calls(), 'Auth0 is not asked').toEqual([]);
    expect(await records.getRecord(org, id)).toMatchObject({ watch: 'ended', watch_ended: { caller: 'support' } });
  });
  test('of several has the last that was pending for its result, whatever was put on record first', async () => {
    const { org, id } = await pending({ asked_at: due(-3) });
    const over = { ...completed('c'), ended_at: due(-1) };
    const unchanged = connection('con_C', { outcome: 'unchanged' });
    await put(org, { ...over, asked_at: due(-2), connections: [heldOne('con_B', { name: null }), unchanged] });
    await put(org, { ...over, offboarding_id: 'd', asked_at: due(-6), connections: [heldOne('con_D')] });
    await put(org, { ...scheduled('t'), removal_due_at: due(3), asked_at: due(-5), connections: [] });
    const result = await cancel(org);
    expect(result).toMatchObject({ offboarding_id: id, status: 'cancelled', watch: 'ended' });
    expect(result.cancelled_removal_due_at).toBe((await records.getRecord(org, id))?.removal_due_at);
    expect(result.detail).toContain('stays as it is: con_D, con_B.');
    expect(result.connections).toMatchObject([{ connection_id: 'con_A', outcome: 'enabled' }]);
  });
  test('does nothing else of what is left to be done', async () => {
    const { org } = await pending();
    const { offboarding_id } = await put(org, { dry_run: true });
    await cancel(org);
    expect(await records.getRecord(org, offboarding_id)).toMatchObject({ status: 'requested' });
  });
  test('while connections are being removed is a conflict', async () => {
    const { org, id } = await pending();
    const organization = await organizations.getOrganization(org);
    await organizations.write(organization, { removing: { offboarding_id: id, since: '2026-11-25T09:00:00.000Z' } });
    const problem = await failed(org);
    expect(problem).toMatchObject({ code: 'conflict', retryAfter: 10 });
    expect(problem.message).toContain(`since 2026-11-25T09:00:00.000Z by the offboarding ${id}`);
    expect((await organizations.getOrganization(org)).cancelled).toBeUndefined();
  });
  test('that Auth0 refuses for good is that refusal, and on record', async () => {
    const { org, id } = await pending({}, 'con_A', 'con_B');
    local.tenant.addFaults(refuses('con_B'));
    const problem = await failed(org);
    expect(problem).toMatchObject({ code: 'forbidden_by_auth0', status: 502 });
    expect(problem.message).toBe('A connection could not be enabled: not with this plan');
    expect(await records.getRecord(org, id)).toMatchObject({
      status: 'failed',
      connections: [{ outcome: 'enabled' }, { outcome: 'failed' }],
    });
  });
});

describe('a cancelling that can not be carried out in time', () => {
  const goesOn = (org: string, removal_due_at?: string) => ({
    organization_id: org,
    status: 'cancelling',
    detail: 'Nothing is removed any more; what was disabled is enabled by itself.',
    watch: null,
    ...(removal_due_at && { cancelled_removal_due_at: removal_due_at }),
  });
  test('for Auth0 is away is accepted, and a message says that it is due', async () => {
    const removal_due_at = due(10);
    const { org } = await pending({ removal_due_at });
    local.tenant.addFaults({ status: 503, body: '<html>', times: 9 });
    expect(await cancel(org)).toMatchObject(goesOn(org, removal_due_at));
    expect(waiting()).toEqual([{ group: 'single', 'detail-type': DUE, detail: { organization_id: org } }]);
    expect(lines.map(({ code }) => code)).toEqual(expect.arrayContaining(['cancelling_waits', 'cancelling_goes_on']));
    expect((await organizations.getOrganization(org)).cancelled).toMatchObject({ caller: 'support' });
  });
  test('for one connection is left goes on, whatever became of the others', async () => {
    const { org } = await pending({}, 'con_A', 'con_B');
    local.tenant.addFaults(refuses('con_A'), { path: 'con_B', status: 503, body: '<html>', times: 9 });
    expect(await cancel(org)).toMatchObject({ status: 'cancelling', connections: [{ outcome: 'failed' }, {}] });
  });
  test('for somebody else works on the organization waits for its turn, as long as there is time', async () => {
    const { org, id } = await pending();
    const { organization } = await organizations.take(org, 'other', Date.now() + 60_000);
    expect(await cancel(org, 2500)).toMatchObject({ ...goesOn(org), offboarding_id: id });
    expect(lines.filter(({ code }) => code === 'cancelling_waits').length).toBeGreaterThan(1);
    expect(local.tenant.calls()).toEqual([]);
    const turn = organizations.letGo(organization, undefined, Date.now());
    expect(await cancel(org, 8000), 'asked for again').toMatchObject({ status: 'cancelled' });
    await turn;
    expect(enabled(org)).toEqual([['con_A', true]]);
  });
  test('goes on where only a watch is to end, too', async () => {
    const { org } = await pending({ ...completed('c'), ended_at: due(-1) });
    await organizations.take(org, 'other', Date.now() + 60_000);
    expect(await cancel(org, 2500)).toMatchObject({ status: 'cancelling', watch: 'ended' });
  });
  test('for the queue takes nothing either is accepted all the same', async () => {
    const { org } = await pending();
    local.tenant.addFaults({ status: 503, body: '<html>', times: 9 });
    local.aws.addFaults({ operation: 'SendMessageBatch', error: 'AccessDenied', times: 9 });
    expect(await cancel(org)).toMatchObject(goesOn(org));
  });
});
