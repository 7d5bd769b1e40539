// The packaged artifacts and the compiled template, deployed to an AWS emulator by another team (AWS_ENDPOINT_URL) and then
// driven from outside alone. Auth0 is played by the stand-in tenant.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CloudFormationClient, CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { GetFunctionCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  DescribeSecretCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Auth0Tenant, startAuth0Tenant } from '../../infra/local/auth0-tenant.ts';
import { type Deployment, wireSuite } from '../integration/wire.ts';
import { signedFetch } from '../signed-fetch.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUCKET = 'org-connections-artifacts';
const STACK = 'org-connections-local';
/** Resources that the emulator's CloudFormation refuses, each with what that leaves unproven. */
const LEFT_OUT: Record<string, string> = {
  ApiFaults: 'the alarm on the rate of faults, which is metric math',
  EventArchive: 'the archive of events',
  ManagementTokenRotation: 'the rotation schedule; its four steps are driven one by one instead',
};

let tenant: Auth0Tenant;
let deployment: Deployment;
const folder = mkdtempSync(join(tmpdir(), 'org-connections-e2e-'));

beforeAll(async () => {
  const endpoint = process.env.AWS_ENDPOINT_URL;
  const health = endpoint ? await fetch(`${endpoint}/_ministack/health`).catch(() => undefined) : undefined;
  if (!endpoint || !health?.ok) {
    throw new Error(
      `No AWS emulator answers at AWS_ENDPOINT_URL (${endpoint ?? 'not set'}): start one, for instance MiniStack`,
    );
  }
  await fetch(`${endpoint}/_ministack/reset`, { method: 'POST' });
  tenant = await startAuth0Tenant();

  const client = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const [sqs, events, secrets] = [
    new SQSClient(client),
    new EventBridgeClient(client),
    new SecretsManagerClient(client),
  ];
  const lambda = new LambdaClient(client);

  const { PATH, HOME } = process.env;
  execFileSync(
    process.execPath,
    [`${ROOT}node_modules/.bin/osls`, 'package', '--stage', 'local', '--package', folder],
    {
      cwd: ROOT,
      env: { PATH, HOME, AUTH0_DOMAIN: tenant.url },
      stdio: 'pipe',
    },
  );
  const template = JSON.parse(readFileSync(join(folder, 'cloudformation-template-update-stack.json'), 'utf8'));
  const s3 = new S3Client({ ...client, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  for (const { Type, Properties } of Object.values<{ Type: string; Properties: { Code: object; Handler: string } }>(
    template.Resources,
  )) {
    if (Type !== 'AWS::Lambda::Function') continue;
    const Key = Properties.Handler.replace(/^dist\/(.*)\.handler$/, '$1.zip');
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: readFileSync(join(folder, Key)) }));
    Properties.Code = { S3Bucket: BUCKET, S3Key: Key };
  }
  for (const [name, what] of Object.entries(LEFT_OUT)) {
    delete template.Resources[name];
    console.log(`Left out on the emulator: ${name} (${what})`);
  }

  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'template.json', Body: JSON.stringify(template) }));
  const cloudFormation = new CloudFormationClient(client);
  await cloudFormation.send(
    new CreateStackCommand({
      StackName: STACK,
      TemplateURL: `${endpoint}/${BUCKET}/template.json`,
      Capabilities: ['CAPABILITY_NAMED_IAM'],
    }),
  );
  const stack = async () => (await cloudFormation.send(new DescribeStacksCommand({ StackName: STACK }))).Stacks?.[0];
  for (let end = Date.now() + 90_000; (await stack())?.StackStatus !== 'CREATE_COMPLETE'; await sleep(200)) {
    const { StackStatus, StackStatusReason } = (await stack()) ?? {};
    if (/FAILED|ROLLBACK/.test(StackStatus ?? '') || Date.now() > end)
      throw new Error(`The stack is ${StackStatus}: ${StackStatusReason}`);
  }
  const outputs = Object.fromEntries(
    ((await stack())?.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue ?? '']),
  );
  const { ApiUrl = '', OffboardingQueueUrl = '', OffboardingDeadLettersUrl = '', EventBusName = '' } = outputs;

  // The emulator drops a queue's redrive policy from a template.
  const { RedrivePolicy } = template.Resources.OffboardingQueue.Properties;
  const arnOf = async (QueueUrl: string) =>
    (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }))).Attributes?.QueueArn ??
    '';
  const policy = { ...RedrivePolicy, deadLetterTargetArn: await arnOf(OffboardingDeadLettersUrl) };
  await sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl: OffboardingQueueUrl,
      Attributes: { RedrivePolicy: JSON.stringify(policy) },
    }),
  );
  console.log("Set by hand on the emulator: the offboarding queue's redrive policy");

  const auditUrl = (await sqs.send(new CreateQueueCommand({ QueueName: 'audit' }))).QueueUrl ?? '';
  await events.send(
    new PutRuleCommand({ Name: 'audit', EventBusName, EventPattern: JSON.stringify({ source: ['org-connections'] }) }),
  );
  await events.send(
    new PutTargetsCommand({ Rule: 'audit', EventBusName, Targets: [{ Id: 'audit', Arn: await arnOf(auditUrl) }] }),
  );

  const tokenSecret = 'org-connections/local/management-token';
  const FunctionName = 'org-connections-local-rotate-management-token';
  deployment = {
    tenant,
    apiUrl: `${endpoint}/_aws/execute-api/${new URL(ApiUrl).host.split('.')[0]}/$default`,
    send: signedFetch,
    eventBus: EventBusName,
    queueUrl: OffboardingQueueUrl,
    deadLettersUrl: OffboardingDeadLettersUrl,
    auditUrl,
    tokenSecret,
    clientSecret: 'org-connections/local/management-client',
    sqs,
    events,
    secrets,
    async rotate() {
      const ClientRequestToken = crypto.randomUUID();
      const { ARN, RotationEnabled } = await secrets.send(new DescribeSecretCommand({ SecretId: tokenSecret }));
      // RotateSecret on the emulator turns rotation on and calls no function.
      if (!RotationEnabled) {
        const { Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName }));
        await secrets.send(
          new RotateSecretCommand({
            SecretId: tokenSecret,
            RotationLambdaARN: Configuration?.FunctionArn,
            RotationRules: { AutomaticallyAfterDays: 1 },
          }),
        );
      }
      // As Secrets Manager does: the version is staged first, without a value of use.
      await secrets.send(
        new PutSecretValueCommand({
          SecretId: tokenSecret,
          ClientRequestToken,
          SecretString: '{}',
          VersionStages: ['AWSPENDING'],
        }),
      );
      for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
        const Payload = JSON.stringify({ SecretId: ARN, ClientRequestToken, Step });
        const { FunctionError, Payload: answer } = await lambda.send(new InvokeCommand({ FunctionName, Payload }));
        if (FunctionError) throw new Error(`${Step}: ${Buffer.from(answer ?? []).toString()}`);
      }
    },
  };
});

afterAll(async () => {
  await tenant?.close();
  rmSync(folder, { recursive: true, force: true });
});

wireSuite(() => deployment);

test('a request that is not signed is refused before it gets to a function', async () => {
  const path = '/organizations/org_bCE84ZIRjtX58FeO/connections/con_PmFe8KxCsPJvZRrj';
  const answer = await fetch(deployment.apiUrl + path, { method: 'DELETE' });
  expect(answer.status).toBe(403);
});

test('the smoke check after a deploy, signed by curl, passes', async () => {
  const environment = { ...process.env, API_URL: deployment.apiUrl, SMOKE_ORGANIZATION: 'org_bCE84ZIRjtX58FeO' };
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };
  const env = { ...environment, ...credentials };
  const { stdout } = await promisify(execFile)(process.execPath, [`${ROOT}infra/smoke.ts`], { env });
  expect(stdout).toMatch(/^dry run 202 .*\npending 200 /);
});
