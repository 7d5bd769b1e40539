// What Lambda stops, repeats and freezes, by its developer guide.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  GetFunctionRecursionConfigCommand,
  LambdaClient,
  PutFunctionRecursionConfigCommand,
} from '@aws-sdk/client-lambda';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFunction, type FunctionOptions, type LocalFunction } from '../../infra/local/lambda.ts';
import { type Services, startServices } from './services.ts';

const folder = mkdtempSync(join(tmpdir(), 'org-connections-'));
afterAll(() => rmSync(folder, { recursive: true }));

let services: Services;
const started: LocalFunction[] = [];
beforeEach(async () => {
  services = await startServices({ retrySpeed: 10_000 });
});
afterEach(async () => {
  for (const one of started.splice(0)) one.kill();
  await services.aws.close();
});

/** A function of a test's own; `SQS` and `LATER` stand for what it may import. */
function functionOf(source: string, options: Partial<FunctionOptions> = {}) {
  const bundle = join(folder, `function-${started.length}.mjs`);
  writeFileSync(bundle, source.replace("'SQS'", JSON.stringify(import.meta.resolve('@aws-sdk/client-sqs'))));
  const place = {
    AWS_ENDPOINT_URL: services.aws.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const found = createFunction('looping', { bundle, environment: place, ...options });
  started.push(found);
  return found;
}

describe('a function that sends to the queue which invokes it', () => {
  /** It sends each message on, as it came, with the SDK as it is. */
  const LOOP = `
    import { SQSClient, SendMessageCommand } from 'SQS';
    const client = new SQSClient({});
    export async function handler({ Records: [record] }) {
      const { MessageGroupId } = record.attributes;
      const QueueUrl = process.env.AWS_ENDPOINT_URL + '/000000000000/loop.fifo';
      const MessageDeduplicationId = record.messageId;
      await client.send(new SendMessageCommand({ QueueUrl, MessageBody: record.body, MessageGroupId, MessageDeduplicationId }));
    }`;
  let invocations = 0;
  async function connect(mapping: object) {
    invocations = 0;
    services.aws.createQueue('letters.fifo');
    services.aws.createQueue('loop.fifo', {
      visibilityTimeout: 1000,
      redrive: { deadLetterQueue: 'letters.fifo', maxReceiveCount: 3 },
    });
    const loop = functionOf(LOOP);
    // Warm, so that no start takes longer than a visibility timeout.
    await loop.invoke({ Records: [] }).catch(() => undefined);
    const counted = (...given: Parameters<LocalFunction['invoke']>) => {
      invocations += 1;
      return loop.invoke(...given);
    };
    services.aws.connect('loop.fifo', [counted], { functionName: 'looping', ...mapping });
    services.aws.send('loop.fifo', 'again', 'single');
  }

  test('is not invoked the seventeenth time: the message comes back until it is a dead letter', async () => {
    await connect({});
    await expect.poll(() => services.aws.messages('letters.fifo').length, { timeout: 20_000 }).toBe(1);
    expect(invocations).toBe(16);
    // The visibility timeout passed for each receive, and nothing in the function's log says so.
    expect(services.aws.recursiveInvocationsDropped.length).toBe(3);
  });

  test('goes on where the function allows it', async () => {
    await connect({ allowsLoops: () => true });
    await expect.poll(() => invocations, { timeout: 20_000 }).toBeGreaterThan(20);
    expect(services.aws.recursiveInvocationsDropped).toEqual([]);
  });

  test('when an operator allows its loops, the message goes on from where it was stopped', async () => {
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    const lambda = new LambdaClient({ endpoint: services.aws.url, region: 'us-east-1', credentials });
    const FunctionName = 'looping';
    services.aws.lambda.addFunction(FunctionName, { invoke: async () => {}, allowsLoops: false });
    await connect({ allowsLoops: () => services.aws.lambda.allowsLoops(FunctionName) });
    await expect.poll(() => services.aws.recursiveInvocationsDropped.length, { timeout: 20_000 }).toBe(1);
    const read = () => lambda.send(new GetFunctionRecursionConfigCommand({ FunctionName }));
    expect((await read()).RecursiveLoop).toBe('Terminate');
    await lambda.send(new PutFunctionRecursionConfigCommand({ FunctionName, RecursiveLoop: 'Allow' }));
    expect((await read()).RecursiveLoop).toBe('Allow');
    await expect.poll(() => invocations, { timeout: 20_000 }).toBeGreaterThan(20);
    const unknown = new PutFunctionRecursionConfigCommand({ FunctionName: 'unknown', RecursiveLoop: 'Allow' });
    await expect(lambda.send(unknown)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});

describe('messages of a queue', () => {
  const bodies = (event: unknown) => (event as { Records: { body: string; messageId: string }[] }).Records;

  test('a batch of which one fails: it alone comes back where failures are reported, else all is deleted', async () => {
    for (const [name, reportsFailures] of [
      ['reports', true],
      ['keeps-quiet', false],
    ] as const) {
      services.aws.createQueue(name, { visibilityTimeout: 60_000 });
      for (const body of ['1', '2', '3']) services.aws.send(name, body, '');
      const seen: string[] = [];
      const answer = async (event: unknown) => {
        seen.push(...bodies(event).map(({ body }) => body));
        return {
          batchItemFailures: bodies(event)
            .filter(({ body }) => body === '2')
            .map(({ messageId }) => ({ itemIdentifier: messageId })),
        };
      };
      services.aws.connect(name, [answer], { batchSize: 10, reportsFailures });
      await expect
        .poll(() => services.aws.messages(name).map(({ body }) => body))
        .toEqual(reportsFailures ? ['2'] : []);
      expect(seen).toEqual(['1', '2', '3']);
    }
  });

  test('an answer that names a message which was not in the batch: all of it comes back', async () => {
    services.aws.createQueue('odd', { visibilityTimeout: 60_000 });
    services.aws.send('odd', '1', '');
    let count = 0;
    services.aws.connect('odd', [async () => ({ batchItemFailures: [{ itemIdentifier: `other-${count++}` }] })]);
    await expect.poll(() => count).toBe(1);
    const QueueUrl = `${services.aws.url}/000000000000/odd`;
    const read = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] });
    const { Attributes } = await services.sqs.send(read);
    expect(Attributes).toMatchObject({ ApproximateNumberOfMessages: '0', ApproximateNumberOfMessagesNotVisible: '1' });
  });
});

test('an event of EventBridge is tried three times, and is gone then', async () => {
  const arn = 'arn:aws:lambda:us-east-1:000000000000:function:watch';
  const tries: unknown[] = [];
  const sourceArns = ['arn:aws:events:us-east-1:000000000000:rule/stage/notifications'];
  const invoke = async (event: unknown) => {
    tries.push(event);
    throw new Error('not now');
  };
  services.aws.eventBridge.addBus('stage');
  services.aws.eventBridge.addFunction(arn, { invoke, sourceArns });
  services.aws.eventBridge.addRule({ name: 'notifications', bus: 'stage', takes: () => true, targets: [{ arn }] });
  const event = { id: '1', source: 'test', 'detail-type': 'notification', time: '2026-01-01T00:00:00Z', detail: {} };
  services.aws.publish(event);
  await expect.poll(() => services.aws.lost()).toEqual([event]);
  expect(tries.length).toBe(3);
  // Without a permission that names the rule it is not even invoked.
  services.aws.eventBridge.addRule({ name: 'unnamed', bus: 'stage', takes: () => true, targets: [{ arn }] });
  services.aws.publish({ ...event, id: '2' });
  expect(services.aws.lost()).toContainEqual({ ...event, id: '2' });
});

test('what is pending when the response is out is frozen, and goes on at the next invocation', async () => {
  const source = `
    let ended = 0;
    export async function handler() {
      const before = ended;
      setTimeout(() => { ended += 1; console.log('ended'); }, 100);
      return before;
    }`;
  const lines: string[] = [];
  const frozen = functionOf(source, { freezes: true, onLog: (line) => lines.push(line) });
  expect(await frozen.invoke({})).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(lines.filter((line) => line === 'ended')).toEqual([]);
  await frozen.invoke({});
  await frozen.invoke({});
  await expect.poll(() => frozen.invoke({}).then(() => lines.includes('ended'))).toBe(true);
});
