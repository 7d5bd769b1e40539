// Requests, duplicates, second requests, cancellings and due removals of one organization, all at once and in any order, the
// worker and the cancelling killed anywhere, messages late and repeated. A run is given by its seed; DEEP=1 makes thousands.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import { hasEnded, type Offboarding } from '../../lib/offboarding-record.ts';
import { randomOf } from '../random.ts';
import { answerOf, gatewayEvent, type Service, startService } from '../service.ts';

const RUNS = process.env.DEEP ? 3000 : 60;
const FIRST = Number(process.env.SEED ?? 1);
const OURS = 'con_enabled1';
const OURS_TOO = 'con_enabled2';
const NOT_OURS = 'con_disabledbyothers';

let service: Service;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 1000 });
});
afterAll(() => service.close());

test(`${RUNS} interleavings`, async () => {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) await interleave(seed);
}, 3_600_000);

async function interleave(seed: number): Promise<void> {
  const { below, chance } = randomOf(seed);
  const organization_id = `org_seed${String(seed).padStart(12, '0')}`;
  const { tenant } = service;
  const connections = [OURS, OURS_TOO].map((connection_id) => ({ connection_id }));
  tenant.setOrganizations({ [organization_id]: [...connections, { connection_id: NOT_OURS, is_enabled: false }] });
  const effects = () => tenant.effects().filter((effect) => effect.organizationId === organization_id);
  const body = () => ({
    action: 'disable_then_remove',
    grace_period: chance(0.5) ? 'P30D' : 'P60D',
    requested_by: 'test',
    reason: 'interleaving',
    ...(chance(0.3) && { connection_ids: [OURS] }),
  });
  const published: { event: ReturnType<typeof service.publish> }[] = [];
  /** The effects there were when the last request was made, for what a cancelling before it says of what comes after it. */
  let requestedAt = 0;
  const request = async () => {
    requestedAt = effects().length;
    if (chance(0.5)) published.push({ event: service.publish({ organization_id, ...body() }) });
    else await invoke('request-offboarding', { body: body() });
    requestedAt = Math.max(requestedAt, effects().length);
  };
  const invoke = async (name: string, options: object = {}) => {
    const event = gatewayEvent(name, { organization: organization_id, ...options });
    const result = await service
      .functionNamed(name)
      .invoke(event)
      .catch(() => undefined);
    return result === undefined ? undefined : answerOf(result).status;
  };
  let requests = 0;
  const cancel = async () => {
    const [asked, then] = [requests, effects().length];
    const status = await invoke('cancel-offboarding');
    if (status !== undefined) expect([200, 404, 409], `seed ${seed}`).toContain(status);
    return { status, asked, then, effectsAfter: effects().length };
  };

  await request();
  requests += 1;
  if (chance(0.6)) await expect.poll(() => statuses(organization_id)).toContain('scheduled');
  const cancellings: ReturnType<typeof cancel>[] = [];
  for (let step = 4 + below(6); step > 0; step--) {
    const kind = below(12);
    if (kind < 3) cancellings.push(cancel());
    else if (kind < 6) await service.makeDue(organization_id);
    else if (kind < 9 && published.length > 0) {
      // The resources make it another message to the queue's own deduplication.
      const { event } = published[below(published.length)] as (typeof published)[0];
      service.publish({}, { ...event, resources: [`again ${step}`] });
    } else if (kind === 9) {
      requests += 1;
      await request();
    } else if (kind === 10 && chance(0.4)) service.worker.kill();
    else if (kind === 11 && chance(0.4)) service.functionNamed('cancel-offboarding').kill();
    if (chance(0.6)) await sleep(below(30));
  }
  const answers = await Promise.all(cancellings);
  await settled(organization_id);

  const ours = new Set<string>();
  for (const { connectionId, to } of effects()) {
    if (to === 'enabled') expect(ours, `seed ${seed}: enabled ${connectionId}`).toContain(connectionId);
    if (to === 'disabled') ours.add(connectionId);
    else ours.delete(connectionId);
  }
  expect(service.enabled(organization_id)[NOT_OURS], `seed ${seed}`).not.toBe(true);
  const records = await service.records(organization_id);
  expect(records.filter(({ status }) => status === 'scheduled').length, `seed ${seed}`).toBeLessThanOrEqual(1);
  // A cancelling that was answered with success, after the last request: nothing is removed or disabled any more.
  for (const { status, asked, effectsAfter } of answers) {
    if (status !== 200 || asked < requests) continue;
    if (published.length > 0 && records.length < requests) continue;
    const after = effects()
      .slice(effectsAfter)
      .filter(({ to }) => to === 'removed');
    if (requests === 1) expect(after, `seed ${seed}: removed after it was cancelled`).toEqual([]);
  }
  for (const record of records) outcomeHolds(record, `seed ${seed}`);
  // What is pending is told by cancelling it, and then every connection that was only disabled is enabled again.
  await expect
    .poll(() => invoke('cancel-offboarding'), { timeout: 70_000 })
    .toSatisfy((status) => status === 404 || status === 200);
  const left = (await service.records(organization_id)).filter((record) => !hasEnded(record));
  expect(left, `seed ${seed}`).toEqual([]);
  for (const [id, enabled] of Object.entries(service.enabled(organization_id)))
    if (id !== NOT_OURS && !records.some(({ status }) => status === 'completed' || status === 'failed'))
      expect(enabled, `seed ${seed}: ${id}`).toBe(true);
}

const statuses = async (organization: string) => (await service.records(organization)).map(({ status }) => status);

/** Nothing is in the queue and nobody is at work; what a killed cancelling left is waited for by later requests. */
async function settled(organization: string): Promise<void> {
  const { aws } = service;
  for (const end = Date.now() + 90_000; aws.messages(QUEUE).length > 0; await sleep(20)) {
    for (const message of aws.messages(QUEUE)) if (message.visibleAt > Date.now() + 2000) message.visibleAt = 0;
    aws.wake(QUEUE);
    if ((await statuses(organization)).includes('cancelling')) await expireCancelling(organization);
    if (Date.now() > end) throw new Error(`The queue is not done: ${aws.messages(QUEUE).map(({ body }) => body)}`);
  }
}

/** A cancelling whose function was killed, a minute later. */
async function expireCancelling(organization: string): Promise<void> {
  for (const { status, offboarding_id, updated_at } of await service.records(organization)) {
    const old = new Date(Date.parse(updated_at) - 61_000).toISOString();
    if (status === 'cancelling') await service.changeRecord(organization, offboarding_id, { updated_at: old });
  }
}

/** Each connection's outcome is one that the record's status allows. */
function outcomeHolds({ status, connections }: Offboarding, seed: string): void {
  const allowed: Partial<Record<Offboarding['status'], string[]>> = {
    completed: ['removed', 'unchanged'],
    cancelled: ['enabled', 'unchanged'],
    scheduled: ['disabled', 'unchanged'],
  };
  for (const { outcome } of connections)
    if (allowed[status]) expect(allowed[status], `${seed}: ${status}`).toContain(outcome);
}
