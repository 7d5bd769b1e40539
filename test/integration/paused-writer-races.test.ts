// Of two functions at work on one organization, one is stopped at each of its calls of the table in turn, while the other goes on.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LocalFunction } from '../../infra/local/lambda.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { createFunctionInProcess } from '../in-process.ts';
import { listen } from '../listen.ts';
import { answerOf, gatewayEvent, type Service, startService } from '../service.ts';

const BOTH = ['con_one', 'con_two'];
const AT_ONCE = 6;
const DAY_MS = 86_400_000;

let service: Service;
let table: Awaited<ReturnType<typeof startStoppingTable>>;
const stopped = new Map<string, LocalFunction>();
beforeAll(async () => {
  service = await startService();
  table = await startStoppingTable(service.aws.url);
  const environment = { ...service.environment, AWS_ENDPOINT_URL_DYNAMODB: table.url };
  for (const name of ['offboard-organization', 'cancel-offboarding', 'request-offboarding'])
    stopped.set(name, createFunctionInProcess(name, { environment, timeout: 60_000 }));
});
afterAll(async () => {
  for (const one of stopped.values()) one.kill();
  table.close();
  await service.close();
});

/** DynamoDB behind an address of its own, which holds back the n-th call that is about an organization. */
async function startStoppingTable(target: string) {
  const stops = new Map<string, { left: number; reached: () => void; released: Promise<void> }>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const stop = stops.get(/org_[A-Za-z0-9]{16}/.exec(body.toString())?.[0] ?? '');
    if (stop && --stop.left === 0) {
      stop.reached();
      await stop.released;
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !['host', 'content-length', 'connection'].includes(name)),
    ) as Record<string, string>;
    const answer = await fetch(target, { method: 'POST', headers, body });
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(await answer.text());
  });
  const url = await listen(server);
  return {
    url,
    /** From now on the organization's n-th call waits until `release`. */
    stop(organization: string, nth: number) {
      const [reached, released] = [Promise.withResolvers<true>(), Promise.withResolvers<void>()];
      stops.set(organization, { left: nth, reached: () => reached.resolve(true), released: released.promise });
      return { reached: reached.promise, release: released.resolve };
    },
    close: () => server.close(),
  };
}

let organizations = 0;
/** How it stood when the other had answered, and the first was still stopped. */
interface Then {
  removed: number;
  isRemoving: boolean;
}
interface Pair {
  /** What was before, and what is stopped. */
  before: (organization: string) => Promise<void>;
  stopped: (organization: string) => Promise<unknown>;
  other: (organization: string) => Promise<number>;
  holds: (organization: string, status: number, then: Then) => Promise<void>;
}

/** Each stop of a pair, until one of the two has no call left to be stopped at; how many that were. */
async function explore({ before, stopped, other, holds }: Pair): Promise<number> {
  let [nth, reachedAll] = [0, 0];
  const next = async (): Promise<void> => {
    for (let isStopped = true; isStopped; ) {
      const at = ++nth;
      const organization = `org_stopped${String(++organizations).padStart(9, '0')}`;
      service.tenant.setOrganizations({ [organization]: BOTH.map((connection_id) => ({ connection_id })) });
      await before(organization);
      const { reached, release } = table.stop(organization, at);
      const done = stopped(organization).catch(() => undefined);
      isStopped = await Promise.race([reached, done.then(() => false)]);
      const status = await other(organization);
      const removed = removedOf(organization);
      const isRemoving = (await service.records(organization)).some(({ status }) => status === 'removing');
      release();
      await done;
      await service.rest(organization);
      if (isStopped) reachedAll = Math.max(reachedAll, at);
      try {
        await holds(organization, status, { removed, isRemoving });
      } catch (cause) {
        const records = (await service.records(organization)).map(({ action, status }) => `${action} ${status}`);
        throw new Error(`Stopped at call ${at}, the other answered ${status}: ${records}`, { cause });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return reachedAll;
}

const effectsOf = (organization: string) =>
  service.tenant.effects().filter(({ organizationId }) => organizationId === organization);
const removedOf = (organization: string) => effectsOf(organization).filter(({ to }) => to === 'removed').length;
const later = (grace_period: string) => ({ action: 'disable_then_remove', grace_period, reason: 'x' });
const enabled = (organization: string) => Object.values(service.enabled(organization));
const pendingOf = async (organization: string) =>
  (await service.records(organization)).filter(({ status }) => status === 'scheduled');

async function http(one: LocalFunction, name: string, organization: string, body?: object): Promise<number> {
  // Somebody else's lease is waited for, but not for long.
  const remaining = name === 'cancel-offboarding' ? 5500 : 29_000;
  const result = await one.invoke(gatewayEvent(name, { organization, ...(body && { body }) }), remaining);
  return answerOf(result).status;
}
const request = (organization: string) =>
  http(service.functionNamed('request-offboarding'), 'request-offboarding', organization, later('P60D'));
const cancel = (organization: string) =>
  http(service.functionNamed('cancel-offboarding'), 'cancel-offboarding', organization);
const functionNamed = (name: string) => stopped.get(name) as LocalFunction;

/** A message as the worker gets it, past the queue. */
function deliver(one: Pick<LocalFunction, 'invoke'>, message: object): Promise<unknown> {
  const attributes = { ApproximateReceiveCount: '1', MessageGroupId: 'single', SentTimestamp: String(Date.now()) };
  const record = { messageId: randomUUID(), receiptHandle: randomUUID(), body: JSON.stringify(message), attributes };
  return one.invoke({ Records: [record] });
}
const eventOf = (organization_id: string, detail: object) => ({
  id: randomUUID(),
  source: 'billing',
  account: '000000000000',
  time: new Date().toISOString(),
  'detail-type': 'organization.offboarding.requested',
  detail: { organization_id, requested_by: 'billing', ...detail },
});
const dueOf = (organization_id: string) => ({
  'detail-type': 'organization.offboarding.due',
  detail: { organization_id },
});

const nothing = async () => undefined;
async function offboard(organization: string, detail: object): Promise<void> {
  await deliver(service.worker, eventOf(organization, detail));
  await service.rest(organization);
}
/** A removal that is due, in a month. */
async function dueRemoval(organization: string): Promise<void> {
  await offboard(organization, later('P30D'));
  await service.pass(31 * DAY_MS, organization);
}
const inDays = ({ removal_due_at }: OffboardingRecord) =>
  Math.round((Date.parse(removal_due_at ?? '') - Date.now()) / DAY_MS);

test('when a worker is paused while it disables and somebody cancels, nothing stays disabled', async () => {
  const stops = await explore({
    before: nothing,
    stopped: (id) => deliver(functionNamed('offboard-organization'), eventOf(id, later('P30D'))),
    other: cancel,
    holds: async (id, status) => {
      expect([200, 202, 404]).toContain(status);
      // It covers also the request that it could not find yet.
      expect(enabled(id)).toEqual([true, true]);
      expect(await pendingOf(id)).toEqual([]);
    },
  });
  expect(stops).toBeGreaterThan(8);
});

test('when a worker is paused while it disables and a later request comes, that one decides', async () => {
  const stops = await explore({
    before: nothing,
    stopped: (id) => deliver(functionNamed('offboard-organization'), eventOf(id, later('P30D'))),
    other: request,
    holds: async (id, status) => {
      expect(status).toBe(202);
      expect((await pendingOf(id)).map((one) => inDays(one) > 50)).toEqual([true]);
      expect(enabled(id)).toEqual([false, false]);
      await cancel(id);
      await service.rest(id);
      expect(enabled(id)).toEqual([true, true]);
    },
  });
  expect(stops).toBeGreaterThan(8);
});

test('when a drift check is paused while it disables again and somebody cancels, nothing stays disabled', async () => {
  const stops = await explore({
    before: async (id) => {
      await offboard(id, { action: 'disable', reason: 'x', on_reenable: 'disable_again' });
      service.tenant.setOrganizations({ [id]: BOTH.map((connection_id) => ({ connection_id })) });
      await service.pass(DAY_MS * 2, id);
    },
    stopped: (id) => deliver(functionNamed('offboard-organization'), dueOf(id)),
    other: cancel,
    holds: async (id, status) => {
      expect([200, 202]).toContain(status);
      const [record] = await service.records(id);
      expect(record).toMatchObject({ watch: 'ended' });
      service.tenant.setOrganizations({ [id]: BOTH.map((connection_id) => ({ connection_id })) });
      await service.pass(DAY_MS * 2, id);
      await service.checkByClock();
      await service.rest(id);
      expect(enabled(id)).toEqual([true, true]);
    },
  });
  expect(stops).toBeGreaterThan(4);
});

/** Exactly one of the two happens. */
const removedOrCancelled = async (id: string, status: number, { removed, isRemoving }: Then) => {
  expect([200, 202, 404, 409]).toContain(status);
  if (isRemoving) expect(status).toBe(409);
  const isTooLate = removed === BOTH.length;
  const isCancelled = !isTooLate && (status === 200 || status === 202);
  expect(enabled(id)).toEqual(isCancelled ? [true, true] : []);
  const published = service.aws.events
    .filter(({ detail, source }) => source === 'org-connections' && detail.organization_id === id)
    .map((event) => event['detail-type'].split('.').at(-1));
  expect(published).toContain(isCancelled ? 'cancelled' : 'completed');
  expect(published).not.toContain(isCancelled ? 'completed' : 'cancelled');
};

test('when a due removal is paused and somebody cancels, exactly one of the two happens', async () => {
  const stops = await explore({
    before: dueRemoval,
    stopped: (id) => deliver(functionNamed('offboard-organization'), dueOf(id)),
    other: cancel,
    holds: removedOrCancelled,
  });
  expect(stops).toBeGreaterThan(4);
});

test('when a due removal is paused and a later request comes, nothing is removed from its acceptance on', async () => {
  const stops = await explore({
    before: dueRemoval,
    stopped: (id) => deliver(functionNamed('offboard-organization'), dueOf(id)),
    other: request,
    holds: async (id, status, { removed, isRemoving }) => {
      const removedThen = isRemoving ? BOTH.length : removed;
      expect(status).toBe(202);
      // From its acceptance on nothing is removed, unless that had begun.
      expect(removedOf(id)).toBe(removedThen);
      if (removedThen === 0) expect((await pendingOf(id)).map((one) => inDays(one) > 50)).toEqual([true]);
    },
  });
  expect(stops).toBeGreaterThan(4);
});

test('when a cancellation is paused and a removal becomes due, exactly one of the two happens', async () => {
  const answers = new Map<string, Promise<number>>();
  const stops = await explore({
    before: dueRemoval,
    stopped: (id) => {
      const answer = http(functionNamed('cancel-offboarding'), 'cancel-offboarding', id);
      answers.set(id, answer);
      return answer;
    },
    other: (id) => deliver(service.worker, dueOf(id)).then(() => 0),
    holds: async (id, _other, then) => {
      const status = (await answers.get(id)?.catch(() => undefined)) ?? 504;
      // Without an answer it was one or the other.
      if (status < 500) await removedOrCancelled(id, status, { ...then, isRemoving: false });
      else expect([[], [true, true]]).toContainEqual(enabled(id));
    },
  });
  expect(stops).toBeGreaterThan(3);
});

test('when a request is paused and a removal becomes due, exactly one of the two decides', async () => {
  const stops = await explore({
    before: dueRemoval,
    stopped: (id) => http(functionNamed('request-offboarding'), 'request-offboarding', id, later('P60D')),
    other: (id) => deliver(service.worker, dueOf(id)).then(() => 0),
    holds: async (id) => {
      const [pending, ...more] = await pendingOf(id);
      expect(more).toEqual([]);
      if (pending) expect(enabled(id)).toEqual([false, false]);
      else expect(enabled(id)).toEqual([]);
    },
  });
  expect(stops).toBeGreaterThan(1);
});
