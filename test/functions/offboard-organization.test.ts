import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, outcomesOf, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const CON3 = 'con_Hg6Jk2MnVs8DfZp1';
const DAY_MS = 86_400_000;
const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const JSON_404 = { statusCode: 404, error: 'Not Found', message: 'No organization found by that id or name' };

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  service.aws.messages(QUEUE).splice(0);
  service.aws.messages(DEAD_LETTERS).splice(0);
  await service.worker.idle();
  await service.forget();
  service.tenant.clearFaults();
  service.aws.clearFaults();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({
    [ORG]: [
      { connection_id: CON },
      { connection_id: CON2, is_enabled: false },
      { connection_id: CON3, show_as_button: false },
    ],
    [OTHER]: [{ connection_id: CON }],
  });
});

const writes = () => service.managementCalls().filter(({ method }) => method !== 'GET');
/** How often a message was put at the end of its group. */
const requeues = () => service.aws.calls.filter((operation) => operation === 'SendMessage').length;
const deadLetters = () => service.aws.messages(DEAD_LETTERS);

describe('a request', () => {
  test('when it is disable, all that is enabled is disabled, by one list, and the outcome has the settings before', async () => {
    const { id, time } = service.publish({ action: 'disable', unknown_member: 1 });
    const event = await service.outcome(id);
    expect(event['detail-type']).toBe('organization.offboarding.completed');
    expect(event.detail).toMatchObject({
      organization_id: ORG,
      action: 'disable',
      requested_by: 'billing-service',
      reason: 'contract ended',
      caller: '000000000000 billing',
      request: { id, source: 'billing', time },
      dry_run: false,
    });
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    const before = (event.detail.connections as { before: object }[])[2]?.before;
    expect(before).toEqual({
      is_enabled: true,
      show_as_button: false,
      assign_membership_on_login: false,
      organization_access_level: 'none',
    });
    expect(service.enabled()).toEqual({ [CON]: false, [CON2]: false, [CON3]: false });
    // The list of the connections, and that of the client grants.
    expect(service.managementCalls().map(({ method }) => method)).toEqual(['GET', 'GET', 'PATCH', 'PATCH']);
    await expect.poll(() => service.logged('offboarding_completed').at(-1)?.detail).toEqual(event.detail);
    expect(service.enabled(OTHER)).toEqual({ [CON]: true });
  });

  test('when connections are named, only these are removed; a mistyped one fails, and one that was removed before is unchanged', async () => {
    const { id } = service.publish({ action: 'remove', connection_ids: [CON, 'con_NotThere'] });
    const event = await service.outcome(id, 'failed');
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'removed', con_NotThere: 'failed' });
    expect((event.detail.error as { code: string }).code).toBe('unknown_connection');
    const again = service.publish({ action: 'remove', connection_ids: [CON] });
    expect(outcomesOf((await service.outcome(again.id, 'completed')).detail)).toEqual({ [CON]: 'unchanged' });
    expect(service.enabled()).toEqual({ [CON2]: false, [CON3]: true });
  });

  test('when it is a dry run, the outcome is the same and nothing is written', async () => {
    const { id } = service.publish({ action: 'remove', dry_run: true });
    const event = await service.outcome(id);
    expect(event.detail.dry_run).toBe(true);
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
    expect(writes()).toEqual([]);
  });

  test('when the same event comes again, however late, it changes nothing', async () => {
    const event = service.publish({ action: 'disable' });
    await service.outcome(event.id);
    const before = service.logged('offboarding_delivery_ended').length;
    service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
    service.publish({ action: 'disable' }, { ...event, resources: ['redelivered'] });
    await expect
      .poll(() => service.logged('offboarding_delivery_ended').length, { timeout: 30_000 })
      .toBeGreaterThan(before);
    expect(service.enabled()).toEqual({ [CON]: true });
    expect((await service.records()).length).toBe(1);
    expect(service.aws.events.filter(({ detail }) => detail.offboarding_id === event.id).length).toBe(1);
  });

  test('when there are more connections than a page holds, all are disabled', async () => {
    const many = Array.from({ length: 73 }, (_, i) => ({ connection_id: `con_many${i}`, is_enabled: i % 2 === 0 }));
    service.tenant.setOrganizations({ [ORG]: many });
    const { id } = service.publish({ action: 'disable' });
    const event = await service.outcome(id);
    expect((event.detail.connections as unknown[]).length).toBe(73);
    expect(Object.values(service.enabled())).toEqual(Array(73).fill(false));
  });
});

describe('a request that cannot be carried out', () => {
  const BAD: [what: string, detail: object, envelope?: object][] = [
    ['an unknown action', { action: 'delete' }],
    ['no organization', { action: 'disable', organization_id: undefined }],
    ['a path for an organization', { action: 'disable', organization_id: 'org_a/../b' }],
    ['an empty list of connections', { action: 'disable', connection_ids: [] }],
    ['a grace period where none belongs', { action: 'remove', grace_period: 'P1D' }],
    ['a grace period below a minute', { action: 'disable_then_remove', grace_period: 'PT59S' }],
    ['a grace period above a year', { action: 'disable_then_remove', grace_period: 'P366DT1H' }],
    ['no reason', { action: 'disable', reason: '' }],
    ['a detail that is a list', {}, { detail: [] }],
  ];
  test.each(BAD)(
    'when an event has %s, it is a dead letter at once, with its reason, and a failed event',
    async (_what, detail, envelope = {}) => {
      const before = deadLetters().length;
      const sent = service.publish(detail, envelope);
      const event = await service.outcome(sent.id);
      expect(event['detail-type']).toBe('organization.offboarding.failed');
      expect(event.detail).toMatchObject({ error: { code: 'invalid_message' }, connections: [] });
      await expect.poll(() => deadLetters().length).toBe(before + 1);
      expect(deadLetters().at(-1)).toMatchObject({
        body: JSON.stringify(sent),
        attributes: { reason: { StringValue: expect.stringContaining('invalid_message') } },
      });
      expect(service.managementCalls()).toEqual([]);
      await expect.poll(() => service.logged('offboarding_dead_lettered').at(-1)?.error.code).toBe('invalid_message');
    },
  );

  test('when a message is not JSON, it is a dead letter and does not hold up its neighbours', async () => {
    const before = deadLetters().length;
    service.aws.send(QUEUE, 'not JSON', 'single');
    const { id } = service.publish({ action: 'disable' });
    expect((await service.outcome(id))['detail-type']).toMatch('completed');
    expect(deadLetters().length).toBe(before + 1);
  });

  test('when Auth0 does not know the organization, it fails at once', async () => {
    const { id } = service.publish({ action: 'disable', organization_id: 'org_NoSuchOrgAnyMore' });
    service.tenant.addFaults({ path: 'org_NoSuchOrgAnyMore', status: 404, body: JSON_404 });
    const event = await service.outcome(id);
    expect(event['detail-type']).toMatch('failed');
    expect(event.detail.error).toMatchObject({ code: 'unknown_organization' });
    expect(service.managementCalls().length).toBe(1);
  });

  test.each<[what: string, status: number, body: unknown]>([
    ["a gateway's 404 in JSON", 404, { message: 'no Route matched with those values' }],
    ["a framework's 404", 404, { timestamp: 'x', status: 404, error: 'Not Found', path: '/' }],
    ["a gateway's 403 in JSON", 403, { message: 'Forbidden' }],
    ['a page with 404', 404, '<html>Not Found</html>'],
    ['a page with 401', 401, '<html>Log in</html>'],
  ])("when %s stands in the place of Auth0's answer, nothing is over by it", async (_what, status, body) => {
    service.tenant.addFaults({ method: 'GET', path: `${ORG}/connections`, status, body, times: 1 });
    service.tenant.addFaults({ method: 'DELETE', path: CON3, status, body, times: 1 });
    const { id } = service.publish({ action: 'remove' });
    const event = await service.outcomeInAHurry(id);
    expect(event['detail-type']).toMatch('completed');
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'removed', [CON2]: 'removed', [CON3]: 'removed' });
    expect(service.tenant.state().organizations[ORG]).toEqual([]);
  });

  test('when one connection fails, the others are changed, and its reason is in the outcome', async () => {
    service.tenant.addFaults({
      method: 'PATCH',
      path: CON,
      status: 400,
      body: { statusCode: 400, message: 'Not for this strategy', errorCode: 'operation_not_supported' },
    });
    const { id } = service.publish({ action: 'disable' });
    const event = await service.outcome(id);
    expect(event['detail-type']).toMatch('failed');
    expect(event.detail.connections).toMatchObject([
      { connection_id: CON, outcome: 'failed', error: { code: 'rejected_by_auth0', message: 'Not for this strategy' } },
      { connection_id: CON2, outcome: 'unchanged' },
      { connection_id: CON3, outcome: 'disabled' },
    ]);
  });

  test('when the bus refuses the outcome, it gets it again, and the work is not repeated', async () => {
    service.aws.addFaults({
      operation: 'PutEvents',
      answer: { FailedEntryCount: 1, Entries: [{ ErrorCode: 'ThrottlingException' }] },
      times: 2,
    });
    const { id } = service.publish({ action: 'disable' });
    await service.outcome(id);
    expect(writes().length).toBe(2);
  });
});

describe('a temporary error', () => {
  test('when the token is rotated in mid-run, the rest is done with the new one', async () => {
    service.tenant.addFaults({ method: 'PATCH', delay: 300, times: 2 });
    const { id } = service.publish({ action: 'disable' });
    await expect.poll(() => writes().length).toBe(1);
    service.tenant.revokeTokens();
    await service.aws.rotate(TOKEN_SECRET);
    const event = await service.outcome(id);
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
  });

  test('when the limit is used up for longer than a function should wait, the message waits in its place', async () => {
    const headers = { 'retry-after': '25' };
    const body = { statusCode: 429, message: 'Global limit has been reached' };
    service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 429, headers, body, times: 1 });
    const second = service.publish({ action: 'disable' });
    const waits = () => service.logged('offboarding_waits').filter((line) => line.offboarding_id === second.id);
    await expect.poll(() => waits().length, { timeout: 10_000 }).toBeGreaterThan(0);
    const [later] = waits();
    expect(later).toMatchObject({ offboarding_id: second.id, error: { message: expect.stringContaining('limit') } });
    expect(later.wait_ms).toBeGreaterThan(20_000);
    // The message is as it came; what was done, and until when it waits, is on record.
    expect(service.aws.messages(QUEUE).map(({ body }) => JSON.parse(body))).toEqual([second]);
    await expect
      .poll(async () => (await service.records()).at(-1))
      .toMatchObject({
        last_error: { code: 'rate_limited' },
        connections: [{ outcome: 'disabled' }, { outcome: 'unchanged' }, { outcome: null }],
      });
    service.worker.kill(); // A new container knows nothing of the limit.
    const event = await service.outcomeInAHurry(second.id);
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
    expect(event['detail-type']).toMatch('completed');
  });

  test('when Auth0 is down for longer than a message is held, it goes to the end of its group, and waits on', async () => {
    service.tenant.addFaults({ status: 503, body: 'down', times: 9999 });
    const { id } = service.publish({ action: 'disable' });
    const before = requeues();
    for (const end = Date.now() + 60_000; requeues() < before + 3 && Date.now() < end; await sleep(20)) service.hurry();
    expect(requeues()).toBeGreaterThanOrEqual(before + 3);
    expect(deadLetters()).toEqual([]);
    const pending = await service.records();
    expect(pending[0]).toMatchObject({ status: 'requested', last_error: { code: 'auth0_unavailable' } });
    expect(pending[0]?.attempts).toBeGreaterThanOrEqual(3);
    // A probe is one call; only the first of each container was two.
    const waits = service.logged('offboarding_waits').filter((line) => line.offboarding_id === id).length;
    expect(service.managementCalls().length).toBeLessThanOrEqual(3 + waits);
    service.tenant.clearFaults();
    const event = await service.outcomeInAHurry(id, 'completed');
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'disabled' });
  });

  test('when a request is older than the stage tries for, it ends as a failed event, and a dead letter with its reason', async () => {
    service.tenant.addFaults({ method: 'PATCH', path: CON3, status: 503, body: 'down', times: 9999 });
    const { id } = service.publish({ action: 'disable' });
    const waiting = { status: 'working', last_error: { code: 'auth0_unavailable' } };
    await expect.poll(async () => (await service.records())[0], { timeout: 30_000 }).toMatchObject(waiting);
    await service.pass(8 * DAY_MS);
    const event = await service.outcomeInAHurry(id, 'failed');
    expect(event.detail.error).toMatchObject({ code: 'auth0_unavailable' });
    expect(outcomesOf(event.detail)).toEqual({ [CON]: 'disabled', [CON2]: 'unchanged', [CON3]: 'failed' });
    expect(deadLetters().at(-1)?.attributes).toMatchObject({
      reason: { StringValue: expect.stringContaining('auth0_unavailable') },
    });
    expect((await service.records())[0]).toMatchObject({ status: 'failed' });
  });

  test('when the queue refuses to hold or to take a message, SQS delivers it again', async () => {
    service.tenant.addFaults({ status: 503, body: 'down', times: 7 });
    for (const operation of ['ChangeMessageVisibility', 'SendMessage'])
      service.aws.addFaults({ operation, error: 'AWS.SimpleQueueService.InternalError', status: 500, times: 6 });
    const { id } = service.publish({ action: 'disable' });
    const hurry = setInterval(service.hurry, 300);
    const event = await service.outcome(id).finally(() => clearInterval(hurry));
    expect(event['detail-type']).toMatch('completed');
    expect(service.logged('offboarding_wait_failed').length).toBeGreaterThan(0);
  });

  test('when one organization fails alone, it goes to the end of its group, and the others are done', async () => {
    service.tenant.addFaults({ path: ORG, status: 503, body: 'down', times: 9999 });
    const { id } = service.publish({ action: 'disable' });
    const before = requeues();
    await expect.poll(async () => (await service.records())[0]?.attempts, { timeout: 30_000 }).toBeGreaterThan(0);
    const neighbour = service.publish({ action: 'disable', organization_id: OTHER });
    await service.outcomeInAHurry(neighbour.id, 'completed');
    expect(requeues()).toBeGreaterThan(before);
    expect((await service.records())[0]).toMatchObject({ status: 'requested' });
    service.tenant.clearFaults();
    await service.outcomeInAHurry(id, 'completed');
  });
});

test('when two workers share one tenant, both end, and nothing is left enabled', async () => {
  const organizations = Array.from({ length: 3 }, (_, i) => `org_twoworkers${100_000 + i}`);
  service.tenant.setOrganizations(
    Object.fromEntries(organizations.map((id) => [id, [{ connection_id: CON }, { connection_id: CON2 }]])),
  );
  service.tenant.setPlan('free');
  const ids = organizations.map((organization_id, i) => {
    const detail = { organization_id, action: 'disable', requested_by: 'b', reason: 'r' };
    if (i % 2) return service.publish(detail).id;
    const id = `second-${i}`;
    const body = {
      id,
      source: 's',
      time: new Date().toISOString(),
      'detail-type': 'organization.offboarding.requested',
      detail,
    };
    service.aws.send(QUEUE, JSON.stringify(body), 'batch');
    return id;
  });
  for (const id of ids) expect((await service.outcome(id))['detail-type']).toMatch('completed');
  for (const id of organizations) expect(service.enabled(id)).toEqual({ [CON]: false, [CON2]: false });
  service.tenant.setPlan('unlimited');
});
