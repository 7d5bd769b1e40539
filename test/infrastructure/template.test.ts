// What must hold in every stage's compiled template.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openapi } from '../contract.ts';
import { permissionProblems } from './permissions.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STAGES = ['local', 'dev', 'staging', 'prod'] as const;
const FUNCTIONS = readdirSync(`${ROOT}functions`).map((file) => file.replace('.ts', ''));

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Resource = { Type: string; Properties: any; DeletionPolicy?: string; DependsOn?: string[] };
type Template = { Resources: Record<string, Resource> };
const templates = new Map<string, Template>();
const folder = mkdtempSync(join(tmpdir(), 'org-connections-'));

beforeAll(() => {
  for (const stage of STAGES) {
    const out = join(folder, stage);
    const { PATH, HOME } = process.env;
    const arguments_ = [`${ROOT}node_modules/.bin/osls`, 'package', '--stage', stage, '--package', out];
    execFileSync(process.execPath, arguments_, { cwd: ROOT, env: { PATH, HOME }, stdio: 'pipe' });
    templates.set(stage, JSON.parse(readFileSync(join(out, 'cloudformation-template-update-stack.json'), 'utf8')));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const pascal = (name: string) => name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
const logicalId = (name: string) =>
  `${name.replace(/^\w/, (c) => c.toUpperCase()).replaceAll('-', 'Dash')}LambdaFunction`;

describe.each(STAGES)('%s', (stage) => {
  const resources = () => templates.get(stage)?.Resources ?? {};
  const ofType = (type: string) => Object.entries(resources()).filter(([, { Type }]) => Type === type);
  const get = (name: string) => {
    const found = resources()[name];
    if (!found) throw new Error(`${name} is not in the template`);
    return found.Properties;
  };
  const alarms = () => ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);

  test('each function has its role, log group, timeout, memory, tracing and alarms', () => {
    expect(
      ofType('AWS::Lambda::Function')
        .map(([, { Properties }]) => Properties.FunctionName)
        .sort(),
    ).toEqual(FUNCTIONS.map((name) => `org-connections-${stage}-${name}`).sort());
    for (const name of FUNCTIONS) {
      const { Role, Timeout, MemorySize, Runtime, Architectures, TracingConfig, FunctionName, Handler } = get(
        logicalId(name),
      );
      expect(Role).toEqual({ 'Fn::GetAtt': [`${pascal(name)}Role`, 'Arn'] });
      expect(Handler).toBe(`dist/${name}.handler`);
      expect([Runtime, Architectures, TracingConfig]).toEqual(['nodejs24.x', ['arm64'], { Mode: 'Active' }]);
      expect(Timeout).toBeGreaterThan(0);
      expect(MemorySize).toBeGreaterThanOrEqual(256);
      const group = get(logicalId(name).replace('LambdaFunction', 'LogGroup'));
      expect(group).toMatchObject({ LogGroupName: `/aws/lambda/${FunctionName}`, RetentionInDays: expect.any(Number) });
      for (const metric of ['Errors', 'Throttles']) {
        const found = alarms().filter(
          (alarm) => alarm.MetricName === metric && alarm.Dimensions[0].Value === FunctionName,
        );
        expect(found.length, `${name} ${metric}`).toBe(1);
      }
    }
  });

  test('each role allows what its function can call, with what AWS asks for beside it, and nothing else', async () => {
    const template = templates.get(stage) as Template;
    for (const name of FUNCTIONS) expect(await permissionProblems(name, template), name).toEqual([]);
    // A finding names the function, the action and the document.
    const broken = structuredClone(template);
    const { Statement } = broken.Resources.CancelOffboardingRole?.Properties.Policies[0].PolicyDocument ?? {};
    for (const statement of Statement)
      statement.Action = [statement.Action].flat().filter((action: string) => action !== 'lambda:InvokeFunction');
    Statement.push({ Action: ['dynamodb:Scan'], Resource: { 'Fn::GetAtt': ['OffboardingQueue', 'Arn'] } });
    expect(await permissionProblems('cancel-offboarding', broken)).toEqual([
      'cancel-offboarding may not lambda:InvokeFunction: Secrets Manager API reference, RotateSecret, "Required permissions"',
      'cancel-offboarding may dynamodb:Scan, which nothing in its bundle needs',
      expect.stringContaining('cancel-offboarding may dynamodb:Scan on'),
    ]);
  });

  test('no wildcard but where AWS has no resource to name, and no wildcard action', () => {
    for (const [name, { Properties }] of ofType('AWS::IAM::Role')) {
      for (const { PolicyDocument } of Properties.Policies) {
        for (const { Action, Resource } of PolicyDocument.Statement) {
          expect(JSON.stringify(Action), name).not.toContain('*');
          if (Resource === '*')
            expect(
              [Action].flat().every((action: string) => action.startsWith('xray:')),
              name,
            ).toBe(true);
        }
      }
    }
  });

  test('only the rotation reads the client credentials, and only Secrets Manager may invoke it', () => {
    const readers = ofType('AWS::IAM::Role').filter(([, role]) =>
      JSON.stringify(role).includes('"Ref":"ManagementClientSecret"'),
    );
    expect(readers.map(([name]) => name)).toEqual(['RotateManagementTokenRole']);
    const invokers = ofType('AWS::Lambda::Permission').filter(([, { Properties }]) =>
      JSON.stringify(Properties.FunctionName).includes('RotateDash'),
    );
    expect(invokers.map(([, { Properties }]) => [Properties.Principal, Properties.SourceArn])).toEqual([
      ['secretsmanager.amazonaws.com', { Ref: 'ManagementTokenSecret' }],
    ]);
  });

  test('every route of the description is there, behind IAM, and no other', () => {
    const described = Object.entries<object>(openapi.paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    const routes = ofType('AWS::ApiGatewayV2::Route').map(([, { Properties }]) => Properties);
    expect(routes.map(({ RouteKey }) => RouteKey).sort()).toEqual(described.sort());
    for (const { AuthorizationType } of routes) expect(AuthorizationType).toBe('AWS_IAM');
    expect(get('HttpApiStage')).toMatchObject({
      DefaultRouteSettings: { ThrottlingRateLimit: expect.any(Number), ThrottlingBurstLimit: expect.any(Number) },
      AccessLogSettings: { Format: expect.stringContaining('$context.requestId') },
    });
  });

  test('each queue is encrypted, kept for two weeks, and has a dead-letter queue or an alarm on being one', () => {
    const queues = ofType('AWS::SQS::Queue');
    expect(queues.length).toBe(4);
    for (const [name, { Properties }] of queues) {
      expect(Properties).toMatchObject({ SqsManagedSseEnabled: true, MessageRetentionPeriod: 1_209_600 });
      const watched = alarms().some((alarm) => JSON.stringify(alarm.Dimensions ?? []).includes(`"${name}"`));
      expect(watched, `${name} has an alarm`).toBe(true);
      const deadLetterQueue = JSON.stringify(templates.get(stage)).includes(
        `"deadLetterTargetArn":{"Fn::GetAtt":["${name}","Arn"]}`,
      );
      const undelivered = JSON.stringify(templates.get(stage)).includes(`"Fn::GetAtt":["${name}","Arn"]`);
      expect(Properties.RedrivePolicy !== undefined || deadLetterQueue || undelivered).toBe(true);
    }
    const { VisibilityTimeout, RedrivePolicy, FifoQueue } = get('OffboardingQueue');
    expect(VisibilityTimeout).toBeGreaterThanOrEqual(get('OffboardDashorganizationLambdaFunction').Timeout);
    // The record counts; SQS must not be quicker, and takes no more than this.
    expect(RedrivePolicy.maxReceiveCount).toBe(1000);
    expect(FifoQueue).toBe(true);
    expect(get('OffboardingWorker')).toMatchObject({
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BatchSize: 1,
    });
    const senders = get('OffboardingQueuePolicy').PolicyDocument.Statement.filter(
      ({ Effect }: { Effect: string }) => Effect === 'Allow',
    );
    expect(senders).toMatchObject([
      {
        Principal: { Service: 'events.amazonaws.com' },
        Condition: { ArnEquals: { 'aws:SourceArn': expect.anything() } },
      },
    ]);
  });

  test('the functions are told the names that there are', () => {
    const { Variables } = get('DisableDashconnectionLambdaFunction').Environment;
    expect(Variables.MANAGEMENT_TOKEN_SECRET_ID).toBe(get('ManagementTokenSecret').Name);
    expect(Variables.MANAGEMENT_CLIENT_SECRET_ID).toBe(get('ManagementClientSecret').Name);
    expect(Variables.MANAGEMENT_TOKEN_SECRET_ID).toBe(`org-connections/${stage}/management-token`);
    for (const { Ref } of [
      Variables.EVENT_BUS_NAME,
      Variables.OFFBOARDING_QUEUE_URL,
      Variables.REMOVAL_SCHEDULE_GROUP,
      Variables.OFFBOARDINGS_TABLE,
    ]) {
      expect(resources()).toHaveProperty(Ref);
    }
  });

  test('each alarm goes to the topic and names its runbook entry', () => {
    const readme = readFileSync(`${ROOT}RUNBOOK.md`, 'utf8');
    for (const { AlarmActions, AlarmDescription, AlarmName } of alarms()) {
      expect(JSON.stringify(AlarmActions)).toContain(`platform-alarms-${stage}`);
      const entry = /^Runbook: ([^.]+)\./.exec(AlarmDescription)?.[1];
      expect(readme.toLowerCase(), AlarmName).toContain(`**${entry?.toLowerCase()}**`);
    }
  });

  test('the schedules may send, and do nothing else', () => {
    const [statement, ...more] = get('RemovalScheduleRole').Policies[0].PolicyDocument.Statement;
    expect(more).toEqual([]);
    expect(statement.Action).toBe('sqs:SendMessage');
    const [trust] = get('RemovalScheduleRole').AssumeRolePolicyDocument.Statement;
    expect(Object.keys(trust.Condition.StringEquals).sort()).toEqual(['aws:SourceAccount', 'aws:SourceArn']);
  });

  test('nothing secret is in the template, and nothing of another stage', () => {
    const text = JSON.stringify(templates.get(stage));
    expect(text).not.toMatch(/client_secret"\s*:|-----BEGIN|eyJ/);
    for (const other of STAGES.filter((name) => name !== stage)) {
      expect(text).not.toMatch(new RegExp(`org-connections[-/]${other}\\b`));
    }
    expect(readFileSync(join(folder, stage, 'serverless-state.json'), 'utf8')).not.toMatch(/-----BEGIN|eyJ/);
  });
});

test('the table of offboardings can be restored to any point in time, and in prod nobody deletes it by mistake', () => {
  for (const stage of STAGES) {
    expect(templates.get(stage)?.Resources.OffboardingsTable?.Properties, stage).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      DeletionProtectionEnabled: stage === 'prod',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
    });
  }
});

test('deleting the stack by mistake loses neither secrets nor dead letters in prod', () => {
  const { Resources = {} } = templates.get('prod') ?? {};
  for (const name of [
    'ManagementClientSecret',
    'ManagementTokenSecret',
    'OffboardingDeadLetters',
    'RemovalsUndelivered',
    'RequestsUndelivered',
    'EventArchive',
    'RemovalScheduleGroup',
    'OffboardingsTable',
  ]) {
    expect(Resources[name]?.DeletionPolicy, name).toBe('Retain');
  }
});
