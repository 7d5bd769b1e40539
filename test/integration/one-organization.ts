// What most tests of the packaged service start from: one organization with a few connections, and nothing on record.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';

export const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
export const CON3 = 'con_Hg6Jk2MnVs8DfZp1';
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const IN_A_MONTH = { action: 'disable_then_remove', grace_period: 'P30D' };
/** Two connections that are enabled, and the same when both were disabled. */
export const BOTH = { [CON]: true, [CON2]: true };
export const NEITHER = { [CON]: false, [CON2]: false };

export let service: Service;

/** Has `service` there for the tests of a file, and the organization's connections as `enabled` says before each of them. */
export function startWith(enabled: Record<string, boolean>, options: Parameters<typeof startService>[0] = {}): void {
  beforeAll(async () => {
    service = await startService(options);
  });
  afterAll(() => service.close());
  beforeEach(async () => {
    await service.startOver();
    service.aws.schedules.clear();
    await service.forget();
    service.tenant.clearCalls();
    const connections = Object.entries(enabled).map(([connection_id, is_enabled]) => ({ connection_id, is_enabled }));
    service.tenant.setOrganizations({ [ORG]: connections });
  });
}

/** The organization's newest record. */
export const record = async () => (await service.records()).at(-1);

/** An offboarding by event that has come to its `outcome`, with nobody at work any more. */
export async function offboard(detail: object = IN_A_MONTH, outcome = 'scheduled', envelope: object = {}) {
  const event = service.publish(detail, envelope);
  const published = await service.outcome(event.id, outcome);
  await service.worker.idle();
  return { event, id: event.id, published };
}

/** The organization's connections are these from now on, as Auth0 has them. */
export const setConnections = (...connections: object[]) =>
  service.tenant.setOrganizations({ [ORG]: connections as never });

/** The events of this type about the organization, in their order. */
export const eventsOf = (type: string) =>
  service.aws.events.filter(
    (event) => event['detail-type'] === `organization.offboarding.${type}` && event.detail.organization_id === ORG,
  );

/** Nothing waits any more. A check looks again some seconds after it has disabled something: these go by at once. */
export async function settledInAHurry(): Promise<void> {
  const { aws, worker } = service;
  for (let turns = 0; aws.messages(QUEUE).length > 0 || worker.isBusy(); turns++) {
    if (turns % 4 === 3 && !worker.isBusy()) await service.pass(11_000);
    await service.hurry();
    await sleep(25);
  }
}

/** Three hours later the date of the next drift check has come. */
export async function makeCheckDue(): Promise<void> {
  await service.pass(3 * HOUR_MS);
  const past = new Date(Date.now() - 1000).toISOString();
  await service.changeOrganization(ORG, (item) => ({
    ...item,
    ...(item.next_drift_check_at && { next_drift_check_at: past, notice_at: 0 }),
  }));
}

/** A check by the clock, now, where one is due. */
export async function checkByClock(): Promise<void> {
  await service.worker.idle();
  await makeCheckDue();
  await service.checkByClock();
  await settledInAHurry();
}

/** A notification that the connection was enabled; by `client` where it says who. */
export const notification = (change: object = {}, object: object = {}, client?: string) => ({
  id: `notification-${Math.random()}`,
  type: 'organization.connection.updated',
  time: new Date(Date.now() + 1000).toISOString(),
  ...change,
  data: {
    object: { organization: { id: ORG }, connection: { id: CON }, is_enabled: true, ...object },
    ...(client && { context: { client: { name: client } } }),
  },
});
