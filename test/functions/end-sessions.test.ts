import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SESSION_QUEUE, SESSION_TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';
import { putDue } from '../sessions/due.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';
/** In no log line, no event and no record: the service looks for it in all of them. */
const PERSON = 'auth0|canary-person-';
const people = (count: number) => Array.from({ length: count }, (_, i) => `${PERSON}${i}`);
const NONE = { sessions: 0, refresh_tokens: 0 };
const ONE = { sessions: 1, refresh_tokens: 1 };

let service: Service;
let records: typeof import('../../lib/offboarding/record.ts');
let queue: typeof import('../../lib/sessions/queue.ts');

async function start(environment: Record<string, string> = {}, visibilityTimeout?: number) {
  service = await startService({
    ...(visibilityTimeout && { visibilityTimeout }),
    environment: { LOG_LEVEL: 'DEBUG', ...environment },
  });
  service.secrets.add('canary-person').add('local-session-secret-0123456789');
  Object.assign(process.env, service.environment);
  // Clients are made for the addresses of this service when their files are loaded.
  vi.resetModules();
  records = await import('../../lib/offboarding/record.ts');
  queue = await import('../../lib/sessions/queue.ts');
}
async function clear() {
  service.aws.messages(SESSION_QUEUE).splice(0);
  await service.ending.idle();
  await service.startOver();
  await service.forget();
  service.tenant.setPlan('unlimited');
  service.tenant.forgetMembers();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON, is_enabled: false }], [OTHER]: [] });
}

type About = Awaited<ReturnType<typeof putDue>>;
/** An offboarding whose sessions are due; the message is sent. */
async function offboarded(options: Parameters<typeof putDue>[2] = {}, organization = ORG): Promise<About> {
  const record = await putDue(service, organization, options);
  await queue.sendSessionsDue(record);
  return record;
}
/** Somebody else changes the record. */
const change = ({ organization_id, offboarding_id }: About, attributes: Record<string, string>) =>
  service.changeRecord(organization_id, offboarding_id, attributes);
const outcome = async ({ offboarding_id }: About) =>
  (
    await service.event(
      (event) => event['detail-type'].endsWith('sessions_ended') && event.detail.offboarding_id === offboarding_id,
    )
  ).detail;
const outcomesOf = ({ offboarding_id }: About) =>
  service.aws.events.filter(({ detail }) => detail.offboarding_id === offboarding_id);
const now = async ({ organization_id, offboarding_id }: About) => records.getRecord(organization_id, offboarding_id);
const deletions = () => service.tenant.calls().filter(({ method }) => method === 'DELETE');
/** What waits for minutes in the queue comes back at once. */
function hurry() {
  for (const message of service.aws.messages(SESSION_QUEUE)) if (!message.inFlight) message.visibleAt = 0;
  service.aws.wake(SESSION_QUEUE);
}
/** Once is not enough: the message may be on its way back into the queue just then. */
async function outcomeInAHurry(record: About) {
  const again = setInterval(hurry, 50);
  return outcome(record).finally(() => clearInterval(again));
}
/** A message that came back early may be gone while its first delivery is still at work. */
async function isIdle() {
  await expect.poll(() => service.aws.messages(SESSION_QUEUE).length, { timeout: 20_000 }).toBe(0);
  await service.ending.idle();
}

describe('members of this organization alone', () => {
  beforeAll(() => start());
  afterAll(() => service.close());
  beforeEach(clear);

  test('lose sessions and refresh tokens; members of others keep them; three calls for each, and nobody is named', async () => {
    service.tenant.addMembers(ORG, people(120));
    service.tenant.addMembers(OTHER, [`${PERSON}7`, `${PERSON}60`]);
    service.tenant.deleteUser(`${PERSON}9`);
    const record = await offboarded();
    const detail = await outcome(record);
    expect(detail).toMatchObject({
      organization_id: ORG,
      members: 120,
      asked: 118,
      skipped: 2,
      failed: 0,
      dry_run: false,
    });
    expect(service.tenant.user(`${PERSON}0`)).toEqual(NONE);
    expect(service.tenant.user(`${PERSON}119`)).toEqual(NONE);
    expect(service.tenant.user(`${PERSON}60`)).toEqual(ONE);
    await isIdle();
    const calls = service.tenant.calls();
    expect(calls.filter(({ path }) => path.includes('/members?')).length).toBe(3);
    expect(calls.filter(({ path }) => path.includes('/users/')).length).toBe(3 * 118 + 2);
    const kept = await now(record);
    expect(kept?.sessions).toMatchObject({ status: 'ended', members: 120 });
    expect(kept?.status).toBe('completed');
    expect(JSON.stringify(kept)).not.toContain('canary-person');
    expect(outcomesOf(record).length).toBe(1);
  });
});

describe('members of this organization alone, whatever happens', () => {
  // A killed delivery's message comes back soon.
  beforeAll(() => start({}, 1500));
  afterAll(() => service.close());
  beforeEach(clear);

  test('an organization without members ends at once', async () => {
    expect(await outcome(await offboarded())).toMatchObject({ members: 0, asked: 0 });
  });

  test('a dry run counts, and asks for nothing', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addMembers(OTHER, people(5));
    const detail = await outcome(await offboarded({ dry_run: true }));
    expect(detail).toMatchObject({ dry_run: true, members: 60, asked: 55, skipped: 5 });
    expect(deletions()).toEqual([]);
    expect(service.tenant.user(`${PERSON}59`)).toEqual(ONE);
  });

  test('killed at each kind of call, it counts nobody twice and repeats a page at most each time', async () => {
    service.tenant.addMembers(ORG, people(110));
    const stops = [
      '/members?take=50&fields',
      '0/organizations',
      '20/sessions',
      '49/refresh-tokens',
      'members?take=50&from',
    ];
    stops.push('70/sessions', '109/refresh-tokens');
    service.tenant.addFaults(...stops.map((path) => ({ path, delay: 20_000 })));
    const record = await offboarded();
    for (const path of stops) {
      await expect
        .poll(() => service.tenant.calls().at(-1)?.path ?? '', { timeout: 20_000, interval: 5 })
        .toContain(path);
      service.ending.kill();
    }
    expect(await outcome(record)).toMatchObject({ members: 110, asked: 110, skipped: 0, failed: 0 });
    expect(people(110).map((id) => service.tenant.user(id))).toEqual(Array(110).fill(NONE));
    expect(service.tenant.calls().length).toBeLessThan(333 + stops.length * 151);
  });

  test('lost answers of the table and of the bus count nobody twice, and the outcome comes', async () => {
    service.tenant.addMembers(ORG, people(60));
    const record = await offboarded();
    await expect.poll(() => service.tenant.calls().length, { interval: 2 }).toBeGreaterThan(0);
    const waits = service.logged('sessions_wait').length;
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times: 2 });
    service.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 4 });
    await expect.poll(() => service.logged('sessions_wait').length, { timeout: 20_000 }).toBeGreaterThan(waits);
    // What was done is told, whatever becomes of the offboarding.
    await change(record, { watch: 'ended' });
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 60, asked: 60 });
    expect(deletions().length).toBeLessThanOrEqual(120);
  });

  test('the record changes while a page is done: it is counted all the same', async () => {
    service.tenant.addMembers(ORG, people(40));
    service.tenant.addFaults({ path: '30/sessions', delay: 1000 });
    const record = await offboarded();
    await expect.poll(() => service.tenant.calls().at(-1)?.path ?? '', { interval: 5 }).toContain('30/sessions');
    await change(record, { check_at: new Date().toISOString() });
    expect(await outcome(record)).toMatchObject({ members: 40, asked: 40 });
    expect(deletions().length).toBe(80);
  });

  test('the watch of a completed one ended before its turn, the customer is back and nobody loses a session', async () => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.addFaults({ path: '/members', delay: 20_000 });
    const before = await offboarded();
    await expect.poll(() => service.tenant.calls().length, { timeout: 20_000 }).toBe(1);
    service.ending.kill();
    await change(before, { watch: 'ended' });
    await isIdle();
    expect(deletions()).toEqual([]);
  });

  test('cancelled before its turn, nobody loses a session', async () => {
    service.tenant.addMembers(ORG, people(3));
    service.ending.kill();
    service.tenant.addFaults({ path: '/members', delay: 20_000 });
    const before = await offboarded({ status: 'scheduled' });
    await expect.poll(() => service.tenant.calls().length, { timeout: 20_000 }).toBe(1);
    service.ending.kill();
    await change(before, { status: 'cancelling' });
    await isIdle();
    expect(service.logged('sessions_not_due_any_more').at(-1)).toMatchObject({ offboarding_id: before.offboarding_id });
    expect(deletions()).toEqual([]);
    expect(outcomesOf(before)).toEqual([]);
  });

  test('cancelled on the way, the next page is spared', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addFaults({ path: '40/sessions', delay: 1000 });
    const record = await offboarded({ status: 'scheduled' });
    await expect.poll(() => service.tenant.calls().at(-1)?.path ?? '', { interval: 5 }).toContain('40/sessions');
    await change(record, { status: 'cancelling' });
    await isIdle();
    expect((await now(record))?.sessions).toMatchObject({ status: 'ending', members: 50, asked: 50 });
    expect(service.tenant.user(`${PERSON}55`)).toEqual(ONE);
  });

  test.each<[what: string, fault: Parameters<Service['tenant']['addFaults']>[0]]>([
    ['an outage', { status: 503, body: '<html>', times: 40 }],
    ['a page of a firewall', { path: '/sessions', status: 403, body: '<html>Forbidden</html>', times: 6 }],
    ['no connection', { reset: 'before', times: 9 }],
    ['the limit, used up by others', { status: 429, headers: { 'retry-after': '1200' }, body: { statusCode: 429 } }],
  ])('%s is waited out', async (_what, fault) => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.addFaults(fault);
    const waits = service.logged('sessions_wait').length;
    const record = await offboarded();
    await expect.poll(() => service.logged('sessions_wait').length, { timeout: 30_000 }).toBeGreaterThan(waits);
    expect((await now(record))?.sessions?.status).toBe('ending');
    service.tenant.clearFaults();
    await expect.poll(() => service.ending.isBusy()).toBe(false);
    // Another container does not remember what the limit's headers said.
    service.ending.kill();
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 3, asked: 3 });
  });

  test('a token that is not there is waited for', async () => {
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
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 2, asked: 2 });
  });

  test('a plan without the feature is said plainly, and the offboarding stands', async () => {
    service.tenant.addMembers(ORG, people(3));
    service.tenant.setPlan('professional');
    const record = await offboarded();
    expect(await outcome(record)).toMatchObject({
      error: { code: 'end_sessions_refused', message: expect.stringContaining('insufficient_entitlement') },
      asked: 0,
    });
    await isIdle();
    expect(await now(record)).toMatchObject({ status: 'completed', sessions: { status: 'refused' } });
    expect(service.logged('sessions_not_ended').at(-1)).toMatchObject({ level: 'ERROR', SessionsNotEnded: 1 });
  });

  test('a scope that was not granted, too', async () => {
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

  test('one member whom Auth0 refuses is counted, and stops no other', async () => {
    service.tenant.addMembers(ORG, people(3));
    const body = { statusCode: 400, error: 'Bad Request', message: `no ${PERSON}1`, errorCode: 'invalid_uri' };
    service.tenant.addFaults({ path: '1/sessions', status: 400, body });
    expect(await outcome(await offboarded())).toMatchObject({ members: 3, asked: 2, failed: 1 });
  });

  test('an organization that Auth0 does not know any more has failed, and says so', async () => {
    service.tenant.deleteOrganization(ORG);
    expect((await outcome(await offboarded())).error).toMatchObject({ code: 'unknown_organization' });
  });

  test('an organization whose members can not be listed holds up no other', async () => {
    service.tenant.addMembers(OTHER, people(1));
    service.tenant.addFaults({ path: `${ORG}/members`, body: { surprise: true }, status: 200, times: 999 });
    const stuck = await offboarded();
    const record = await offboarded({}, OTHER);
    expect(await outcomeInAHurry(record)).toMatchObject({ members: 1, asked: 1 });
    expect((await now(stuck))?.sessions?.status).toBe('ending');
  });

  test('two messages are one work, and a message that is none stops nobody', async () => {
    service.tenant.addMembers(ORG, people(2));
    service.aws.send(SESSION_QUEUE, 'not JSON', 'sessions');
    const record = await offboarded();
    await queue.sendSessionsDue(record);
    await outcome(record);
    await isIdle();
    expect(deletions().length).toBe(4);
    expect(outcomesOf(record).length).toBe(1);
    expect(service.logged('session_message_invalid').length).toBeGreaterThan(0);
  });
});

describe('all members, and an early end', () => {
  beforeAll(() => start({ SESSION_MEMBERS: 'all', GIVE_UP_AFTER: 'PT1S' }));
  afterAll(() => service.close());
  beforeEach(clear);

  test('also members of other organizations lose their sessions, with two calls for each', async () => {
    service.tenant.addMembers(ORG, people(60));
    service.tenant.addMembers(OTHER, people(1));
    expect(await outcome(await offboarded())).toMatchObject({ members: 60, asked: 60, skipped: 0 });
    expect(service.tenant.user(`${PERSON}0`)).toEqual(NONE);
    expect(service.tenant.calls().filter(({ path }) => path.includes('/users/')).length).toBe(120);
  });

  test('an outage that outlives the age at which work is given up ends it, with the reason', async () => {
    service.tenant.addMembers(ORG, people(2));
    service.tenant.addFaults({ status: 503, body: '<html>', times: 999 });
    const record = await offboarded();
    await expect
      .poll(
        async () => {
          hurry();
          return (await now(record))?.sessions?.status;
        },
        { timeout: 60_000, interval: 300 },
      )
      .toBe('failed');
    expect(await outcome(record)).toMatchObject({ error: { code: 'auth0_unavailable' }, members: 0 });
    expect((await now(record))?.status).toBe('completed');
  });
});
