// What several requests, cancellations and batches of one organization did wrong once, at their acceptance: each is a case. The rest
// of them is in multi-offboarding-regressions.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE } from '../../infra/local/environment.ts';
import { createFunction } from '../../infra/local/lambda.ts';
import { newOrganization } from '../service.ts';
import {
  DAY_MS,
  LATER,
  LEASE_OVER_MS,
  MINUTE_MS,
  NOW,
  type RegressionService,
  startRegressionService,
} from './regression-service.ts';

const CON = 'con_1';
let service: RegressionService;
beforeAll(async () => {
  // Those that are killed or stopped; a signal for the workers goes to all functions that a queue invokes.
  const ofQueues = ['offboard-organization', 'end-sessions', 'publish-connection-changes'];
  service = await startRegressionService({ processes: [...ofQueues, 'request-offboarding', 'request-offboardings'] });
});
afterAll(() => service.close());
afterEach(() => {
  service.worker.signal('SIGCONT');
  service.startOver();
});

function newOrganizations(count: number): string[] {
  const ids = Array.from({ length: count }, newOrganization);
  service.tenant.setOrganizations(Object.fromEntries(ids.map((id) => [id, [{ connection_id: CON }]])));
  return ids;
}
const newOne = () => newOrganizations(1)[0] as string;

const post = (organization: string, body: object = LATER, options: object = {}) =>
  service.http('request-offboarding', { organization, body, ...options });
const cancel = (organization: string, options: object = {}) =>
  service.http('cancel-offboarding', { organization, ...options });
const statuses = async (organization: string) => (await service.records(organization)).map(({ status }) => status);

/** A container whose clock is `ms` ahead of the others', or behind. */
function withClock(name: string, ms: number) {
  const code = `const now = Date.now, RealDate = Date; globalThis.Date = class extends RealDate {
    constructor(...given) { super(...(given.length ? given : [now() + ${ms}])); }
    static now() { return now() + ${ms}; }
  };`;
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
  return service.keep(createFunction(name, { environment: service.environment, execArgv }));
}

/** The workers stand still until the test has done this. */
async function whileWorkersStandStill<T>(work: () => Promise<T>): Promise<T> {
  service.worker.signal('SIGSTOP');
  try {
    return await work();
  } finally {
    service.worker.signal('SIGCONT');
  }
}

/** The workers' processes are there, one for each message group: only then can they stand still. */
beforeAll(async () => {
  const detail = { organization_id: newOne() };
  const body = JSON.stringify({ 'detail-type': 'organization.offboarding.due', detail });
  for (const group of ['single', 'batch', 'watch']) service.aws.send(QUEUE, body, group);
  await service.until('all workers have started', () => service.aws.messages(QUEUE).length === 0, false);
});

describe('a cancellation and a request by event', () => {
  test('when the request waits in the queue meanwhile, it is cancelled when the worker comes to it', async () => {
    const organization = newOne();
    const { id } = await whileWorkersStandStill(async () => {
      const event = service.publish(organization, LATER, { ago: 2000 });
      const { status, body } = await cancel(organization);
      expect([status, body.code]).toEqual([404, 'not_found']);
      return event;
    });
    const { detail } = await service.outcome(organization, 'cancelled');
    expect(detail.request).toMatchObject({ id });
    await service.rest(organization);
    expect(await statuses(organization)).toEqual(['cancelled']);
    expect(service.calls(organization, 'PATCH')).toEqual([]);
  });

  test('when the request arrives after the cancellation, with an earlier time, it is cancelled', async () => {
    const organization = newOne();
    expect((await cancel(organization)).status).toBe(404);
    service.publish(organization, NOW, { ago: 3000 });
    await service.outcome(organization, 'cancelled');
    await service.rest(organization);
    expect(service.enabled(organization)).toEqual({ [CON]: true });
    // A later one is nobody's business but its own.
    await sleep(1100);
    service.publish(organization, NOW);
    await service.outcome(organization, 'completed');
    expect(service.enabled(organization)).toEqual({ [CON]: false });
  });
});

describe('overlapping repetitions of one key', () => {
  test.each([
    ['first', 0],
    ['second', 1],
  ])(
    'when the %s of two overlapping requests dies while it writes, the other is answered 202 and carried out',
    async (_which, dies) => {
      const organization = newOne();
      const containers = [service.container('request-offboarding'), service.container('request-offboarding')];
      service.aws.addFaults({ operation: 'PutItem', delay: 500, times: 2 });
      const headers = { 'idempotency-key': `key-${organization}` };
      const answers = containers.map((container) =>
        post(organization, NOW, { headers, container }).catch(() => undefined),
      );
      await sleep(350);
      containers[dies]?.kill();
      const [first, second] = await Promise.all(answers);
      const survivor = dies === 0 ? second : first;
      expect(survivor?.status).toBe(202);
      await service.rest(organization);
      expect(service.enabled(organization)).toEqual({ [CON]: false });
      expect((await service.records(organization)).map((one) => [one.offboarding_id, one.status])).toEqual([
        [survivor?.body.offboarding_id, 'completed'],
      ]);
    },
  );

  test('when the second of two overlapping batches dies while it writes, all organizations are offboarded once', async () => {
    const ids = newOrganizations(5);
    const containers = [service.container('request-offboardings'), service.container('request-offboardings')];
    const body = { organization_ids: ids, ...NOW };
    const headers = { 'idempotency-key': `key-${ids[0]}` };
    service.aws.addFaults({ operation: 'PutItem', delay: 300, times: 12 });
    const answers = containers.map((container) =>
      service.http('request-offboardings', { body, headers, container }).catch(() => undefined),
    );
    await sleep(450);
    containers[1]?.kill();
    const [first] = await Promise.all(answers);
    expect(first).toMatchObject({ status: 202, body: { accepted: 5 } });
    for (const id of ids) {
      await service.rest(id);
      expect(service.enabled(id)).toEqual({ [CON]: false });
      expect(await statuses(id)).toEqual(['completed']);
    }
  });
});

test('when the table is throttled half-way through a batch without a key, 503 means that none of it is carried out', async () => {
  const ids = newOrganizations(20);
  const body = { organization_ids: ids, ...NOW };
  // The batch's own item and half of its members are written.
  const half = { operation: 'PutItem', delay: 1, times: 11 };
  const error = 'ProvisionedThroughputExceededException';
  service.aws.addFaults(half, { operation: 'PutItem', error, times: 10_000 });
  const { status, body: problem } = await service.http('request-offboardings', { body });
  expect([status, problem.code]).toEqual([503, 'record_unavailable']);
  service.aws.clearFaults();
  // What is not accepted within two minutes never is.
  const membersOf = async (id: string) => (await service.item(id))?.requests ?? [];
  const members = (await Promise.all(ids.map(membersOf))).flat();
  const batches = new Set(members.map(({ batch }) => batch?.id ?? ''));
  expect([batches.size, members.length > 0]).toEqual([1, true]);
  for (const key of [...batches, ...ids]) await service.pass(3 * MINUTE_MS, key);
  for (const id of ids) {
    if (await service.item(id)) await service.rest(id);
    expect(service.calls(id, 'PATCH')).toEqual([]);
    expect(await service.records(id)).toEqual([]);
    expect(service.events(id)).toEqual([]);
  }
});

describe('clocks', () => {
  test("when the canceller's clock is ahead, a request that is accepted after it counts", async () => {
    const organization = newOne();
    const { status } = await cancel(organization, { container: withClock('cancel-offboarding', 5000) });
    expect(status).toBe(404);
    expect((await post(organization, NOW)).status).toBe(202);
    await service.outcome(organization, 'completed');
    expect(service.enabled(organization)).toEqual({ [CON]: false });
  });

  test('when the container of the later request is behind, that request decides when the connections are removed', async () => {
    const organization = newOne();
    const { body: earlier } = await post(organization, { ...LATER, grace_period: 'P7D' });
    const container = withClock('request-offboarding', -5000);
    const { body: later } = await post(organization, { ...LATER, grace_period: 'P90D' }, { container });
    await service.outcome(organization, 'superseded');
    await service.rest(organization);
    const { body } = await service.http('get-offboarding', { organization });
    expect(body.offboarding_id).toBe(later.offboarding_id);
    expect(Date.parse(body.removal_due_at)).toBeGreaterThan(Date.now() + 80 * DAY_MS);
    const records = await service.records(organization);
    expect(records.find((one) => one.offboarding_id === earlier.offboarding_id)).toMatchObject({
      status: 'superseded',
      superseded_by: later.offboarding_id,
    });
  });

  test('when the worker is 46 s ahead, a request by event and one over HTTP are carried out all the same', async () => {
    const organization = newOne();
    const worker = withClock('offboard-organization', 46_000);
    const deliver = async () => {
      for (const message of service.messages(organization)) {
        const { id, body, receipt } = message;
        const attributes = { MessageGroupId: 'single', ApproximateReceiveCount: '1' };
        await worker.invoke({ Records: [{ messageId: id, receiptHandle: receipt, body, attributes }] });
      }
    };
    await whileWorkersStandStill(async () => {
      service.publish(organization, LATER);
      await deliver();
      await post(organization, { ...LATER, grace_period: 'P60D' });
      await deliver();
    });
    await service.outcome(organization, 'superseded');
    await service.rest(organization);
    const records = await service.records(organization);
    expect(records.map(({ status, grace_period }) => [grace_period, status]).sort()).toEqual([
      ['P30D', 'superseded'],
      ['P60D', 'scheduled'],
    ]);
  });

  test("when the canceller is 110 s ahead, it does not take a worker's lease, and answers 202", async () => {
    const organization = newOne();
    const container = withClock('cancel-offboarding', 110_000);
    await cancel(newOne(), { container });
    service.tenant.addFaults({ method: 'PATCH', path: organization, delay: 2500 });
    await post(organization);
    await service.until('the worker calls Auth0', () => service.calls(organization, 'PATCH').length === 1);
    const owner = (await service.item(organization))?.lease?.owner;
    const { status, body } = await cancel(organization, { container, remaining: 113_500 });
    expect([status, body.status]).toEqual([202, 'cancelling']);
    expect(owner).toBeDefined();
    expect((await service.item(organization))?.lease?.owner).toBe(owner);
    await service.outcome(organization, 'cancelled');
    await service.rest(organization);
    expect(service.enabled(organization)).toEqual({ [CON]: true });
  });
});

test('when the caller has a long ARN and does not say who asks, its request is carried out, and fails for nobody', async () => {
  const organization = newOne();
  const callerArn = `arn:aws:sts::000000000000:assumed-role/${'r'.repeat(64)}/${'s'.repeat(135)}`;
  expect(callerArn.length).toBe(239);
  expect((await post(organization, NOW, { callerArn })).status).toBe(202);
  await service.outcome(organization, 'completed');
  await service.rest(organization);
  expect(service.events(organization).map(({ is }) => is)).toEqual(['requested', 'completed']);
  expect(service.aws.messages(DEAD_LETTERS)).toEqual([]);
});

test.each([1, 3])(
  "when the answer of a cancellation's write is lost %i times, it is answered 200 all the same",
  async (times) => {
    const organization = newOne();
    await post(organization);
    await service.outcome(organization, 'scheduled');
    await service.rest(organization);
    service.aws.addFaults({ operation: 'PutItem', resetAfter: true, times });
    const { status, body } = await cancel(organization);
    expect([status, body.status]).toEqual([200, 'cancelled']);
    expect(service.enabled(organization)).toEqual({ [CON]: true });
  },
);

test('when a request lies behind an overdue drift check and its message is lost, the age of the request is measured', async () => {
  const organization = newOne();
  await post(organization, NOW);
  await service.outcome(organization, 'completed');
  await service.rest(organization);
  await service.pass(2 * DAY_MS, organization);
  service.aws.addFaults({ operation: 'SendMessageBatch', error: 'InternalError', status: 500, times: 20 });
  expect((await post(organization, NOW)).status).toBe(202);
  await service.pass(20 * MINUTE_MS, organization);
  const before = service.logged('due_noticed').length;
  await service.checkByClock();
  const [measured] = service.logged('due_noticed').slice(before);
  expect(measured.OldestOverdue).toBeGreaterThanOrEqual(1200);
  expect(measured.OldestOverdue).toBeLessThan(3600);
  service.aws.clearFaults();
  await service.checkByClock();
  await service.until('it is carried out', async () => (await statuses(organization)).length === 2);
});

test('when a caller files and cancels batches for one organization without end, its item stays small, and all else works', async () => {
  const organization = newOne();
  await post(organization);
  await service.outcome(organization, 'scheduled');
  await service.rest(organization);
  const longest = { reason: '😀'.repeat(1000), requested_by: '😀'.repeat(200) };
  const body = { organization_ids: [organization], ...LATER, ...longest };
  await whileWorkersStandStill(async () => {
    // All of them together would be longer than the item may be.
    for (let i = 0; i < 25; i++) {
      const { status, body: batch } = await service.http('request-offboardings', { body });
      expect(status).toBe(202);
      const query = { batch_id: batch.batch_id, ...longest };
      expect((await service.http('cancel-offboardings', { query })).status).toBe(202);
    }
    const size = Buffer.byteLength(JSON.stringify(await service.item(organization)));
    expect(size).toBeLessThan(200_000);
  });
  await service.rest(organization);
  await service.pass(31 * DAY_MS, organization);
  await service.checkByClock();
  await service.outcome(organization, 'completed');
  expect(service.enabled(organization)).toEqual({});
  expect((await post(organization, NOW)).status).toBe(202);
  expect((await cancel(organization)).status).toBeLessThan(300);
});

test('when a worker crashes while it has the organization, its lease is waited for, and all is carried out', async () => {
  const organization = newOne();
  service.tenant.addFaults({ method: 'PATCH', path: organization, delay: 5000 });
  await post(organization);
  await service.until('the worker calls Auth0', () => service.calls(organization, 'PATCH').length === 1);
  service.worker.kill();
  expect((await cancel(organization, { remaining: 3000 })).status).toBe(202);
  await service.pass(LEASE_OVER_MS, organization);
  await service.outcome(organization, 'cancelled');
  expect(service.enabled(organization)).toEqual({ [CON]: true });
});
