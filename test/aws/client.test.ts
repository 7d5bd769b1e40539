// The client that is put together out of the SDK's parts, beside the SDK's own clients: both call one server over the wire, and send,
// repeat, return and throw the same.
import '../own-modules.ts';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import * as dynamodb from '@aws-sdk/client-dynamodb';
import * as events from '@aws-sdk/client-eventbridge';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as secrets from '@aws-sdk/client-secrets-manager';
import * as sqs from '@aws-sdk/client-sqs';
import { AwsV4Signer } from 'aws4fetch';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CALLS_AT_ONCE } from '../../lib/aws/client.ts';
import { endpointOf, type RegionalService } from '../../lib/aws/endpoint.ts';
import { createSchedule } from '../../lib/aws/scheduler.ts';
import { listen } from '../listen.ts';

type Answer = (response: ServerResponse, call: number) => void;
interface Sent {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

let server: Server;
let url: string;
let answer: Answer;
let [most, atOnce] = [0, 0];
const sent = { ours: [] as Sent[], theirs: [] as Sent[] };
const environment = () => {
  vi.unstubAllEnvs();
  const given = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'session',
    AWS_LAMBDA_FUNCTION_NAME: 'function',
    _X_AMZN_TRACE_ID: 'Root=1-5759e988-bd862e3fe1be46a994272793',
  };
  for (const [name, value] of Object.entries({ AWS_ENDPOINT_URL: url, ...given })) vi.stubEnv(name, value);
};
beforeAll(async () => {
  server = createServer(async (request, response) => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    response.once('close', () => (atOnce -= 1));
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url: path = '', headers } = request;
    const calls = headers['user-agent'] === 'org-connections' ? sent.ours : sent.theirs;
    calls.push({ method, path, headers, body });
    answer(response, calls.length);
  });
  url = await listen(server);
});
beforeEach(environment);
afterEach(() => {
  for (const calls of Object.values(sent)) calls.splice(0);
  most = 0;
});
afterAll(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});

const settings = () => ({ endpoint: url, maxAttempts: 3, retryMode: 'standard' });
const SERVICES = {
  dynamodb: { client: dynamodb.DynamoDBClient, load: () => import('../../lib/aws/dynamodb.ts') },
  secretsmanager: { client: secrets.SecretsManagerClient, load: () => import('../../lib/aws/secrets-manager.ts') },
  sqs: { client: sqs.SQSClient, load: () => import('../../lib/aws/sqs.ts') },
  events: { client: events.EventBridgeClient, load: () => import('../../lib/aws/eventbridge.ts') },
};
const json =
  (status: number, body: object | string, headers = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
/** What is the caller's own, or of the moment. */
const OWN = /^(authorization|user-agent|x-amz-user-agent|x-amz-date|amz-sdk-.*)$/;
const compared = ({ method, path, headers, body }: Sent) => ({
  method,
  path,
  body: JSON.parse(body),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name))),
});
const outcome = (call: Promise<unknown>) =>
  call.then(
    (value) => ({ value: { ...Object(value), $metadata: undefined } }),
    (error) => ({ error, name: error.name, message: error.message, status: error.$metadata?.httpStatusCode }),
  );
async function both(ours: () => Promise<unknown>, theirs: () => Promise<unknown>) {
  const [mine, sdks] = await Promise.all([outcome(ours()), outcome(theirs())]);
  return { mine, sdks };
}

const Key = {
  organization_id: { S: 'org_a' },
  count: { N: '1.5' },
  deep: { M: { list: { L: [{ BOOL: true }, { NULL: true }] } } },
};
const QueueUrl = () => `${url}/123456789012/queue.fifo`;
// biome-ignore lint/suspicious/noExplicitAny: calls of services with nothing in common
type Any = any;
const CALLS: [service: keyof typeof SERVICES, command: string, input: () => object, body: object][] = [
  ['dynamodb', 'GetItem', () => ({ TableName: 't', Key, ConsistentRead: true }), { Item: Key }],
  [
    'dynamodb',
    'BatchGetItem',
    () => ({ RequestItems: { t: { Keys: [Key] } } }),
    { Responses: { t: [Key] }, UnprocessedKeys: {} },
  ],
  ['dynamodb', 'PutItem', () => ({ TableName: 't', Item: Key, ConditionExpression: 'a = :b' }), {}],
  ['dynamodb', 'UpdateItem', () => ({ TableName: 't', Key, UpdateExpression: 'SET a = :ü' }), {}],
  [
    'dynamodb',
    'Query',
    () => ({ TableName: 't', Limit: 3, ScanIndexForward: false }),
    { Items: [Key], LastEvaluatedKey: Key },
  ],
  ['secretsmanager', 'GetSecretValue', () => ({ SecretId: 's' }), { SecretBinary: 'AAEC', CreatedDate: 1.7e9 }],
  [
    'secretsmanager',
    'DescribeSecret',
    () => ({ SecretId: 's' }),
    { LastRotatedDate: 1.7e9, VersionIdsToStages: { v: ['AWSCURRENT'] } },
  ],
  [
    'secretsmanager',
    'RotateSecret',
    () => ({ SecretId: 's', RotateImmediately: true, ClientRequestToken: 'x'.repeat(32) }),
    { VersionId: 'v' },
  ],
  [
    'secretsmanager',
    'PutSecretValue',
    () => ({ SecretId: 's', SecretString: '„x“', ClientRequestToken: 'x'.repeat(32) }),
    {},
  ],
  ['secretsmanager', 'UpdateSecretVersionStage', () => ({ SecretId: 's', VersionStage: 'AWSPENDING' }), {}],
  [
    'sqs',
    'SendMessageBatch',
    () => ({ QueueUrl: QueueUrl(), Entries: [{ Id: '0', MessageBody: 'm', MessageGroupId: 'g' }] }),
    { Successful: [], Failed: [{ Id: '0', Code: 'c' }] },
  ],
  [
    'sqs',
    'SendMessage',
    () => ({
      QueueUrl: QueueUrl(),
      MessageBody: 'm',
      MessageAttributes: { reason: { DataType: 'String', StringValue: 'r' } },
    }),
    { MessageId: 'i', MD5OfMessageBody: '6f8f57715090da2632453988d9a1501b' },
  ],
  [
    'sqs',
    'ReceiveMessage',
    () => ({ QueueUrl: QueueUrl(), WaitTimeSeconds: 2, MessageAttributeNames: ['All'] }),
    {
      Messages: [
        {
          MessageId: 'i',
          Body: 'm',
          MD5OfBody: '6f8f57715090da2632453988d9a1501b',
          Attributes: { MessageGroupId: 'g' },
        },
      ],
    },
  ],
  ['sqs', 'DeleteMessage', () => ({ QueueUrl: QueueUrl(), ReceiptHandle: 'r' }), {}],
  ['sqs', 'ChangeMessageVisibility', () => ({ QueueUrl: QueueUrl(), ReceiptHandle: 'r', VisibilityTimeout: 0 }), {}],
  [
    'sqs',
    'GetQueueAttributes',
    () => ({ QueueUrl: QueueUrl(), AttributeNames: ['RedrivePolicy'] }),
    { Attributes: { RedrivePolicy: '{}' } },
  ],
  [
    'events',
    'PutEvents',
    () => ({ Entries: [{ Source: 's', Detail: '{"a":"ü"}', DetailType: 't', EventBusName: 'b' }] }),
    { FailedEntryCount: 1, Entries: [{ ErrorCode: 'c' }] },
  ],
];
const SDK: Any = { ...dynamodb, ...secrets, ...sqs, ...events };
/** The call by our client and by the SDK's, each as a function. */
async function calls(service: keyof typeof SERVICES, command: string, input: object) {
  const { client, load } = SERVICES[service];
  const ours = (await load()) as Any;
  const theirs = new client(settings()) as Any;
  const name = command[0]?.toLowerCase() + command.slice(1);
  return [() => ours[name](input), () => theirs.send(new SDK[`${command}Command`](input))] as const;
}

test.each(CALLS)(
  '%s %s: the same request is sent, and the same response read',
  async (service, command, input, body) => {
    answer = json(200, body, { 'content-type': 'application/x-amz-json-1.0' });
    const { mine, sdks } = await both(...(await calls(service, command, input())));
    expect(mine).toEqual(sdks);
    expect(mine).toHaveProperty('value');
    expect(sent.ours.map(compared)).toEqual(sent.theirs.map(compared));
    expect(sent.ours.length).toBe(1);
  },
);

test('a schedule is created by the same request, with a token of its own', async () => {
  answer = json(200, { ScheduleArn: 'arn' });
  const input = {
    Name: 'a b',
    GroupName: 'group',
    ScheduleExpression: 'at(2030-01-01T00:00:00)',
    FlexibleTimeWindow: { Mode: 'OFF' as const },
    Target: { Arn: 'a', RoleArn: 'r', Input: '{}', SqsParameters: { MessageGroupId: 'batch' } },
  };
  const client = new scheduler.SchedulerClient(settings());
  const { mine, sdks } = await both(
    () => createSchedule(input),
    () => client.send(new scheduler.CreateScheduleCommand(input)),
  );
  expect(mine).toEqual(sdks);
  const [a, b] = [sent.ours, sent.theirs].flatMap((all) => all.map(compared));
  expect(a?.body.ClientToken).toMatch(/^[0-9a-f-]{36}$/);
  const hash = { 'x-amz-content-sha256': b?.headers['x-amz-content-sha256'] };
  expect({ ...a, body: { ...a?.body, ClientToken: b?.body.ClientToken }, headers: { ...a?.headers, ...hash } }).toEqual(
    b,
  );
});

test.each([CALLS[0], CALLS[5], CALLS[11], CALLS[16]] as typeof CALLS)(
  '%s %s is signed as another signer signs it',
  async (service, command, input, body) => {
    answer = json(200, body);
    const [ours] = await calls(service, command, input());
    await ours();
    const [request] = sent.ours;
    const authorization = request?.headers.authorization ?? '';
    const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
    expect(names).toEqual(expect.arrayContaining(['host', 'x-amz-date', 'x-amz-security-token', 'x-amz-target']));
    const signer = new AwsV4Signer({
      url: url + request?.path,
      method: 'POST',
      headers: names
        .filter((name) => !/^(host|x-amz-date|x-amz-security-token)$/.test(name))
        .map((name) => [name, String(request?.headers[name])]),
      body: request?.body ?? '',
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'secret',
      sessionToken: 'session',
      service,
      region: 'eu-central-1',
      datetime: String(request?.headers['x-amz-date']),
      allHeaders: true,
    });
    const { headers } = await signer.sign();
    expect(headers.get('authorization')).toBe(authorization);
  },
);

/** A row: what a call meets the first times, and how often it is made. */
const FAILURES: [what: string, answer: Answer, times: number][] = [
  [
    'a refused condition',
    json(400, { __type: 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException', message: 'no' }),
    1,
  ],
  ['an error that no model knows', json(400, { __type: 'UnheardOfException', Message: 'what' }), 1],
  ['a missing permission', json(400, { __type: 'com.amazon.coral.service#AccessDeniedException', Message: 'no' }), 1],
  ['an internal failure', json(500, { __type: 'InternalServerError', message: 'oh' }), 3],
  ['an internal failure, and then a success', (response, call) => json(call < 3 ? 500 : 200, '{}')(response), 3],
  ['a page of a proxy', json(503, '<html>'), 3],
  ['a page of a proxy that will not be', json(403, '<html>'), 1],
  ['a success that is no JSON', json(200, '<html>'), 1],
  ['throttling, with a wait', json(400, { __type: 'ThrottlingException' }, { 'x-amz-retry-after': '30' }), 3],
  ['throttling by its status', json(429, {}), 3],
  ['a reset', (response) => void response.socket?.destroy(), 3],
];

test.each(FAILURES)(
  'when a call meets %s, it is made as often, and the same is thrown',
  async (_, first, times) => {
    answer = first;
    const { mine, sdks } = await both(...(await calls('dynamodb', 'GetItem', { TableName: 't', Key })));
    const { error: a, ...ours } = mine as { error?: Error };
    const { error: b, ...theirs } = sdks as { error?: Error };
    // The SDK adds a hint about its own objects to what is no JSON.
    const plain = (of: object) => JSON.parse(JSON.stringify(of).replace(/\\n {2}Deserialization error.*object\./, ''));
    expect(plain(ours)).toEqual(plain(theirs));
    expect(a?.constructor.name).toBe(b?.constructor.name);
    expect([sent.ours.length, sent.theirs.length]).toEqual([times, times]);
  },
  30_000,
);

test('when the clock is wrong, the time of a response corrects it, and the call is made again', async () => {
  const ahead = new Date(Date.now() + 20 * 60_000).toUTCString();
  const wrong = json(403, { __type: 'InvalidSignatureException', message: 'Signature expired' }, { date: ahead });
  answer = (response, call) => (call === 1 ? wrong(response) : json(200, {})(response));
  await both(...(await calls('secretsmanager', 'GetSecretValue', { SecretId: 's' })));
  expect([sent.ours.length, sent.theirs.length]).toEqual([2, 2]);
  const minutes = ({ headers }: Sent) => {
    const [year, ...rest] = String(headers['x-amz-date']).match(/^\d{4}|\d\d/g) ?? [];
    const [month = '', day = '', hour = '', minute = ''] = rest;
    return Date.parse(`${year}-${month}-${day}T${hour}:${minute}Z`) / 60_000;
  };
  const [first, second] = sent.ours.map(minutes) as [number, number];
  // The one is sent after the other: a minute may begin between them.
  const apart = sent.theirs.map((one, index) => Math.abs(minutes(one) - minutes(sent.ours[index] as Sent)));
  expect(Math.max(...apart)).toBeLessThanOrEqual(1);
  expect(second - first).toBeGreaterThan(18);
}, 30_000);

describe('where a service is', () => {
  const REGIONS = [
    'us-east-1',
    'eu-central-1',
    'us-gov-west-1',
    'us-gov-east-1',
    'cn-north-1',
    'us-iso-east-1',
    'us-isob-east-1',
    'eu-isoe-west-1',
    'us-isof-south-1',
    'eusc-de-east-1',
  ];
  const FLAGS = ['false', 'TRUE'].flatMap((fips) => ['false', 'true'].map((dualStack) => [fips, dualStack] as const));
  const CLIENTS: Record<RegionalService, () => Any> = {
    dynamodb: () => new dynamodb.DynamoDBClient(),
    events: () => new events.EventBridgeClient(),
    scheduler: () => new scheduler.SchedulerClient(),
    secretsmanager: () => new secrets.SecretsManagerClient(),
  };
  test.each(Object.keys(CLIENTS) as RegionalService[])('%s is where the rules of the SDK have it', (name) => {
    vi.stubEnv('AWS_ENDPOINT_URL', undefined);
    const { endpointProvider } = CLIENTS[name]().config;
    for (const Region of REGIONS)
      for (const [fips, dualStack] of FLAGS) {
        // There is no FIPS in China.
        if (Region.startsWith('cn-') && fips === 'TRUE') continue;
        vi.stubEnv('AWS_REGION', Region);
        vi.stubEnv('AWS_USE_FIPS_ENDPOINT', fips);
        vi.stubEnv('AWS_USE_DUALSTACK_ENDPOINT', dualStack);
        const rules = { Region, UseFIPS: fips !== 'false', UseDualStack: dualStack !== 'false' };
        expect(endpointOf(name), `${Region} ${fips} ${dualStack}`).toBe(endpointProvider(rules).url.origin);
      }
  });

  test('the standard variables come first, that of the service before that of all', () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://all');
    expect(endpointOf('secretsmanager')).toBe('http://all');
    vi.stubEnv('AWS_ENDPOINT_URL_SECRETS_MANAGER', 'http://one');
    expect(endpointOf('secretsmanager')).toBe('http://one');
    expect(endpointOf('events')).toBe('http://all');
  });

  test('without a region, it says what is missing', () => {
    vi.stubEnv('AWS_ENDPOINT_URL', undefined);
    vi.stubEnv('AWS_REGION', undefined);
    expect(() => endpointOf('events')).toThrow('Environment variable AWS_REGION is missing');
  });
});

describe('a service that is slow', () => {
  const read = async () => (await calls('secretsmanager', 'GetSecretValue', { SecretId: 's' }))[0]();

  test('when it is slow, as many calls at once as may be are all answered, each by a socket of its own', async () => {
    answer = (response) => void setTimeout(() => json(200, { SecretString: 'value' })(response), 1200);
    await Promise.all([...Array(CALLS_AT_ONCE)].map(read));
    // The next ones find a socket, too, while those before are ending.
    const values = await Promise.all([...Array(2 * CALLS_AT_ONCE)].map(read));
    expect(values.map(({ SecretString }) => SecretString)).toEqual(Array(2 * CALLS_AT_ONCE).fill('value'));
    expect(most).toBe(2 * CALLS_AT_ONCE);
  }, 30_000);

  test('when neither answers nor bodies end, a call is made three times and ends as a timeout', async () => {
    answer = (response, call) => void (call !== 2 && response.write('{"Sec'));
    await expect(read()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(sent.ours.length).toBe(3);
  }, 30_000);
});
