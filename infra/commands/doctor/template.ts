// A CloudFormation template as it is deployed: its parts with parameters, conditions and references in their place.
import { parse, type ScalarTag } from 'yaml';

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Any = any;
export interface Template {
  Parameters?: Record<string, { Default?: Any; Type?: string }>;
  Conditions?: Record<string, Any>;
  Resources: Record<string, { Type: string; Condition?: string; Properties?: Any }>;
}

/** What of a deployed stack stands in no template. */
export interface Deployed {
  /** Values by name. */
  parameters: Record<string, string>;
  /** The physical id of each resource, by its name in the template. */
  physicalIds: Record<string, string>;
  account: string;
  region: string;
  partition: string;
}

const SHORT = ['Ref', 'Condition', 'Sub', 'GetAtt', 'If', 'Not', 'And', 'Or', 'Equals', 'Join'];
const long = (name: string) => (name === 'Ref' || name === 'Condition' ? name : `Fn::${name}`);
const customTags = SHORT.flatMap((name) => [
  { tag: `!${name}`, resolve: (text: string) => ({ [long(name)]: name === 'GetAtt' ? text.split('.') : text }) },
  {
    tag: `!${name}`,
    collection: 'seq' as const,
    resolve: (sequence: { toJSON(): Any }) => ({ [long(name)]: sequence.toJSON() }),
  },
]) as unknown as ScalarTag[];

/** A template's text, JSON or YAML, its short forms written out. */
export const parseTemplate = (text: string): Template => parse(text, { customTags, merge: true });

/** Resolves parts of `template` for where it is deployed. Its functions throw an error that names what they do not know. */
export function resolverOf(template: Template, { parameters, physicalIds, ...place }: Deployed) {
  const values: Record<string, unknown> = {
    'AWS::Partition': place.partition,
    'AWS::AccountId': place.account,
    'AWS::Region': place.region,
    'AWS::URLSuffix': 'amazonaws.com',
  };
  for (const [name, { Default, Type = '' }] of Object.entries(template.Parameters ?? {})) {
    const value = parameters[name] ?? Default ?? '';
    values[name] = /List/.test(Type) ? String(value).split(',') : String(value);
  }
  const idOf = (name: string): string => {
    const id = physicalIds[name];
    if (id === undefined) throw new Error(`${name} is not deployed`);
    return id;
  };
  const reference = (name: string): Any => (name in values ? values[name] : idOf(name));
  const attribute = (name: string, of: string): string => {
    const type = template.Resources[name]?.Type ?? '';
    if (of === 'Arn' && type === 'AWS::Events::Rule') return arnOf(type, ruleOnBus(name), place);
    if (of === 'Arn') return arnOf(type, idOf(name), place);
    if (of === 'QueueName') return idOf(name).split('/').at(-1) ?? '';
    throw new Error(`${of} of ${type} is not resolved here`);
  };
  /** "bus|rule", as CloudFormation names a rule on a bus of its own; also where the id is the rule's name alone. */
  const ruleOnBus = (name: string): string => {
    const [id, bus] = [idOf(name), template.Resources[name]?.Properties.EventBusName];
    return bus === undefined || id.includes('|') ? id : `${resolve(bus)}|${id}`;
  };
  const conditionOf = (name: string): boolean => holds(template.Conditions?.[name]);
  const holds = (condition: Any): boolean => {
    const [[operator = '', operands] = []] = Object.entries<Any>(condition ?? {});
    if (operator === 'Condition') return conditionOf(operands);
    if (operator === 'Fn::Not') return !holds(operands[0]);
    if (operator === 'Fn::And') return operands.every(holds);
    if (operator === 'Fn::Or') return operands.some(holds);
    if (operator === 'Fn::Equals') return resolve(operands[0]) === resolve(operands[1]);
    throw new Error(`The condition ${operator} is not resolved here`);
  };
  const substitute = (text: string, names: Record<string, Any>): string =>
    text.replace(/\$\{([\w:.]+)\}/g, (_, name: string) => {
      if (name in names) return String(resolve(names[name]));
      const [id = '', ...rest] = name.split('.');
      return rest.length > 0 ? attribute(id, rest.join('.')) : String(reference(name));
    });
  const FUNCTIONS: Record<string, (operand: Any) => Any> = {
    Ref: (name) => (name === 'AWS::NoValue' ? undefined : reference(name)),
    'Fn::GetAtt': (operand) => attribute(...([operand].flat().join('.').split('.') as [string, string])),
    'Fn::Join': ([separator, parts]) => [resolve(parts)].flat(2).join(separator),
    'Fn::If': ([name, yes, no]) => resolve(conditionOf(name) ? yes : no),
    'Fn::Sub': (operand) => substitute([operand].flat()[0], [operand].flat()[1] ?? {}),
  };
  function resolve(value: Any): Any {
    if (Array.isArray(value)) return value.map(resolve).filter((member) => member !== undefined);
    if (typeof value !== 'object' || value === null) return value;
    const [[key = '', operand] = [], ...more] = Object.entries<Any>(value);
    if (more.length === 0 && FUNCTIONS[key]) return FUNCTIONS[key](operand);
    if (key.startsWith('Fn::')) throw new Error(`${key} is not resolved here`);
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolve(member)]));
  }
  return {
    resolve,
    /** Whether the stack has the resource: its condition holds. */
    has: ({ Condition }: { Condition?: string }) => Condition === undefined || conditionOf(Condition),
  };
}

function arnOf(type: string, id: string, { account, region, partition }: Record<string, string>): string {
  if (id.startsWith('arn:')) return id;
  const arn = (service: string, rest: string) => `arn:${partition}:${service}:${region}:${account}:${rest}`;
  const known: Record<string, () => string> = {
    'AWS::IAM::Role': () => `arn:${partition}:iam::${account}:role/${id}`,
    'AWS::Lambda::Function': () => arn('lambda', `function:${id}`),
    'AWS::SQS::Queue': () => arn('sqs', id.split('/').at(-1) ?? ''),
    'AWS::DynamoDB::Table': () => arn('dynamodb', `table/${id}`),
    'AWS::Events::EventBus': () => arn('events', `event-bus/${id}`),
    'AWS::Events::Rule': () => arn('events', `rule/${id.replace('|', '/')}`),
    'AWS::Scheduler::ScheduleGroup': () => arn('scheduler', `schedule-group/${id}`),
    'AWS::Logs::LogGroup': () => arn('logs', `log-group:${id}:*`),
  };
  const found = known[type]?.();
  if (!found) throw new Error(`The ARN of ${type} is not resolved here`);
  return found;
}
