// The compiled template of the stage `local`, which the stand-ins are made of: what is deployed is what is simulated.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ACCOUNT, arnOf, REGION } from './wire.ts';

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
export type Resource = { Type: string; Properties: any; DeletionPolicy?: string };
export type Resources = Record<string, Resource>;

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CACHE = `${ROOT}node_modules/.cache/org-connections`;
/** The stage has an Event Stream and a log stream of the tenant's, too. */
const NOTIFICATIONS = [
  '--param=auth0EventSource=aws.partner/auth0.com/local/auth0.events',
  '--param=auth0LogSource=aws.partner/auth0.com/local/auth0.logs',
];

/** Compiled once for what it is made of: a few seconds. */
export function localTemplate(): { Resources: Resources } {
  const hash = createHash('sha256').update(`${templateInputs()} ${NOTIFICATIONS}`).digest('hex');
  const cached = `${CACHE}/template-${hash.slice(0, 16)}.json`;
  if (!existsSync(cached)) {
    const { template } = packageStage('local', ...NOTIFICATIONS);
    writeFileSync(`${cached}.${process.pid}`, JSON.stringify(template));
    renameSync(`${cached}.${process.pid}`, cached);
  }
  return JSON.parse(readFileSync(cached, 'utf8'));
}

/** What a template is compiled from; of the bundles it has the names alone, which are those of the functions. */
const SOURCES = ['serverless.yml', 'package.json', 'infra/stack', 'infra/contracts'];

let inputs: string | undefined;
/** A hash of what templates are compiled from, as it is when a process first wants it. */
export function templateInputs(): string {
  if (inputs) return inputs;
  const hash = createHash('sha256');
  const add = (path: string): void => {
    hash.update(path);
    if (!statSync(ROOT + path).isDirectory()) return void hash.update(readFileSync(ROOT + path));
    for (const name of readdirSync(ROOT + path).sort()) add(join(path, name));
  };
  // With the version of osls.
  for (const path of [...SOURCES, 'package-lock.json']) add(path);
  inputs = hash.update(readdirSync(`${ROOT}functions`).sort().join()).digest('hex');
  return inputs;
}

/**
 * Packages a stage with osls, which may get more arguments. Returns the template and, as text, osls's state. It works in a folder
 * of its own with what osls takes: two at a time in one folder are in each other's way.
 */
export function packageStage(stage: string, ...more: string[]): { template: { Resources: Resources }; state: string } {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(`${CACHE}/package-`);
  const { PATH, HOME } = process.env;
  try {
    for (const name of SOURCES) cpSync(ROOT + name, join(folder, name), { recursive: true });
    symlinkSync(`${ROOT}dist`, join(folder, 'dist'));
    const arguments_ = ['package', '--stage', stage, '--package', 'out', ...more];
    const env = { PATH, HOME, SLS_NOTIFICATIONS_MODE: 'off' };
    execFileSync(process.execPath, [`${ROOT}node_modules/.bin/osls`, ...arguments_], {
      cwd: folder,
      env,
      stdio: 'pipe',
      timeout: 60_000,
    });
    const read = (name: string) => readFileSync(join(folder, 'out', name), 'utf8');
    return {
      template: JSON.parse(read('cloudformation-template-update-stack.json')),
      state: read('serverless-state.json'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const PSEUDO: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'org-connections-local',
};

/** The resources with their references resolved, as CloudFormation would. */
export function resolveReferences(resources: Resources, endpoint: string): Resources {
  function identity(id: string): { ref: string; arn: string } {
    const { Type, Properties } = resources[id] ?? { Type: '', Properties: {} };
    const of = (name: unknown) => String(resolve(name));
    if (Type === 'AWS::SQS::Queue') {
      const name = of(Properties.QueueName);
      return { ref: `${endpoint}/${ACCOUNT}/${name}`, arn: arnOf('sqs', name) };
    }
    if (Type === 'AWS::Lambda::Function') return named(of(Properties.FunctionName), 'lambda', 'function:');
    if (Type === 'AWS::Events::EventBus') return named(of(Properties.Name), 'events', 'event-bus/');
    if (Type === 'AWS::Events::Archive') return named(of(Properties.ArchiveName), 'events', 'archive/');
    if (Type === 'AWS::Events::Rule') {
      const [name, bus] = [of(Properties.Name), Properties.EventBusName];
      return { ref: name, arn: arnOf('events', bus === undefined ? `rule/${name}` : `rule/${of(bus)}/${name}`) };
    }
    if (Type === 'AWS::Scheduler::ScheduleGroup') return named(of(Properties.Name), 'scheduler', 'schedule-group/');
    if (Type === 'AWS::Scheduler::Schedule') {
      const [name, group] = [of(Properties.Name), of(Properties.GroupName ?? 'default')];
      return { ref: name, arn: arnOf('scheduler', `schedule/${group}/${name}`) };
    }
    if (Type === 'AWS::DynamoDB::Table') return named(of(Properties.TableName), 'dynamodb', 'table/');
    if (Type === 'AWS::Logs::LogGroup') {
      const name = of(Properties.LogGroupName);
      return { ref: name, arn: `${arnOf('logs', `log-group:${name}`)}:*` };
    }
    if (Type === 'AWS::IAM::Role') {
      const name = of(Properties.RoleName);
      return { ref: name, arn: `arn:aws:iam::${ACCOUNT}:role/${name}` };
    }
    // Secrets Manager takes a name for an ARN everywhere.
    if (Type === 'AWS::SecretsManager::Secret') return { ref: of(Properties.Name), arn: of(Properties.Name) };
    return { ref: id, arn: id };
  }
  const named = (name: string, service: string, prefix: string) => ({ ref: name, arn: arnOf(service, prefix + name) });
  const referenceTo = (name: string) => PSEUDO[name] ?? identity(name).ref;
  const attribute = (id: string, name: string) => {
    const { ref, arn } = identity(id);
    return name === 'Arn' ? arn : name.endsWith('Name') ? (ref.split('/').at(-1) as string) : ref;
  };

  function resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    const [[key = '', operand] = []] = Object.entries(value);
    if (key === 'Ref') return referenceTo(String(operand));
    if (key === 'Fn::GetAtt') {
      const [id = '', name = ''] = Array.isArray(operand) ? operand.map(String) : String(operand).split('.');
      return attribute(id, name);
    }
    if (key === 'Fn::Join') {
      const [separator, parts] = operand as [string, unknown[]];
      return parts.map(resolve).join(separator);
    }
    if (key === 'Fn::Sub') {
      const [template, names = {}] = [operand].flat() as [string, Record<string, unknown>?];
      return template.replace(/\$\{([^}!]+)\}/g, (_, name: string) => {
        if (name in names) return String(resolve(names[name]));
        const [id = '', ...rest] = name.split('.');
        return rest.length ? attribute(id, rest.join('.')) : referenceTo(name);
      });
    }
    if (key.startsWith('Fn::')) throw new Error(`${key} is not resolved here`);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, resolve(inner)]));
  }
  return Object.fromEntries(
    Object.entries(resources).map(([id, resource]) => [
      id,
      { ...resource, Properties: resolve(resource.Properties ?? {}) },
    ]),
  );
}
