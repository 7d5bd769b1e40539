// CloudFormation's templates as plain values, with parameters, conditions and references resolved, as an account has them after a
// deploy.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse, type ScalarTag } from 'yaml';

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Any = any;
export interface Template {
  Parameters?: Record<string, { Default?: Any; AllowedPattern?: string }>;
  Conditions?: Record<string, Any>;
  Resources: Record<
    string,
    {
      Type: string;
      Condition?: string;
      Properties: Any;
      DependsOn?: string[];
      DeletionPolicy?: string;
      UpdateReplacePolicy?: string;
    }
  >;
}
export interface Place {
  account: string;
  region: string;
}

const SHORT = ['Ref', 'Condition', 'Sub', 'GetAtt', 'If', 'Not', 'And', 'Equals', 'Join'];
const long = (name: string) => (name === 'Ref' || name === 'Condition' ? name : `Fn::${name}`);
const customTags = SHORT.flatMap((name) => [
  { tag: `!${name}`, resolve: (text: string) => ({ [long(name)]: name === 'GetAtt' ? text.split('.') : text }) },
  {
    tag: `!${name}`,
    collection: 'seq' as const,
    resolve: (sequence: Any) => {
      const value = sequence.toJSON();
      return { [long(name)]: value };
    },
  },
]) as unknown as ScalarTag[];

const templates = new Map<string, Template>();
/** A template of infra/account/, its short forms written out; read once, so nobody changes it. */
export function readTemplate(name: string): Template {
  const known = templates.get(name);
  if (known) return known;
  const text = readFileSync(fileURLToPath(new URL(`../../infra/account/${name}`, import.meta.url)), 'utf8');
  const template: Template = parse(text, { customTags, merge: true, resolveKnownTags: true });
  templates.set(name, template);
  return template;
}

/** The ARN of a resource that has a name. */
function arnOf(Type: string, name: string, { account, region }: Place): string {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${region}:${account}:${rest}`;
  const known: Record<string, string> = {
    'AWS::IAM::Role': `arn:aws:iam::${account}:role/${name}`,
    'AWS::IAM::ManagedPolicy': `arn:aws:iam::${account}:policy/${name}`,
    'AWS::Lambda::Function': arn('lambda', `function:${name}`),
    'AWS::SQS::Queue': arn('sqs', name),
    'AWS::SNS::Topic': arn('sns', name),
    'AWS::DynamoDB::Table': arn('dynamodb', `table/${name}`),
    'AWS::Events::EventBus': arn('events', `event-bus/${name}`),
    'AWS::Events::Rule': arn('events', `rule/${name}`),
    'AWS::Events::Archive': arn('events', `archive/${name}`),
    'AWS::Scheduler::ScheduleGroup': arn('scheduler', `schedule-group/${name}`),
    'AWS::Scheduler::Schedule': arn('scheduler', `schedule/${name}`),
    'AWS::SecretsManager::Secret': arn('secretsmanager', `secret:${name}-AbCdEf`),
    'AWS::Logs::LogGroup': arn('logs', `log-group:${name}`),
    'AWS::CloudWatch::Alarm': arn('cloudwatch', `alarm:${name}`),
    'AWS::EventSchemas::Registry': arn('schemas', `registry/${name}`),
    'AWS::EventSchemas::Schema': arn('schemas', `schema/${name}`),
    'AWS::CloudWatch::Dashboard': `arn:aws:cloudwatch::${account}:dashboard/${name}`,
  };
  return known[Type] ?? arn('unknown', name);
}
const NAMES = [
  'RoleName',
  'ManagedPolicyName',
  'FunctionName',
  'QueueName',
  'TopicName',
  'TableName',
  'Name',
  'ArchiveName',
  'LogGroupName',
  'AlarmName',
  'DashboardName',
  'RegistryName',
];
/** Types whose Ref is their ARN. */
const REF_IS_ARN = new Set(['AWS::IAM::ManagedPolicy', 'AWS::SNS::Topic', 'AWS::SecretsManager::Secret']);

export interface Resolved {
  Resources: Record<string, { Type: string; Properties: Any; arn: string }>;
}

/** `template` as it is once deployed at `place`. */
export function deployed(template: Template, place: Place, given: Record<string, Any> = {}): Resolved {
  const parameters = Object.fromEntries(
    Object.entries(template.Parameters ?? {}).map(([name, { Default }]) => [name, given[name] ?? Default]),
  );
  const pseudo: Record<string, unknown> = {
    'AWS::Partition': 'aws',
    'AWS::AccountId': place.account,
    'AWS::Region': place.region,
    'AWS::URLSuffix': 'amazonaws.com',
  };
  const holds = (condition: Any): boolean => {
    const [[operator, operands]] = Object.entries<Any>(condition) as [[string, Any]];
    if (operator === 'Condition') return holds(template.Conditions?.[operands]);
    if (operator === 'Fn::Not') return !holds(operands[0]);
    if (operator === 'Fn::And') return operands.every(holds);
    if (operator === 'Fn::Equals') return resolve(operands[0]) === resolve(operands[1]);
    throw new Error(`No such condition: ${operator}`);
  };
  const named = (id: string): [type: string, name: string] => {
    const resource = template.Resources[id];
    if (!resource) throw new Error(`${id} is neither a parameter nor a resource`);
    const { RegistryName, SchemaName, EventBusName, GroupName, Name } = resource.Properties ?? {};
    if (SchemaName) return [resource.Type, `${resolve(RegistryName)}/${SchemaName}`];
    // A rule of the default bus has no bus in its ARN.
    const place = resource.Type === 'AWS::Events::Rule' ? EventBusName : GroupName;
    if (place !== undefined) return [resource.Type, `${resolve(place)}/${resolve(Name)}`];
    const name = NAMES.map((key) => resource.Properties?.[key]).find((value) => value !== undefined);
    return [resource.Type, name === undefined ? `${id}-made-up` : String(resolve(name))];
  };
  const reference = (id: string): unknown => {
    if (id in pseudo) return pseudo[id];
    if (id in parameters) return parameters[id];
    const [type, name] = named(id);
    return REF_IS_ARN.has(type) ? arnOf(type, name, place) : name;
  };
  const attribute = ([id, name]: [string, string]): string =>
    name === 'Arn'
      ? arnOf(...named(id), place)
      : name === 'QueueName' || name === 'RegistryName'
        ? named(id)[1]
        : `${id}.${name}`;
  const resolve = (value: Any): Any => {
    if (Array.isArray(value)) return value.map(resolve).filter((member) => member !== undefined);
    if (typeof value !== 'object' || value === null) return value;
    const [[key, operand] = ['', undefined], ...more] = Object.entries<Any>(value);
    if (more.length === 0) {
      if (key === 'Ref') return operand === 'AWS::NoValue' ? undefined : reference(operand);
      if (key === 'Fn::GetAtt') return attribute(operand);
      if (key === 'Fn::Join') return [resolve(operand[1])].flat(2).join(operand[0]);
      if (key === 'Fn::If') return resolve(holds(template.Conditions?.[operand[0]]) ? operand[1] : operand[2]);
      if (key === 'Fn::Sub')
        return operand.replace(/\$\{([\w:.]+)\}/g, (_: string, name: string) =>
          name.includes('.') ? attribute(name.split('.') as [string, string]) : reference(name),
        );
    }
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolve(member)]));
  };
  const there = Object.entries(template.Resources).filter(
    ([, { Condition }]) => !Condition || holds(template.Conditions?.[Condition]),
  );
  return {
    Resources: Object.fromEntries(
      there.map(([id, { Type, Properties }]) => [
        id,
        { Type, Properties: resolve(Properties), arn: arnOf(...named(id), place) },
      ]),
    ),
  };
}

/** The policies of a role of the stack: those that it is made with, and those that are attached to it. */
export function policiesOf(role: { Properties: Any } | undefined, { Resources }: Resolved): Any[] {
  const attached = Object.values(Resources).filter(
    ({ Type, Properties }) => Type === 'AWS::IAM::Policy' && Properties.Roles.includes(role?.Properties.RoleName),
  );
  return [...(role?.Properties.Policies ?? []), ...attached.map(({ Properties }) => Properties)].map(
    ({ PolicyDocument }) => PolicyDocument,
  );
}
