// What a stage needs of its account: concurrency, alarms that reach somebody, a role that deploys.
import { GetRoleCommand, IAMClient, ListOpenIDConnectProvidersCommand } from '@aws-sdk/client-iam';
import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { deployAccountStack, type Place } from './place.ts';

/** Below this, functions wait for each other: a new account often has ten (Lambda developer guide, "Lambda quotas"). */
const ENOUGH_CONCURRENCY = 50;

export async function lookAtConcurrency({ client, findings }: Place): Promise<void> {
  const look = new LambdaClient(client).send(new GetAccountSettingsCommand({}));
  const settings = await findings.seen('concurrency', look, () => {});
  const limit = settings?.AccountLimit?.ConcurrentExecutions;
  if (limit === undefined) return;
  if (limit >= ENOUGH_CONCURRENCY) return findings.ok('concurrency', `${limit}`);
  findings.missing(
    'concurrency',
    `Lambda runs ${limit} functions at once in this account, as in a new one, and throttles more`,
    'Ask for 1,000: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000',
  );
}

export async function lookAtAlarms(place: Place): Promise<void> {
  const { findings, partition, region, account, stage, client } = place;
  const TopicArn = `arn:${partition}:sns:${region}:${account}:platform-alarms-${stage}`;
  const look = new SNSClient(client).send(new GetTopicAttributesCommand({ TopicArn }));
  const topic = await findings.seen('alarm topic', look, () =>
    findings.missing('alarm topic', `${TopicArn} is not there, and alarms go nowhere`, deployAccountStack(place)),
  );
  if (!topic) return;
  if (Number(topic.Attributes?.SubscriptionsConfirmed ?? 0) > 0) return findings.ok('alarm topic', TopicArn);
  findings.missing(
    'subscription',
    `nobody has confirmed to get the alarms of ${TopicArn}`,
    `${deployAccountStack(place)} AlarmEmail=you@example.com, and confirm the mail`,
  );
}

export async function lookAtDeployRole(place: Place): Promise<void> {
  const { findings, stage, region, client } = place;
  const iam = new IAMClient(client);
  const RoleName = `org-connections-deploy-${stage}-${region}`;
  const how = `${deployAccountStack(place)}, with your repository`;
  const role = await findings.seen('deploy role', iam.send(new GetRoleCommand({ RoleName })), () =>
    findings.missing('deploy role', `${RoleName} is not there, nor the boundary that the functions' roles carry`, how),
  );
  if (!role) return;
  const trust = decodeURIComponent(role.Role?.AssumeRolePolicyDocument ?? '');
  const subject = /"token\.actions\.githubusercontent\.com:sub":\s*"([^"]*)"/.exec(trust)?.[1];
  if (subject === undefined) return findings.ok('deploy role', `${RoleName}, taken on by whom the account lets`);
  if (subject.endsWith(`:environment:${stage}`) && !subject.includes('*'))
    findings.ok('deploy role', `${RoleName}, for ${subject}`);
  else
    findings.missing(
      "GitHub's subject",
      `the role is trusted to ${subject}, which is not the environment ${stage} alone`,
      how,
    );
  const look = iam.send(new ListOpenIDConnectProvidersCommand({}));
  const providers = await findings.seen('OIDC provider', look, () => {});
  if (providers?.OpenIDConnectProviderList?.some(({ Arn }) => Arn?.endsWith('/token.actions.githubusercontent.com')))
    findings.ok('OIDC provider');
  else if (providers)
    findings.missing(
      'OIDC provider',
      'without it no GitHub workflow can take on the role',
      'aws cloudformation deploy --stack-name org-connections-account --template-file infra/account/account.yml',
    );
}
