// Requests, duplicates, cancellations and due removals of one organization, all at once and in any order: at no moment is a
// connection enabled that this offboarding did not disable, or removed after a cancelling that succeeded. A run is given by
// its seed; DEEP=1 makes ten times as many.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUEUE, SCHEDULES } from '../../infra/local/environment.ts';
import { randomOf } from '../random.ts';
import { answerOf, gatewayEvent, type Service, startService } from '../service.ts';

const RUNS = process.env.DEEP ? 300 : 30;
const OURS = 'con_enabled1';
const OURS_TOO = 'con_enabled2';
const NOT_OURS = 'con_disabledbyothers';

let service: Service;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 5000 });
});
afterAll(() => service.close());

test(`${RUNS} interleavings`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) await interleave(seed);
}, 900_000);

async function interleave(seed: number): Promise<void> {
  const { below, chance } = randomOf(seed);
  const organization_id = `org_seed${String(seed).padStart(12, '0')}`;
  const { tenant, aws } = service;
  tenant.setOrganizations({
    [organization_id]: [
      { connection_id: OURS },
      { connection_id: OURS_TOO },
      { connection_id: NOT_OURS, is_enabled: false },
    ],
  });
  const effects = () => tenant.effects().filter((effect) => effect.organizationId === organization_id);
  const request = () =>
    service.publish({
      organization_id,
      action: 'disable_then_remove',
      grace_period: 'P30D',
      ...(chance(0.3) && { connection_ids: [OURS] }),
    });
  const cancel = async () => {
    const event = gatewayEvent('cancel-offboarding', { organization: organization_id });
    const { status } = answerOf(await service.functionNamed('cancel-offboarding').invoke(event));
    expect([200, 404, 409], `seed ${seed}`).toContain(status);
    return { status, effectsThen: effects().length };
  };

  // What a cancelling leaves behind fires weeks later, when no message of the time before it is left.
  const fireIfPending = () => {
    const input = aws.schedules.get(`${SCHEDULES}/${organization_id}`)?.body.Target as { Input: string } | undefined;
    if (input && !input.Input.includes('"status":"cancelled"')) aws.fire(SCHEDULES, organization_id);
  };

  const requests = [request()];
  if (chance(0.7)) await service.outcome(requests[0]?.id ?? '', 'scheduled');
  let newest = effects().length;
  const cancels: ReturnType<typeof cancel>[] = [];
  const steps = 4 + below(5);
  for (let step = 0; step < steps; step++) {
    const kind = below(10);
    if (kind < 3) cancels.push(cancel());
    else if (kind < 6) fireIfPending();
    else if (kind < 9) {
      // The resources make it another message to the queue's own deduplication.
      const event = requests[below(requests.length)];
      service.publish({}, { ...event, resources: [`again ${step}`] });
    } else {
      requests.push(request());
      newest = Number.POSITIVE_INFINITY;
    }
    if (chance(0.6)) await sleep(below(40));
  }
  const answers = await Promise.all(cancels);
  await expect.poll(() => aws.messages(QUEUE).length, { timeout: 30_000, interval: 10 }).toBe(0);

  const disabledByUs = new Set<string>();
  for (const { connectionId, to } of effects()) {
    if (to === 'enabled') expect(disabledByUs, `seed ${seed}: enabled ${connectionId}`).toContain(connectionId);
    if (to === 'disabled') disabledByUs.add(connectionId);
    else disabledByUs.delete(connectionId);
  }
  expect(service.enabled(organization_id)[NOT_OURS], `seed ${seed}`).not.toBe(true);
  // With one request alone, nothing is removed once a cancelling has been answered with success.
  const succeeded = answers.find(({ status }) => status === 200);
  if (succeeded && newest !== Number.POSITIVE_INFINITY) {
    const removed = effects()
      .slice(succeeded.effectsThen)
      .filter(({ to }) => to === 'removed');
    expect(removed, `seed ${seed}: removed after it was cancelled`).toEqual([]);
  }
}
