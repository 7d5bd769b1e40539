// What an operator's terminal gets of the stand-ins: who it is, what is not played, what can be stopped, and faults.
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { GetRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import {
  GetAccountSettingsCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { ListQueuesCommand } from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gatewayEvent } from '../../infra/local/gateway-event.ts';
import { type Services, startServices } from './services.ts';

let services: Services;
let client: { endpoint: string; region: string; credentials: object; maxAttempts: number };
beforeEach(async () => {
  services = await startServices({ retrySpeed: 10_000 });
  const credentials = { accessKeyId: 'AKIDOPERATOR', secretAccessKey: 'local' };
  client = { endpoint: services.aws.url, region: 'us-east-1', credentials, maxAttempts: 1 };
});
afterEach(() => services.aws.close());

const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => ({ name: 'none', message: '' }),
    ({ name, message }: Error) => ({ name, message }),
  );

describe('an operation that is not played', () => {
  const calls: Record<string, [RegExp, () => Promise<unknown>]> = {
    'AWS JSON': [/^ListQueues /, () => services.sqs.send(new ListQueuesCommand({}))],
    'AWS query (IAM)': [/^GetRole /, () => new IAMClient(client as never).send(new GetRoleCommand({ RoleName: 'x' }))],
    'AWS query (SNS)': [
      /^GetTopicAttributes /,
      () => new SNSClient(client as never).send(new GetTopicAttributesCommand({ TopicArn: 'x' })),
    ],
    'REST and JSON': [
      /^lambda GET \/2016-08-19\/account-settings\/? /,
      () => new LambdaClient(client as never).send(new GetAccountSettingsCommand({})),
    ],
    'REST and XML': [
      /^s3 GET \/bucket\/? /,
      () =>
        new S3Client({ ...client, forcePathStyle: true } as never).send(new ListObjectsV2Command({ Bucket: 'bucket' })),
    ],
  };
  test.each(Object.keys(calls))('when the protocol is %s, the SDK shows an error with its name', async (protocol) => {
    const [said, call] = calls[protocol] as (typeof calls)[string];
    const { name, message } = await errorOf(call());
    expect(name).toBe('UnknownOperationException');
    expect(message).toMatch(said);
    expect(message).toMatch(/ is not played here\.$/);
  });

  test('when a stack is not there, CloudFormation says so', async () => {
    const call = new CloudFormationClient(client as never).send(new DescribeStacksCommand({ StackName: 'x' }));
    expect(await errorOf(call)).toEqual({ name: 'ValidationError', message: 'Stack with id x does not exist' });
  });
});

test('when somebody signs, STS and the API name the same caller', async () => {
  const { Arn } = await new STSClient(client as never).send(new GetCallerIdentityCommand({}));
  const authorization = 'AWS4-HMAC-SHA256 Credential=AKIDOPERATOR/20261124/us-east-1/execute-api/aws4_request';
  const incoming = { headers: { authorization }, rawHeaders: [], socket: {}, httpVersion: '1.1' } as never;
  const route = { key: 'GET /', method: 'GET', path: /^\/$/, names: [], functionName: 'x' };
  const event = gatewayEvent(route, new URL('http://localhost/'), incoming, Buffer.alloc(0));
  expect(Arn).toBe('arn:aws:iam::000000000000:user/AKIDOPERATOR');
  expect(event).toMatchObject({ requestContext: { authorizer: { iam: { userArn: Arn } } } });
});

describe('an event source mapping', () => {
  test('when it is disabled, its messages wait; when it is enabled again, they are worked off', async () => {
    const { aws } = services;
    const lambda = new LambdaClient(client as never);
    aws.createQueue('work.fifo');
    const queueArn = 'arn:aws:sqs:us-east-1:000000000000:work.fifo';
    const mapping = { functionName: 'worker', queueArn, batchSize: 1, onEnabled: () => aws.wake('work.fifo') };
    const isEnabled = aws.lambda.addMapping(mapping);
    const seen: unknown[] = [];
    aws.connect('work.fifo', [async (event) => void seen.push(event)], { isEnabled });
    const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand({ FunctionName: 'worker' }));
    expect(EventSourceMappings).toMatchObject([{ State: 'Enabled', EventSourceArn: queueArn }]);
    const UUID = EventSourceMappings?.[0]?.UUID;
    await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: false }));
    aws.send('work.fifo', 'x', 'g');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([seen.length, aws.messages('work.fifo').length]).toEqual([0, 1]);
    const enabled = await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true }));
    expect(enabled.State).toBe('Enabled');
    await expect.poll(() => seen.length).toBe(1);
  });
});

describe('a fault', () => {
  const faults = (given: object[]) =>
    fetch(`${services.aws.url}/_aws/addFaults`, { method: 'POST', body: JSON.stringify(given) });

  test('when its operation is not played, it is refused with a sentence', async () => {
    const answer = await faults([{ operation: 'PutEvents' }, { operation: 'Delivery', error: 'NO_PERMISSIONS' }]);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('No operation Delivery is played here');
    expect((await faults([{ operation: 'Deliver', lost: true }, { operation: 'GetItem' }])).status).toBe(200);
  });

  test('when EventBridge lacks a permission, the event is undelivered at once', async () => {
    const { aws, events } = services;
    aws.createQueue('in');
    aws.createQueue('undelivered');
    const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
    const targets = [{ arn: arn('in'), deadLetterArn: arn('undelivered') }];
    aws.eventBridge.addRule({ name: 'all', bus: 'default', takes: () => true, targets });
    await faults([{ operation: 'Deliver', error: 'NO_PERMISSIONS' }]);
    await events.send(new PutEventsCommand({ Entries: [{ Source: 'a', DetailType: 'b', Detail: '{}' }] }));
    expect(aws.messages('in')).toEqual([]);
    expect(aws.messages('undelivered')).toMatchObject([
      { attributes: { ERROR_CODE: { StringValue: 'NO_PERMISSIONS' }, RETRY_ATTEMPTS: { StringValue: '0' } } },
    ]);
  });
});

test('when a function of log lines fails three times, its destination gets the lines', async () => {
  const { aws } = services;
  aws.createQueue('changes-undelivered');
  const onFailure = aws.destination('arn:aws:lambda:us-east-1:000000000000:function:x', 'changes-undelivered');
  const fails = async () => {
    throw new Error('PutEvents failed');
  };
  aws.logs.add('changes', '/aws/lambda/x', '{ $.code = "done" }', fails, onFailure);
  aws.logs.write(JSON.stringify({ function: 'x', code: 'done' }));
  await expect.poll(() => aws.messages('changes-undelivered').length).toBe(1);
  const message = JSON.parse(aws.messages('changes-undelivered')[0]?.body ?? '');
  expect(message).toMatchObject({
    requestPayload: { awslogs: { data: expect.any(String) } },
    responsePayload: { errorMessage: 'PutEvents failed' },
  });
  expect(aws.lost()).toEqual([]);
});
