// What must hold in every stage's compiled template.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openapi } from '../contract.ts';
import type { Template } from './cloudformation.ts';
import { packaged, STAGES } from './compiled.ts';
import { permissionProblems } from './permissions.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ALL = readdirSync(`${ROOT}functions`).map((file) => file.replace('.ts', ''));
/** Of these stages the local one alone ends sessions, too (sessions.test.ts). */
const endsSessions = (stage: string) => stage === 'local';
const functionsOf = (stage: string) => ALL.filter((name) => name !== 'end-sessions' || endsSessions(stage));
/** The functions whose failing nobody is answered by a 5xx. */
const UNATTENDED = [
  'offboard-organization',
  'dispatch-due-work',
  'publish-connection-changes',
  'rotate-management-token',
  'end-sessions',
];
/** Auth0's limit for writes of a tenant, a minute (Enterprise), and how many it takes at once. */
const [AUTH0_WRITES, AUTH0_AT_ONCE] = [150, 5];

const compiled = new Map<string, ReturnType<typeof packaged>>(STAGES.map((stage) => [stage, packaged(stage)]));

const pascal = (name: string) => name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
const logicalId = (name: string) =>
  `${name.replace(/^\w/, (c) => c.toUpperCase()).replaceAll('-', 'Dash')}LambdaFunction`;

describe.each(STAGES)('%s', (stage) => {
  const FUNCTIONS = functionsOf(stage);
  const resources = () => compiled.get(stage)?.template.Resources ?? {};
  const ofType = (type: string) => Object.entries(resources()).filter(([, { Type }]) => Type === type);
  const get = (name: string) => {
    const found = resources()[name];
    if (!found) throw new Error(`${name} is not in the template`);
    return found.Properties;
  };
  const alarms = () => ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);

  test('each function has its role, log group, timeout, memory and tracing, and an alarm says that it fails', () => {
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
      const found = alarms().filter(
        (alarm) => alarm.MetricName === 'Errors' && alarm.Dimensions[0].Value === FunctionName,
      );
      // What the others fail at is an answer of the API's with 5xx, which has an alarm.
      const answers = ofType('AWS::ApiGatewayV2::Integration').some(([, { Properties }]) =>
        JSON.stringify(Properties).includes(logicalId(name)),
      );
      expect([found.length, answers], name).toEqual(UNATTENDED.includes(name) ? [1, false] : [0, true]);
    }
  });

  test('each role allows what its function can call, with what AWS asks for beside it, and nothing else', async () => {
    const template = compiled.get(stage)?.template as Template;
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
    const readers = [...ofType('AWS::IAM::Role'), ...ofType('AWS::IAM::Policy')].filter(([, role]) =>
      /"Ref":"\w+ClientSecret"/.test(JSON.stringify(role)),
    );
    const session = endsSessions(stage) ? ['SessionRotationPolicy'] : [];
    expect(readers.map(([name]) => name)).toEqual(['RotateManagementTokenRole', ...session]);
    const invokers = ofType('AWS::Lambda::Permission').filter(([, { Properties }]) =>
      JSON.stringify(Properties.FunctionName).includes('RotateDash'),
    );
    expect(invokers.map(([, { Properties }]) => [Properties.Principal, Properties.SourceArn])).toEqual([
      ['secretsmanager.amazonaws.com', { Ref: 'ManagementTokenSecret' }],
      ...(endsSessions(stage) ? [['secretsmanager.amazonaws.com', { Ref: 'SessionTokenSecret' }]] : []),
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
    for (const name of ['HttpApiStage', 'ReversibleStage']) {
      const { DefaultRouteSettings, RouteSettings, AccessLogSettings } = get(name);
      expect(Object.keys(RouteSettings).sort()).toEqual(described.sort());
      for (const { ThrottlingRateLimit, ThrottlingBurstLimit } of Object.values<Record<string, number>>(
        RouteSettings,
      )) {
        expect(ThrottlingRateLimit).toBeLessThan(DefaultRouteSettings.ThrottlingRateLimit);
        expect(ThrottlingBurstLimit).toBeLessThan(DefaultRouteSettings.ThrottlingBurstLimit);
      }
      // A route that writes to Auth0 in the request takes at most half of the tenant's limit, at both stages of the API together.
      for (const route of described.filter((one) => /^(PATCH|DELETE) \/organizations/.test(one))) {
        expect(2 * 60 * RouteSettings[route].ThrottlingRateLimit, route).toBeLessThanOrEqual(AUTH0_WRITES / 2);
        expect(2 * RouteSettings[route].ThrottlingBurstLimit, route).toBeLessThan(AUTH0_AT_ONCE);
      }
      // Detailed metrics are billed by route; the access log has the route.
      expect(DefaultRouteSettings.DetailedMetricsEnabled ?? false).toBe(false);
      const line = JSON.parse(AccessLogSettings.Format);
      expect(Object.values(line)).toEqual(
        expect.arrayContaining([
          '$context.requestId',
          '$context.routeKey',
          '$context.identity.sourceIp',
          '$context.path',
        ]),
      );
      // What a caller writes comes last: whatever it does to the line, the fields before it can be read.
      expect(Object.keys(line).at(-1)).toBe('path');
    }
  });

  test('a new deploy makes the settings of a route after the route', () => {
    const routes = ofType('AWS::ApiGatewayV2::Route');
    expect(routes.length).toBeGreaterThan(0);
    for (const name of ['HttpApiStage', 'ReversibleStage'])
      expect(resources()[name]?.DependsOn).toEqual(expect.arrayContaining(routes.map(([id]) => id)));
  });

  test('metrics of our own that an alarm or the dashboard reads are those that are paid for', () => {
    const dashboard = JSON.parse(get('Dashboard').DashboardBody['Fn::Sub']);
    const shown: string[][] = dashboard.widgets.flatMap(
      ({ properties }: { properties: { metrics?: string[][] } }) => properties.metrics ?? [],
    );
    // The first three dashboards with at most so many are free.
    expect(shown.length).toBeLessThanOrEqual(50);
    const own = new Set(
      shown.filter(([space]: string[]) => space === 'org-connections').map((one: string[]) => one.slice(1).join()),
    );
    for (const { Namespace, MetricName, Dimensions } of alarms())
      if (Namespace === 'org-connections')
        own.add(
          [
            MetricName,
            ...Dimensions.flatMap(({ Name, Value }: { Name: string; Value: string }) => [Name, Value]),
          ].join(),
        );
    // 10 USD a month, at 0.30 each.
    expect(own.size).toBeLessThanOrEqual(33);
  });

  test('each queue is encrypted, kept for two weeks, and has a dead-letter queue or an alarm on being one', () => {
    const queues = ofType('AWS::SQS::Queue');
    expect(queues.length).toBe(endsSessions(stage) ? 7 : 5);
    for (const [name, { Properties }] of queues) {
      expect(Properties).toMatchObject({ SqsManagedSseEnabled: true, MessageRetentionPeriod: 1_209_600 });
      // For a queue that invokes a function there is OldestOverdue, and in the end the alarm of its dead letters.
      const watched = alarms().some((alarm) => JSON.stringify(alarm.Dimensions ?? []).includes(`"${name}"`));
      expect(watched, `${name} has an alarm`).toBe(Properties.RedrivePolicy === undefined);
      const deadLetterQueue = JSON.stringify(compiled.get(stage)?.template).includes(
        `"deadLetterTargetArn":{"Fn::GetAtt":["${name}","Arn"]}`,
      );
      const undelivered = JSON.stringify(compiled.get(stage)?.template).includes(`"Fn::GetAtt":["${name}","Arn"]`);
      expect(Properties.RedrivePolicy !== undefined || deadLetterQueue || undelivered).toBe(true);
    }
    const { VisibilityTimeout, RedrivePolicy, FifoQueue } = get('OffboardingQueue');
    expect(VisibilityTimeout).toBeGreaterThanOrEqual(get('OffboardDashorganizationLambdaFunction').Timeout);
    // The record counts the tries. SQS must not be quicker, and takes no more than this.
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
    expect(Variables).toMatchObject({ REMOVAL_NOTICE: 'P3D', NODE_OPTIONS: '--max-semi-space-size=4' });
    for (const { Ref } of [
      Variables.EVENT_BUS_NAME,
      Variables.OFFBOARDING_QUEUE_URL,
      Variables.REMOVAL_SCHEDULE_GROUP,
      Variables.OFFBOARDINGS_TABLE,
    ]) {
      expect(resources()).toHaveProperty(Ref);
    }
  });

  test('machine access is ended where the stage says so, by the functions that do it', () => {
    const variables = (name: string) => get(logicalId(name)).Environment.Variables;
    const published = FUNCTIONS.filter((name) => variables(name).MACHINE_ACCESS !== undefined);
    const ending = [
      'cancel-offboarding',
      'get-offboarding',
      'offboard-organization',
      'request-offboarding',
      'request-offboardings',
      'rotate-management-token',
    ];
    expect(published.sort()).toEqual(ending);
    for (const name of published) expect(variables(name).MACHINE_ACCESS, name).toBe(String(stage === 'local'));
    for (const name of ['request-offboarding', 'request-offboardings'])
      expect(variables(name).END_SESSIONS, name).toBe(String(endsSessions(stage)));
  });

  test('a failure is counted whichever function publishes it', () => {
    for (const [alarm, outcome] of [
      ['OffboardingFailures', 'failed'],
      ['Drifted', 'drifted'],
    ] as const)
      expect(get(alarm)).toMatchObject({
        MetricName: 'Offboardings',
        Dimensions: [{ Name: 'outcome', Value: outcome }],
      });
  });

  test('each alarm goes to the topic and names its runbook entry', () => {
    const page = readFileSync(`${ROOT}docs/runbook.md`, 'utf8').toLowerCase();
    const entries = [...page.matchAll(/^### (.*)$/gm)].flatMap(([, heading = '']) => heading.split(', '));
    for (const { AlarmActions, AlarmDescription, AlarmName } of alarms()) {
      expect(JSON.stringify(AlarmActions)).toContain(`platform-alarms-${stage}`);
      const entry = /^Runbook: ([^.]+)\./.exec(AlarmDescription)?.[1];
      expect(entries, AlarmName).toContain(entry?.toLowerCase());
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
    const text = JSON.stringify(compiled.get(stage)?.template);
    expect(text).not.toMatch(/client_secret"\s*:|-----BEGIN|eyJ/);
    for (const other of STAGES.filter((name) => name !== stage)) {
      expect(text).not.toMatch(new RegExp(`org-connections[-/]${other}\\b`));
    }
    expect(compiled.get(stage)?.state).not.toMatch(/-----BEGIN|eyJ/);
  });
});

test('the table of offboardings can be restored to any point in time, and in prod nobody deletes it by mistake', () => {
  for (const stage of STAGES) {
    expect(compiled.get(stage)?.template.Resources.OffboardingsTable?.Properties, stage).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      DeletionProtectionEnabled: stage === 'prod',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
    });
  }
});

test('deleting the stack by mistake loses in prod neither secrets, records and messages nor what schedules need', () => {
  const { Resources = {} } = compiled.get('prod')?.template ?? {};
  for (const name of [
    'ManagementClientSecret',
    'ManagementTokenSecret',
    'OffboardingDeadLetters',
    'RemovalsUndelivered',
    'RequestsUndelivered',
    'ConnectionChangesUndelivered',
    'EventArchive',
    'RemovalScheduleGroup',
    'RemovalScheduleRole',
    'OffboardingQueue',
    'OffboardingsTable',
  ]) {
    // Not what a first deploy makes and then fails: the next one would end in "already exists".
    expect(Resources[name]?.DeletionPolicy, name).toBe('RetainExceptOnCreate');
    expect(Resources[name]?.UpdateReplacePolicy, name).toBe('Retain');
  }
});
