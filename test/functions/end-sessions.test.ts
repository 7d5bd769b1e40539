import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SESSION_QUEUE, SESSION_TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';
/** In no log line, no event and no record: the service looks for it in all of them. */
const PERSON = 'auth0|canary-person-';
const people = (count: number) => Array.from({ length: count }, (_, i) => `${PERSON}${i}`);
const NONE = { sessions: 0, refresh_tokens: 0 };
const ONE = { sessions: 1, refresh_tokens: 1 };

let service: Service;
async function start(options: Parameters<typeof startService>[0] = {}) {
  service = await startService({ ...options, environment: { LOG_LEVEL: 'DEBUG', ...options.environment } });
  service.secrets.add('canary-person').add('local-session-secret-0123456789');
}
async function clear() {
  service.aws.messages(SESSION_QUEUE).splice(0);
  await service.ending.idle();
  await service.startOver();
  for (const organization of [ORG, OTHER]) await service.forget(organization);
  service.tenant.setPlan('unlimited');
  service.tenant.forgetMembers();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }], [OTHER]: [{ connection_id: CON }] });
}

interface About {
  organization_id: string;
  offboarding_id: string;
}
/** An offboarding whose connections are done: the worker has sent the message that its sessions are due. */
async function offboarded(detail: object = {}, organization_id = ORG): Promise<About> {
  const request = { action: 'disable', organization_id, end_sessions: true, ...detail };
  const { id } = service.publish(request);
  await service.outcome(id, Object.hasOwn(detail, 'action') ? 'scheduled' : 'completed');
  return { organization_id, offboarding_id: id };
}
const LATER = { action: 'disable_then_remove' };
const cancel = () => service.request('cancel-offboarding');
const outcome = async ({ offboarding_id }: About) =>
  (
    await service.event(
      (event) => event['detail-type'].endsWith('sessions_ended') && event.detail.offboarding_id === offboarding_id,
    )
  ).detail;
const outcomesOf = ({ offboarding_id }: About) =>
  service.aws.events.filter(
    ({ detail, ...event }) =>
      detail.offboarding_id === offboarding_id && event['detail-type'].endsWith('sessions_ended'),
  );
const now = async ({ organization_id, offboarding_id }: About) =>
  (await service.records(organization_id)).find((one) => one.offboarding_id === offboarding_id);
/** The calls of the function that ends sessions. */
const calls = () => service.tenant.calls().filter(({ path }) => /\/members|\/users\//.test(path));
const deletions = () => calls().filter(({ method }) => method === 'DELETE');
const lastPath = () => calls().at(-1)?.path ?? '';
/** An offboarding whose members Auth0 cannot list, after the first attempt at it. */
async function offboardedInAnOutage(): Promise<About> {
  service.tenant.addFaults({ path: '/members', status: 503, body: '<html>', times: 999 });
  const record = await offboarded();
  await expect.poll(() => calls().length).toBeGreaterThan(0);
  return record;
}
/** What waits for minutes in a queue comes back at once. */
async function hurry() {
  for (const message of service.aws.messages(SESSION_QUEUE)) if (!message.inFlight) message.visibleAt = 0;
  service.aws.wake(SESSION_QUEUE);
  await service.hurry();
}
/** Once is not enough: the message may be on its way back into the queue just then. */
async function outcomeInAHurry(record: About) {
  const again = setInterval(() => void hurry().catch(() => undefined), 50);
  return outcome(record).finally(() => clearInterval(again));
}
/** A message that came back early may be gone while its first delivery is still at work. */
async function isIdle() {
  await expect.poll(() => service.aws.messages(SESSION_QUEUE).length, { timeout: 20_000 }).toBe(0);
  await service.ending.idle();
}

describe('where members of other organizations keep their sessions', () => {
  beforeAll(() => start());
  afterAll(() => service.close());
  beforeEach(clear);

  test('when an organization is offboarded, its own members lose sessions and refresh tokens, and nobody is named', async () => {
    service.tenant.addMembers(ORG, people(101));
    service.tenant.addMembers(OTHER, [`${PERSON}7`, `${PERSON}60`]);
    service.tenant.deleteUser(`${PERSON}9`);
    const record = await offboarded();
    const detail = await outcome(record);
    expect(detail).toMatchObject({
      organization_id: ORG,
      members: 101,
      revocations_requested: 99,
      skipped: 2,
      failed: 0,
      dry_run: false,
    });
    expect(service.tenant.user(`${PERSON}0`)).toEqual(NONE);
    expect(service.tenant.user(`${PERSON}100`)).toEqual(NONE);
    expect(service.tenant.user(`${PERSON}60`)).toEqual(ONE);
    await isIdle();
    expect(calls().filter(({ path }) => path.includes('/members?')).length).toBe(3);
    expect(calls().filter(({ path }) => path.includes('/users/')).length).toBe(3 * 99 + 2);
    const kept = await now(record);
    expect(kept?.sessions).toMatchObject({ status: 'ended', members: 101 });
    expect(kept?.status).toBe('completed');
    expect(JSON.stringify(kept)).not.toContain('canary-person');
    expect(outcomesOf(record).length).toBe(1);
  });

  test('when an organization has no members, it ends at once', async () => {
    expect(await outcome(await offboarded())).toMatchObject({ members: 0, revocations_requested: 0 });
  });

  test('when it is a dry run, members are counted and nothing is revoked', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addMembers(OTHER, people(5));
    const detail = await outcome(await offboarded({ dry_run: true }));
    expect(detail).toMatchObject({ dry_run: true, members: 60, revocations_requested: 55, skipped: 5 });
    expect(deletions()).toEqual([]);
    expect(service.tenant.user(`${PERSON}59`)).toEqual(ONE);
  });

  test('when answers of the table and of the bus are lost, nobody is counted twice, and the outcome comes', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addFaults({ path: '/members', delay: 300 });
    const record = await offboarded();
    await expect.poll(() => calls().length, { interval: 2 }).toBeGreaterThan(0);
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times: 2 });
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 4 });
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 60, revocations_requested: 60 });
    expect(deletions().length).toBeLessThanOrEqual(120);
  });

  test("when the organization's item changes while a page is done, the page is counted all the same", async () => {
    service.tenant.addMembers(ORG, people(40));
    service.tenant.addFaults({ path: '30/sessions', delay: 500 });
    const record = await offboarded();
    await expect.poll(lastPath, { interval: 5 }).toContain('30/sessions');
    service.publish({ action: 'disable', dry_run: true });
    expect(await outcome(record)).toMatchObject({ members: 40, revocations_requested: 40 });
    expect(deletions().length).toBe(80);
  });

  test.each([
    ['completed', {}],
    ['scheduled', LATER],
  ])('when it is cancelled while it is %s and before its turn, nobody loses a session', async (_status, detail) => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.addFaults({ path: '/members', delay: 1500 });
    const before = await offboarded(detail);
    await expect.poll(() => calls().length, { timeout: 20_000, interval: 5 }).toBe(1);
    expect((await cancel()).status).toBe(200);
    await isIdle();
    await service.settled();
    expect(deletions()).toEqual([]);
    expect(outcomesOf(before)).toEqual([]);
    expect((await now(before))?.status).toBe(detail === LATER ? 'cancelled' : 'completed');
  });

  test('when it is cancelled on the way, the next member is spared', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addFaults({ path: '40/sessions', delay: 500 });
    const record = await offboarded(LATER);
    await expect.poll(lastPath, { interval: 5 }).toContain('40/sessions');
    await cancel();
    await isIdle();
    expect(service.tenant.user(`${PERSON}40`)).toEqual(NONE);
    expect(service.tenant.user(`${PERSON}41`)).toEqual(ONE);
    expect((await now(record))?.status).toBe('cancelled');
  });

  test('when a later offboarding supersedes it and is cancelled, nobody else loses a session', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addFaults({ path: '20/sessions', delay: 1000 });
    await offboarded(LATER);
    await expect.poll(lastPath, { interval: 5 }).toContain('20/sessions');
    const later = service.publish(LATER);
    await service.outcome(later.id, 'scheduled');
    expect((await cancel()).status).toBe(200);
    await isIdle();
    expect(service.tenant.user(`${PERSON}21`)).toEqual(ONE);
  });

  test.each<[what: string, fault: Parameters<Service['tenant']['addFaults']>[0]]>([
    ['an outage', { path: '/members', status: 503, body: '<html>', times: 40 }],
    ['a page of a firewall', { path: '/sessions', status: 403, body: '<html>Forbidden</html>', times: 6 }],
    ['no connection', { path: '/members', reset: 'before', times: 9 }],
    [
      'the limit, used up by others',
      { path: '/members', status: 429, headers: { 'retry-after': '1200' }, body: { statusCode: 429 } },
    ],
  ])('when there is %s, it is waited out', async (_what, fault) => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.addFaults(fault);
    const waits = service.logged('sessions_wait').length;
    const record = await offboarded();
    await expect.poll(() => service.logged('sessions_wait').length, { timeout: 30_000 }).toBeGreaterThan(waits);
    expect((await now(record))?.sessions?.status).toMatch(/^(due|ending)$/);
    service.tenant.clearFaults();
    await expect.poll(() => service.ending.isBusy()).toBe(false);
    // Another container does not remember what the limit's headers said.
    service.ending.kill();
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 3, revocations_requested: 3 });
  });

  test('when there is no token, it is waited for', async () => {
    service.tenant.addMembers(ORG, people(2));
    const { versions } = service.aws.secret(SESSION_TOKEN_SECRET);
    const stored = [...versions];
    versions.clear();
    service.ending.kill();
    const waits = service.logged('sessions_wait').length;
    const record = await offboarded();
    await expect.poll(() => service.logged('sessions_wait').length, { timeout: 20_000 }).toBeGreaterThan(waits);
    for (const [id, version] of stored) versions.set(id, version);
    await expect.poll(() => service.ending.isBusy()).toBe(false);
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 2, revocations_requested: 2 });
  });

  test('when the plan does not have the feature, the outcome says so, and the offboarding stands', async () => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.setPlan('professional');
    const record = await offboarded();
    expect(await outcome(record)).toMatchObject({
      error: { code: 'end_sessions_refused', message: expect.stringContaining('insufficient_entitlement') },
      revocations_requested: 0,
    });
    await isIdle();
    expect(await now(record)).toMatchObject({ status: 'completed', sessions: { status: 'refused' } });
    expect(service.logged('sessions_not_ended').at(-1)).toMatchObject({ level: 'ERROR', SessionsNotEnded: 1 });
  });

  test('when a scope was not granted, the outcome says so', async () => {
    service.tenant.addMembers(ORG, people(1));
    const [version] = service.aws.secret(SESSION_TOKEN_SECRET).versions.values();
    const value = JSON.parse(version?.value ?? '{}');
    const access_token = service.tenant.issueToken('read:organization_members read:organizations');
    if (version) version.value = JSON.stringify({ ...value, access_token });
    service.ending.kill();
    const { error } = await outcome(await offboarded());
    expect(error).toEqual({
      code: 'end_sessions_refused',
      message: 'The Management API token lacks the scope delete:sessions (insufficient_scope)',
    });
    if (version) version.value = JSON.stringify(value);
    service.ending.kill();
  });

  test('when Auth0 refuses one member, it is counted as failed, and the others go on', async () => {
    service.tenant.addMembers(ORG, people(3));
    const body = { statusCode: 400, error: 'Bad Request', message: `no ${PERSON}1`, errorCode: 'invalid_uri' };
    service.tenant.addFaults({ path: '1/sessions', status: 400, body });
    expect(await outcome(await offboarded())).toMatchObject({ members: 3, revocations_requested: 2, failed: 1 });
  });

  test('when Auth0 does not know the organization any more, the outcome says so', async () => {
    const record = await offboardedInAnOutage();
    service.tenant.deleteOrganization(ORG);
    service.tenant.clearFaults();
    expect((await outcomeInAHurry(record)).error).toMatchObject({ code: 'unknown_organization' });
  });

  test('when the members of one organization cannot be listed, the others go on', async () => {
    service.tenant.addMembers(OTHER, people(1));
    service.tenant.addFaults({ path: `${ORG}/members`, body: { surprise: true }, status: 200, times: 999 });
    const stuck = await offboarded();
    const record = await offboarded({}, OTHER);
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 1, revocations_requested: 1 });
    expect((await now(stuck))?.sessions?.status).toMatch(/^(due|ending)$/);
  });

  test('when a message comes twice, the work is done once, and a malformed one stops nobody', async () => {
    service.tenant.addMembers(ORG, people(2));
    service.aws.send(SESSION_QUEUE, 'not JSON', 'sessions');
    const record = await offboarded();
    const due = { 'detail-type': 'organization.offboarding.sessions_due', detail: record };
    service.aws.send(SESSION_QUEUE, JSON.stringify(due), 'sessions');
    await outcome(record);
    await isIdle();
    expect(deletions().length).toBe(4);
    expect(outcomesOf(record).length).toBe(1);
    expect(service.logged('session_message_invalid').length).toBeGreaterThan(0);
  });

  test('when Auth0 keeps failing for one member, it is counted as failed, and the others go on', async () => {
    service.tenant.addMembers(ORG, people(6));
    service.tenant.addFaults({ path: '2/sessions', status: 500, body: '<html>', times: 999 });
    expect(await outcomeInAHurry(await offboarded())).toMatchObject({
      members: 6,
      revocations_requested: 5,
      failed: 1,
    });
  });

  test('when its message is lost, it is found within the hour', async () => {
    service.tenant.addMembers(ORG, people(3));
    const record = await offboardedInAnOutage();
    await service.ending.idle();
    service.aws.messages(SESSION_QUEUE).splice(0);
    service.tenant.clearFaults();
    service.ending.kill();
    await service.pass(3_600_000);
    await service.sweep();
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 3 });
  });

  test('when an outage outlives the age at which work is given up, it ends with the reason', async () => {
    service.tenant.addMembers(ORG, people(2));
    const record = await offboardedInAnOutage();
    await service.ending.idle();
    await service.pass(8 * 86_400_000);
    expect(await outcomeInAHurry(record)).toMatchObject({ error: { code: 'auth0_unavailable' }, members: 0 });
    expect((await now(record))?.status).toBe('completed');
  });
});

describe('when a delivery is killed', () => {
  // Its message comes back soon, and on a busy machine not while its delivery is still at work.
  beforeAll(() => start({ processes: ['end-sessions'], visibilityTimeout: 3000 }));
  afterAll(() => service.close());
  beforeEach(clear);

  test('at each kind of call, nobody is counted twice, and a page at most is repeated each time', async () => {
    service.tenant.addMembers(ORG, people(60));
    const stops = ['/members?take=50&fields', '0/organizations', '49/refresh-tokens', 'members?take=50&from'];
    stops.push('59/refresh-tokens');
    service.tenant.addFaults(...stops.map((path) => ({ path, delay: 20_000 })));
    const record = await offboarded();
    for (const path of stops) {
      await expect.poll(lastPath, { timeout: 20_000, interval: 5 }).toContain(path);
      service.ending.kill();
      await hurry();
    }
    expect(await outcomeInAHurry(record)).toMatchObject({
      members: 60,
      revocations_requested: 60,
      skipped: 0,
      failed: 0,
    });
    expect(people(60).map((id) => service.tenant.user(id))).toEqual(Array(60).fill(NONE));
    expect(calls().length).toBeLessThan(182 + stops.length * 151);
  });
});

describe('where all members lose their sessions', () => {
  beforeAll(() => start({ environment: { SESSION_MEMBERS: 'all' } }));
  afterAll(() => service.close());
  beforeEach(clear);

  test('members of other organizations do so, too, with two calls for each', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addMembers(OTHER, people(1));
    expect(await outcome(await offboarded())).toMatchObject({ members: 60, revocations_requested: 60, skipped: 0 });
    expect(service.tenant.user(`${PERSON}0`)).toEqual(NONE);
    expect(calls().filter(({ path }) => path.includes('/users/')).length).toBe(120);
  });
});
