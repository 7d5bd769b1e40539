// What most tests of the packaged service start from: one organization with a few connections, and nothing on record.
import { afterAll, beforeAll, beforeEach } from 'vitest';
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
