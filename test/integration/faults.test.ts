// Ways in which Auth0 can fail, against the routes that read and cancel, and against the event path. (The two routes that
// change a connection have them in test/functions/connections.test.ts, Scheduler's in removal.test.ts, the token's in
// test/functions/management-token.test.ts.)
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import { CON, newOrganization, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
async function startOver(): Promise<void> {
  await service.startOver();
  // A new container knows nothing of the limit.
  for (const name of ['get-offboarding', 'cancel-offboarding']) service.functionNamed(name).kill();
  service.worker.kill();
  service.aws.schedules.clear();
  service.tenant.clearCalls();
}

const auth0 = (statusCode: number, message: string, errorCode?: string) => ({
  statusCode,
  error: 'x',
  message,
  errorCode,
});
const ALWAYS = { times: 1000 };
const FAULTS: [what: string, fault: Fault, status: number, code: string][] = [
  [
    'a 401 that stays',
    { ...ALWAYS, status: 401, body: auth0(401, 'Invalid token.') },
    502,
    'management_token_rejected',
  ],
  [
    'a 403 of scope',
    { ...ALWAYS, status: 403, body: auth0(403, 'Insufficient scope, expected any of: x', 'insufficient_scope') },
    502,
    'management_token_scope_missing',
  ],
  ['a 403 of entitlement', { ...ALWAYS, status: 403, body: auth0(403, 'Please upgrade') }, 502, 'forbidden_by_auth0'],
  [
    'a 429 that stays',
    { ...ALWAYS, status: 429, body: auth0(429, 'x'), headers: { 'retry-after': '100' } },
    429,
    'rate_limited',
  ],
  ['503', { ...ALWAYS, status: 503, body: '<html>' }, 502, 'auth0_unavailable'],
  ['an HTML 200', { ...ALWAYS, status: 200, body: '<html>' }, 502, 'auth0_unavailable'],
  [
    'JSON of another type',
    { ...ALWAYS, status: 200, body: '{"connections":[],"total":0}', headers: { 'content-type': 'text/plain' } },
    502,
    'auth0_unavailable',
  ],
  ['a list where a page should be', { ...ALWAYS, status: 200, body: [] }, 502, 'auth0_unavailable'],
  ['a page without its total', { ...ALWAYS, status: 200, body: { connections: [] } }, 502, 'auth0_unavailable'],
  [
    'a page that never ends',
    { ...ALWAYS, status: 200, body: { connections: [{ connection_id: CON, is_enabled: true }], total: 999_999 } },
    502,
    'auth0_unavailable',
  ],
  [
    'a redirect',
    { ...ALWAYS, status: 307, body: '', headers: { location: 'http://127.0.0.1:1/' } },
    502,
    'auth0_unavailable',
  ],
  ['resets', { ...ALWAYS, reset: 'before' }, 502, 'auth0_unavailable'],
  ['answers cut off', { ...ALWAYS, reset: 'during' }, 502, 'auth0_unavailable'],
  ['no first byte', { ...ALWAYS, delay: 20_000 }, 504, 'auth0_timeout'],
];

/** Each case has an organization of its own, so that those which wait for retries or a deadline wait at the same time. */
function organizationOfItsOwn(...ids: string[]): string {
  const organization = newOrganization();
  service.tenant.setOrganizations({ [organization]: [CON, ...ids].map((connection_id) => ({ connection_id })) });
  return organization;
}
const LIMIT = FAULTS.filter(([, , status]) => status === 429);
const OTHERS = FAULTS.filter(([, , status]) => status !== 429);

async function getDuring(fault: Fault, status: number, code: string): Promise<void> {
  const organization = organizationOfItsOwn();
  service.tenant.addFaults({ ...fault, path: organization });
  const remaining = code === 'auth0_timeout' ? 2500 : 29_000;
  const answer = await service.request('get-offboarding', { organization, remaining });
  expect(answer).toMatchObject({ status, body: { code } });
}

type Offboarded = { organization: string; id: string };
async function offboard(): Promise<Offboarded> {
  const organization = organizationOfItsOwn();
  const { id } = service.publish({ action: 'disable_then_remove', organization_id: organization });
  await service.outcome(id, 'scheduled');
  return { organization, id };
}

/** Cancels an offboarding while Auth0 has the fault. */
async function cancelDuring({ organization, id }: Offboarded, fault: Fault, status: number, code: string) {
  service.tenant.addFaults({ ...fault, path: organization });
  const remaining = code === 'auth0_timeout' ? 5500 : 12_000;
  const answer = await service.request('cancel-offboarding', { organization, remaining });
  const last = (await service.records(organization)).at(-1);
  // What Auth0 forbids for good is an answer of its own; all else is temporary.
  if (code === 'forbidden_by_auth0') {
    expect(answer).toMatchObject({ status, body: { code } });
    expect(last?.status).toBe('failed');
  } else {
    expect(answer).toMatchObject({ status: 202, body: { status: 'cancelling' } });
    expect(last).toMatchObject({ status: 'cancelling' });
  }
  return { organization, id, isFinal: code === 'forbidden_by_auth0' };
}
/** When the fault is over, what was disabled is enabled. */
async function isGivenBack({ organization, id, isFinal }: Awaited<ReturnType<typeof cancelDuring>>): Promise<void> {
  if (isFinal) expect((await service.request('cancel-offboarding', { organization })).status).toBe(200);
  else await service.outcomeInAHurry(id, 'cancelled');
  expect(Object.values(service.enabled(organization))).toEqual([true]);
}

describe.concurrent('a request that asks Auth0', () => {
  test.each(OTHERS)('when Auth0 answers with %s, GET reports it', (_what, fault, status, code) =>
    getDuring(fault, status, code),
  );

  const cancelled: Awaited<ReturnType<typeof cancelDuring>>[] = [];
  let offboarded: Offboarded[] = [];
  beforeAll(async () => {
    offboarded = await Promise.all(OTHERS.map(offboard));
  });

  test.each(OTHERS)(
    'when Auth0 answers with %s, nothing is removed any more after a DELETE',
    async (_what, fault, status, code) => {
      cancelled.push(await cancelDuring(offboarded.pop() as Offboarded, fault, status, code));
    },
  );

  afterAll(async () => {
    service.tenant.clearFaults();
    expect(cancelled).toHaveLength(OTHERS.length);
    for (const one of cancelled) await isGivenBack(one);
  });
});

describe("a request at the tenant's limit", () => {
  beforeEach(startOver);

  test.each(LIMIT)('when Auth0 answers with %s, GET reports it', (_what, fault, status, code) =>
    getDuring(fault, status, code),
  );

  test.each(LIMIT)('when Auth0 answers with %s, a DELETE goes on by itself', async (_what, fault, status, code) => {
    const cancelled = await cancelDuring(await offboard(), fault, status, code);
    service.tenant.clearFaults();
    for (const one of [service.worker, service.functionNamed('cancel-offboarding')]) one.kill();
    await isGivenBack(cancelled);
  });
});

async function offboardDuring(fault: Fault, code: string): Promise<void> {
  const organization = organizationOfItsOwn('con_Yt4Lw9QeRb7UiXc3');
  // At the limit pauses double.
  const short = fault.status === 429 && { headers: { 'retry-after': '1' }, times: 2 };
  service.tenant.addFaults({ ...fault, times: 4, path: organization, ...short, ...(fault.delay && { delay: 500 }) });
  const { id } = service.publish({ action: 'disable', organization_id: organization });
  const event = await service.outcomeInAHurry(id);
  if (code === 'forbidden_by_auth0') {
    // What Auth0 forbids for good is no passing fault: it has failed, with its reason.
    expect(event).toMatchObject({ 'detail-type': 'organization.offboarding.failed', detail: { error: { code } } });
    return;
  }
  expect(event['detail-type']).toBe('organization.offboarding.completed');
  expect(Object.values(service.enabled(organization))).toEqual([false, false]);
}

describe.concurrent('an offboarding by event', () => {
  test.each(OTHERS)(
    'when Auth0 answers with %s for a while, the work waits and is done',
    (_what, fault, _status, code) => offboardDuring(fault, code),
  );
});

describe("an offboarding by event at the tenant's limit", () => {
  beforeEach(startOver);

  test.each(LIMIT)(
    'when Auth0 answers with %s for a while, the work waits and is done',
    (_what, fault, _status, code) => offboardDuring(fault, code),
  );
});
