// Dead letters that are moved back out of a FIFO queue, in which a letter in flight holds up all others of its group.
import '../own-modules.ts';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { DEAD_LETTERS, type LocalEnvironment, QUEUE } from '../../infra/local/environment.ts';
import { startEnvironmentInProcess } from '../in-process.ts';
import { listen } from '../listen.ts';

let local: LocalEnvironment;
let letters: typeof import('../../lib/offboarding/store/dead-letters.ts');
let queue: typeof import('../../lib/aws/queue.ts');
/** Between the code under test and SQS: `see` may look at each receive, and change it. */
let see: (receive: { MaxNumberOfMessages: number; WaitTimeSeconds?: number }) => void = () => {};
const wire = createServer(async (request, response) => {
  const input = JSON.parse(await text(request));
  if (input.MaxNumberOfMessages !== undefined) see(input);
  const { host, 'content-length': _, ...headers } = request.headers as Record<string, string>;
  const answer = await fetch(local.aws.url + request.url, { method: 'POST', headers, body: JSON.stringify(input) });
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
});
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  const url = await listen(wire);
  const queue_url = local.environment.OFFBOARDING_QUEUE_URL?.replace(local.aws.url, url);
  Object.assign(process.env, local.environment, { OFFBOARDING_QUEUE_URL: queue_url });
  letters = await import('../../lib/offboarding/store/dead-letters.ts');
  queue = await import('../../lib/aws/queue.ts');
});
afterAll(async () => {
  wire.close();
  await local.close();
});
beforeEach(() => {
  for (const name of [QUEUE, DEAD_LETTERS]) local.aws.messages(name).splice(0);
});
afterEach(() => {
  see = () => {};
  local.aws.clearFaults();
});

const due = (organization_id: string) =>
  JSON.stringify({ 'detail-type': 'organization.offboarding.due', detail: { organization_id } });
const bodies = (name: string) => local.aws.messages(name).map(({ body }) => body);
const soon = () => Date.now() + 30_000;
const OURS = { organization_id: 'org_ours' };
const bury = (...all: string[]) => {
  for (const body of all) local.aws.send(DEAD_LETTERS, body, 'single');
};

test("when many letters of others lie before an organization's, it is found, and theirs stay, free for everybody", async () => {
  const others = Array.from({ length: 35 }, (_, i) => due(`org_other${i}`));
  bury(...others.slice(0, 15), due('org_ours'), ...others.slice(15), due('org_ours'));
  expect(await letters.redrive(OURS, soon())).toEqual({ redriven: 2, left: 35 });
  expect(bodies(QUEUE)).toEqual([due('org_ours'), due('org_ours')]);
  expect(bodies(DEAD_LETTERS).sort()).toEqual([...others].sort());
  expect(local.aws.messages(DEAD_LETTERS).every(({ visibleAt, group }) => visibleAt <= Date.now() && group)).toBe(true);
  expect(await letters.redrive('all', soon()), 'at once again').toEqual({ redriven: 35, left: 0 });
});

test('when malformed letters lie between good ones, the good ones behind them are moved, and the malformed are counted', async () => {
  const good = Array.from({ length: 27 }, (_, i) => due(`org_good${i}`));
  bury('malformed 1', ...good.slice(0, 4), 'malformed 2', ...good.slice(4, 20), 'malformed 3', ...good.slice(20));
  expect(await letters.redrive('all', soon())).toEqual({ redriven: 27, left: 3 });
  expect(bodies(QUEUE)).toEqual(good);
  expect(bodies(DEAD_LETTERS).sort()).toEqual(['malformed 1', 'malformed 2', 'malformed 3']);
});

test('a letter that is put behind its group keeps its reason, and one that holds up nothing keeps its place', async () => {
  const attributes = { reason: { DataType: 'String', StringValue: 'invalid_message: x' } };
  const QueueUrl = process.env.OFFBOARDING_QUEUE_URL?.replace(QUEUE, DEAD_LETTERS) ?? '';
  const few = ['malformed', due('org_other')];
  for (const body of few) await queue.sendMessage(QueueUrl, body, 'batch', 'invalid_message: x');
  const ids = () => local.aws.messages(DEAD_LETTERS).map(({ id }) => id);
  const before = ids();
  expect(await letters.redrive(OURS, soon())).toEqual({ redriven: 0, left: 2 });
  expect(ids()).toEqual(before);
  for (let i = 0; i < 12; i++) await queue.sendMessage(QueueUrl, `malformed ${i}`, 'batch', 'invalid_message: x');
  expect(await letters.redrive(OURS, soon())).toEqual({ redriven: 0, left: 14 });
  for (const letter of local.aws.messages(DEAD_LETTERS)) expect(letter).toMatchObject({ group: 'batch', attributes });
});

test('when a receive gives fewer letters than there are, those behind are found all the same', async () => {
  bury('malformed', ...Array.from({ length: 5 }, (_, i) => due(`org_good${i}`)));
  let receives = 0;
  see = (receive) => {
    if (receives++ < 3) receive.MaxNumberOfMessages = 1;
  };
  expect(await letters.redrive('all', soon())).toEqual({ redriven: 5, left: 1 });
});

test('each receive waits, for SQS does not ask all of its servers otherwise', async () => {
  bury(due('org_ours'));
  const waits: unknown[] = [];
  see = ({ WaitTimeSeconds }) => waits.push(WaitTimeSeconds);
  expect(await letters.redrive(OURS, soon())).toEqual({ redriven: 1, left: 0 });
  expect(waits.length).toBeGreaterThan(1);
  expect(new Set(waits)).toEqual(new Set([2]));
});

test('when the time is over in the middle, what nobody has looked at counts as left, too', async () => {
  bury(...Array.from({ length: 300 }, (_, i) => due(`org_other${i}`)));
  const { redriven, left } = await letters.redrive('all', Date.now() + 30);
  expect(redriven + left).toBe(300);
  expect(left).toBeGreaterThan(0);
  expect(bodies(DEAD_LETTERS).length).toBe(left);
});
