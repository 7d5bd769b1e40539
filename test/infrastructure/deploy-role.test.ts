// What the deploy role of a stage may do and what it may not, asked as IAM would be.
import { beforeAll, describe, expect, test } from 'vitest';
import { readTemplate } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy, type Request } from './iam.ts';
import {
  API,
  arn,
  boundary,
  deployPolicies,
  EVERYTHING,
  lambda,
  PLACE,
  role,
  stack,
  stage,
  statements,
} from './stages.ts';

let dev: Policy[];
beforeAll(() => {
  dev = deployPolicies(stage('dev'));
});

describe('the deploy role', () => {
  const bounded = { 'iam:PermissionsBoundary': boundary('dev') };
  const devRole = role('org-connections-dev-offboard-organization');
  const me = role('org-connections-deploy-dev');
  const secret = arn('secretsmanager', 'secret:org-connections/dev/management-client-AbCdEf');

  test.each<[what: string, request: Request]>([
    ['makes a role of its stage with the boundary', { action: 'iam:CreateRole', resource: devRole, context: bounded }],
    ['gives such a role its policy', { action: 'iam:PutRolePolicy', resource: devRole, context: bounded }],
    ['puts the boundary on a role', { action: 'iam:PutRolePermissionsBoundary', resource: devRole, context: bounded }],
    [
      'hands it to a function',
      { action: 'iam:PassRole', resource: devRole, context: { 'iam:PassedToService': 'lambda.amazonaws.com' } },
    ],
    ['changes code', { action: 'lambda:UpdateFunctionCode', resource: lambda('org-connections-dev-get-offboarding') }],
    [
      'lets the worker send to its own queue',
      { action: 'lambda:PutFunctionRecursionConfig', resource: lambda('org-connections-dev-offboard-organization') },
    ],
    [
      'lets the API invoke a function',
      {
        action: 'lambda:AddPermission',
        resource: lambda('org-connections-dev-get-offboarding'),
        context: { 'lambda:Principal': 'apigateway.amazonaws.com' },
      },
    ],
    [
      'lets CloudWatch Logs invoke a function',
      {
        action: 'lambda:AddPermission',
        resource: lambda('org-connections-dev-publish-connection-changes'),
        context: { 'lambda:Principal': 'logs.amazonaws.com' },
      },
    ],
    [
      'subscribes to the log of a function',
      {
        action: 'logs:PutSubscriptionFilter',
        resource: arn('logs', 'log-group:/aws/lambda/org-connections-dev-disable-connection:*'),
      },
    ],
    [
      'makes a rule on its own bus',
      { action: 'events:PutRule', resource: arn('events', 'rule/org-connections-dev/org-connections-dev-requests') },
    ],
    [
      'makes the clock',
      { action: 'scheduler:CreateSchedule', resource: arn('scheduler', 'schedule/org-connections-dev/clock') },
    ],
    [
      'has its own function rotate a secret',
      {
        action: 'secretsmanager:RotateSecret',
        resource: secret,
        context: {
          'secretsmanager:RotationLambdaARN': lambda('org-connections-dev-rotate-management-token'),
          'secretsmanager:ModifyRotationRules': 'true',
        },
      },
    ],
    [
      'requests the smoke check',
      {
        action: 'execute-api:Invoke',
        resource: `arn:aws:execute-api:${PLACE.region}:${PLACE.account}:${API}/reversible/POST/organizations/org_Smoke/offboarding`,
      },
    ],
  ])('%s', (_, request) => expect(may(request, { own: dev })).toBe(true));

  const anyPolicy = `arn:aws:iam::${PLACE.account}:policy/org-connections-deploy-dev-stack-${PLACE.region}`;
  test.each<[what: string, request: Request]>([
    ['a new version of its own policy', { action: 'iam:CreatePolicyVersion', resource: anyPolicy }],
    ['an older version of it', { action: 'iam:SetDefaultPolicyVersion', resource: anyPolicy }],
    ['a new version of the boundary', { action: 'iam:CreatePolicyVersion', resource: boundary('dev') }],
    ['the end of the boundary', { action: 'iam:DeletePolicy', resource: boundary('dev') }],
    [
      "a new version of a caller's policy",
      {
        action: 'iam:CreatePolicyVersion',
        resource: `arn:aws:iam::${PLACE.account}:policy/org-connections-dev-read-${PLACE.region}`,
      },
    ],
    ['a role without a boundary', { action: 'iam:CreateRole', resource: devRole }],
    [
      'a role with a boundary of its own',
      {
        action: 'iam:CreateRole',
        resource: devRole,
        context: { 'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/AdministratorAccess' },
      },
    ],
    [
      "a role with another stage's boundary",
      { action: 'iam:CreateRole', resource: devRole, context: { 'iam:PermissionsBoundary': boundary('prod') } },
    ],
    ['a policy for a role without the boundary', { action: 'iam:PutRolePolicy', resource: devRole }],
    ['the boundary off a role', { action: 'iam:DeleteRolePermissionsBoundary', resource: devRole, context: bounded }],
    [
      'another boundary on a role',
      {
        action: 'iam:PutRolePermissionsBoundary',
        resource: devRole,
        context: { 'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/AdministratorAccess' },
      },
    ],
    [
      "somebody else's policy attached to a role",
      {
        action: 'iam:AttachRolePolicy',
        resource: devRole,
        context: { ...bounded, 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' },
      },
    ],
    ['a policy of its own for itself', { action: 'iam:PutRolePolicy', resource: me, context: bounded }],
    [
      'another policy attached to itself',
      {
        action: 'iam:AttachRolePolicy',
        resource: me,
        context: { 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' },
      },
    ],
    ['its own trust', { action: 'iam:UpdateAssumeRolePolicy', resource: me, context: bounded }],
    ['the trust of a role without the boundary', { action: 'iam:UpdateAssumeRolePolicy', resource: devRole }],
    [
      'the trust of another stage',
      { action: 'iam:UpdateAssumeRolePolicy', resource: role('org-connections-deploy-prod'), context: bounded },
    ],
    ['another role', { action: 'sts:AssumeRole', resource: role('org-connections-deploy-prod') }],
    [
      "another stage's role for its function",
      {
        action: 'iam:PassRole',
        resource: role('org-connections-prod-get-offboarding'),
        context: { 'iam:PassedToService': 'lambda.amazonaws.com' },
      },
    ],
    [
      'itself for a function',
      { action: 'iam:PassRole', resource: me, context: { 'iam:PassedToService': 'lambda.amazonaws.com' } },
    ],
    [
      "an administrator's role for a function",
      {
        action: 'iam:PassRole',
        resource: `arn:aws:iam::${PLACE.account}:role/Admin`,
        context: { 'iam:PassedToService': 'lambda.amazonaws.com' },
      },
    ],
    [
      'a role for a machine',
      { action: 'iam:PassRole', resource: devRole, context: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
    ],
    [
      'a role for CloudFormation',
      { action: 'iam:PassRole', resource: devRole, context: { 'iam:PassedToService': 'cloudformation.amazonaws.com' } },
    ],
    [
      'the code of another stage',
      { action: 'lambda:UpdateFunctionCode', resource: lambda('org-connections-prod-get-offboarding') },
    ],
    [
      'everybody at a function',
      {
        action: 'lambda:AddPermission',
        resource: lambda('org-connections-dev-get-offboarding'),
        context: { 'lambda:Principal': '*' },
      },
    ],
    [
      'another account at a function',
      {
        action: 'lambda:AddPermission',
        resource: lambda('org-connections-dev-get-offboarding'),
        context: { 'lambda:Principal': '999999999999' },
      },
    ],
    [
      "a mapping for another stage's function",
      {
        action: 'lambda:CreateEventSourceMapping',
        resource: '*',
        context: { 'lambda:FunctionArn': lambda('org-connections-prod-offboard-organization') },
      },
    ],
    [
      'the value of a secret',
      {
        action: 'secretsmanager:GetSecretValue',
        resource: `arn:aws:secretsmanager:${PLACE.region}:${PLACE.account}:secret:org-connections/dev/management-client-AbCdEf`,
      },
    ],
    [
      'a value for a secret',
      {
        action: 'secretsmanager:PutSecretValue',
        resource: `arn:aws:secretsmanager:${PLACE.region}:${PLACE.account}:secret:org-connections/dev/management-client-AbCdEf`,
      },
    ],
    ...['PutResourcePolicy', 'DeleteResourcePolicy', 'BatchGetSecretValue'].map((action): [string, Request] => [
      `${action} of a secret`,
      { action: `secretsmanager:${action}`, resource: secret },
    ]),
    [
      'the rotation of a secret by another function of its own',
      {
        action: 'secretsmanager:RotateSecret',
        resource: secret,
        context: { 'secretsmanager:RotationLambdaARN': lambda('org-connections-dev-get-offboarding') },
      },
    ],
    ...['org-connections-prod', 'orders', 'org-connections-dev-2'].flatMap((bus) =>
      ['events:PutRule', 'events:PutTargets'].map((action): [string, Request] => [
        `${action} on the bus ${bus}`,
        { action, resource: arn('events', `rule/${bus}/org-connections-dev-spy`) },
      ]),
    ),
    [
      'a rule on the default bus',
      { action: 'events:PutRule', resource: arn('events', 'rule/org-connections-dev-spy') },
    ],
    [
      "a rule on an event source that is not the stage's",
      {
        action: 'events:PutRule',
        resource: arn('events', 'rule/aws.partner/auth0.com/prod/events/org-connections-dev-spy'),
      },
    ],
    [
      'a removal of its own making',
      { action: 'scheduler:CreateSchedule', resource: arn('scheduler', 'schedule/org-connections-dev/org_a-removal') },
    ],
    ['a message', { action: 'sqs:SendMessage', resource: arn('sqs', 'org-connections-dev-offboarding.fifo') }],
    [
      'a write of the table',
      { action: 'dynamodb:PutItem', resource: arn('dynamodb', 'table/org-connections-dev-offboardings') },
    ],
    ['an event', { action: 'events:PutEvents', resource: arn('events', 'event-bus/org-connections-dev') }],
    [
      "the bus's policy",
      {
        action: 'events:PutPermission',
        resource: `arn:aws:events:${PLACE.region}:${PLACE.account}:event-bus/org-connections-dev`,
      },
    ],
    [
      "another API's routes",
      { action: 'apigateway:PATCH', resource: `arn:aws:apigateway:${PLACE.region}::/apis/f6g7h8i9j0/routes/r1` },
    ],
    [
      'an offboarding of a customer',
      {
        action: 'execute-api:Invoke',
        resource: `arn:aws:execute-api:${PLACE.region}:${PLACE.account}:${API}/reversible/POST/organizations/org_Customer/offboarding`,
      },
    ],
    [
      'a removal',
      {
        action: 'execute-api:Invoke',
        resource: `arn:aws:execute-api:${PLACE.region}:${PLACE.account}:${API}/$default/POST/organizations/org_Smoke/offboarding`,
      },
    ],
    [
      'where the alarms go',
      {
        action: 'sns:SetTopicAttributes',
        resource: `arn:aws:sns:${PLACE.region}:${PLACE.account}:platform-alarms-dev`,
      },
    ],
  ])('is denied %s', (_, request) => expect(may(request, { own: dev })).toBe(false));

  test("reads no value of a secret, whatever its own and the secret's policies come to say", () => {
    const open: Policy[] = [{ Statement: { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' } }];
    const read = { action: 'secretsmanager:GetSecretValue', resource: secret, principal: me };
    expect(may(read, { own: [...dev, ...EVERYTHING], resource: open })).toBe(false);
  });

  test('with an event source makes rules on its bus, too', () => {
    const source = 'aws.partner/auth0.com/travel0-dev/events';
    const own = deployPolicies(stage('dev', { Auth0EventSource: source }));
    const puts = (name: string) => may({ action: 'events:PutRule', resource: arn('events', `rule/${name}`) }, { own });
    expect(puts(`${source}/org-connections-dev-notifications`)).toBe(true);
    expect(puts('aws.partner/auth0.com/travel0/events/org-connections-dev-notifications')).toBe(false);
    expect(puts('org-connections-prod/org-connections-dev-notifications')).toBe(false);
  });

  const assumes = (name: string, subject: string, audience = 'sts.amazonaws.com', given = {}) => {
    const { DeployRole } = stage(name, given).Resources;
    const [trust, ...more] = DeployRole?.Properties.AssumeRolePolicyDocument.Statement ?? [];
    expect(more).toEqual([]);
    const context = {
      'token.actions.githubusercontent.com:aud': audience,
      'token.actions.githubusercontent.com:sub': subject,
    };
    const request = { action: 'sts:AssumeRoleWithWebIdentity', resource: DeployRole?.arn ?? '', context };
    return may(request, { resource: [{ Statement: { ...trust, Resource: '*' } }] });
  };

  test.each(STAGES)('of %s is trusted to the environment of its own name alone', (name) => {
    const repository = 'repo:travel0/org-connections';
    expect(assumes(name, `${repository}:environment:${name}`)).toBe(true);
    for (const other of [...STAGES.filter((one) => one !== name), `${name}2`, 'anything'])
      expect(assumes(name, `${repository}:environment:${other}`), other).toBe(false);
    expect(assumes(name, `${repository}:ref:refs/heads/main`)).toBe(false);
    expect(assumes(name, `repo:mallory/org-connections:environment:${name}`)).toBe(false);
    expect(assumes(name, `${repository}:environment:${name}`, 'mallory')).toBe(false);
    // With ids in the subject, too.
    const Repository = 'repo:travel0@12345/org-connections@67890';
    expect(assumes(name, `${Repository}:environment:${name}`, undefined, { Repository })).toBe(true);
    expect(assumes(name, `${repository}:environment:${name}`, undefined, { Repository })).toBe(false);
  });

  test('without a repository is trusted to the account alone', () => {
    const { DeployRole } = stage('local', { Repository: '' }).Resources;
    const [trust] = DeployRole?.Properties.AssumeRolePolicyDocument.Statement ?? [];
    expect(trust).toMatchObject({ Principal: { AWS: `arn:aws:iam::${PLACE.account}:root` }, Action: 'sts:AssumeRole' });
    const pattern = new RegExp(`^(?:${readTemplate('stage-access.yml').Parameters?.Repository?.AllowedPattern})$`);
    for (const repository of ['', 'repo:o/n', 'repo:o@1/n@2']) expect(repository).toMatch(pattern);
    const WRONG = [
      'repo:*',
      'repo:o/n:environment:prod',
      'repo:o/n:environment:*',
      'o/n',
      'repo:o/n:',
      'repo:o/n prod',
    ];
    for (const repository of WRONG) expect(repository).not.toMatch(pattern);
  });

  test.each(STAGES)('of %s reaches nothing of another stage', (name) => {
    const own = deployPolicies(stage(name));
    const actions = [...new Set(statements(own).flatMap(({ Action }) => [Action].flat()))];
    // Actions without a resource to name: they are in statements of their own, for everything.
    const nameless = new Set(
      statements(own)
        .filter(({ Resource, Condition }) => Resource === '*' && !Condition)
        .flatMap(({ Action }) => [Action].flat()),
    );
    const context = { 'iam:PermissionsBoundary': boundary(name), 'iam:PassedToService': 'lambda.amazonaws.com' };
    for (const other of STAGES.filter((one) => one !== name)) {
      const theirs = [...Object.values(stack(other).Resources), ...Object.values(stage(other).Resources)].filter(
        ({ Type, arn: one }) => !one.includes(':unknown:') && Type !== 'AWS::ApiGatewayV2::Api',
      );
      expect(theirs.length).toBeGreaterThan(50);
      // A rule of one's own name on the bus of another stage.
      theirs.push({
        Type: '',
        Properties: {},
        arn: arn('events', `rule/org-connections-${other}/org-connections-${name}-spy`),
      });
      const reached = theirs.flatMap(({ arn: resource }) =>
        actions
          .filter((action) => !nameless.has(action) && may({ action, resource, context }, { own }))
          .map((action) => `${action} on ${resource}`),
      );
      expect(reached).toEqual([]);
    }
  });

  test('makes everything that has a name in its own stack', () => {
    const create: Record<string, string> = {
      'AWS::IAM::Role': 'iam:CreateRole',
      'AWS::Lambda::Function': 'lambda:CreateFunction',
      'AWS::SQS::Queue': 'sqs:CreateQueue',
      'AWS::DynamoDB::Table': 'dynamodb:CreateTable',
      'AWS::Events::EventBus': 'events:CreateEventBus',
      'AWS::Events::Rule': 'events:PutRule',
      'AWS::Events::Archive': 'events:CreateArchive',
      'AWS::Scheduler::Schedule': 'scheduler:CreateSchedule',
      'AWS::Scheduler::ScheduleGroup': 'scheduler:CreateScheduleGroup',
      'AWS::SecretsManager::Secret': 'secretsmanager:CreateSecret',
      'AWS::Logs::LogGroup': 'logs:CreateLogGroup',
      'AWS::CloudWatch::Alarm': 'cloudwatch:PutMetricAlarm',
      'AWS::CloudWatch::Dashboard': 'cloudwatch:PutDashboard',
      'AWS::EventSchemas::Registry': 'schemas:CreateRegistry',
      'AWS::EventSchemas::Schema': 'schemas:CreateSchema',
    };
    for (const name of STAGES) {
      const own = deployPolicies(stage(name));
      const context = { 'iam:PermissionsBoundary': boundary(name) };
      for (const [id, { Type, arn: resource, Properties }] of Object.entries(stack(name).Resources)) {
        if (Type === 'AWS::IAM::Role') expect(Properties.PermissionsBoundary, id).toBe(boundary(name));
        const action = create[Type];
        if (action) expect(may({ action, resource, context }, { own }), `${name} ${id} ${action}`).toBe(true);
        // What is attached to a role is an inline policy of it.
        for (const to of Type === 'AWS::IAM::Policy' ? Properties.Roles : [])
          for (const one of ['iam:PutRolePolicy', 'iam:DeleteRolePolicy']) {
            const attached = `arn:aws:iam::${PLACE.account}:role/${to}`;
            expect(may({ action: one, resource: attached, context }, { own }), `${name} ${id} ${one}`).toBe(true);
          }
        if (JSON.stringify(Properties).includes('RecursiveLoop'))
          expect(may({ action: 'lambda:PutFunctionRecursionConfig', resource }, { own }), id).toBe(true);
        // No type that nobody has thought of: rights are granted above, and here they are not made.
        expect(Type, id).not.toMatch(/^AWS::IAM::(?!Role$|Policy$)|EventBusPolicy|SecretsManager::ResourcePolicy/);
        if (Type === 'AWS::Lambda::Permission') {
          const invoked = { action: 'lambda:AddPermission', resource: Properties.FunctionName };
          const principal = { 'lambda:Principal': Properties.Principal };
          expect(may({ ...invoked, context: principal }, { own }), id).toBe(true);
        }
      }
    }
  });
});
