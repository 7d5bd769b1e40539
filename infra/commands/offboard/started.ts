// What of a plan the service has on record.
import { batchesOf, type Plan } from './plan-file.ts';
import { countsOf, type Offboarding, records } from './records.ts';
import type { Service } from './service.ts';

/** How many organizations of a batch are looked up for what became of it. */
const LOOKED_UP = 10;
const CLOCKS_DIFFER_MS = 3_600_000;

export type StartedBatches = Map<number, Offboarding & { batch_id: string }>;

/** The batches of the plan that the service knows, by their place in it, each with one of its records. */
export async function startedBatches(service: Service, plan: Plan): Promise<StartedBatches> {
  const started: StartedBatches = new Map();
  for (const [index, { key, organizations }] of batchesOf(plan).entries()) {
    const step = Math.max(1, Math.floor(organizations.length / LOOKED_UP));
    for (const { organization_id } of organizations.filter((_, place) => place % step === 0)) {
      const found = await recordOf(service, organization_id, key, plan.created_at);
      if (!found?.batch_id) continue;
      started.set(index, { ...found, batch_id: found.batch_id });
      break;
    }
  }
  return started;
}

/** Newest first: what is older than the plan is not of it. */
async function recordOf(service: Service, organization_id: string, key: string, since: string) {
  for await (const record of records(service, { organization_id })) {
    if (record.correlation_id === key) return record;
    if (Date.parse(record.requested_at) < Date.parse(since) - CLOCKS_DIFFER_MS) return undefined;
  }
  return undefined;
}

/** The ids of the batches that are on record whole, by their place in the plan. */
export async function wholeBatches(
  service: Service,
  plan: Plan,
  started: StartedBatches,
): Promise<Map<number, string>> {
  const whole = new Map<number, string>();
  for (const [index, { organizations }] of batchesOf(plan).entries()) {
    const batch_id = started.get(index)?.batch_id;
    if (batch_id === undefined) continue;
    const known = Object.values(await countsOf(service, batch_id)).reduce((sum, count) => sum + count, 0);
    if (known === organizations.length) whole.set(index, batch_id);
  }
  return whole;
}
