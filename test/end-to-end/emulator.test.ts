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
import {
  AttachRolePolicyCommand,
  CreateRoleCommand,
  IAMClient,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
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
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Auth0Tenant, startAuth0Tenant } from '../../infra/local/auth0-tenant.ts';
import { type Credentials, signedFetchAs } from '../../infra/signed-fetch.ts';
import { type Deployment, wireSuite } from '../integration/wire.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUCKET = 'org-connections-artifacts';
const STACK = 'org-connections-local';
/** Resources that the emulator's CloudFormation refuses, each with what that leaves unproven. */
const LEFT_OUT: Record<string, string> = {
  ApiFaults: 'the alarm on the rate of faults, which is metric math',
  EventArchive: 'the archive of events',
  TableFailing: "the alarm on DynamoDB's failures, which is metric math",
  ManagementTokenRotation: 'the rotation schedule; its four steps are driven one by one instead',
};

/** Changes to the emulator's copy of the template, each with what that leaves unproven. */
const CHANGED = [
  "the secrets' ARNs in the roles in place of their Ref, which is a name there: that the Ref is the ARN",
  'schedule/default/* in the roles in place of the group: that the roles are confined to their own group',
  'without the "TLS only" statements, as the emulator is plain HTTP: that plain HTTP is refused',
];
/** The callers, each with the stage's managed policy that it has, and nothing else. */
const CALLERS = { disabler: 'disable', remover: 'remove', offboarder: 'offboard', auditor: 'read' };
type Caller = keyof typeof CALLERS;

const TRUST_ROOT = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'sts:AssumeRole' }],
};

let tenant: Auth0Tenant;
let deployment: Deployment;
let root: { endpoint: string; region: string; credentials: Credentials };
const callers = new Map<Caller, ReturnType<typeof signedFetchAs>>();
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

  root = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  // Whoever has the account deploys what a deploy needs; all else is deployed as that role, which may do no more.
  const text = readFileSync(`${ROOT}infra/account.yml`, 'utf8')
    .replace(/ {2}GitHubProvider:.*?(?= {2}DeployRole:)/s, '')
    .replace('!If [MakeProvider, !Ref GitHubProvider, !Ref OidcProviderArn]', '!Ref OidcProviderArn');
  console.log(
    'Left out on the emulator: GitHubProvider (that GitHub may take on the deploy role; root takes it on instead)',
  );
  const account = await deploy(root, 'org-connections-account', text, {
    Repository: 'travel0/org-connections',
    OidcProviderArn: 'arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com',
    AlarmEmail: 'alarms@travel0.example',
  });
  const trust = { RoleName: 'org-connections-deploy', PolicyDocument: JSON.stringify(TRUST_ROOT) };
  await new IAMClient(root).send(new UpdateAssumeRolePolicyCommand(trust));
  const client = { ...root, credentials: await assume(account.DeployRoleArn ?? '') };
  const [sqs, events, secrets] = [new SQSClient(root), new EventBridgeClient(root), new SecretsManagerClient(root)];
  const lambda = new LambdaClient(root);

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

  for (const resource of Object.values<{ Type: string; Properties: Record<string, unknown> }>(template.Resources))
    resource.Properties = forEmulator(resource.Properties, resource.Type) as Record<string, unknown>;
  for (const what of CHANGED) console.log(`Changed for the emulator: ${what}`);
  const outputs = await deploy(client, STACK, JSON.stringify(template), {}, s3);
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

  for (const [caller, policy] of Object.entries(CALLERS) as [Caller, string][])
    callers.set(
      caller,
      signedFetchAs(await assume(await roleWith(caller, `org-connections-local-${policy}-us-east-1`))),
    );

  const tokenSecret = 'org-connections/local/management-token';
  const FunctionName = 'org-connections-local-rotate-management-token';
  deployment = {
    tenant,
    apiUrl: `${endpoint}/_aws/execute-api/${new URL(ApiUrl).host.split('.')[0]}/$default`,
    // Each request of the suite is made by the caller whose policy is for it.
    send: (address, init) => signedAs(callerOf(address, init.method))(address, init),
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

test('each policy allows its own routes and no other', async () => {
  const [organization, con] = ['/organizations/org_bCE84ZIRjtX58FeO', '/connections/con_PmFe8KxCsPJvZRrj'];
  const ROUTES: [method: string, path: string, allowed: Caller[]][] = [
    ['PATCH', organization + con, ['disabler']],
    ['DELETE', organization + con, ['remover']],
    ['POST', `${organization}/offboarding`, ['offboarder']],
    ['DELETE', `${organization}/offboarding`, ['offboarder']],
    ['GET', `${organization}/offboarding`, ['offboarder', 'auditor']],
    ['POST', '/offboardings', ['offboarder']],
    ['GET', '/offboardings', ['offboarder', 'auditor']],
  ];
  for (const [method, path, allowed] of ROUTES) {
    for (const caller of callers.keys()) {
      // No body: what gets through is answered by the function, and changes nothing.
      const address = deployment.apiUrl + path;
      if (allowed.includes(caller) && method === 'DELETE') continue;
      const { status } = await signedAs(caller)(address, { method });
      expect(status === 403, `${caller} ${method} ${path}: ${status}`).toBe(!allowed.includes(caller));
    }
  }
}, 120_000);

test('the smoke check after a deploy, signed by curl, passes', async () => {
  const environment = { ...process.env, API_URL: deployment.apiUrl, SMOKE_ORGANIZATION: 'org_bCE84ZIRjtX58FeO' };
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };
  const env = { ...environment, ...credentials };
  const { stdout } = await promisify(execFile)(process.execPath, [`${ROOT}infra/smoke.ts`], { env });
  expect(stdout).toMatch(/^dry run 202 .*\npending 200 /);
});

const signedAs = (caller: Caller) => callers.get(caller) as ReturnType<typeof signedFetchAs>;

function callerOf(address: string, method: string): Caller {
  if (!address.includes('/connections/')) return 'offboarder';
  return method === 'PATCH' ? 'disabler' : 'remover';
}

/** Creates a stack and waits for it; its outputs. */
async function deploy(
  client: typeof root,
  StackName: string,
  TemplateBody: string,
  parameters: Record<string, string>,
  s3?: S3Client,
): Promise<Record<string, string>> {
  const cloudFormation = new CloudFormationClient(client);
  if (s3) await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'template.json', Body: TemplateBody }));
  await cloudFormation.send(
    new CreateStackCommand({
      StackName,
      ...(s3 ? { TemplateURL: `${client.endpoint}/${BUCKET}/template.json` } : { TemplateBody }),
      Capabilities: ['CAPABILITY_NAMED_IAM'],
      Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
    }),
  );
  for (const end = Date.now() + 90_000; ; await sleep(200)) {
    const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
    const { StackStatus, StackStatusReason, Outputs = [] } = Stacks?.[0] ?? {};
    if (StackStatus === 'CREATE_COMPLETE')
      return Object.fromEntries(Outputs.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue ?? '']));
    if (/FAILED|ROLLBACK/.test(StackStatus ?? '') || Date.now() > end)
      throw new Error(`The stack ${StackName} is ${StackStatus}: ${StackStatusReason}`);
  }
}

async function assume(RoleArn: string): Promise<Credentials> {
  const { Credentials: found } = await new STSClient(root).send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: 'end-to-end' }),
  );
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = found ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

/** A role that has one managed policy of the stage and nothing else; its ARN. */
async function roleWith(RoleName: string, policy: string): Promise<string> {
  const iam = new IAMClient(root);
  const Statement = [
    { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'sts:AssumeRole' },
  ];
  const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: `arn:aws:iam::000000000000:policy/${policy}` }));
  return Role?.Arn ?? '';
}

/** A resource's properties as the emulator can take them (`CHANGED`). */
function forEmulator(value: unknown, type: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value
      .filter((member) => !JSON.stringify(member?.Condition ?? {}).includes('aws:SecureTransport'))
      .map((member) => forEmulator(member, type));
  }
  const { Ref, 'Fn::Sub': text } = value as { Ref?: string; 'Fn::Sub'?: string };
  if (type === 'AWS::IAM::Role' && /^Management(Token|Client)Secret$/.test(Ref ?? ''))
    return {
      'Fn::Sub': `arn:aws:secretsmanager:us-east-1:000000000000:secret:org-connections/local/management-${Ref?.includes('Token') ? 'token' : 'client'}*`,
    };
  if (type === 'AWS::IAM::Role' && text?.includes(':schedule/'))
    return { 'Fn::Sub': text.replace(/\$\{RemovalScheduleGroup\}/, 'default') };
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, forEmulator(member, type)]));
}
