// The dispatcher as its clock, Auth0's notifications and an outage of the table invoke it: what its alarm counts.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { metricsIn } from '../embedded-metrics.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(() => {
  service.aws.clearFaults();
  service.logs.length = 0;
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
});

const CLOCK = { 'detail-type': 'Scheduled Event' };
const NOTIFICATION = {
  'detail-type': 'Auth0 log',
  source: 'aws.partner/auth0.com/x',
  detail: { data: { type: 'sapi', date: new Date().toISOString(), details: { request: { path: '/api/v2/users' } } } },
};
const dispatched = () =>
  service.logs.flatMap((line) => metricsIn(line).metrics).filter(({ name }) => name === 'DueWorkDispatched');

test('when the clock invokes it, it counts one run, beside its own name alone', async () => {
  await service.functionNamed('dispatch-due-work').invoke(CLOCK);
  expect(dispatched()).toEqual([
    {
      namespace: 'org-connections',
      name: 'DueWorkDispatched',
      dimensions: { function: expect.stringContaining('dispatch-due-work') },
      value: 1,
    },
  ]);
});

test('when notifications invoke it, that counts as no run: nobody has looked for what is due', async () => {
  for (let i = 0; i < 3; i++) await service.functionNamed('dispatch-due-work').invoke(NOTIFICATION);
  expect(service.logged('notification_received').length).toBe(3);
  expect(dispatched()).toEqual([]);
});

test('when the table does not answer, that counts as no run either', async () => {
  service.aws.addFaults({ operation: 'Query', error: 'ValidationException', times: 99 });
  await service.functionNamed('dispatch-due-work').invoke(CLOCK);
  expect(service.logged('due_noticed').length).toBe(1);
  expect(dispatched()).toEqual([]);
});
