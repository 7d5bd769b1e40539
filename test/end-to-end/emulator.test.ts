// The packaged artifacts and the compiled template, deployed to an AWS emulator by another team (AWS_ENDPOINT_URL) and then
// driven from outside alone. Auth0 is played by the stand-in tenant.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import {
  AttachRolePolicyCommand,
  CreatePolicyVersionCommand,
  CreateRoleCommand,
  DeletePolicyCommand,
  DeleteRolePermissionsBoundaryCommand,
  IAMClient,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { GetFunctionCommand, InvokeCommand, LambdaClient, UpdateFunctionCodeCommand } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
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
import { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import { type Auth0Tenant, startAuth0Tenant } from '../../infra/local/auth0-tenant.ts';
import { type Deployment, wireSuite } from '../integration/wire.ts';
import {
  ACCOUNT_STACK,
  assume,
  BUCKET,
  CHANGED,
  deploy,
  forEmulator,
  LEFT_OUT,
  ROOT,
  roleWith,
  root,
  run,
  SMOKE,
  STACK,
} from './account.ts';

/** The callers, each with the stage's managed policy that it has, and nothing else. */
const CALLERS = {
  disabler: 'disable',
  remover: 'remove',
  offboarder: 'offboard',
  ender: 'offboard-irreversible',
  canceller: 'cancel',
  auditor: 'read',
};
type Caller = keyof typeof CALLERS;

let tenant: Auth0Tenant;
let deployment: Deployment;
let deployer: typeof root;
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

  // Whoever has the account deploys what a deploy needs; all else is deployed as that role, which may do no more. Without a
  // subject it is taken on by the account itself and not by GitHub.
  const text = readFileSync(`${ROOT}infra/account/stage-access.yml`, 'utf8');
  const about = { Stage: 'local', SmokeOrganization: SMOKE, AlarmEmail: 'alarms@travel0.example' };
  const account = await deploy(root, ACCOUNT_STACK, text, about);
  deployer = { ...root, credentials: await assume(account.DeployRoleArn ?? '') };
  const client = deployer;
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
  // Again, with the API's id: who may call it, and no API but this one for the deploy role.
  const known = text.replace(/ {2}# The secrets' own policies:.*?(?= {2}# The history)/s, '');
  console.log("Left out on the emulator: the secrets' own policies (that nobody reads a value whom they do not name)");
  await deploy(root, ACCOUNT_STACK, known, { ...about, ApiId: outputs.HttpApiId ?? '' }, undefined, true);
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
    send: (address, init) => signedAs(callerOf(String(address), init?.method ?? 'GET'))(address, init),
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

test('each policy allows its own routes at its own address, and no other', async () => {
  const [organization, con] = ['/organizations/org_bCE84ZIRjtX58FeO', '/connections/con_PmFe8KxCsPJvZRrj'];
  const ROUTES: [method: string, path: string, anywhere: Caller[], reversible: Caller[]][] = [
    ['PATCH', organization + con, ['disabler'], ['disabler']],
    ['DELETE', organization + con, ['remover'], []],
    ['POST', `${organization}/offboarding`, ['ender'], ['offboarder']],
    ['DELETE', `${organization}/offboarding`, ['canceller'], ['canceller']],
    ['GET', `${organization}/offboarding`, ['auditor'], ['auditor']],
    ['POST', '/offboardings', ['ender'], ['offboarder']],
    ['GET', '/offboardings', ['auditor'], ['auditor']],
    ['DELETE', '/offboardings', ['canceller'], ['canceller']],
  ];
  const addresses = [deployment.apiUrl, deployment.apiUrl.replace(/\$default$/, 'reversible')];
  for (const [method, path, ...allowed] of ROUTES) {
    for (const [i, address] of addresses.entries()) {
      for (const caller of callers.keys()) {
        const may = allowed[i]?.includes(caller) ?? false;
        // No body: what gets through is answered by the function, and changes nothing.
        if (may && method === 'DELETE') continue;
        const { status } = await signedAs(caller)(address + path, { method });
        expect(status === 403, `${caller} ${method} ${address}${path}: ${status}`).toBe(!may);
      }
    }
  }
}, 120_000);

// The emulator knows no iam:PermissionsBoundary: that a role is made with the boundary and not without is what
// test/infrastructure/deploy-role.test.ts says.
test('the role that deploys cannot make more of itself', async () => {
  const [iam, lambda, secrets] = [
    new IAMClient(deployer),
    new LambdaClient(deployer),
    new SecretsManagerClient(deployer),
  ];
  const all = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
  });
  const policy = (name: string) => `arn:aws:iam::000000000000:policy/org-connections-${name}-us-east-1`;
  const [me, worker] = ['deploy-local', 'local-offboard-organization'].map(
    (name) => `org-connections-${name}-us-east-1`,
  );
  const administrator = 'arn:aws:iam::aws:policy/AdministratorAccess';
  const version = (name: string) =>
    iam.send(new CreatePolicyVersionCommand({ PolicyArn: policy(name), PolicyDocument: all, SetAsDefault: true }));
  const ATTEMPTS: [what: string, attempt: () => Promise<unknown>][] = [
    ['a version of its own policy', () => version('deploy-local-stack')],
    ['a version of the boundary', () => version('boundary-local')],
    ["a version of a caller's policy", () => version('local-read')],
    ['no boundary any more', () => iam.send(new DeletePolicyCommand({ PolicyArn: policy('boundary-local') }))],
    [
      'a role without the boundary',
      () =>
        iam.send(
          new CreateRoleCommand({ RoleName: 'org-connections-local-x-us-east-1', AssumeRolePolicyDocument: trust }),
        ),
    ],
    [
      'a role of another name',
      () =>
        iam.send(
          new CreateRoleCommand({
            RoleName: 'x',
            AssumeRolePolicyDocument: trust,
            PermissionsBoundary: policy('boundary-local'),
          }),
        ),
    ],
    [
      'a policy for itself',
      () => iam.send(new PutRolePolicyCommand({ RoleName: me, PolicyName: 'x', PolicyDocument: all })),
    ],
    [
      'a policy attached to itself',
      () => iam.send(new AttachRolePolicyCommand({ RoleName: me, PolicyArn: administrator })),
    ],
    [
      'a policy attached to a function',
      () => iam.send(new AttachRolePolicyCommand({ RoleName: worker, PolicyArn: administrator })),
    ],
    ["a function's boundary gone", () => iam.send(new DeleteRolePermissionsBoundaryCommand({ RoleName: worker }))],
    [
      'another boundary for a function',
      () => iam.send(new PutRolePermissionsBoundaryCommand({ RoleName: worker, PermissionsBoundary: administrator })),
    ],
    ['its own trust', () => iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: me, PolicyDocument: trust }))],
    [
      'the trust of another stage',
      () =>
        iam.send(
          new UpdateAssumeRolePolicyCommand({
            RoleName: 'org-connections-deploy-prod-us-east-1',
            PolicyDocument: trust,
          }),
        ),
    ],
    [
      'the code of another stage',
      () =>
        lambda.send(
          new UpdateFunctionCodeCommand({
            FunctionName: 'org-connections-prod-get-offboarding',
            S3Bucket: BUCKET,
            S3Key: 'x',
          }),
        ),
    ],
    [
      "a secret's value",
      () => secrets.send(new GetSecretValueCommand({ SecretId: 'org-connections/local/management-token' })),
    ],
  ];
  for (const [what, attempt] of ATTEMPTS) {
    const refused = await attempt().then(
      () => 'done',
      ({ name, $metadata }) => ($metadata?.httpStatusCode === 403 || /AccessDenied/.test(name) ? 'denied' : name),
    );
    expect(refused, what).toBe('denied');
  }
});

test('the smoke check after a deploy passes with the rights of the deploy role, and asks about no other organization', async () => {
  const API_URL = deployment.apiUrl.replace(/\$default$/, 'reversible');
  const passed = await run('smoke.ts', deployer.credentials, { API_URL, SMOKE_ORGANIZATION: SMOKE });
  expect(passed.stdout).toMatch(/^asking .*\ndry run 202 .*\npending 200 /);
  expect(passed.code).toBe(0);
  const other = { API_URL, SMOKE_ORGANIZATION: 'org_Qk2vN8sT5rWx1YzA' };
  expect((await run('smoke.ts', deployer.credentials, other)).stdout).toMatch(/^dry run 403 /m);
});

test("the doctor finds what is missing, with an auditor's rights, and shows no secret", async () => {
  const credentials = await assume(await roleWith('doctor', 'org-connections-local-doctor-us-east-1'));
  const before = await run('doctor/main.ts', credentials, {}, '--stage', 'prod');
  expect(before.code).toBe(1);
  expect(before.stdout).toMatch(
    /^\? +alarm topic: .* may not look\. Attach the policy org-connections-prod-doctor-us-east-1$/m,
  );
  const { stdout } = await run('doctor/main.ts', credentials, {}, '--stage', 'local');
  for (const what of ['credentials', 'concurrency', 'deploy role', 'stack', 'table', 'OffboardingQueue'])
    expect(stdout).toMatch(new RegExp(`^ok +${what}`, 'm'));
  expect(stdout).toMatch(/^ok +org-connections\/local\/management-client: stored, and not for you to read/m);
  // Whoever may look at everything, the secrets among it. The bus's policy cannot be had here (above): found, with what to do.
  const everything = await run('doctor/main.ts', root.credentials, {}, '--stage', 'local');
  expect(everything.code).toBe(1);
  expect(everything.stdout).toMatch(/^MISSING bus's policy: .* infra\/account\/stage-access\.yml .* ApiId=/m);
  expect(everything.stdout).toMatch(/^ok +org-connections\/local\/management-client: of the right form/m);
  expect(stdout + everything.stdout).not.toMatch(/client_secret": "[^…]|eyJ|access_token/);
});

const signedAs = (caller: Caller) => callers.get(caller) as ReturnType<typeof signedFetchAs>;

function callerOf(address: string, method: string): Caller {
  if (address.includes('/connections/')) return method === 'PATCH' ? 'disabler' : 'remover';
  return method === 'GET' ? 'auditor' : method === 'POST' ? 'ender' : 'canceller';
}
