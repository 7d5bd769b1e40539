// What several requests, cancellations and drift checks of one organization did wrong once, at the calls of Auth0: each is a case.
// The rest of them is in multi-offboarding-regressions-acceptance.test.ts.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEAD_LETTERS, SESSION_QUEUE } from '../../infra/local/environment.ts';
import { createFunctionInProcess } from '../in-process.ts';
import { newOrganization } from '../service.ts';
import { putDue } from '../sessions/due.ts';
import {
  DAY_MS,
  LATER,
  LEASE_OVER_MS,
  MINUTE_MS,
  NOW,
  type RegressionService,
  startRegressionService,
} from './regression-service.ts';

const CON = 'con_1';
const CON2 = 'con_2';
let service: RegressionService;
beforeAll(async () => {
  service = await startRegressionService({ environment: { WATCH_FOR: 'P800D' } });
});
afterAll(() => service.close());

/** An organization with these connections. */
function organizationWith(
  ...connections: { connection_id: string; is_enabled?: boolean; organization_access_level?: string }[]
) {
  const organization = newOrganization();
  service.tenant.setOrganizations({ [organization]: connections });
  return organization;
}

const post = (organization: string, body: object = LATER) =>
  service.http('request-offboarding', { organization, body });
const cancel = (organization: string, options: object = {}) =>
  service.http('cancel-offboarding', { organization, ...options });

/** An offboarding over HTTP that has come to its outcome. */
async function offboard(organization: string, body: object = LATER, outcome = 'scheduled') {
  const { body: accepted } = await post(organization, body);
  await service.outcome(organization, outcome);
  await service.rest(organization);
  return accepted.offboarding_id as string;
}

describe.concurrent('uncertain writes', () => {
  const EDGE_PAGES = [502, 524];
  test.each(EDGE_PAGES)(
    'when an edge page answers %i and Auth0 carries the PATCH out 3 s later, a cancellation waits for it',
    async (status) => {
      const organization = organizationWith({ connection_id: CON });
      const page = { status, body: '<html>Bad gateway</html>', late: 3000 };
      service.tenant.addFaults({ method: 'PATCH', path: organization, ...page });
      await post(organization);
      await service.outcome(organization, 'scheduled');
      const { status: answered, body } = await cancel(organization);
      expect([answered, body.status]).toEqual([202, 'cancelling']);
      // The call that nobody knew the end of is carried out now.
      await sleep(3000);
      await service.pass(LEASE_OVER_MS, organization);
      await service.outcome(organization, 'cancelled');
      await service.rest(organization);
      expect(service.enabled(organization)).toEqual({ [CON]: true });
      expect((await service.records(organization)).map((one) => one.status)).toEqual(['cancelled']);
    },
  );

  test('when the cancellation comes while the worker of the uncertain call is still at it, that worker waits, too', async () => {
    const organization = organizationWith({ connection_id: CON });
    const page = { status: 502, body: '<html>Bad gateway</html>', late: 3000 };
    service.tenant.addFaults({ method: 'PATCH', path: organization, ...page });
    await post(organization);
    await service.until('the call is repeated', () => service.calls(organization, 'PATCH').length === 1);
    // The worker takes its time over the event.
    service.aws.addFaults({ operation: 'PutEvents', about: organization, delay: 700 });
    await service.until('the call is repeated', () => service.calls(organization, 'PATCH').length === 2);
    expect((await cancel(organization, { remaining: 4000 })).status).toBe(202);
    await sleep(2000);
    await service.pass(LEASE_OVER_MS, organization);
    await service.outcome(organization, 'cancelled');
    await service.rest(organization);
    expect(service.enabled(organization)).toEqual({ [CON]: true });
  });

  test('when a list is seconds old and shows what was disabled as enabled, a cancellation enables it all the same', async () => {
    const organization = organizationWith({ connection_id: CON, organization_access_level: 'limited' });
    await offboard(organization);
    const connections = [
      { connection_id: CON, is_enabled: true, organization_access_level: 'limited', connection: {} },
    ];
    const stale = { status: 200, body: { connections, start: 0, limit: 50, total: 1 } };
    service.tenant.addFaults({ method: 'GET', path: `${organization}/connections`, times: 9, ...stale });
    const { status, body } = await cancel(organization);
    expect([status, body.connections[0].outcome]).toEqual([200, 'enabled']);
    expect(service.tenant.state().organizations[organization]).toMatchObject([
      { is_enabled: true, organization_access_level: 'limited' },
    ]);
  });

  test('when somebody enabled a connection whose access level we lowered, a cancellation gives the level back', async () => {
    const organization = organizationWith({ connection_id: CON, organization_access_level: 'limited' });
    await offboard(organization);
    const levels = () =>
      service.tenant.state().organizations[organization]?.map((one) => one.organization_access_level);
    expect(levels()).toEqual(['readonly']);
    service.tenant.enableConnection(organization, CON);
    const { status } = await cancel(organization);
    expect(status).toBe(200);
    expect(levels()).toEqual(['limited']);
    expect(service.enabled(organization)).toEqual({ [CON]: true });
  });

  test('when somebody enables a connection during a long removal, it is not removed', async () => {
    const ids = Array.from({ length: 8 }, (_, index) => `con_${index + 1}`);
    const organization = organizationWith(...ids.map((connection_id) => ({ connection_id })));
    const offboarding_id = await offboard(organization);
    await service.pass(31 * DAY_MS, organization);
    service.tenant.addFaults({ method: 'DELETE', path: organization, delay: 850, times: 8 });
    await service.checkByClock();
    await service.until('the removal has begun', () => service.calls(organization, 'DELETE').length === 1);
    service.tenant.enableConnection(organization, 'con_8');
    await service.outcome(organization, 'completed');
    await service.rest(organization);
    expect(service.enabled(organization)).toEqual({ con_8: true });
    const [record] = (await service.records(organization)).filter((one) => one.offboarding_id === offboarding_id);
    const outcomes = record?.connections.map(({ connection_id, outcome }) => [connection_id, outcome]);
    expect(outcomes).toEqual(ids.map((id) => [id, id === 'con_8' ? 'unchanged' : 'removed']));
    expect(record?.connections.at(-1)?.error?.code).toBe('enabled_meanwhile');
  });
});

describe.concurrent('what a failed offboarding disabled', () => {
  /** An offboarding that disabled the first of two connections, and that Auth0 refused the second. */
  async function failHalfWay() {
    const organization = organizationWith({ connection_id: CON }, { connection_id: CON2 });
    const refusal = {
      status: 400,
      body: { statusCode: 400, error: 'Bad Request', message: 'Refused', errorCode: 'no' },
    };
    service.tenant.addFaults({ method: 'PATCH', path: `${organization}/connections/${CON2}`, ...refusal });
    await offboard(organization, NOW, 'failed');
    expect(service.enabled(organization)).toEqual({ [CON]: false, [CON2]: true });
    return organization;
  }

  test('when another worker has the organization, its cancellation answers 202, and enables it after that worker', async () => {
    const organization = await failHalfWay();
    await service.change(organization, (item) => ({ ...item, lease: { owner: 'another', until: Date.now() } }));
    const { status, body } = await cancel(organization, { remaining: 4000 });
    expect([status, body.status]).toEqual([202, 'cancelling']);
    await service.pass(LEASE_OVER_MS, organization);
    await service.outcome(organization, 'cancelled');
    expect(service.enabled(organization)).toEqual({ [CON]: true, [CON2]: true });
  });

  test('when the event bus is away, its cancellation answers 200, and has enabled it', async () => {
    const organization = await failHalfWay();
    const failing = { operation: 'PutEvents', about: organization, error: 'InternalFailure', status: 500, times: 1000 };
    service.aws.addFaults(failing);
    const { status, body } = await cancel(organization);
    expect([status, body.status]).toEqual([200, 'cancelled']);
    expect(service.enabled(organization)).toEqual({ [CON]: true, [CON2]: true });
    service.aws.clearFaults(organization);
    await service.outcome(organization, 'cancelled');
  });
});

test.concurrent('when Auth0 refuses to enable a connection, the failure of the cancellation counts for the alarm of the worker', async () => {
  const organization = organizationWith({ connection_id: CON });
  await offboard(organization);
  const refusal = { status: 400, body: { statusCode: 400, error: 'Bad Request', message: 'Refused', errorCode: 'no' } };
  service.tenant.addFaults({ method: 'PATCH', path: organization, times: 9, ...refusal });
  const { status, body } = await cancel(organization);
  expect([status, body.code]).toEqual([400, 'rejected_by_auth0']);
  await service.outcome(organization, 'failed');
  await service.rest(organization);
  const failures = service
    .logged('offboarding_failed')
    .filter(({ detail }) => detail?.organization_id === organization);
  expect(failures.length).toBe(1);
  expect(failures[0]).toMatchObject({
    level: 'ERROR',
    function: 'offboard-organization',
    outcome: 'failed',
    Offboardings: 1,
  });
  expect((await service.records(organization))[0]).toMatchObject({
    status: 'failed',
    error: { code: 'rejected_by_auth0' },
  });
});

describe.concurrent('drift checks', () => {
  const AGAIN = { ...NOW, on_reenable: 'disable_again' };
  const drifted = (organization: string) => service.events(organization).filter(({ is }) => is === 'drifted');
  const connectionOf = ({ detail }: { detail: Record<string, unknown> }) =>
    (detail.connections as { connection_id: string; outcome: string; error: { code: string } | null }[])[0];

  /** A completed offboarding, a day ago: a list shows by now what it did. */
  async function watch(organization: string, body: object = NOW) {
    const id = await offboard(organization, body, 'completed');
    await service.pass(MINUTE_MS, organization);
    return id;
  }

  test('when a connection was off before the whole organization was offboarded, its enabling is drift', async () => {
    const organization = organizationWith({ connection_id: CON, is_enabled: false }, { connection_id: CON2 });
    await watch(organization, AGAIN);
    service.tenant.enableConnection(organization, CON);
    const { detail } = await service.outcome(organization, 'drifted');
    expect(connectionOf({ detail })).toMatchObject({ connection_id: CON, outcome: 'disabled' });
    expect(service.enabled(organization)).toEqual({ [CON]: false, [CON2]: false });
  });

  test('when a notification arrives between the list of a check and its end, another check follows', async () => {
    const organization = organizationWith({ connection_id: CON });
    await watch(organization);
    await service.pass(2 * DAY_MS, organization);
    const lists = service.calls(organization, 'GET').length;
    // Auth0's answer is on its way: it shows the connection as it was.
    const body = { connections: [{ connection_id: CON, is_enabled: false }], start: 0, limit: 50, total: 1 };
    service.tenant.addFaults({ method: 'GET', path: `${organization}/connections`, status: 200, body, delay: 600 });
    await service.checkByClock();
    await service.until('the check asks', () => service.calls(organization, 'GET').length > lists);
    service.tenant.enableConnection(organization, CON);
    const { detail } = await service.outcome(organization, 'drifted');
    expect(connectionOf({ detail })).toMatchObject({ connection_id: CON, outcome: 'unchanged' });
  });

  test('when two connections are enabled within a second, both are reported', async () => {
    const organization = organizationWith({ connection_id: CON }, { connection_id: CON2 });
    await watch(organization);
    service.tenant.enableConnection(organization, CON);
    await service.until('the first is reported', () => drifted(organization).length === 1);
    service.tenant.enableConnection(organization, CON2);
    await service.until('the second is reported', () => drifted(organization).length === 2);
    expect(drifted(organization).map((one) => connectionOf(one)?.connection_id)).toEqual([CON, CON2]);
  });

  test('when Auth0 answers 409 to a disabling again, it is tried again at the next check', async () => {
    const organization = organizationWith({ connection_id: CON });
    await watch(organization, AGAIN);
    service.tenant.addFaults({
      method: 'PATCH',
      path: organization,
      status: 409,
      body: { statusCode: 409, message: 'x' },
    });
    service.tenant.enableConnection(organization, CON);
    const { detail } = await service.outcome(organization, 'drifted');
    expect(connectionOf({ detail })).toMatchObject({ outcome: 'unchanged', error: { code: 'conflict' } });
    expect(service.enabled(organization)).toEqual({ [CON]: true });
    await service.until('it is disabled again', () => drifted(organization).length === 2);
    expect(service.enabled(organization)).toEqual({ [CON]: false });
  });

  test('when the watch is longer than records are kept, drift is found after day 400, and the end of the watch is told', async () => {
    const organization = organizationWith({ connection_id: CON });
    const offboarding_id = await watch(organization);
    const expiries = async () => (await service.itemsOf(organization)).map(({ expires_at }) => expires_at);
    // DynamoDB deletes nothing that is still watched.
    expect(await expiries()).toEqual([undefined, undefined]);
    await service.pass(500 * DAY_MS, organization);
    service.tenant.enableConnection(organization, CON);
    await service.outcome(organization, 'drifted');
    await service.rest(organization);
    expect(await expiries()).toEqual([undefined, undefined]);
    await service.pass(301 * DAY_MS, organization);
    await service.checkByClock();
    const ended = await service.outcome(organization, 'watch_ended');
    expect(ended.detail).toMatchObject({ offboarding_id, watch_ended: { caller: 'org-connections' } });
    await service.rest(organization);
    for (const expires_at of await expiries()) expect(Number(expires_at) * 1000).toBeGreaterThan(Date.now());
  });
});

describe('the ending of sessions', () => {
  const WITH_SESSIONS = { ...LATER, end_sessions: true };
  const people = (organization: string, count: number) =>
    Array.from({ length: count }, (_, index) => `auth0|${organization}-${index}`);
  const endedOf = (users: string[]) => users.filter((id) => service.tenant.user(id)?.sessions === 0);
  const hurrySessions = () => service.hurry(SESSION_QUEUE);

  test('when a superseded offboarding ends sessions and the organization is cancelled, no more sessions end', async () => {
    const organization = organizationWith({ connection_id: CON });
    const users = people(organization, 120);
    service.tenant.addMembers(organization, users);
    service.tenant.addFaults({ method: 'DELETE', path: organization, delay: 30, times: 1000 });
    await post(organization, WITH_SESSIONS);
    await service.until('sessions are being ended', () => endedOf(users).length > 3);
    await post(organization);
    await service.outcome(organization, 'superseded');
    const { status } = await cancel(organization);
    expect(status).toBe(200);
    const ended = endedOf(users).length;
    expect(ended).toBeLessThan(users.length - 20);
    await service.until('nobody ends sessions', () => {
      hurrySessions();
      return service.aws.messages(SESSION_QUEUE).length === 0 && !service.ending.isBusy();
    });
    // The one that was being ended when the cancellation was accepted.
    expect(endedOf(users).length).toBeLessThanOrEqual(ended + 1);
  });

  test('when Auth0 fails for one member each time, it is counted as failed, and all others lose their sessions', async () => {
    const organization = organizationWith({ connection_id: CON });
    const users = people(organization, 4);
    service.tenant.addMembers(organization, users);
    service.tenant.addFaults({
      method: 'DELETE',
      path: `${organization}-1/sessions`,
      status: 500,
      body: {},
      times: 1000,
    });
    await post(organization, { ...NOW, end_sessions: true });
    const { detail } = await service.outcome(organization, 'sessions_ended');
    expect(detail).toMatchObject({ members: 4, revocations_requested: 3, failed: 1, skipped: 0 });
    expect(endedOf(users)).toEqual(users.filter((_, index) => index !== 1));
  });

  test('when the message of the sessions is lost, they are ended within the hour', async () => {
    const organization = organizationWith({ connection_id: CON });
    const users = people(organization, 2);
    service.tenant.addMembers(organization, users);
    await putDue(service, organization);
    await service.pass(29 * MINUTE_MS, organization);
    await service.checkByClock();
    expect(service.messages(organization)).toEqual([]);
    await service.pass(2 * MINUTE_MS, organization);
    await service.checkByClock();
    await service.outcome(organization, 'sessions_ended');
    expect(endedOf(users)).toEqual(users);
  });

  test('when the stage ends no sessions any more, what is pending ends as not enabled', async () => {
    const organization = organizationWith({ connection_id: CON });
    const { offboarding_id } = await putDue(service, organization);
    await service.pass(31 * MINUTE_MS, organization);
    const { SESSION_QUEUE_URL: _, ...environment } = service.environment;
    const worker = service.keep(createFunctionInProcess('offboard-organization', { environment }));
    const body = JSON.stringify({
      'detail-type': 'organization.offboarding.due',
      detail: { organization_id: organization },
    });
    const message = { messageId: randomUUID(), receiptHandle: 'none', body, attributes: { MessageGroupId: 'single' } };
    expect(await worker.invoke({ Records: [message] })).toEqual({ batchItemFailures: [] });
    const { detail } = await service.outcome(organization, 'sessions_ended');
    expect(detail).toMatchObject({ offboarding_id, error: { code: 'end_sessions_not_enabled' } });
    expect((await service.item(organization))?.requests[0]?.sessions?.status).toBe('failed');
  });
});

test('when nothing went wrong for good in these tests, no dead letter is left', () => {
  expect(service.aws.messages(DEAD_LETTERS).map(({ body }) => body)).toEqual([]);
});
