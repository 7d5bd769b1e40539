// Two requests of one organization about the same connection, for which Auth0 fails once: ways in which the rules undid each other for
// ever. In processes of their own, for nothing else runs beside an endless loop.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CON, gatewayEvent, ORG } from '../service.ts';
import { CON2, offboard, service, startWith } from './one-organization.ts';

startWith(
  { [CON]: true, [CON2]: true },
  { processes: ['offboard-organization', 'cancel-offboarding'], functions: { timeout: 12_000 } },
);
const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const BLOCKED = { status: 403, body: '<html>blocked</html>', headers: { 'content-type': 'text/html' }, times: 1 };
const request = (reason: string, organization = ORG) =>
  service.request('request-offboarding', { organization, body: { action: 'disable', reason } });

test('when Auth0 fails once for a connection that two requests are about, both are carried out, and others have their turn', async () => {
  service.tenant.setOrganizations({
    [ORG]: [CON, CON2].map((connection_id) => ({ connection_id })),
    [OTHER]: [{ connection_id: 'con_Wd3Ef5GhTy7UjKl9' }],
  });
  // The list takes a while, so that the second request is there when the first is worked off.
  service.tenant.addFaults({ method: 'GET', path: `${ORG}/connections`, delay: 1500 });
  service.tenant.addFaults({ method: 'PATCH', path: CON2, ...BLOCKED });
  expect((await request('first')).status).toBe(202);
  await sleep(700);
  expect((await request('second')).status).toBe(202);
  expect((await request('other', OTHER)).status).toBe(202);
  await expect.poll(() => service.enabled()).toEqual({ [CON]: false, [CON2]: false });
  await expect.poll(() => service.enabled(OTHER)).toEqual({ con_Wd3Ef5GhTy7UjKl9: false });
  expect(service.logs.filter((line) => line.includes('timed out'))).toEqual([]);
}, 60_000);

test('when Auth0 fails once while two failed offboardings are cancelled, the answer comes', async () => {
  const refused = { status: 400, body: { statusCode: 400, error: 'Bad Request', message: 'no' } };
  service.tenant.addFaults({ method: 'PATCH', path: CON2, times: 2, ...refused });
  await offboard({ action: 'disable' }, 'failed');
  await offboard({ action: 'disable' }, 'failed');
  await service.settled();
  service.tenant.addFaults({ method: 'PATCH', path: CON, ...BLOCKED });
  const answer = await service.functionNamed('cancel-offboarding').invoke(gatewayEvent('cancel-offboarding'), 10_000);
  expect([200, 202]).toContain((answer as { statusCode: number }).statusCode);
}, 60_000);
