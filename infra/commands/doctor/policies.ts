// Whether trust and resource policies are what the templates say: whoever may write one may let somebody else in.
import { DynamoDBClient, GetResourcePolicyCommand as GetTablePolicyCommand } from '@aws-sdk/client-dynamodb';
import { DescribeEventBusCommand, EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GetRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetPolicyCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetResourcePolicyCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Place } from './place.ts';
import { policyDifferences } from './policy-differences.ts';
import type { Stack } from './stacks.ts';

/** A policy that a template says, and how the one that is there is had. */
interface Wanted {
  /** "trust of org-connections-deploy-prod-eu-west-1". */
  what: string;
  policy: unknown;
  /** JSON; undefined where there is no policy. */
  read(): Promise<string | undefined>;
}
type Readers = ReturnType<typeof readersOf>;
// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Properties = any;

const SHOWN_CHARACTERS = 300;
const nameIn = (id: string) => id.split(/[/:]/).at(-1) ?? '';

export async function lookAtPolicies(place: Place, stacks: Stack[]): Promise<void> {
  const { findings } = place;
  const readers = readersOf(place);
  const all = stacks.flatMap((stack) => wantedOf(stack, readers, findings.unknown));
  let right = 0;
  const ofSeveral = [busPolicies, functionPolicies].flatMap((of) => of(stacks, readers, findings.unknown));
  for (const { what, policy, read } of [...all, ...ofSeveral]) {
    const there = await findings.seen(
      what,
      read().then((text) => ({ text })),
      () => {
        findings.missing(what, 'there is no policy, and the template has one', 'Deploy the stack again');
      },
    );
    if (!there) continue;
    const { added, lacking } = policyDifferences(there.text, policy);
    if (added.length + lacking.length === 0) {
      right++;
      continue;
    }
    const shown = (statement: string) => statement.slice(0, SHOWN_CHARACTERS);
    findings.missing(
      what,
      [
        'it is not what the template says',
        ...added.map((statement) => `there and not in the template: ${shown(statement)}`),
        ...lacking.map((statement) => `in the template and not there: ${shown(statement)}`),
      ].join('; '),
      'Deploy the stack again, and look in CloudTrail for who changed it',
    );
  }
  if (right > 0) findings.ok('trust and resource policies', `${right} are what the templates say`);
}

function readersOf({ client }: Place) {
  const [iam, sqs, sns] = [new IAMClient(client), new SQSClient(client), new SNSClient(client)];
  const [secrets, tables, events] = [
    new SecretsManagerClient(client),
    new DynamoDBClient(client),
    new EventBridgeClient(client),
  ];
  const lambda = new LambdaClient(client);
  return {
    trust: async (RoleName: string) =>
      decodeURIComponent((await iam.send(new GetRoleCommand({ RoleName }))).Role?.AssumeRolePolicyDocument ?? ''),
    queue: async (QueueUrl: string) => {
      const query = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['Policy'] });
      return (await sqs.send(query)).Attributes?.Policy;
    },
    topic: async (TopicArn: string) => (await sns.send(new GetTopicAttributesCommand({ TopicArn }))).Attributes?.Policy,
    secret: async (SecretId: string) => (await secrets.send(new GetResourcePolicyCommand({ SecretId }))).ResourcePolicy,
    table: async (ResourceArn: string) => (await tables.send(new GetTablePolicyCommand({ ResourceArn }))).Policy,
    /** A function that nobody may call by a policy of its own has none. */
    function: async (FunctionName: string) => {
      const policy = lambda.send(new GetPolicyCommand({ FunctionName })).then((one) => one.Policy);
      return policy.catch((error) => {
        if (error.name === 'ResourceNotFoundException') return undefined;
        throw error;
      });
    },
    bus: async (Name: string) => (await events.send(new DescribeEventBusCommand({ Name }))).Policy,
  };
}

/** The trust and resource policies of a stack's template, but those of buses, which several stacks write together. */
function wantedOf({ template, resolver, physicalIds }: Stack, readers: Readers, unknown: Unknown): Wanted[] {
  return Object.entries(template.Resources).flatMap(([id, resource]) => {
    const of = KINDS[resource.Type];
    if (!of || !resolver.has(resource)) return [];
    try {
      return of(resource.Properties, { id: physicalIds[id] ?? id, resolve: resolver.resolve, readers });
    } catch (error) {
      unknown(`policy ${id}`, (error as Error).message);
      return [];
    }
  });
}
type Unknown = (what: string, why: string) => void;

type Resolve = (value: unknown) => Properties;
interface Context {
  /** The physical id. */
  id: string;
  resolve: Resolve;
  readers: Readers;
}

/** By type of resource; of its properties only those are resolved that the policy consists of. */
const KINDS: Record<string, (properties: Properties, context: Context) => Wanted[]> = {
  'AWS::IAM::Role': ({ AssumeRolePolicyDocument }, { id, resolve, readers }) => [
    { what: `trust of ${id}`, policy: resolve(AssumeRolePolicyDocument), read: () => readers.trust(id) },
  ],
  'AWS::SQS::QueuePolicy': ({ Queues, PolicyDocument }, { resolve, readers }) =>
    resolve(Queues).map((url: string) => ({
      what: `policy of ${nameIn(url)}`,
      policy: resolve(PolicyDocument),
      read: () => readers.queue(url),
    })),
  'AWS::SNS::TopicPolicy': ({ Topics, PolicyDocument }, { resolve, readers }) =>
    resolve(Topics).map((arn: string) => ({
      what: `policy of ${nameIn(arn)}`,
      policy: resolve(PolicyDocument),
      read: () => readers.topic(arn),
    })),
  'AWS::SecretsManager::ResourcePolicy': ({ SecretId, ResourcePolicy }, { resolve, readers }) => {
    const secret = resolve(SecretId);
    return [
      { what: `policy of ${nameIn(secret)}`, policy: resolve(ResourcePolicy), read: () => readers.secret(secret) },
    ];
  },
  'AWS::DynamoDB::Table': ({ ResourcePolicy }, { id, resolve, readers }) =>
    ResourcePolicy
      ? [
          {
            what: `policy of ${id}`,
            policy: resolve(ResourcePolicy.PolicyDocument),
            read: () =>
              readers.table(
                resolve({
                  'Fn::Sub': `arn:\${AWS::Partition}:dynamodb:\${AWS::Region}:\${AWS::AccountId}:table/${id}`,
                }),
              ),
          },
        ]
      : [],
};

function busPolicies(stacks: Stack[], { bus }: Readers, unknown: Unknown): Wanted[] {
  const statements = stacks.flatMap(({ template, resolver }) =>
    Object.entries(template.Resources).flatMap(([id, resource]) => {
      if (resource.Type !== 'AWS::Events::EventBusPolicy' || !resolver.has(resource)) return [];
      try {
        return [resolver.resolve(resource.Properties) as { EventBusName: string; Statement: object }];
      } catch (error) {
        unknown(`policy ${id}`, (error as Error).message);
        return [];
      }
    }),
  );
  return [...Map.groupBy(statements, ({ EventBusName }) => EventBusName)].map(([name, all]) => ({
    what: `policy of the bus ${name}`,
    policy: { Statement: all.map(({ Statement }) => Statement) },
    read: () => bus(name),
  }));
}

/** Who may call each function: the template says it in permissions, and Lambda writes a statement for each. */
function functionPolicies(stacks: Stack[], readers: Readers, unknown: Unknown): Wanted[] {
  return stacks.flatMap(({ template, resolver, physicalIds }) => {
    const ofType = (type: string) =>
      Object.entries(template.Resources).filter(([, one]) => one.Type === type && resolver.has(one));
    try {
      const permissions = ofType('AWS::Lambda::Permission').map(([, one]) => resolver.resolve(one.Properties));
      return ofType('AWS::Lambda::Function').map(([id]) => {
        const name = physicalIds[id] ?? id;
        const own = permissions.filter(({ FunctionName }) => FunctionName.split(':').at(-1) === name);
        const arn = resolver.resolve({ 'Fn::GetAtt': [id, 'Arn'] });
        const Statement = own.map((one) => statementOf(one, arn));
        return { what: `policy of ${name}`, policy: { Statement }, read: () => readers.function(name) };
      });
    } catch (error) {
      unknown('policies of the functions', (error as Error).message);
      return [];
    }
  });
}

const statementOf = ({ Action, Principal, SourceAccount, SourceArn }: Properties, Resource: string) => ({
  Effect: 'Allow',
  Principal: Principal.endsWith('.amazonaws.com') ? { Service: Principal } : { AWS: Principal },
  Action,
  Resource,
  Condition: {
    ...(SourceAccount && { StringEquals: { 'AWS:SourceAccount': SourceAccount } }),
    ...(SourceArn && { ArnLike: { 'AWS:SourceArn': SourceArn } }),
  },
});
