// What the deploy role of a stage may do and what it may not, asked as IAM would be.
import { beforeAll, describe, expect, test } from 'vitest';
import { readTemplate } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy, type Request } from './iam.ts';
import { API, boundary, deployPolicies, lambda, PLACE, role, stack, stage, statements } from './stages.ts';

let dev: Policy[];
beforeAll(() => {
  dev = deployPolicies(stage('dev'));
});

describe('the deploy role', () => {
  const bounded = { 'iam:PermissionsBoundary': boundary('dev') };
  const devRole = role('org-connections-dev-offboard-organization');
  const me = role('org-connections-deploy-dev');

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
      'asks for the smoke check',
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

  test.each(STAGES)('of %s is trusted to one environment by its whole name', (name) => {
    const { DeployRole } = stage(name).Resources;
    const [trust, ...more] = DeployRole?.Properties.AssumeRolePolicyDocument.Statement ?? [];
    expect(more).toEqual([]);
    const assume = (subject: string, audience = 'sts.amazonaws.com') =>
      may(
        {
          action: 'sts:AssumeRoleWithWebIdentity',
          resource: DeployRole?.arn ?? '',
          context: {
            'token.actions.githubusercontent.com:aud': audience,
            'token.actions.githubusercontent.com:sub': subject,
          },
        },
        { resource: [{ Statement: { ...trust, Resource: '*' } }] },
      );
    const repository = 'repo:travel0/org-connections';
    expect(assume(`${repository}:environment:${name}`)).toBe(true);
    for (const other of STAGES.filter((one) => one !== name))
      expect(assume(`${repository}:environment:${other}`)).toBe(false);
    expect(assume(`${repository}:environment:${name}2`)).toBe(false);
    expect(assume(`${repository}:ref:refs/heads/main`)).toBe(false);
    expect(assume(`repo:mallory/org-connections:environment:${name}`)).toBe(false);
    expect(assume(`${repository}:environment:${name}`, 'mallory')).toBe(false);
  });

  test('without a subject it is trusted to the account alone', () => {
    const { DeployRole } = stage('local', { Subject: '' }).Resources;
    const [trust] = DeployRole?.Properties.AssumeRolePolicyDocument.Statement ?? [];
    expect(trust).toMatchObject({ Principal: { AWS: `arn:aws:iam::${PLACE.account}:root` }, Action: 'sts:AssumeRole' });
    const pattern = new RegExp(`^(?:${readTemplate('stage.yml').Parameters?.Subject?.AllowedPattern})$`);
    for (const subject of ['', 'repo:o/n:environment:prod', 'repo:o@1/n@2:environment:dev'])
      expect(subject).toMatch(pattern);
    for (const subject of [
      'repo:o/n:*',
      'repo:o/n:environment:*',
      'repo:o/n:environment:test',
      'repo:*:environment:prod',
    ])
      expect(subject).not.toMatch(pattern);
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
        ({ Type, arn }) => !arn.includes(':unknown:') && Type !== 'AWS::ApiGatewayV2::Api',
      );
      expect(theirs.length).toBeGreaterThan(50);
      for (const { arn } of theirs)
        for (const action of actions.filter((one) => !nameless.has(one)))
          expect(may({ action, resource: arn, context }, { own }), `${name}: ${action} on ${arn}`).toBe(false);
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
      for (const [id, { Type, arn, Properties }] of Object.entries(stack(name).Resources)) {
        if (Type === 'AWS::IAM::Role') expect(Properties.PermissionsBoundary, id).toBe(boundary(name));
        const action = create[Type];
        if (action) expect(may({ action, resource: arn, context }, { own }), `${name} ${id} ${action}`).toBe(true);
        // What is attached to a role is an inline policy of it.
        for (const to of Type === 'AWS::IAM::Policy' ? Properties.Roles : [])
          for (const one of ['iam:PutRolePolicy', 'iam:DeleteRolePolicy']) {
            const resource = `arn:aws:iam::${PLACE.account}:role/${to}`;
            expect(may({ action: one, resource, context }, { own }), `${name} ${id} ${one}`).toBe(true);
          }
        if (JSON.stringify(Properties).includes('RecursiveLoop'))
          expect(may({ action: 'lambda:PutFunctionRecursionConfig', resource: arn }, { own }), id).toBe(true);
        // No type that nobody has thought of: rights are granted above, and here they are not made.
        expect(Type, id).not.toMatch(/^AWS::IAM::(?!Role$|Policy$)|EventBusPolicy/);
      }
    }
  });
});
