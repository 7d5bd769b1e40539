// npm run doctor -- --stage S: what a stage lacks of its account, before a deploy and after it. It only looks, with the permissions
// of infra/account/stage.yml's doctor policy, and as whoever the AWS command line is signed in as. One line a finding: what, why it matters,
// how to get it. Exits 0 when all was looked at and nothing is missing.
import { parseArgs } from 'node:util';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribeEventBusCommand, EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GetPolicyCommand, GetRoleCommand, IAMClient, ListOpenIDConnectProvidersCommand } from '@aws-sdk/client-iam';
import { GetAccountSettingsCommand, GetFunctionRecursionConfigCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  type GetSecretValueCommandOutput,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { signedIn } from './signed-in.ts';

const STAGES = ['local', 'dev', 'staging', 'prod'];
/** Below this, functions wait for each other: a new account often has ten (Lambda developer guide, "Lambda quotas"). */
const ENOUGH_CONCURRENCY = 50;
/** Three rotations, at one in six hours. */
const TOKEN_OLD_MS = 18 * 3_600_000;

type Result = 'ok' | 'missing' | 'unknown';
const counts: Record<Result, number> = { ok: 0, missing: 0, unknown: 0 };
const say = (result: Result, what: string, more = '') => {
  counts[result]++;
  const label = { ok: 'ok      ', missing: 'MISSING ', unknown: '?       ' }[result];
  console.log(`${label}${what}${more && `: ${more.replace(/\s+/g, ' ')}`}`);
};
const missing = (what: string, why: string, how: string) => say('missing', what, `${why}. ${how}`);

const { values } = parseArgs({ options: { stage: { type: 'string' } } });
const stage = values.stage ?? '';
if (!STAGES.includes(stage)) {
  console.error(`npm run doctor -- --stage ${STAGES.join(' | ')}`);
  process.exit(2);
}
const stack = `org-connections-${stage}`;
// What reads a secret's form in the functions reads it here; the module wants to know which.
process.env.MANAGEMENT_TOKEN_SECRET_ID ??= `org-connections/${stage}/management-token`;
const { parseClientCredentials } = await import('../../lib/auth0/client-credentials.ts');
const { parseManagementToken } = await import('../../lib/auth0/management-token.ts');
const { REQUIRED_SCOPES } = await import('../../lib/auth0/scopes.ts');

const who = await signedIn().catch(() => undefined);
if (!who) end(missing('region', 'no region is set', 'Set AWS_REGION or the region of the profile (aws configure)'));
const { region } = who as NonNullable<typeof who>;
const identity = await new STSClient(who ?? {}).send(new GetCallerIdentityCommand({})).catch((error: Error) => error);
if (identity instanceof Error)
  end(
    missing(
      'credentials',
      `AWS does not know who this is (${identity.message})`,
      'Sign in as for the AWS command line: aws sso login, AWS_PROFILE, aws configure',
    ),
  );
const { Account: account = '', Arn: me = '' } = identity as Exclude<typeof identity, Error>;
say('ok', 'credentials', `${me} in ${region}`);

const STAGE_TEMPLATE = `aws cloudformation deploy --region ${region} --stack-name org-connections-account-${stage} --template-file infra/account/stage.yml --capabilities CAPABILITY_NAMED_IAM --parameter-overrides Stage=${stage}`;
const on = who as NonNullable<typeof who>;
const clients = {
  iam: new IAMClient(on),
  lambda: new LambdaClient(on),
  secrets: new SecretsManagerClient(on),
};

/** What `look` answers; undefined where it is not there, or where whoever runs this may not look, which is then said. */
async function seen<T>(what: string, look: Promise<T>, absent: () => void): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    const { name, message } = error as Error;
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (/AccessDenied|NotAuthorized|AuthorizationError|Forbidden/i.test(name) || status === 403)
      say('unknown', what, `${me} may not look. Attach the policy org-connections-${stage}-doctor-${region}`);
    else if (/NotFound|NoSuch|NonExistent|ValidationError|DoesNotExist/i.test(name)) absent();
    else say('unknown', what, `${name}: ${message}`);
    return undefined;
  }
}

await accountLimits();
await alarms();
await deployRole();
const outputs = await deployedStack();
if (outputs) await deployed(outputs);
end();

async function accountLimits() {
  const settings = await seen('concurrency', clients.lambda.send(new GetAccountSettingsCommand({})), () => {});
  const limit = settings?.AccountLimit?.ConcurrentExecutions;
  if (limit !== undefined && limit < ENOUGH_CONCURRENCY)
    missing(
      'concurrency',
      `Lambda runs ${limit} functions at once in this account, as in a new one, and more are throttled`,
      `Ask for 1,000: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000`,
    );
  else if (limit !== undefined) say('ok', 'concurrency', `${limit}`);
}

async function alarms() {
  const TopicArn = `arn:${me.split(':')[1]}:sns:${region}:${account}:platform-alarms-${stage}`;
  const topic = await seen('alarm topic', new SNSClient(on).send(new GetTopicAttributesCommand({ TopicArn })), () =>
    missing('alarm topic', `${TopicArn} is not there, and alarms go nowhere`, STAGE_TEMPLATE),
  );
  if (!topic) return;
  if (Number(topic.Attributes?.SubscriptionsConfirmed ?? 0) > 0) say('ok', 'alarm topic', TopicArn);
  else
    missing(
      'subscription',
      `nobody has confirmed to get the alarms of ${TopicArn}`,
      `${STAGE_TEMPLATE} AlarmEmail=you@example.com, and confirm the mail`,
    );
}

async function deployRole() {
  const { iam } = clients;
  const RoleName = `org-connections-deploy-${stage}-${region}`;
  const role = await seen('deploy role', iam.send(new GetRoleCommand({ RoleName })), () =>
    missing(
      'deploy role',
      `${RoleName} is not there, nor the boundary that the functions' roles carry`,
      `${STAGE_TEMPLATE} Subject=repo:OWNER/NAME:environment:${stage}`,
    ),
  );
  if (!role) return;
  const trust = decodeURIComponent(role.Role?.AssumeRolePolicyDocument ?? '');
  const subject = /"token\.actions\.githubusercontent\.com:sub":\s*"([^"]*)"/.exec(trust)?.[1];
  if (subject === undefined) return say('ok', 'deploy role', `${RoleName}, taken on by whom the account lets`);
  if (subject.endsWith(`:environment:${stage}`) && !subject.includes('*'))
    say('ok', 'deploy role', `${RoleName}, for ${subject}`);
  else
    missing(
      "GitHub's subject",
      `the role is trusted to ${subject}, which is not the environment ${stage} alone`,
      `${STAGE_TEMPLATE} Subject=repo:OWNER/NAME:environment:${stage}`,
    );
  const providers = await seen('OIDC provider', iam.send(new ListOpenIDConnectProvidersCommand({})), () => {});
  if (providers?.OpenIDConnectProviderList?.some(({ Arn }) => Arn?.endsWith('/token.actions.githubusercontent.com')))
    say('ok', 'OIDC provider');
  else if (providers)
    missing(
      'OIDC provider',
      'without it no GitHub workflow can take on the role',
      'aws cloudformation deploy --stack-name org-connections-account --template-file infra/account/account.yml',
    );
}

/** The stack's outputs once it is deployed. */
async function deployedStack(): Promise<Map<string, string> | undefined> {
  const found = await seen(
    'stack',
    new CloudFormationClient(on).send(new DescribeStacksCommand({ StackName: stack })),
    () =>
      console.log(
        `-       ${stack} is not deployed in ${region}: npm run package -- --stage ${stage} && bash infra/build/deploy.sh ${stage}`,
      ),
  );
  const { StackStatus = '', Outputs = [] } = found?.Stacks?.[0] ?? {};
  if (!found) return undefined;
  if (/^(CREATE|UPDATE)_COMPLETE$/.test(StackStatus)) say('ok', 'stack', `${stack} ${StackStatus}`);
  else missing('stack', `${stack} is ${StackStatus}`, `aws cloudformation describe-stack-events --stack-name ${stack}`);
  return new Map(Outputs.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
}

async function deployed(outputs: Map<string, string>) {
  const redeploy = `npm run package -- --stage ${stage} && bash infra/build/deploy.sh ${stage}`;
  const there = async (what: string, look: Promise<unknown>) => {
    const found = await seen(what, look, () => missing(what, `${stack} is there and it is not`, redeploy));
    if (found) say('ok', what);
    return found;
  };
  const TableName = outputs.get('OffboardingsTableName') ?? `${stack}-offboardings`;
  await there('table', new DynamoDBClient(on).send(new DescribeTableCommand({ TableName })));
  for (const [key, QueueUrl] of outputs)
    if (key.endsWith('Url') && /(Queue|DeadLetters)Url$/.test(key))
      await there(
        key.replace('Url', ''),
        new SQSClient({ ...on, useQueueUrlAsEndpoint: false }).send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
        ),
      );
  const Bucket = outputs.get('ServerlessDeploymentBucketName');
  if (Bucket)
    await there(
      'bucket of artifacts',
      new S3Client({ ...on, forcePathStyle: true }).send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 })),
    );

  const again = `${STAGE_TEMPLATE} ApiId=${outputs.get('HttpApiId')}`;
  const bus = (await there('bus', new EventBridgeClient(on).send(new DescribeEventBusCommand({ Name: stack })))) as
    | { Policy?: string }
    | undefined;
  if (bus?.Policy?.includes('own-source')) say('ok', "bus's policy");
  else if (bus)
    missing(
      "bus's policy",
      'anybody who may put events can speak in the name of the service, and the deploy role reaches any HTTP API of the region',
      again,
    );
  const PolicyArn = `arn:${me.split(':')[1]}:iam::${account}:policy/${stack}-offboard-${region}`;
  const policy = await seen("callers' policies", clients.iam.send(new GetPolicyCommand({ PolicyArn })), () =>
    missing("callers' policies", 'nobody can be let call the API', again),
  );
  if (policy) say('ok', "callers' policies");

  const FunctionName = `${stack}-offboard-organization`;
  const loop = await seen(
    'recursion',
    clients.lambda.send(new GetFunctionRecursionConfigCommand({ FunctionName })),
    () => {},
  );
  if (loop?.RecursiveLoop === 'Allow') say('ok', 'recursion', `${FunctionName} may send to its own queue`);
  else if (loop)
    missing(
      'recursion',
      `Lambda stops ${FunctionName} after 16 deliveries of a request that waits, and its queue lies still`,
      redeploy,
    );
  await secrets();
}

async function secrets() {
  const client = `org-connections/${stage}/management-client`;
  const token = `org-connections/${stage}/management-token`;
  const store = `Put {"client_id": "…", "client_secret": "…"} into client.json: aws secretsmanager put-secret-value --secret-id ${client} --secret-string file://client.json && rm client.json`;
  const rotate = `aws secretsmanager rotate-secret --secret-id ${token}; its log says why it fails: aws logs tail /aws/lambda/${stack}-rotate-management-token`;
  const none = (id: string) => () => missing(id, 'the secret is not there', `bash infra/build/deploy.sh ${stage}`);

  const stored = await seen(
    client,
    clients.secrets.send(new DescribeSecretCommand({ SecretId: client })),
    none(client),
  );
  if (
    stored &&
    !Object.values(stored.VersionIdsToStages ?? {})
      .flat()
      .includes('AWSCURRENT')
  )
    return missing(client, 'no credentials are stored, and every call of Auth0 is answered 503', store);
  // Nobody but the rotation may read it; where this account lets more, it is looked at and not shown.
  const value = await clients.secrets.send(new GetSecretValueCommand({ SecretId: client })).catch(() => undefined);
  if (value) {
    try {
      parseClientCredentials(value);
      say('ok', client, 'of the right form');
    } catch (error) {
      return missing(client, (error as Error).message, store);
    }
  } else if (stored) say('ok', client, 'stored, and not for you to read; the next line says whether Auth0 takes it');

  const rotated = await seen(token, clients.secrets.send(new DescribeSecretCommand({ SecretId: token })), none(token));
  if (!rotated) return;
  const stages = Object.values(rotated.VersionIdsToStages ?? {});
  const age = Date.now() - (rotated.LastRotatedDate?.getTime() ?? 0);
  if (!rotated.LastRotatedDate) missing(token, 'it was never rotated: there is no token', rotate);
  else if (stages.some((one) => one.includes('AWSPENDING') && !one.includes('AWSCURRENT')))
    missing(token, 'its last rotation did not end', rotate);
  else if (age > TOKEN_OLD_MS)
    missing(token, `it was last rotated ${Math.round(age / 3_600_000)} hours ago, and lives for 24`, rotate);
  else say('ok', token, `rotated ${rotated.LastRotatedDate.toISOString()}, and Auth0 took it with its scopes then`);
  const held = await clients.secrets.send(new GetSecretValueCommand({ SecretId: token })).catch(() => undefined);
  if (held) tokenItself(token, held, rotate);
}

/** The token's time and scopes, where whoever runs this may read it. */
function tokenItself(token: string, value: GetSecretValueCommandOutput, rotate: string) {
  try {
    const { expiresAt, scope } = parseManagementToken(value);
    const hours = Math.round((expiresAt - Date.now()) / 3_600_000);
    if (expiresAt <= Date.now()) missing(token, 'it has expired', rotate);
    else say('ok', `${token}: expires`, `in ${hours} hours`);
    const lacking = REQUIRED_SCOPES.filter((one) => !scope.split(' ').includes(one));
    if (lacking.length === 0) say('ok', `${token}: scopes`);
    else missing(token, `it lacks ${lacking.join(', ')}`, 'Grant them to the application (README), then rotate');
  } catch (error) {
    missing(token, (error as Error).message, rotate);
  }
}

function end(_: unknown = undefined): never {
  console.log(`${counts.missing} missing, ${counts.unknown} not looked at, ${counts.ok} in order`);
  process.exit(counts.missing + counts.unknown > 0 ? 1 : 0);
}
