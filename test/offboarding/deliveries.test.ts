// What is done with one message of the offboarding queue.
import type { SQSRecord } from 'aws-lambda';
import { describe, expect, test, vi } from 'vitest';
import { DEAD_LETTERS } from '../../infra/local/environment.ts';
import { heldOne, record, scheduled } from './records.ts';
import {
  anOrg,
  asks,
  deliver,
  event,
  hiddenFor,
  lines,
  local,
  notice,
  organizations,
  put,
  REQUESTED,
  received,
  records,
  told,
  waiting,
  withConnection,
} from './with-queue.ts';

describe('a delivery', () => {
  test('of a request disables what is there, and tells', async () => {
    const org = withConnection('con_A');
    const message = await received(event(asks(org, { correlation_id: 'c-1' })));
    expect(await deliver(message)).toBe(true);
    expect(told(org)).toMatchObject([
      { 'detail-type': 'organization.offboarding.completed', detail: { connections: [{ outcome: 'disabled' }] } },
    ]);
    expect(lines.at(-1)).toMatchObject({
      code: 'offboarding_delivery_ended',
      priority: 'single',
      done: true,
      organization_id: org,
      correlation_id: 'c-1',
      request_id: 'request',
      message_id: message.messageId,
      offboarding_id: JSON.parse(message.body).id,
    });
    expect(lines.at(-1)?.waited_ms).toBeGreaterThanOrEqual(50);
    expect(lines.at(-1)?.waited_ms).toBeLessThan(1e9);
    const before = local.aws.calls.length;
    expect(await deliver(message), 'a second time there is nothing to do').toBe(true);
    expect(told(org).length).toBe(1);
    expect(local.aws.calls.slice(before)).not.toContain('PutItem');
  });
  test('of a request to remove later tells Scheduler', async () => {
    const org = withConnection('con_A');
    await deliver(await received(event(asks(org, { action: 'disable_then_remove', grace_period: 'P2D' }))));
    expect([...local.aws.schedules.keys()].filter((name) => name.includes(org)).length).toBe(1);
    expect(told(org)).toMatchObject([{ 'detail-type': 'organization.offboarding.scheduled' }]);
  });
  test('of what is no message ends in its event and its dead letter, out of a replay in neither', async () => {
    const invalid = event({ action: 'x' });
    expect(await deliver(await received(invalid, 'batch'))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      {
        body: invalid,
        group: 'batch',
        attributes: { reason: { StringValue: expect.stringMatching(/^invalid_message: .*organization_id/) } },
      },
    ]);
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'offboarding_dead_lettered',
        level: 'ERROR',
        reason: expect.objectContaining({ code: 'invalid_message' }),
      }),
    );
    local.aws.purge(DEAD_LETTERS);
    expect(await deliver(await received(event({ action: 'x' }, { 'replay-name': 'r' })))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS).length).toBe(0);
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'replayed_event_ignored',
        level: 'WARN',
        error: expect.objectContaining({ code: 'invalid_message' }),
      }),
    );
    await deliver(await received('7'));
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { attributes: { reason: { StringValue: expect.stringContaining('invalid_message: message: ') } } },
    ]);
    local.aws.purge(DEAD_LETTERS);
    await deliver(await received('no JSON'));
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { body: 'no JSON', attributes: { reason: { StringValue: 'invalid_message: The message is not JSON' } } },
    ]);
  });
  test("that can never be carried out, for the service's own record is not there, ends so, too", async () => {
    const org = anOrg();
    expect(await deliver(await received(event(asks(org), { source: 'org-connections' })))).toBe(true);
    expect(local.aws.messages(DEAD_LETTERS)).toMatchObject([
      { attributes: { reason: { StringValue: expect.stringContaining('invalid_body') } } },
    ]);
    expect(told(org)).toMatchObject([
      { 'detail-type': 'organization.offboarding.failed', detail: { error: { code: 'invalid_body' } } },
    ]);
  });
  test('of an event that failed leaves it, of a dry run or of what came over HTTP nothing', async () => {
    const failing = async (more: object, over: object = {}) => {
      local.aws.purge(DEAD_LETTERS);
      const org = anOrg();
      const body = event(asks(org, more), over);
      await deliver(await received(body));
      expect(told(org).at(-1)).toMatchObject({ 'detail-type': 'organization.offboarding.failed' });
      return local.aws.messages(DEAD_LETTERS).map((one) => one.body === body);
    };
    expect(await failing({})).toEqual([true]);
    expect(await failing({ dry_run: true })).toEqual([]);
    const org = anOrg();
    local.aws.purge(DEAD_LETTERS);
    const own = { id: 'own', source: 'org-connections', time: new Date().toISOString() };
    const other = { ...own, id: 'other', source: 'billing' };
    for (const request of [own, other])
      await put(org, { request, offboarding_id: request.id, reason: 'gone', requested_by: 'crm' });
    await deliver(await received(notice(org)));
    const left = local.aws.messages(DEAD_LETTERS).map(({ body }) => JSON.parse(body));
    expect(left, 'as the event that it was').toEqual([
      {
        ...other,
        'detail-type': REQUESTED,
        detail: { organization_id: org, action: 'disable', requested_by: 'crm', reason: 'gone' },
      },
    ]);
  });
  test('of what is cancelled and asked for anew leaves the customer no right to enable it', async () => {
    const org = anOrg();
    const connection = { connection_id: 'con_A', is_enabled: false, organization_access_level: 'readonly' };
    local.tenant.setOrganizations({ [org]: [connection] });
    const before = { is_enabled: true, organization_access_level: 'limited' };
    const cancelled = { at: new Date().toISOString(), caller: 'x' };
    const held = heldOne('con_A', { before, outcome: null });
    await put(org, { status: 'cancelling', cancelled, connections: [held] });
    await put(org, { status: 'requested' });
    await deliver(await received(notice(org)));
    expect(local.tenant.state().organizations[org]).toMatchObject([connection]);
    expect(
      local.tenant
        .effects()
        .filter(({ organizationId }) => organizationId === org)
        .map(({ to }) => to),
    ).toEqual(['enabled', 'disabled']);
  });
  test('that is refused only after an attempt whose end nobody knows holds the connection, and looks again', async () => {
    const org = withConnection('con_A');
    const refusal = { status: 400, body: { statusCode: 400, error: 'Bad Request', message: 'no' } };
    const patch = { method: 'PATCH', path: org };
    local.tenant.addFaults({ ...patch, reset: 'after' }, { ...patch, ...refusal });
    const message = await received(event(asks(org)));
    expect(await deliver(message)).toBe(false);
    const { id } = JSON.parse(message.body);
    const held = { connections: [{ outcome: null, attempted: true, disabled_by_offboarding: true }] };
    expect(await records.getRecord(org, id)).toMatchObject({ status: 'working', ...held });
    // A minute later Auth0 carries out nothing any more.
    await local.changeRecord(org, 'organization', { held_until: 0 });
    expect(await deliver(message)).toBe(true);
    const done = { connections: [{ outcome: 'disabled', disabled_by_offboarding: true }] };
    expect(await records.getRecord(org, id)).toMatchObject({ status: 'completed', ...done });
  });
  test('of a notice costs one read where nothing is due', async () => {
    const org = anOrg();
    const before = local.aws.calls.length;
    expect(await deliver(await received(notice(org)))).toBe(true);
    const made = local.aws.calls.slice(before).filter((call) => !call.includes('Message'));
    expect(made).toEqual(['GetItem']);
  });
  test('of a schedule that fired too early sets it again', async () => {
    const org = anOrg();
    const due = scheduled('s', { removal_due_at: new Date(Date.now() + 3_600_000).toISOString() });
    await records.put({ ...due, organization_id: org, version: '' });
    await records.put({ ...record('w', { removal_due_at: due.removal_due_at }), organization_id: org, version: '' });
    const schedules = () => [...local.aws.schedules.keys()].filter((name) => name.includes(org)).length;
    await deliver(await received(notice(org)));
    await deliver(await received(notice(org, 'w')));
    await deliver(await received(notice(org, 'none')));
    expect(schedules()).toBe(0);
    await deliver(await received(notice(org, 's')));
    expect(schedules()).toBe(1);
  });
  test('of a cancelling that finds nothing does no more', async () => {
    const org = anOrg();
    const body = event(
      { organization_id: org, requested_by: 'x', reason: 'y' },
      { 'detail-type': 'organization.offboarding.cancellation_requested' },
    );
    const before = local.aws.calls.length;
    expect(await deliver(await received(body))).toBe(true);
    expect(local.aws.calls.slice(before)).not.toContain('PutItem');
    expect(told(org)).toMatchObject([{ detail: { error: { code: 'not_found' } } }]);
  });
});

test('a message of which its sender says nothing is processed all the same', async () => {
  const { attributes: _, ...message } = await received(event(asks(withConnection('con_A'))));
  expect(await deliver(message as SQSRecord)).toBe(true);
});

describe('a delivery that fails for now', () => {
  const outage = () => local.tenant.addFaults({ status: 500, body: '<html>', times: 99 });
  const limit = (seconds: string) =>
    local.tenant.addFaults({ status: 429, body: { error: 'x' }, headers: { 'retry-after': seconds }, times: 99 });
  const fails = async (group = 'single', count = 1) => {
    local.tenant.clearCalls();
    const message = await received(event(asks(withConnection('con_A'))), group, count);
    const isDone = await deliver(message);
    return { isDone, hidden: hiddenFor(message.messageId), asked: local.tenant.calls().length, message };
  };
  test('is hidden for five seconds, after three errors in its group for thirty; another group waits no longer', async () => {
    outage();
    expect(await fails()).toMatchObject({ isDone: false, hidden: 5, asked: 2 });
    expect(lines.find(({ code }) => code === 'offboarding_waits')).toMatchObject({
      wait_ms: 5000,
      level: 'WARN',
      error: { name: 'Problem' },
    });
    expect(lines.at(-1)).toMatchObject({ done: false });
    // Half-open: one call shows whether it is over.
    expect(await fails()).toMatchObject({ hidden: 5, asked: 1 });
    expect(await fails()).toMatchObject({ hidden: 5 });
    expect(await fails()).toMatchObject({ hidden: 30 });
    expect(await fails('batch')).toMatchObject({ hidden: 5, asked: 2 });
    local.tenant.clearFaults();
    expect(await fails()).toMatchObject({ isDone: true });
    outage();
    expect(await fails(), 'it was over').toMatchObject({ hidden: 5, asked: 2 });
  });
  test('tells on record why, and when it is tried again', async () => {
    outage();
    const { message } = await fails();
    const { id, detail } = JSON.parse(message.body);
    const waits = await records.getRecord(detail.organization_id, id);
    expect(waits).toMatchObject({ last_error: { code: 'auth0_unavailable' }, attempts: 1 });
    expect(Date.parse(waits?.next_try_at ?? '')).toBeGreaterThan(Date.now() + 2000);
  });
  test('for the table can not be reached is no request that can never be carried out', async () => {
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    expect(await deliver(await received(event(asks(anOrg()))))).toBe(false);
    local.aws.clearFaults();
    expect(local.aws.messages(DEAD_LETTERS).length).toBe(0);
  });
  test('leaves a drift check for five minutes', async () => {
    outage();
    expect(await fails('watch')).toMatchObject({ hidden: 300 });
  });
  test('for the rate limit stays where it is for as long as that says, five times, and is no error of its group', async () => {
    limit('40');
    const { hidden, message, isDone } = await fails('batch');
    expect(isDone).toBe(false);
    expect(hidden).toBeGreaterThanOrEqual(40);
    expect(hidden).toBeLessThanOrEqual(45);
    const again = (count: number) =>
      deliver({ ...message, attributes: { ...message.attributes, ApproximateReceiveCount: String(count) } });
    expect(await again(5)).toBe(false);
    expect(waiting().length).toBe(1);
    expect(await again(6), 'to the end of its group').toBe(true);
    expect(waiting().length).toBe(2);
  });
  test('for its time is nearly over begins no write, and goes on at once', async () => {
    const message = await received(event(asks(withConnection('con_A'))));
    expect(await deliver(message, 2500)).toBe(false);
    expect(local.tenant.calls().map(({ method }) => method)).toEqual(['GET']);
    expect(hiddenFor(message.messageId)).toBeLessThanOrEqual(0);
    expect(await deliver(message, 20_000)).toBe(true);
  });
  test('goes to the end of its group when it comes back, that others have their turn', async () => {
    const message = await received(notice(anOrg()), 'single', 2);
    expect(await deliver(message)).toBe(true);
    expect(waiting().length).toBe(2);
  });
  test('is worked on where it is when the queue takes nothing, with one call that shows whether it is over', async () => {
    outage();
    local.aws.addFaults({ operation: 'SendMessage', error: 'AccessDenied' });
    expect(await fails('single', 2)).toMatchObject({ isDone: false, asked: 1 });
  });
  test('for somebody else works on the organization waits for its turn, and is no error of its group', async () => {
    const wait = async () => {
      const org = withConnection('con_A');
      await organizations.take(org, 'other', Date.now() + 60_000);
      const message = await received(event(asks(org)));
      return { isDone: await deliver(message), hidden: hiddenFor(message.messageId) };
    };
    for (let i = 0; i < 4; i++) expect(await wait()).toEqual({ isDone: false, hidden: 2 });
    outage();
    expect(await fails()).toMatchObject({ hidden: 5, asked: 2 });
  });
  test('comes back by itself where the queue can not even be told', async () => {
    outage();
    local.aws.addFaults({ operation: 'ChangeMessageVisibility', error: 'AccessDenied' });
    expect(await fails()).toMatchObject({ isDone: false });
    expect(lines).toContainEqual(
      expect.objectContaining({
        code: 'offboarding_wait_failed',
        level: 'ERROR',
        error: expect.objectContaining({ name: 'AccessDenied' }),
      }),
    );
  });
});

describe("a delivery leaves room in the tenant's limit", () => {
  /** How many connections are disabled where the first answer says that `remaining` writes are left, and no others come for an hour. */
  const disabledWith = async (group: string, remaining: number) => {
    // Another container: it has learned nothing yet.
    vi.resetModules();
    const { deliver: deliverAnew } = await import('../../lib/offboarding/delivery.ts');
    const reset = String(Math.floor(Date.now() / 1000) + 3500);
    const headers = {
      'x-ratelimit-limit': '50',
      'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': reset,
    };
    local.tenant.addFaults({ method: 'PATCH', headers, times: 2 });
    const org = withConnection('con_A', 'con_B');
    await deliverAnew(await received(event(asks(org)), group), Date.now() + 20_000, 'request');
    local.tenant.clearFaults();
    return local.tenant.calls().filter(({ method, path }) => method === 'PATCH' && path.includes(org)).length;
  };
  test.each([
    ['single', 1],
    ['batch', 3],
    ['watch', 5],
  ])('of the group %s, %i writes for whoever goes first', async (group, headroom) => {
    expect(await disabledWith(group, headroom + 1)).toBe(2);
    expect(await disabledWith(group, headroom)).toBe(1);
  });
});
