// The permissions and settings without which EventBridge, SQS, Lambda, Scheduler and CloudWatch Logs do not deliver, read from the
// compiled template. A missing permission shows nowhere else: AWS does not try again, and a dead-letter queue has a policy of its own.
import { describe, expect, test } from 'vitest';
import { localTemplate, type Resources } from '../../infra/local/aws/template.ts';

const { Resources: resources } = localTemplate();
const ofType = (type: string, all: Resources = resources) =>
  Object.entries(all).filter(([, { Type }]) => Type === type);
const idOf = (value: unknown): string => Object(value)['Fn::GetAtt']?.[0] ?? Object(value).Ref;
const targets = ofType('AWS::Events::Rule').flatMap(([rule, { Properties }]) =>
  Properties.Targets.map((target: Record<string, unknown>) => [rule, target] as const),
) as [rule: string, target: Record<string, unknown>][];
const rules = [...new Set(targets.map(([rule]) => rule))];

/** The rules that a queue's policy lets send. */
function sendersOf(queue: string): string[] {
  const policies = ofType('AWS::SQS::QueuePolicy').filter(([, { Properties }]) =>
    Properties.Queues.map(idOf).includes(queue),
  );
  // A queue has one policy: of two, the last would be all.
  expect(policies.length, queue).toBe(1);
  const allowed =
    policies[0]?.[1].Properties.PolicyDocument.Statement.filter(
      ({ Effect }: { Effect: string }) => Effect === 'Allow',
    ) ?? [];
  return allowed.flatMap(({ Condition }: { Condition: { ArnEquals: Record<string, unknown> } }) =>
    [Condition.ArnEquals['aws:SourceArn']].flat().map(idOf),
  );
}

describe.each(rules)('the rule %s', (rule) => {
  const ofRule = targets.filter(([name]) => name === rule).map(([, target]) => target);

  test('says its retry policy, and has a standard queue for what cannot be delivered, which lets it send', () => {
    for (const { RetryPolicy, DeadLetterConfig } of ofRule) {
      expect(RetryPolicy).toEqual({ MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: expect.any(Number) });
      const queue = idOf(Object(DeadLetterConfig).Arn);
      expect(resources[queue]?.Type).toBe('AWS::SQS::Queue');
      expect(resources[queue]?.Properties.FifoQueue).toBeUndefined();
      expect(sendersOf(queue)).toContain(rule);
    }
  });

  test('may send to its target, or invoke it; a FIFO queue gets a group', () => {
    for (const { Arn, SqsParameters } of ofRule) {
      const { Type, Properties } = resources[idOf(Arn)] ?? { Type: '', Properties: {} };
      if (Type === 'AWS::SQS::Queue') {
        expect(sendersOf(idOf(Arn))).toContain(rule);
        expect(SqsParameters === undefined).toBe(!Properties.FifoQueue);
        continue;
      }
      const invokers = ofType('AWS::Lambda::Permission').filter(
        ([, permission]) => idOf(permission.Properties.FunctionName) === idOf(Arn),
      );
      expect(invokers.map(([, permission]) => idOf(permission.Properties.SourceArn))).toContain(rule);
    }
  });
});

test('no policy names a rule that is not there, and all of a stage with notifications are seen here', () => {
  for (const [queue] of ofType('AWS::SQS::Queue'))
    if (JSON.stringify(resources).includes(`"Queues":[{"Ref":"${queue}"}]`))
      for (const sender of sendersOf(queue)) expect(resources).toHaveProperty(sender);
  expect(rules).toEqual(expect.arrayContaining(['RequestRule', 'NotificationRule', 'LogNotificationRule']));
});

describe.each(ofType('AWS::Lambda::EventSourceMapping').map(([id]) => id))('the event source %s', (id) => {
  const mapping = resources[id]?.Properties;
  const queue = resources[idOf(mapping.EventSourceArn)]?.Properties;
  const invoked = resources[idOf(mapping.FunctionName)]?.Properties;

  test('a message stays hidden for as long as its function may run', () => {
    expect(queue.VisibilityTimeout).toBeGreaterThanOrEqual(invoked.Timeout);
    expect(mapping.FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
  });

  test('its dead-letter queue is of its kind, and keeps a message as long as it can', () => {
    const letters = resources[idOf(queue.RedrivePolicy.deadLetterTargetArn)]?.Properties;
    expect(letters.FifoQueue).toBe(queue.FifoQueue);
    expect(letters.MessageRetentionPeriod).toBe(1_209_600);
  });
});

test('a function that sends to the queue which invokes it may: Lambda ends a loop at its seventeenth round', () => {
  const looping = ofType('AWS::Lambda::EventSourceMapping').filter(([, { Properties }]) => {
    const role = resources[idOf(resources[idOf(Properties.FunctionName)]?.Properties.Role)]?.Properties;
    const statements: { Action: string | string[]; Resource: unknown }[] = role.Policies.flatMap(
      ({ PolicyDocument }: { PolicyDocument: { Statement: object[] } }) => PolicyDocument.Statement,
    );
    return statements.some(
      ({ Action, Resource }) =>
        [Action].flat().includes('sqs:SendMessage') &&
        [Resource].flat().map(idOf).includes(idOf(Properties.EventSourceArn)),
    );
  });
  expect(looping.map(([id]) => id)).toContain('OffboardingWorker');
  for (const [id, { Properties }] of looping)
    expect(resources[idOf(Properties.FunctionName)]?.Properties.RecursiveLoop, id).toBe('Allow');
});

test('the clock may invoke its function and leave what it cannot deliver; a run that fails is repeated by the next', () => {
  const { Target, GroupName, State = 'ENABLED' } = resources.Clock?.Properties ?? {};
  expect(State).toBe('ENABLED');
  const role = resources[idOf(Target.RoleArn)]?.Properties;
  const statements: { Action: string; Resource: unknown }[] = role.Policies[0].PolicyDocument.Statement;
  expect(statements.map(({ Action, Resource }) => [Action, idOf(Resource)])).toEqual([
    ['lambda:InvokeFunction', idOf(Target.Arn)],
    ['sqs:SendMessage', idOf(Target.DeadLetterConfig.Arn)],
  ]);
  const [trust] = role.AssumeRolePolicyDocument.Statement;
  expect(idOf(trust.Condition.StringEquals['aws:SourceArn'])).toBe(idOf(GroupName));
  expect(resources[idOf(Target.DeadLetterConfig.Arn)]?.Properties.FifoQueue).toBeUndefined();
  expect(JSON.parse(Target.Input)).toEqual({ 'detail-type': 'Scheduled Event' });
  expect(Target.RetryPolicy).toEqual({ MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: expect.any(Number) });
});

test('no rule has a schedule, which only the default bus takes', () => {
  for (const [id, { Properties }] of ofType('AWS::Events::Rule')) {
    expect(Properties.ScheduleExpression, id).toBeUndefined();
    expect(Properties.EventBusName, id).toBeTruthy();
  }
});

test('each subscription on a log is one that its function permits before it is made, and what fails three times is kept', () => {
  const filters = ofType('AWS::Logs::SubscriptionFilter');
  expect(filters.map(([, { Properties }]) => idOf(Properties.LogGroupName)).sort()).toEqual([
    'DisableDashconnectionLogGroup',
    'RemoveDashconnectionLogGroup',
  ]);
  for (const [id, { Properties, ...filter }] of filters) {
    const permission = resources[Object(filter).DependsOn]?.Properties;
    expect(permission.Principal, id).toBe('logs.amazonaws.com');
    expect(idOf(permission.SourceArn)).toBe(idOf(Properties.LogGroupName));
    expect(idOf(permission.FunctionName)).toBe(idOf(Properties.DestinationArn));
    const [, retries] = ofType('AWS::Lambda::EventInvokeConfig').find(
      ([, one]) => idOf(one.Properties.FunctionName) === idOf(Properties.DestinationArn),
    ) ?? ['', { Properties: {} }];
    expect(retries.Properties.MaximumRetryAttempts).toBe(2);
    expect(idOf(retries.Properties.DestinationConfig.OnFailure.Destination)).toBe('ConnectionChangesUndelivered');
  }
});

test("the service's own events reach the archive and no queue", () => {
  const takes = (id: string) => resources[id]?.Properties.EventPattern;
  expect(takes('RequestRule').source).toEqual([{ 'anything-but': 'org-connections' }]);
  expect(takes('EventArchive')).toEqual({
    'detail-type': [{ prefix: 'organization.offboarding.' }, { prefix: 'connection.' }],
  });
});

test("the queue of the schedules deduplicates by content, or Scheduler cannot send to it; their role is the group's alone", () => {
  const role = resources.RemovalScheduleRole?.Properties;
  const queues: string[] = role.Policies[0].PolicyDocument.Statement[0].Resource.map(idOf);
  expect(queues).toContain('OffboardingQueue');
  for (const queue of queues) {
    const { FifoQueue = false, ContentBasedDeduplication = false } = resources[queue]?.Properties ?? {};
    expect(ContentBasedDeduplication, queue).toBe(FifoQueue);
  }
});

test('nothing says which partition it is in', () => {
  expect(JSON.stringify(resources)).not.toMatch(/arn:aws(-cn|-us-gov)?:/);
});
