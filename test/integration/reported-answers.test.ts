// Answers of Auth0 as public bug reports have them, one line a case: the shape that the stand-in tenant gives to each answer
// that `meets` names, what a caller of PATCH and DELETE gets, and what becomes of an offboarding. Whoever brings the next
// report adds its shape in infra/local/auth0-tenant.ts and its line here.
import { describe, expect, test } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import { CON, newOrganization, outcomesOf } from '../service.ts';
import { CON2, service, startWith } from './one-organization.ts';

type Shape = NonNullable<Fault['shape']>;

startWith({ [CON]: true, [CON2]: false });

describe('PATCH and DELETE', () => {
  test.each<[shape: Shape, meets: string, name: string, status: number, calls: string[]]>([
    ['connection id alone', 'PATCH', 'disable-connection', 200, ['PATCH', 'GET']],
    ['is_enabled missing', 'PATCH', 'disable-connection', 200, ['PATCH', 'GET']],
    ['is_enabled null', 'PATCH', 'disable-connection', 200, ['PATCH', 'GET']],
    ['empty body', 'PATCH', 'disable-connection', 200, ['PATCH', 'GET']],
    ['connection null', 'PATCH', 'disable-connection', 200, ['PATCH']],
    ['connection missing', 'PATCH', 'disable-connection', 200, ['PATCH']],
    ['name and strategy null', 'PATCH', 'disable-connection', 200, ['PATCH']],
    ['unknown members', 'PATCH', 'disable-connection', 200, ['PATCH']],
    ['byte order mark', 'PATCH', 'disable-connection', 200, ['PATCH']],
    ['still enabled', 'PATCH', 'disable-connection', 502, ['PATCH', 'PATCH', 'PATCH', 'PATCH']],
    ['gone since it was listed', 'PATCH', 'disable-connection', 404, ['PATCH', 'GET']],
    ['gone, without a message', 'PATCH', 'disable-connection', 404, ['PATCH', 'GET']],
    ['200 instead of 204', 'DELETE', 'remove-connection', 204, ['DELETE', 'GET']],
    ['gone since it was listed', 'DELETE', 'remove-connection', 404, ['DELETE', 'GET']],
  ])('%s in the answer to %s of %s: %i', async (shape, method, name, status, calls) => {
    service.tenant.addFaults({ method, shape, times: 99 });
    const answer = await service.request(name);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body).toMatchObject({ connection_id: CON, is_enabled: false });
    expect(service.managementCalls().map((call) => call.method)).toEqual(calls);
  });

  test('a connection that does not say either, also when it is asked for, is no success', async () => {
    service.tenant.addFaults({ shape: 'connection id alone', times: 99 });
    expect(await service.request('disable-connection')).toMatchObject({
      status: 502,
      body: { code: 'auth0_unavailable' },
    });
    expect(service.managementCalls().length).toBe(2);
  });
});

describe('an offboarding', () => {
  const DONE = { [CON]: 'disabled', [CON2]: 'unchanged' };
  test.each<[shape: Shape, fault: Fault, outcome: object]>([
    ['connection null', { method: 'GET' }, DONE],
    ['connection missing', { method: 'GET' }, DONE],
    ['name and strategy null', { method: 'GET' }, DONE],
    ['unknown members', {}, DONE],
    ['is_enabled missing', { method: 'GET', path: 'per_page' }, DONE],
    ['is_enabled null', { method: 'GET', path: 'per_page' }, DONE],
    // What was enabled before is not known: both are disabled, and neither would be enabled by a cancelling.
    ['connection id alone', { method: 'GET' }, { [CON]: 'disabled', [CON2]: 'disabled' }],
    ['connection id alone', { method: 'PATCH' }, DONE],
    ['empty body', { method: 'PATCH' }, DONE],
    ['bare list', { method: 'GET', path: 'include_totals' }, DONE],
    ['total missing', { method: 'GET', path: 'include_totals' }, DONE],
    ['total null', { method: 'GET', path: 'include_totals' }, DONE],
    ['pages with next', { method: 'GET', path: 'include_totals' }, DONE],
    ['gone since it was listed', { method: 'PATCH' }, { [CON]: 'unchanged', [CON2]: 'unchanged' }],
  ])('%s (%o): its access has ended', async (shape, fault, outcome) => {
    service.tenant.addFaults({ ...fault, shape, times: 99 });
    const { id } = service.publish({ action: 'disable' });
    const { detail, ...event } = await service.outcome(id);
    expect(event['detail-type']).toBe('organization.offboarding.completed');
    expect(outcomesOf(detail)).toEqual(outcome);
  });

  test('removed between the listing and its DELETE', async () => {
    service.tenant.addFaults({ method: 'DELETE', shape: 'gone since it was listed', times: 99 });
    const { id } = service.publish({ action: 'remove' });
    expect((await service.outcome(id))['detail-type']).toBe('organization.offboarding.completed');
  });

  test.each<Shape>(['total of more than is listed', 'an empty list that is none'])(
    '%s is no list: nothing is done, and it waits',
    async (shape) => {
      service.tenant.addFaults({ method: 'GET', shape, times: 999 });
      service.publish({ action: 'disable' });
      const waiting = { status: 'requested', last_error: { code: 'auth0_unavailable' } };
      await expect.poll(async () => (await service.records())[0], { timeout: 30_000 }).toMatchObject(waiting);
      expect(service.managementCalls().every(({ method }) => method === 'GET')).toBe(true);
    },
  );
});

const LIMITS: Shape[] = [
  '429, reset in this second',
  '429, reset just past',
  '429 without headers',
  '429, Retry-After: 0',
];

/** Two requests in a container of their own, which meet the limit again and again. */
async function meetTheLimit(shape: Shape): Promise<void> {
  const organization = newOrganization();
  const container = service.container('disable-connection');
  service.tenant.addFaults({ path: organization, shape, times: 99 });
  const started = Date.now();
  for (let requests = 0; requests < 2; requests++) {
    const answer = await service.request('disable-connection', { organization, container, remaining: 8000 });
    expect(answer, shape).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
  }
  const calls = service.managementCalls().flatMap(({ path, at }) => (path.includes(organization) ? [at] : []));
  expect(calls.length, shape).toBeGreaterThanOrEqual(3);
  const pauses = calls.slice(1).map((at, i) => at - (calls[i] ?? 0));
  for (const [i, pause] of pauses.entries()) expect(pause, shape).toBeGreaterThanOrEqual(490 * 2 ** i);
  // Each request is over by its deadline.
  expect(Date.now() - started, shape).toBeLessThan(16_000);
}

test('when Auth0 is at its limit again and again, in whatever shape, a route asks after pauses that double, and never at once', async () => {
  await Promise.all(LIMITS.map(meetTheLimit));
});
