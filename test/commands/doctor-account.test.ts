// What the doctor finds in an account, over the wire: the path of notifications, the worker, and what the service sees.
import { describe, expect, test } from 'vitest';
import { lookAtNotifications } from '../../infra/commands/doctor/notifications.ts';
import { lookAtPolicies } from '../../infra/commands/doctor/policies.ts';
import { lookAtWorker } from '../../infra/commands/doctor/resources.ts';
import { lookAtRemainingAccess } from '../../infra/commands/doctor/service.ts';
import type { Stack } from '../../infra/commands/doctor/stacks.ts';
import { compilePattern } from '../../infra/local/aws/pattern.ts';
import { localTemplate } from '../../infra/local/aws/template.ts';
import { accountOfEachTest, type Json, stackOf } from './account.ts';

const account = accountOfEachTest();
const template = localTemplate();
const stack = (resources = template.Resources) => stackOf(resources);

describe('the path of notifications', () => {
  const rules = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::Events::Rule');
  const events = (change: { state?: string; rule?: string; targets?: object[]; pattern?: object } = {}) => ({
    DescribeEventSource: ({ Name }: Json) => ({ Name, State: change.state ?? 'ACTIVE' }),
    DescribeRule: ({ Name }: Json) => ({
      State: change.rule ?? 'ENABLED',
      EventPattern: JSON.stringify(
        change.pattern ?? rules.find(({ Properties }) => Properties.Name === Name)?.Properties.EventPattern,
      ),
    }),
    ListTargetsByRule: () => ({ Targets: change.targets ?? [{ Id: 'a', Arn: 'arn:a' }] }),
    TestEventPattern: ({ EventPattern, Event }: Json) => ({
      Result: compilePattern(JSON.parse(String(EventPattern)))(JSON.parse(String(Event))),
    }),
  });

  test('when all is as it was deployed, both streams are in order, and it says how to see them at Auth0', async () => {
    account.answers = events();
    await lookAtNotifications(account.place, stack());
    expect(account.lines.filter((line) => line.startsWith('ok'))).toHaveLength(4);
    expect(account.lines.join('\n')).toMatch(/rule of the log stream: .* takes 3 kinds/);
    expect(account.lines.join('\n')).toMatch(/rule of the Event Stream: .* takes 3 kinds/);
    expect(account.lines.join('\n')).toMatch(/auth0 api get event-streams .*500 failures in a row/);
    expect(account.place.findings.end()).toBe(true);
  });

  test.each<[string, Parameters<typeof events>[0], RegExp]>([
    ['the source is pending', { state: 'PENDING' }, /^MISSING event source of the log stream: .* is PENDING/m],
    [
      'the rule is disabled',
      { rule: 'DISABLED' },
      /^MISSING rule of the Event Stream: .*it is DISABLED.* enable-rule/m,
    ],
    ['the rule has no target', { targets: [] }, /^MISSING rule of the log stream: .*it has no target/m],
    [
      'somebody narrowed the pattern',
      { pattern: { detail: { data: { type: ['sapi'] } } } },
      /^MISSING rule of the log stream: .*does not take my_organization_api_idp_succeeded, ss_sso_success/m,
    ],
  ])('when %s, it says what is lost', async (_what, change, line) => {
    account.answers = events(change);
    await lookAtNotifications(account.place, stack());
    expect(account.lines.join('\n')).toMatch(line);
  });

  test('when the stage has no stream, or its source is gone, that is said', async () => {
    await lookAtNotifications(account.place, stack({}));
    expect(account.lines).toEqual([expect.stringMatching(/^- .*within a day/)]);
    await lookAtNotifications(account.place, stack());
    expect(account.lines.join('\n')).toMatch(/^MISSING event source of the log stream: .* is not there in us-east-1/m);
  });
});

describe('the worker', () => {
  const mapping = (State: string) => ({
    'GET /2015-03-31/event-source-mappings': () => ({ EventSourceMappings: [{ UUID: 'uuid-1', State }] }),
    'GET /2024-08-31/functions/org-connections-local-offboard-organization/recursion-config': () => ({
      RecursiveLoop: 'Allow',
    }),
  });
  test('when its event source is disabled, nothing goes on, and the line that enables it is given', async () => {
    account.answers = mapping('Disabled');
    await lookAtWorker(account.place);
    expect(account.lines.join('\n')).toMatch(
      /^MISSING worker: .*Disabled.*update-event-source-mapping --uuid uuid-1 --enabled/m,
    );
    expect(account.lines[0]).toMatch(/^ok +recursion/);
  });
  test('when it is enabled, it is in order', async () => {
    account.answers = mapping('Enabled');
    await lookAtWorker(account.place);
    expect(account.place.findings.end()).toBe(true);
  });
});

test.each<[string, Json, RegExp]>([
  [
    'sees the grants',
    { remaining_access: [{ kind: 'client_grant' }], connections_source: 'auth0' },
    /^ok +remaining access: 1/,
  ],
  [
    'may not see them',
    { remaining_access: null, connections_source: 'auth0' },
    /^MISSING .*read:organization_client_grants.*rotate-secret/,
  ],
  ['is not answered by Auth0', { remaining_access: null, connections_source: 'record' }, /^\? +remaining access/],
])('when the service %s, the doctor says so', async (_what, answer, line) => {
  await lookAtRemainingAccess(account.place, async () => answer, 'org_a');
  expect(account.lines[0]).toMatch(line);
});

describe('who may call a function', () => {
  const FUNCTION = 'org-connections-local-dispatch-due-work';
  const RULE = 'arn:aws:events:us-east-1:111122223333:rule/notifications';
  const permission = {
    Type: 'AWS::Lambda::Permission',
    Properties: {
      FunctionName: `arn:aws:lambda:us-east-1:111122223333:function:${FUNCTION}`,
      Action: 'lambda:InvokeFunction',
      Principal: 'events.amazonaws.com',
      SourceArn: RULE,
    },
  };
  const ARN = permission.Properties.FunctionName;
  const resources = { Dispatcher: { Type: 'AWS::Lambda::Function', Properties: {} }, Permission: permission };
  const ofStack = (given: object): Stack =>
    ({
      template: { Resources: given },
      physicalIds: { Dispatcher: FUNCTION },
      resolver: { has: () => true, resolve: (value: Json) => (value['Fn::GetAtt'] ? ARN : value) },
    }) as never;
  const statement = (Principal: object, SourceArn: string) => ({
    Sid: 'stack-Permission-1',
    Effect: 'Allow',
    Principal,
    Action: 'lambda:InvokeFunction',
    Resource: ARN,
    Condition: { ArnLike: { 'AWS:SourceArn': SourceArn } },
  });
  const own = statement({ Service: 'events.amazonaws.com' }, RULE);
  const answerWith = (...Statement: object[]) => {
    account.answers = {
      [`GET /2015-03-31/functions/${FUNCTION}/policy`]: () => ({ Policy: JSON.stringify({ Statement }) }),
    };
  };

  test('when it is what the template says, that is in order', async () => {
    answerWith(own);
    await lookAtPolicies(account.place, [ofStack(resources)]);
    expect(account.lines).toEqual([expect.stringMatching(/^ok +trust and resource policies: 1 are/)]);
  });

  test('when somebody was let in beside, it says whom', async () => {
    answerWith(own, statement({ AWS: 'arn:aws:iam::444455556666:root' }, RULE));
    await lookAtPolicies(account.place, [ofStack(resources)]);
    expect(account.lines.join()).toMatch(
      /^MISSING policy of .*dispatch-due-work: .*not in the template: .*444455556666/,
    );
  });

  test('when a rule may call it no more, it says so; a function that nobody calls by a policy has none', async () => {
    await lookAtPolicies(account.place, [ofStack(resources)]);
    expect(account.lines.join()).toMatch(/^MISSING .*in the template and not there: .*rule\/notifications/);
    account.lines.length = 0;
    await lookAtPolicies(account.place, [ofStack({ Dispatcher: resources.Dispatcher })]);
    expect(account.lines).toEqual([expect.stringMatching(/^ok/)]);
  });
});
