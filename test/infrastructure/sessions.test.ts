// A stage that ends sessions, and one that does not: of what the first has, nothing is in the second.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Template } from './cloudformation.ts';
import { packaged } from './compiled.ts';
import { permissionProblems } from './permissions.ts';

const off = packaged('prod').template;
const on = packaged('prod', '--param', 'endSessions=true', '--param', 'sessionMembers=all').template;

const resourcesOf = ({ Resources }: Template) => Resources;
const get = (name: string) => resourcesOf(on)[name]?.Properties;

test('without it there is no queue, secret, function, permission or variable', () => {
  // Whoever listens for the outcome finds its schema in any stage: a stage may end sessions later.
  const { EventSchemaOrganizationOffboardingSessionsEnded, ...others } = resourcesOf(off);
  const texts = JSON.stringify(others, (key, value) => (key === 'Content' ? undefined : value));
  // But the functions that accept requests know that the stage does not.
  const { Variables } = resourcesOf(off).RequestDashoffboardingLambdaFunction?.Properties.Environment ?? {};
  expect(Variables.END_SESSIONS).toBe('false');
  expect(EventSchemaOrganizationOffboardingSessionsEnded).toBeDefined();
  expect(texts.replaceAll('"END_SESSIONS":"false"', '')).not.toMatch(/session/i);
  const added = Object.keys(resourcesOf(on)).filter((name) => !(name in resourcesOf(off)));
  expect(added.length).toBeGreaterThan(10);
  for (const name of added) expect(name).toMatch(/session/i);
});

test('with it each role allows what its function calls, and nothing else', async () => {
  for (const name of ['end-sessions', 'offboard-organization', 'dispatch-due-work', 'rotate-management-token'])
    expect(await permissionProblems(name, on), name).toEqual([]);
});

test('the token that ends sessions is read by one function, its client by the rotation, and neither by what disables', () => {
  const readers = (secret: string) =>
    Object.entries(resourcesOf(on))
      .filter(([, { Type }]) => Type === 'AWS::IAM::Role' || Type === 'AWS::IAM::Policy')
      .filter(([, { Properties }]) => JSON.stringify(Properties).includes(`"Ref":"${secret}"`))
      .map(([name]) => name);
  expect(readers('SessionTokenSecret').sort()).toEqual(['EndSessionsRole', 'SessionRotationPolicy']);
  expect(readers('SessionClientSecret')).toEqual(['SessionRotationPolicy']);
  expect(get('SessionRotationPolicy').Roles).toEqual([{ Ref: 'RotateManagementTokenRole' }]);
  expect(JSON.stringify(get('EndSessionsRole'))).not.toContain('ManagementTokenSecret');
  expect(get('SessionRotationPermission')).toMatchObject({ SourceArn: { Ref: 'SessionTokenSecret' } });
});

test('each alarm on a metric of our own is on a function that publishes it', () => {
  const published = Object.values(resourcesOf(on)).flatMap(({ Type, Properties }) => {
    if (Type !== 'AWS::CloudWatch::Alarm' || Properties.Namespace !== 'org-connections') return [];
    const dimensions: { Name: string; Value: string }[] = Properties.Dimensions;
    const name = dimensions.find(({ Name }) => Name === 'function')?.Value.replace('org-connections-prod-', '');
    if (!name) return [];
    const bundle = readFileSync(new URL(`../../dist/${name}.mjs`, import.meta.url), 'utf8');
    return [[Properties.AlarmName, bundle.includes(Properties.MetricName)]];
  });
  expect(published.length).toBeGreaterThan(5);
  expect(published).toEqual(published.map(([alarm]) => [alarm, true]));
  expect(get('SessionsNotEnded').Dimensions).toEqual([
    { Name: 'function', Value: 'org-connections-prod-offboard-organization' },
  ]);
});

test('the queue outlives the function, is encrypted, ends in a queue of dead letters with an alarm, and takes what the worker sends', () => {
  const { Timeout, Environment } = get('EndDashsessionsLambdaFunction');
  const { VisibilityTimeout, RedrivePolicy, FifoQueue, MessageRetentionPeriod, SqsManagedSseEnabled } =
    get('SessionQueue');
  expect(VisibilityTimeout).toBeGreaterThanOrEqual(Timeout);
  expect([FifoQueue, SqsManagedSseEnabled, MessageRetentionPeriod]).toEqual([true, true, 1_209_600]);
  expect(RedrivePolicy.deadLetterTargetArn).toEqual({ 'Fn::GetAtt': ['SessionDeadLetters', 'Arn'] });
  expect(JSON.stringify(get('SessionDeadLettersWaiting').Dimensions)).toContain('"SessionDeadLetters"');
  expect(resourcesOf(on).SessionDeadLetters).toMatchObject({
    DeletionPolicy: 'RetainExceptOnCreate',
    UpdateReplacePolicy: 'Retain',
  });
  expect(get('SessionWorker')).toMatchObject({ FunctionResponseTypes: ['ReportBatchItemFailures'], BatchSize: 1 });
  const senders = Object.entries(resourcesOf(on)).filter(
    ([, { Type, Properties }]) =>
      Type.startsWith('AWS::IAM::') && /"sqs:SendMessage"[^}]*"SessionQueue"/.test(JSON.stringify(Properties)),
  );
  expect(senders.map(([name]) => name).sort()).toEqual(['EndSessionsRole', 'SessionSenderPolicy']);
  expect(get('SessionSenderPolicy').Roles).toEqual([{ Ref: 'OffboardOrganizationRole' }]);
  expect(Environment.Variables).toMatchObject({
    SESSION_QUEUE_URL: { Ref: 'SessionQueue' },
    SESSION_TOKEN_SECRET_ID: get('SessionTokenSecret').Name,
    SESSION_SHARE: '0.2',
    SESSION_MEMBERS: 'all',
  });
  expect(get('OffboardDashorganizationLambdaFunction').Environment.Variables).toHaveProperty('SESSION_QUEUE_URL');
  const { Variables } = get('RotateDashmanagementDashtokenLambdaFunction').Environment;
  expect([Variables.SESSION_CLIENT_SECRET_ID, Variables.SESSION_TOKEN_SECRET_ID]).toEqual([
    'org-connections/prod/session-client',
    'org-connections/prod/session-token',
  ]);
});
