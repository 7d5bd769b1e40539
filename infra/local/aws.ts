// A stand-in for the AWS services that org-connections uses, on one real socket and in their own wire protocols. Each service
// lies in a file of its own, with the rules by which AWS stops, drops, delays, repeats and refuses things.
import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDynamoDb } from './aws/dynamodb.ts';
import { type BusEvent, createEventBridge } from './aws/event-bus.ts';
import { FAULT_OPERATIONS } from './aws/fault-operations.ts';
import { createInvocations, type Mapping, type OnFailure } from './aws/invocations.ts';
import { createLambdaApi } from './aws/lambda-api.ts';
import { createLogSubscriptions } from './aws/log-subscriptions.ts';
import { askedFor, callerOf, errorAnswer } from './aws/protocols.ts';
import { createScheduler } from './aws/scheduler.ts';
import { createSecretsManager } from './aws/secrets-manager.ts';
import { createSqs, type QueueOptions } from './aws/sqs.ts';
import { createSqsApi } from './aws/sqs-api.ts';
import { createTerminal } from './aws/terminal.ts';
import {
  AwsError,
  type AwsFault,
  arnOf,
  createAgenda,
  createFaults,
  type Invoke,
  type Json,
  type Operation,
} from './aws/wire.ts';

export type { BusEvent } from './aws/event-bus.ts';
export type { AwsFault, Invoke } from './aws/wire.ts';

const CONTROL = '/_aws/';

/**
 * Starts the services on a loopback port (a free one when `port` is 0); AWS's own retries come `retrySpeed` times as soon. What a game
 * day may do to them is a method here and, for other processes, `POST /_aws/{method}` with the arguments as a JSON array.
 */
export async function startAws({ port = 0, retrySpeed = 1 } = {}) {
  const calls: string[] = [];
  const faults = createFaults(
    (name) => FAULT_OPERATIONS.includes(name) || Object.values(OPERATIONS).some((of) => Object.hasOwn(of, name)),
  );
  const agenda = createAgenda();
  const sqs = createSqs(agenda);
  const invocations = createInvocations(sqs, agenda, retrySpeed);
  const eventBridge = createEventBridge(sqs, invocations, agenda, faults, retrySpeed);
  const lambda = createLambdaApi();
  const scheduler = createScheduler({ sqs, invocations, lambda }, agenda, faults, retrySpeed);
  const logs = createLogSubscriptions(invocations);
  const secretsManager = createSecretsManager();
  const dynamoDb = createDynamoDb();
  const terminal = createTerminal();

  const control = {
    addFaults: (...more: AwsFault[]) => faults.add(...more),
    clearFaults: (about?: string) => faults.clear(about),
    /** Deletes the queue's messages, also those in flight, as PurgeQueue does. */
    purge: (queue: string) => sqs.purge(queue),
    /** Deletes the schedules with `part` in their names, as if Scheduler had forgotten them. */
    lose: (part: string) => scheduler.lose(part),
    /** The queue's messages, in order, as they are now; what is spliced out of it is out of the queue. */
    messages: (queue: string) => sqs.queueNamed(queue).messages.list(),
    /** How many messages of the queue can be received, are hidden, and have expired. */
    counts: (queue: string) => sqs.queueNamed(queue).messages.counts(),
    /** Fires the schedules whose name has `part` in it, whatever their time. */
    fireAll: (part: string) => scheduler.fireAll(part),
    /** Puts an event on the bus as it is, with the id and the time that it has: an archive's replay, or a late delivery. */
    publish: (event: BusEvent) => eventBridge.publish(event, eventBridge.busOf(event.source)),
  };

  const OPERATIONS: Record<string, Record<string, Operation>> = {
    secretsmanager: secretsManager.operations,
    AWSEvents: eventBridge.operations,
    AmazonSQS: createSqsApi(sqs, agenda),
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks).toString() || '{}';
    const { pathname, search } = new URL(request.url ?? '/', url);
    if (pathname.startsWith(CONTROL)) return void controlled(pathname.slice(CONTROL.length), body, response);
    const method = request.method ?? '';
    const { protocol, service, operation: asked } = askedFor(method, pathname, request.headers, body);
    const byPath = scheduler.operationOf(method, pathname, search) ?? lambda.operationOf(method, pathname, search);
    const [name = asked, operation] = byPath ?? [];
    calls.push(name);
    const fault = faults.next(name, body);
    if (fault?.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
    if (fault?.reset) return void request.socket.resetAndDestroy();
    const answer = (status: number, json: Json | string, headers = {}): void => {
      if (fault?.resetAfter) return void request.socket.resetAndDestroy();
      const isDynamoDb = service.startsWith('DynamoDB');
      response.writeHead(status, { 'content-type': `application/x-amz-json-1.${isDynamoDb ? 0 : 1}`, ...headers });
      response.end(typeof json === 'string' ? json : JSON.stringify(json));
    };
    if (fault?.garbage !== undefined) return answer(200, fault.garbage);
    try {
      if (fault?.error && !fault.entries) throw new AwsError(fault.error, 'Failed on purpose.', fault.status ?? 400);
      if (fault?.answer) return answer(200, fault.answer);
      const trace = request.headers['x-amzn-trace-id'] as string | undefined;
      if (service.startsWith('DynamoDB')) {
        const { status, body: text } = await dynamoDb.run(name, body, { fault });
        return answer(status, text);
      }
      const xml = protocol === 'query' ? terminal.query(body, callerOf(request.headers)) : undefined;
      if (xml) return answer(200, xml, { 'content-type': 'text/xml' });
      const invoke = lambda.functionOf(pathname);
      if (invoke) return void (await invoked(invoke, JSON.parse(body), response));
      const run = operation ?? OPERATIONS[service]?.[name];
      if (!run) throw new AwsError('UnknownOperationException', `${name} is not played here.`, 404);
      answer(200, await run(JSON.parse(body), { fault, trace, endpoint: url }));
    } catch (error) {
      const failure = error instanceof AwsError ? error : new AwsError('InternalFailure', String(error), 500);
      const { headers, body: text } = errorAnswer(protocol, failure);
      answer(failure.status, text, headers);
    }
  });

  /** Lambda's `Invoke`: what a function throws is an answer, too. */
  async function invoked(invoke: Invoke, event: unknown, response: ServerResponse): Promise<void> {
    const failed = (error: Error) => ({ errorMessage: error.message, failed: true });
    const result = await invoke(event).catch(failed);
    const headers = { 'x-amz-function-error': 'Unhandled' };
    response.writeHead(200, Object(result).failed ? headers : {}).end(JSON.stringify(result ?? null));
  }

  function controlled(name: string, body: string, response: ServerResponse): void {
    let [status, answer]: [number, unknown] = [200, undefined];
    try {
      const run = control[name as keyof typeof control] as ((...given: unknown[]) => unknown) | undefined;
      if (!run) throw new Error(`No such control; there are ${Object.keys(control).join(', ')}`);
      answer = run(...(body === '{}' ? [] : JSON.parse(body))) ?? null;
    } catch (error) {
      [status, answer] = [400, { message: String(error) }];
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(answer)}\n`);
  }

  // Longer than a container of a test is frozen, as AWS keeps idle connections for longer than Node.js does.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    ...control,
    url,
    calls,
    /** What stack.ts deploys to. */
    eventBridge,
    scheduler,
    logs,
    dynamoDb,
    lambda,
    terminal,
    /** All events that were put on a bus, oldest first. */
    events: eventBridge.events,
    schedules: scheduler.schedules,
    /** Lambda's metric `RecursiveInvocationsDropped`: invocations that were refused for being the seventeenth of a chain. */
    recursiveInvocationsDropped: invocations.dropped,
    /** Events and messages that AWS has given up, and that no dead-letter queue took. */
    lost: () => [...eventBridge.undelivered.map(({ event }) => event), ...invocations.lost, ...scheduler.lost],

    /** Adds a queue; times in milliseconds. */
    createQueue: (name: string, options: QueueOptions = {}) => sqs.create(name, url, options).url,
    /** Has the queue read its messages again, after somebody changed one in place or put the clock forward. */
    wake: (name: string) => sqs.wake(sqs.queueNamed(name)),
    /** When AWS does something by itself next, Unix ms: a schedule, a retry, a late delivery. */
    nextDue: () => agenda.next(),
    send: (name: string, body: string, group: string) =>
      sqs.send(sqs.queueNamed(name), body, { group, deduplicationId: randomUUID() }),
    /** Puts what a function failed for good with into a queue (Lambda developer guide, "Destinations for asynchronous invocation"). */
    destination:
      (functionArn: string, queue: string): OnFailure =>
      (requestPayload, errorMessage) => {
        const requestContext = { requestId: randomUUID(), functionArn: `${functionArn}:$LATEST` };
        const failed = { condition: 'RetriesExhausted', approximateInvokeCount: 3 };
        const message = {
          ...{ version: '1.0', timestamp: new Date().toISOString(), requestPayload },
          requestContext: { ...requestContext, ...failed },
          responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
          responsePayload: { errorMessage },
        };
        sqs.send(sqs.queueNamed(queue), JSON.stringify(message));
      },
    createScheduleGroup: (name: string) => scheduler.createGroup(name),
    /** A rule of a test's own, on the service's bus. */
    addRule({
      takes,
      queue,
      messageGroupId,
    }: {
      takes: (event: BusEvent) => boolean;
      queue: string;
      messageGroupId?: string;
    }) {
      const targets = [{ arn: arnOf('sqs', queue), messageGroupId }];
      eventBridge.addRule({ name: `to-${queue}`, bus: eventBridge.busOf(''), takes, targets });
    },
    /** Event source mapping: from now on the queue's messages go to `containers`, to each one at a time. */
    connect(name: string, containers: Invoke[], mapping: Mapping = {}) {
      for (const invoke of containers) void invocations.poll(sqs.queueNamed(name), invoke, mapping);
    },
    onEvent: eventBridge.onEvent,
    setRotation: secretsManager.setRotation,
    createSecret: secretsManager.create,
    setSecretValue: secretsManager.setValue,
    rotate: secretsManager.rotate,
    secret: secretsManager.secret,

    async close() {
      invocations.close();
      agenda.close();
      dynamoDb.close();
      sqs.wakeAll();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Aws = Awaited<ReturnType<typeof startAws>>;
