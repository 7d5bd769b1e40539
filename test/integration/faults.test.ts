// Ways in which Auth0 can fail, against the routes that read and cancel, and against the event path. (The two routes that
// change a connection have them in test/functions/connections.test.ts, Scheduler's in removal.test.ts, the token's in
// test/functions/management-token.test.ts.)
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(async () => {
  await service.startOver();
  await service.forget();
  // A new container knows nothing of the limit.
  for (const name of ['get-offboarding', 'cancel-offboarding']) service.functionNamed(name).kill();
  service.worker.kill();
  service.aws.schedules.clear();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: 'con_Yt4Lw9QeRb7UiXc3' }] });
});

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

describe('get-offboarding', () => {
  test.each(FAULTS)('%s', async (_what, fault, status, code) => {
    service.tenant.addFaults(fault);
    const remaining = code === 'auth0_timeout' ? 2500 : 29_000;
    expect(await service.request('get-offboarding', { remaining })).toMatchObject({ status, body: { code } });
    service.tenant.clearFaults();
    service.functionNamed('get-offboarding').kill();
    expect((await service.request('get-offboarding')).status).toBe(200);
  });
});

describe('cancel-offboarding', () => {
  test.each(FAULTS)('%s: nothing is removed any more, and it goes on by itself', async (_what, fault, status, code) => {
    const { id } = service.publish({ action: 'disable_then_remove' });
    await service.outcome(id, 'scheduled');
    await service.worker.idle();
    service.tenant.addFaults(fault);
    const remaining = code === 'auth0_timeout' ? 2500 : 12_000;
    const answer = await service.request('cancel-offboarding', { remaining });
    // What Auth0 forbids for good is told as such; all else passes.
    if (code === 'forbidden_by_auth0') expect(answer).toMatchObject({ status, body: { code } });
    else expect(answer).toMatchObject({ status: 202, body: { status: 'cancelling' } });
    service.tenant.clearFaults();
    service.functionNamed('get-offboarding').kill();
    service.worker.kill();
    const { body } = await service.request('get-offboarding');
    expect(body).toMatchObject({ removal_due_at: null });
    if (code === 'forbidden_by_auth0') expect((await service.request('cancel-offboarding')).status).toBe(200);
    else await service.outcomeInAHurry(id, 'cancelled');
    expect(Object.values(service.enabled())).toEqual([true, true]);
  });
});

describe('the event path', () => {
  test.each(FAULTS)('%s, for a while: the work waits and is done', async (_what, fault) => {
    const short = fault.status === 429 && { headers: { 'retry-after': '1' } };
    const passing = { ...fault, times: 4, ...short, ...(fault.delay && { delay: 500 }) };
    service.tenant.addFaults(passing);
    const { id } = service.publish({ action: 'disable' });
    const event = await service.outcomeInAHurry(id);
    if (_what === 'a 403 of entitlement') {
      // What Auth0 forbids for good is no passing fault: it has failed, with its reason.
      expect(event).toMatchObject({
        'detail-type': 'organization.offboarding.failed',
        detail: { error: { code: 'forbidden_by_auth0' } },
      });
      return;
    }
    expect(event['detail-type']).toBe('organization.offboarding.completed');
    expect(Object.values(service.enabled())).toEqual([false, false]);
  });
});
