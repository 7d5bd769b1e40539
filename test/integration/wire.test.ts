// The wire-level suite against the local stand-ins.
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll } from 'vitest';
import {
  CLIENT_SECRET,
  DEAD_LETTERS,
  type LocalEnvironment,
  startEnvironment,
  TOKEN_SECRET,
} from '../../infra/local/environment.ts';
import { freePort, startGateway } from '../../infra/local/gateway.ts';
import { type Deployment, wireSuite } from './wire.ts';

let local: LocalEnvironment;
let gateway: Awaited<ReturnType<typeof startGateway>>;
let deployment: Deployment;

beforeAll(async () => {
  local = await startEnvironment();
  const { aws, tenant, environment } = local;
  gateway = await startGateway(await freePort(), environment, () => {});
  const auditUrl = aws.createQueue('audit');
  aws.addRule({
    takes: (event) => event.source === 'org-connections' && event.detail.connections !== undefined,
    queue: 'audit',
  });
  const client = {
    endpoint: aws.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  };
  deployment = {
    tenant,
    apiUrl: gateway.url,
    send: fetch as Deployment['send'],
    eventBus: environment.EVENT_BUS_NAME ?? '',
    queueUrl: environment.OFFBOARDING_QUEUE_URL ?? '',
    deadLettersUrl: `${aws.url}/000000000000/${DEAD_LETTERS}`,
    auditUrl,
    tokenSecret: TOKEN_SECRET,
    clientSecret: CLIENT_SECRET,
    sqs: new SQSClient(client),
    events: new EventBridgeClient(client),
    secrets: new SecretsManagerClient(client),
    rotate: () => aws.rotate(TOKEN_SECRET),
  };
});
afterAll(async () => {
  await gateway.close();
  await local.close();
});

wireSuite(() => deployment);
