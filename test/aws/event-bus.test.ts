// Events are put on the bus all of them, or somebody is told.
import '../own-modules.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

let local: LocalEnvironment;
let bus: typeof import('../../lib/aws/event-bus.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  bus = await import('../../lib/aws/event-bus.ts');
});
afterAll(() => local.close());
afterEach(() => local.aws.clearFaults());

const put = async (count: number, deadline?: number, text?: string) => {
  const run = randomUUID();
  const events = Array.from({ length: count }, (_, n) => ({ type: 'a.type', detail: { run, n, text } }));
  await bus.putEvents(events, deadline);
  const found = local.aws.events.filter(({ detail }) => detail.run === run);
  return found.map(({ source, detail, ...event }) => ({ n: detail.n, source, type: event['detail-type'] }));
};

test('when there are more events than one call takes, each is put once, in their order, as the service', async () => {
  const put23 = Array.from({ length: 23 }, (_, n) => ({ n, source: 'org-connections', type: 'a.type' }));
  expect(await put(23)).toEqual(put23);
  expect(await put(0)).toEqual([]);
});

test('when events are larger than one call takes together, each is put once, in their order', async () => {
  const calls = () => local.aws.calls.filter((operation) => operation === 'PutEvents').length;
  const before = calls();
  // Two bytes each: what counts is bytes.
  const found = await put(10, undefined, 'é'.repeat(100_000));
  expect(found.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(calls() - before).toBe(3);
});

test('when one event is larger than a call takes, those before it are put, and somebody is told', async () => {
  const run = randomUUID();
  const events = [1, 1_100_000, 1].map((length, n) => ({
    type: 'a.type',
    detail: { run, n, text: 'x'.repeat(length) },
  }));
  await expect(bus.putEvents(events)).rejects.toThrow();
  expect(local.aws.events.filter(({ detail }) => detail.run === run).map(({ detail }) => detail.n)).toEqual([0]);
});

test('when the bus refuses some events of a call, it gets all from the first of these again, so that none overtakes another', async () => {
  local.aws.addFaults({ operation: 'PutEvents', entries: [1] });
  expect((await put(4)).map(({ n }) => n)).toEqual([0, 2, 3, 1, 2, 3]);
});

test('when the bus refuses an event again and again, the error says why', async () => {
  local.aws.addFaults({ operation: 'PutEvents', entries: [0], times: 9 });
  await expect(put(1)).rejects.toThrow(/rejected the event: \w/);
  local.aws.clearFaults();
  local.aws.addFaults({ operation: 'PutEvents', answer: {}, times: 9 });
  await expect(put(1)).rejects.toThrow('no entry');
});

test('when the time is over, nothing is put: a caller that was answered with an error must not have it done later', async () => {
  const before = local.aws.events.length;
  await expect(put(1, Date.now())).rejects.toThrow('in time');
  expect(local.aws.events.length).toBe(before);
  expect((await put(1, Date.now() + 5000)).length).toBe(1);
});
