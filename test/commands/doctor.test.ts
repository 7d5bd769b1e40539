// What the doctor decides with: a template as it is deployed, two policies compared, a restored table against the archive. The whole
// of it runs against an emulator in the end-to-end tests.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { differenceOf, outcomeOf, outcomesOf } from '../../infra/commands/doctor/archive.ts';
import { policyDifferences } from '../../infra/commands/doctor/policy-differences.ts';
import { parseTemplate, resolverOf } from '../../infra/commands/doctor/template.ts';
import { localTemplate } from '../../infra/local/aws/template.ts';
import { command, KEYS } from './command.ts';

const place = { account: '111122223333', region: 'eu-central-1', partition: 'aws' };

describe('a template', () => {
  const STAGE = parseTemplate(readFileSync(new URL('../../infra/account/stage-access.yml', import.meta.url), 'utf8'));

  test('when its parameters and resources are known, its trust policies are resolved', () => {
    const parameters = { Stage: 'prod' };
    const { resolve } = resolverOf(STAGE, { parameters, physicalIds: {}, ...place });
    const AssumeRolePolicyDocument = resolve(STAGE.Resources.DeployRole?.Properties.AssumeRolePolicyDocument);
    expect(AssumeRolePolicyDocument.Statement).toEqual([
      { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'sts:AssumeRole' },
    ]);
    expect(resolve(STAGE.Resources.DeployRole?.Properties.RoleName)).toBe('org-connections-deploy-prod-eu-central-1');
  });

  test('when a condition does not hold, the stack has not the resource', () => {
    const has = (parameters: Record<string, string>) =>
      resolverOf(STAGE, { parameters, physicalIds: {}, ...place }).has(STAGE.Resources.DisablePolicy ?? {});
    expect([has({}), has({ ApiId: 'abc' })]).toEqual([false, true]);
  });

  test('when osls has compiled it, every queue policy and trust policy is resolved', () => {
    const template = localTemplate();
    const physicalIds = Object.fromEntries(Object.keys(template.Resources).map((id) => [id, `physical-${id}`]));
    const { resolve } = resolverOf(template, { parameters: {}, physicalIds, ...place });
    const ofType = (type: string) => Object.values(template.Resources).filter(({ Type }) => Type === type);
    const policies = ofType('AWS::SQS::QueuePolicy');
    expect(policies.length).toBeGreaterThan(0);
    for (const { Properties } of ofType('AWS::Lambda::Permission'))
      expect(resolve(Properties)).toMatchObject({ FunctionName: expect.any(String), Principal: expect.any(String) });
    for (const { Properties } of policies) {
      const text = JSON.stringify(resolve(Properties));
      expect(text).not.toMatch(/Fn::|"Ref"/);
      expect(text).toContain('arn:aws:sqs:eu-central-1:111122223333:physical-');
    }
  });

  test('when it has a function that is not known here, the error names it', () => {
    const { resolve } = resolverOf({ Resources: {} }, { parameters: {}, physicalIds: {}, ...place });
    expect(() => resolve({ a: { 'Fn::ImportValue': 'x' } })).toThrow('Fn::ImportValue is not resolved here');
    expect(() => resolve({ Ref: 'Nothing' })).toThrow('Nothing is not deployed');
  });
});

describe('two policies', () => {
  const statement = {
    Effect: 'Allow',
    Principal: { Service: 'events.amazonaws.com' },
    Action: ['sqs:SendMessage'],
    Resource: 'arn:a',
    Condition: { ArnEquals: { 'aws:SourceArn': ['arn:one', 'arn:two'] }, Bool: { 'aws:SecureTransport': 'false' } },
  };
  test('when they differ in form alone, there is no difference', () => {
    const same = {
      Version: '2012-10-17',
      Id: 'x',
      Statement: [
        {
          Sid: 'added-by-aws',
          Condition: { Bool: { 'AWS:SecureTransport': false }, ArnEquals: { 'aws:SourceArn': ['arn:two', 'arn:one'] } },
          Resource: ['arn:a'],
          Action: 'sqs:SendMessage',
          Principal: { Service: ['events.amazonaws.com'] },
          Effect: 'Allow',
        },
      ],
    };
    expect(policyDifferences(JSON.stringify(same), { Statement: statement })).toEqual({ added: [], lacking: [] });
    expect(policyDifferences(undefined, undefined)).toEqual({ added: [], lacking: [] });
    const account = (AWS: string) => ({ Statement: { Effect: 'Deny', Principal: { AWS } } });
    const { added } = policyDifferences(account('arn:aws:iam::111122223333:root'), account('111122223333'));
    expect(added).toEqual([]);
  });
  test('when somebody added a statement or widened one, both sides are told', () => {
    const other = { Effect: 'Allow', Principal: '*', Action: 'sqs:*', Resource: '*' };
    const { added, lacking } = policyDifferences({ Statement: [statement, other] }, { Statement: [statement] });
    expect([added.length, lacking.length]).toEqual([1, 0]);
    expect(added[0]).toContain('"Principal":"*"');
    const { Condition: _, ...wide } = statement;
    expect(policyDifferences({ Statement: [wide] }, { Statement: [statement] })).toMatchObject({
      added: [expect.not.stringContaining('Condition')],
      lacking: [expect.stringContaining('Condition')],
    });
    expect(policyDifferences(undefined, { Statement: [statement] }).lacking.length).toBe(1);
  });
});

describe('a restored table', () => {
  const event = (type: string, detail: object = {}) => ({
    'detail-type': `organization.offboarding.${type}`,
    source: 'org-connections',
    time: '2026-11-25T09:00:00Z',
    detail: { organization_id: 'org_a', offboarding_id: 'o-1', dry_run: false, ...detail },
  });
  const record = (status: string) => ({ offboarding_id: 'o-1', status });
  const difference = (type: string, there: object) => {
    const outcome = outcomeOf(event(type));
    return outcome && outcome !== 'malformed' && differenceOf(outcome, there as Record<string, unknown>);
  };

  test('when the record is as far as the service said, or further, they agree', () => {
    for (const [type, status] of [
      ['scheduled', 'scheduled'],
      ['scheduled', 'completed'],
      ['superseded', 'cancelled'],
      ['completed', 'completed'],
    ] as const)
      expect(difference(type, record(status)), `${type}, ${status}`).toBeUndefined();
  });
  test('when the record is older, or is not there, it says so', () => {
    expect(difference('cancelled', record('scheduled'))).toMatch(
      /said cancelled of o-1 at .*, and the table says scheduled/,
    );
    expect(difference('superseded', record('scheduled'))).toContain('table says scheduled');
    expect(difference('completed', record('removing'))).toContain('table says removing');
    expect(difference('scheduled', {})).toContain('does not know it');
  });
  test('when an event is a dry run, a request or of somebody else, it says nothing of a record', () => {
    expect(outcomeOf(event('completed', { dry_run: true }))).toBeUndefined();
    expect(outcomeOf({ ...event('completed'), source: 'billing' })).toBeUndefined();
    expect(outcomeOf(event('failed', { offboarding_id: null }))).toBeUndefined();
    expect(outcomeOf(event('drifted'))).toBeUndefined();
    const error = { code: 'invalid_message', message: 'detail.organization_id: is missing' };
    expect(outcomeOf(event('failed', { organization_id: null, error }))).toBeUndefined();
  });
  test('when an event of the service lacks what it should have, it is malformed and the others count', () => {
    const bodies = [
      JSON.stringify({ ...event('completed'), detail: { organization: 'oops' } }),
      JSON.stringify(event('completed', { organization_id: 'oops' })),
      'no JSON',
      JSON.stringify({ source: 'billing', detail: { organization: 'oops' } }),
      JSON.stringify(event('completed')),
    ];
    const { outcomes, malformed } = outcomesOf(bodies);
    expect(outcomes.map(({ offboarding_id }) => offboarding_id)).toEqual(['o-1']);
    expect(malformed).toEqual(bodies.slice(0, 3));
  });
});

test.each([
  [['--stage', 'local'], /^The stage local is on this machine/],
  [['--stage', 'production'], /^Say which stage/],
  [[], /^Say which stage/],
  [['--stag', 'prod'], /^Unknown option '--stag'/],
  [['--stage', 'prod', '--organization', 'x/../y'], /^The --organization is no id/],
])('when it is typed with %j, a sentence says what to type, and nothing is looked at', async (given, sentence) => {
  const { code, stdout, stderr } = await command('doctor/main.ts', given, KEYS);
  expect(stderr).toMatch(sentence);
  expect(stderr).not.toMatch(/\n {4}at /);
  expect([code, stdout]).toEqual([2, '']);
});
