// A stand-in for the AWS services that org-connections uses, on one real socket and in their own wire protocols: Secrets
// Manager with rotation, an EventBridge bus, SQS FIFO queues with an event source mapping, and one-time schedules. DynamoDB is
// dynalite's, behind the same address and the same faults.
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import dynalite from 'dynalite';

type Json = Record<string, unknown>;
/** Calls a function as Lambda does: resolves to its result, rejects when it throws, times out or dies. */
export type Invoke = (event: unknown) => Promise<unknown>;

/** One way to fail on purpose: it meets calls of `operation`, `times` of them. */
export interface AwsFault {
  operation: string;
  times?: number;
  /** Milliseconds before the answer. */
  delay?: number;
  /** The error's name and status. */
  error?: string;
  status?: number;
  /** Answer with this text instead, or with no answer at all. */
  garbage?: string;
  reset?: boolean;
  /** DynamoDB does it, and its answer is lost. */
  resetAfter?: boolean;
  /** Answer with this instead. */
  answer?: Json;
}

interface Secret {
  ARN: string;
  Name: string;
  versions: Map<string, { value?: string | undefined; binary?: Buffer; stages: Set<string>; created: number }>;
  rotate?: Invoke | undefined;
  lastRotated?: number;
  lastRotationError?: string;
}

interface Message {
  id: string;
  body: string;
  group: string | undefined;
  attributes: Json;
  receiveCount: number;
  visibleAt: number;
  receipt: string;
  sentAt: number;
  /** Somebody is at it. */
  inFlight?: boolean;
}

interface Queue {
  url: string;
  arn: string;
  fifo: boolean;
  visibilityTimeout: number;
  messages: Message[];
  dedup: Map<string, number>;
  redrive?: { deadLetterQueue: string; maxReceiveCount: number };
  /** Pollers that wait for the next message. */
  waiting: Set<() => void>;
}

interface Schedule {
  body: Json;
  at: number;
  timer: NodeJS.Timeout | undefined;
}

export interface BusEvent extends Json {
  id: string;
  source: string;
  'detail-type': string;
  time: string;
  detail: Json;
}

interface Rule {
  takes: (event: BusEvent) => boolean;
  queue: string;
  messageGroupId?: string;
}

const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
const LONGEST_TIMER_MS = 2 ** 31 - 1;

class AwsError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/** Starts the services on a loopback port (a free one when `port` is 0). */
export async function startAws({ port = 0 } = {}) {
  const secrets = new Map<string, Secret>();
  const queues = new Map<string, Queue>();
  const schedules = new Map<string, Schedule>();
  const groups = new Set<string>();
  const rules: Rule[] = [];
  const events: BusEvent[] = [];
  const listeners = new Set<(event: BusEvent) => void>();
  const calls: string[] = [];
  const rotations = new Set<Promise<unknown>>();
  let faults: AwsFault[] = [];
  let closed = false;

  const text = (input: Json, member: string): string => {
    const value = input[member];
    if (typeof value !== 'string') throw new AwsError('ValidationException', `${member} is missing`);
    return value;
  };

  // Secrets Manager

  function secretOf(input: Json): Secret {
    const id = text(input, 'SecretId');
    const secret = secrets.get(id) ?? [...secrets.values()].find(({ ARN }) => ARN === id);
    if (!secret) throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return secret;
  }

  function stage(secret: Secret, name: string, versionId: string | undefined): void {
    for (const version of secret.versions.values()) version.stages.delete(name);
    if (versionId) secret.versions.get(versionId)?.stages.add(name);
  }

  const versionWith = (secret: Secret, name: string) => [...secret.versions].find(([, { stages }]) => stages.has(name));

  function makeCurrent(secret: Secret, versionId: string): void {
    const before = versionWith(secret, 'AWSCURRENT')?.[0];
    stage(secret, 'AWSCURRENT', versionId);
    if (before && before !== versionId) stage(secret, 'AWSPREVIOUS', before);
  }

  function putSecretValue(input: Json): Json {
    const secret = secretOf(input);
    const versionId = typeof input.ClientRequestToken === 'string' ? input.ClientRequestToken : randomUUID();
    const value = text(input, 'SecretString');
    const found = secret.versions.get(versionId);
    if (found?.value !== undefined && found.value !== value) {
      throw new AwsError(
        'ResourceExistsException',
        'A version with another value exists already for this request token.',
      );
    }
    secret.versions.set(versionId, { value, stages: found?.stages ?? new Set(), created: Date.now() / 1000 });
    for (const name of (input.VersionStages as string[] | undefined) ?? ['AWSCURRENT']) {
      if (name === 'AWSCURRENT') makeCurrent(secret, versionId);
      else stage(secret, name, versionId);
    }
    return {
      ARN: secret.ARN,
      Name: secret.Name,
      VersionId: versionId,
      VersionStages: [...(secret.versions.get(versionId)?.stages ?? [])],
    };
  }

  function startRotation(secret: Secret, token: string): void {
    const rotation = runRotation(secret, token);
    rotations.add(rotation);
    rotation.finally(() => rotations.delete(rotation));
  }

  async function runRotation(secret: Secret, token: string): Promise<void> {
    try {
      for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
        await secret.rotate?.({ SecretId: secret.ARN, ClientRequestToken: token, Step });
      }
      secret.lastRotated = Date.now() / 1000;
      delete secret.lastRotationError;
    } catch (error) {
      secret.lastRotationError = error instanceof Error ? error.message : String(error);
    }
  }

  const secretsManager: Record<string, (input: Json) => Json> = {
    CreateSecret(input) {
      const Name = text(input, 'Name');
      if (secrets.has(Name))
        throw new AwsError('ResourceExistsException', 'The operation failed because the secret already exists.');
      const ARN = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:${Name}-${randomUUID().slice(0, 6)}`;
      secrets.set(Name, { ARN, Name, versions: new Map() });
      return input.SecretString === undefined ? { ARN, Name } : putSecretValue({ ...input, SecretId: Name });
    },
    DescribeSecret(input) {
      const secret = secretOf(input);
      const stages = [...secret.versions].map(([id, version]) => [id, [...version.stages]]);
      return {
        ARN: secret.ARN,
        Name: secret.Name,
        RotationEnabled: secret.rotate !== undefined,
        ...(secret.lastRotated && { LastRotatedDate: secret.lastRotated }),
        VersionIdsToStages: Object.fromEntries(stages),
      };
    },
    GetSecretValue(input) {
      const secret = secretOf(input);
      const id =
        (input.VersionId as string | undefined) ??
        versionWith(secret, (input.VersionStage as string) ?? 'AWSCURRENT')?.[0];
      const version = secret.versions.get(id ?? '');
      const staged =
        input.VersionId === undefined ||
        input.VersionStage === undefined ||
        version?.stages.has(input.VersionStage as string);
      if (!version || (version.value ?? version.binary) === undefined || !staged) {
        throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret value.");
      }
      return {
        ARN: secret.ARN,
        Name: secret.Name,
        VersionId: id,
        ...(version.binary ? { SecretBinary: version.binary.toString('base64') } : { SecretString: version.value }),
        VersionStages: [...version.stages],
        CreatedDate: version.created,
      };
    },
    PutSecretValue: putSecretValue,
    UpdateSecretVersionStage(input) {
      const secret = secretOf(input);
      const [name, to, from] = [
        text(input, 'VersionStage'),
        input.MoveToVersionId as string | undefined,
        input.RemoveFromVersionId as string | undefined,
      ];
      const holder = versionWith(secret, name)?.[0];
      if (to && holder && holder !== to && holder !== from) {
        throw new AwsError(
          'InvalidParameterException',
          `The parameter RemoveFromVersionId can't be empty. Staging label ${name} is currently attached to version ${holder}`,
        );
      }
      if (name === 'AWSCURRENT' && to) makeCurrent(secret, to);
      else stage(secret, name, to);
      return { ARN: secret.ARN, Name: secret.Name };
    },
    RotateSecret(input) {
      const secret = secretOf(input);
      if (!secret.rotate)
        throw new AwsError('InvalidRequestException', 'You must specify a Lambda function ARN to rotate the secret.');
      const pending = versionWith(secret, 'AWSPENDING');
      if (pending && !pending[1].stages.has('AWSCURRENT')) {
        startRotation(secret, pending[0]);
        throw new AwsError(
          'InvalidRequestException',
          "A previous rotation isn't complete. That rotation will be reattempted.",
        );
      }
      const token = (input.ClientRequestToken as string | undefined) ?? randomUUID();
      secret.versions.set(token, { stages: new Set(), created: Date.now() / 1000 });
      stage(secret, 'AWSPENDING', token);
      startRotation(secret, token);
      return { ARN: secret.ARN, Name: secret.Name, VersionId: token };
    },
  };

  // EventBridge

  const eventBridge: Record<string, (input: Json) => Json> = {
    PutEvents(input) {
      const Entries = (input.Entries as Json[]).map((entry) => {
        const event: BusEvent = {
          version: '0',
          id: randomUUID(),
          'detail-type': text(entry, 'DetailType'),
          source: text(entry, 'Source'),
          account: ACCOUNT,
          time: `${new Date().toISOString().slice(0, 19)}Z`,
          region: REGION,
          resources: [],
          detail: JSON.parse(text(entry, 'Detail')),
        };
        publish(event);
        return { EventId: event.id };
      });
      return { FailedEntryCount: 0, Entries };
    },
  };

  function publish(event: BusEvent): void {
    events.push(event);
    for (const listener of listeners) listener(event);
    for (const { takes, queue, messageGroupId } of rules) {
      if (takes(event)) send(queueNamed(queue), JSON.stringify(event), messageGroupId);
    }
  }

  // SQS

  function queueNamed(name: string): Queue {
    const queue = queues.get(name);
    if (!queue) throw new AwsError('com.amazonaws.sqs#QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }
  const queueOf = (input: Json) => queueNamed(text(input, 'QueueUrl').split('/').at(-1) ?? '');
  const md5 = (body: string) => createHash('md5').update(body).digest('hex');

  function send(
    queue: Queue,
    body: string,
    group?: string,
    dedup = createHash('sha256').update(body).digest('hex'),
    attributes: Json = {},
  ): string {
    const id = randomUUID();
    if (queue.fifo && !group)
      throw new AwsError('MissingParameter', 'The request must contain the parameter MessageGroupId.');
    if (queue.fifo && (queue.dedup.get(dedup) ?? 0) > Date.now()) return id;
    queue.dedup.set(dedup, Date.now() + 300_000);
    queue.messages.push({
      id,
      body,
      group,
      attributes,
      receiveCount: 0,
      visibleAt: 0,
      receipt: '',
      sentAt: Date.now(),
    });
    wake(queue);
    return id;
  }

  function wake(queue: Queue): void {
    for (const poller of [...queue.waiting]) poller();
  }

  /** The next messages that may be handed out; of a group, none while one before it is in flight. */
  function receive(queue: Queue, most: number): Message[] {
    const busy = new Set<string | undefined>();
    const handed: Message[] = [];
    for (const message of [...queue.messages]) {
      if (handed.length >= most) break;
      if (queue.fifo && busy.has(message.group)) continue;
      if (message.visibleAt > Date.now()) {
        busy.add(message.group);
      } else if (queue.redrive && message.receiveCount >= queue.redrive.maxReceiveCount) {
        queue.messages.splice(queue.messages.indexOf(message), 1);
        const target = queueNamed(queue.redrive.deadLetterQueue);
        target.messages.push({ ...message, visibleAt: 0 });
      } else {
        message.receiveCount += 1;
        message.visibleAt = Date.now() + queue.visibilityTimeout;
        message.receipt = randomUUID();
        handed.push(message);
      }
    }
    return handed;
  }

  const systemAttributes = (message: Message) => ({
    ApproximateReceiveCount: String(message.receiveCount),
    SentTimestamp: String(message.sentAt),
    ...(message.group && { MessageGroupId: message.group }),
  });

  function remove(queue: Queue, receipt: string): void {
    queue.messages = queue.messages.filter((message) => message.receipt !== receipt);
    wake(queue);
  }

  const sqs: Record<string, (input: Json) => Json> = {
    GetQueueUrl: (input) => ({ QueueUrl: queueNamed(text(input, 'QueueName')).url }),
    GetQueueAttributes(input) {
      const queue = queueOf(input);
      const hidden = queue.messages.filter(({ visibleAt }) => visibleAt > Date.now()).length;
      return {
        Attributes: {
          QueueArn: queue.arn,
          ApproximateNumberOfMessages: String(queue.messages.length - hidden),
          ApproximateNumberOfMessagesNotVisible: String(hidden),
          ...(queue.redrive && {
            RedrivePolicy: JSON.stringify({
              deadLetterTargetArn: queueNamed(queue.redrive.deadLetterQueue).arn,
              maxReceiveCount: queue.redrive.maxReceiveCount,
            }),
          }),
        },
      };
    },
    SendMessage(input) {
      const queue = queueOf(input);
      if (queue.fifo && input.DelaySeconds)
        throw new AwsError('InvalidParameterValue', 'DelaySeconds is not taken by a FIFO queue.');
      const body = text(input, 'MessageBody');
      const id = send(
        queue,
        body,
        input.MessageGroupId as string | undefined,
        input.MessageDeduplicationId as string | undefined,
        input.MessageAttributes as Json,
      );
      return { MessageId: id, MD5OfMessageBody: md5(body) };
    },
    ReceiveMessage(input) {
      const messages = receive(queueOf(input), Number(input.MaxNumberOfMessages ?? 1));
      const Messages = messages.map((message) => ({
        MessageId: message.id,
        ReceiptHandle: message.receipt,
        Body: message.body,
        MD5OfBody: md5(message.body),
        Attributes: systemAttributes(message),
        MessageAttributes: message.attributes,
      }));
      return Messages.length ? { Messages } : {};
    },
    SendMessageBatch(input) {
      const Successful = (input.Entries as Json[]).map(({ Id, ...entry }) => ({
        Id,
        ...(sqs.SendMessage?.({ ...entry, QueueUrl: input.QueueUrl }) ?? {}),
      }));
      return { Successful, Failed: [] };
    },
    DeleteMessage(input) {
      remove(queueOf(input), text(input, 'ReceiptHandle'));
      return {};
    },
    ChangeMessageVisibility(input) {
      const queue = queueOf(input);
      const message = queue.messages.find(({ receipt }) => receipt === input.ReceiptHandle);
      if (!message) throw new AwsError('com.amazonaws.sqs#ReceiptHandleIsInvalid', 'The receipt handle is not valid.');
      message.visibleAt = Date.now() + Number(input.VisibilityTimeout) * 1000;
      wake(queue);
      return {};
    },
  };

  /** Hands a queue's messages to a function, one at a time, as an event source mapping with partial batch responses does. */
  async function poll(queue: Queue, invoke: Invoke): Promise<void> {
    while (!closed) {
      const [message] = receive(queue, 1);
      if (!message) {
        const next = Math.min(...queue.messages.map(({ visibleAt }) => visibleAt).filter((at) => at > Date.now()));
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, Math.max(1, Math.min(next - Date.now(), 60_000)));
          function done() {
            clearTimeout(timer);
            queue.waiting.delete(done);
            resolve();
          }
          queue.waiting.add(done);
        });
        continue;
      }
      const record = {
        messageId: message.id,
        receiptHandle: message.receipt,
        body: message.body,
        attributes: systemAttributes(message),
        messageAttributes: {},
        md5OfBody: md5(message.body),
        eventSource: 'aws:sqs',
        eventSourceARN: queue.arn,
        awsRegion: REGION,
      };
      const { receipt } = message;
      message.inFlight = true;
      try {
        const result = (await invoke({ Records: [record] })) as { batchItemFailures?: unknown[] } | undefined;
        if (!result?.batchItemFailures?.length) remove(queue, receipt);
      } catch {
        // The message comes back when its visibility timeout is over.
      }
      message.inFlight = false;
      wake(queue);
    }
  }

  // EventBridge Scheduler

  function fire(key: string): void {
    const found = schedules.get(key);
    if (!found) return;
    clearTimeout(found.timer);
    const target = found.body.Target as { Arn: string; Input: string; SqsParameters?: { MessageGroupId: string } };
    const queue = [...queues.values()].find(({ arn }) => arn === target.Arn);
    if (queue) send(queue, target.Input, target.SqsParameters?.MessageGroupId);
    if (found.body.ActionAfterCompletion === 'DELETE') schedules.delete(key);
  }

  function arm(key: string, schedule: Schedule): void {
    clearTimeout(schedule.timer);
    const wait = schedule.at - Date.now();
    if (wait > LONGEST_TIMER_MS) {
      schedule.timer = setTimeout(() => arm(key, schedule), LONGEST_TIMER_MS);
      schedule.timer.unref();
      return;
    }
    schedule.timer = setTimeout(() => fire(key), Math.max(0, wait));
    schedule.timer.unref();
  }

  function createSchedule(name: string, group: string, body: Json): Json {
    const key = `${group}/${name}`;
    if (!groups.has(group))
      throw new AwsError('ResourceNotFoundException', `Schedule group ${group} does not exist.`, 404);
    const found = schedules.get(key);
    // The same client token is the same request, sent again because its answer was lost.
    if (found && found.body.ClientToken === body.ClientToken) return { ScheduleArn: '' };
    if (found) throw new AwsError('ConflictException', `Schedule ${name} already exists.`, 409);
    const [, at] = /^at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)$/.exec(text(body, 'ScheduleExpression')) ?? [];
    if (!at) throw new AwsError('ValidationException', `Invalid Schedule Expression ${body.ScheduleExpression}.`);
    const schedule = { body, at: Date.parse(`${at}Z`), timer: undefined };
    schedules.set(key, schedule);
    arm(key, schedule);
    return { ScheduleArn: `arn:aws:scheduler:${REGION}:${ACCOUNT}:schedule/${key}` };
  }

  // The wire

  const OPERATIONS: Record<string, Record<string, (input: Json) => Json>> = {
    secretsmanager: secretsManager,
    AWSEvents: eventBridge,
    AmazonSQS: sqs,
  };

  const dynamoDb = dynalite({ createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    const { pathname } = new URL(request.url ?? '/', url);
    const [service = '', operation = ''] = String(request.headers['x-amz-target'] ?? '').split('.');
    const isDynamoDb = service.startsWith('DynamoDB');
    try {
      if (!isDynamoDb) for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body: Json = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {};
    const [, name] = (request.method === 'POST' && /^\/schedules\/([^/]+)$/.exec(pathname)) || [];
    const called = name ? 'CreateSchedule' : operation;
    calls.push(called);
    const fault = faults.find((candidate) => candidate.operation === called && (candidate.times ?? 1) > 0);
    if (fault) fault.times = (fault.times ?? 1) - 1;
    if (fault?.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
    if (fault?.reset) return request.socket.resetAndDestroy();
    const answer = (status: number, json: Json | string, type?: string) => {
      response.writeHead(status, {
        'content-type': 'application/x-amz-json-1.1',
        ...(type && { 'x-amzn-errortype': type }),
      });
      response.end(typeof json === 'string' ? json : JSON.stringify(json));
    };
    if (fault?.garbage !== undefined) return answer(200, fault.garbage);
    if (isDynamoDb && !fault?.error && !fault?.answer) {
      if (fault?.resetAfter) response.end = () => request.socket.resetAndDestroy() as never;
      return void dynamoDb.emit('request', request, response);
    }
    try {
      if (fault?.error) throw new AwsError(fault.error, 'Failed on purpose.', fault.status ?? 400);
      const group = (body.GroupName as string | undefined) ?? 'default';
      const run = OPERATIONS[service]?.[operation];
      if (!name && !run) throw new AwsError('UnknownOperationException', `${called} is not played here.`, 404);
      const result = fault?.answer ?? (name ? createSchedule(decodeURIComponent(name), group, body) : run?.(body));
      answer(200, result ?? {});
    } catch (error) {
      const { type, status, message } =
        error instanceof AwsError ? error : new AwsError('InternalFailure', String(error), 500);
      answer(status, { __type: type, message, Message: message }, type);
    }
  });

  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    calls,
    /** All events that were put on the bus, oldest first. */
    events,
    schedules,

    addFaults(...more: AwsFault[]) {
      faults.push(...more.map((fault) => ({ ...fault })));
    },
    clearFaults() {
      faults = [];
    },

    /** Adds a queue; times in milliseconds. */
    createQueue(
      name: string,
      { visibilityTimeout = 30_000, redrive }: { visibilityTimeout?: number; redrive?: Queue['redrive'] } = {},
    ) {
      const queue: Queue = {
        url: `${url}/${ACCOUNT}/${name}`,
        arn: `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`,
        fifo: name.endsWith('.fifo'),
        visibilityTimeout,
        messages: [],
        dedup: new Map(),
        ...(redrive && { redrive }),
        waiting: new Set(),
      };
      queues.set(name, queue);
      return queue.url;
    },
    messages: (name: string) => queueNamed(name).messages,
    /** Has the queue read its messages again, after somebody changed one in place. */
    wake: (name: string) => wake(queueNamed(name)),
    send: (name: string, body: string, group: string) => send(queueNamed(name), body, group, randomUUID()),
    createScheduleGroup(name: string) {
      groups.add(name);
    },
    /** Fires the schedules whose name has `part` in it, whatever their time. */
    fireAll(part: string) {
      for (const key of schedules.keys()) if (key.includes(part)) fire(key);
    },
    addRule(rule: Rule) {
      rules.push(rule);
    },
    /** Puts an event on the bus as it is, with its id: for delivering the same event again. */
    publish,
    /** Event source mapping: from now on the queue's messages go to `containers`, to each one at a time. */
    connect(name: string, containers: Invoke[]) {
      for (const invoke of containers) void poll(queueNamed(name), invoke);
    },
    onEvent(listener: (event: BusEvent) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Sets the function that rotates the secret. */
    setRotation(secretId: string, invoke: Invoke) {
      secretOf({ SecretId: secretId }).rotate = invoke;
    },
    createSecret(name: string, value?: string) {
      secretsManager.CreateSecret?.({ Name: name, ...(value !== undefined && { SecretString: value }) });
    },
    /** Rotates as `RotateSecret` does and waits for the end; throws what the function threw. */
    async rotate(id: string) {
      secretsManager.RotateSecret?.({ SecretId: id });
      await Promise.all(rotations);
      const { lastRotationError } = secretOf({ SecretId: id });
      if (lastRotationError) throw new Error(lastRotationError);
    },
    secret: (id: string) => secretOf({ SecretId: id }),

    async close() {
      closed = true;
      dynamoDb.close();
      for (const queue of queues.values()) wake(queue);
      for (const { timer } of schedules.values()) clearTimeout(timer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
