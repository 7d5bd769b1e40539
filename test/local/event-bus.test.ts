// What EventBridge drops, repeats and refuses, by its user guide.
import {
  DescribeRuleCommand,
  DisableRuleCommand,
  EnableRuleCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
  StartReplayCommand,
} from '@aws-sdk/client-eventbridge';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compilePattern } from '../../infra/local/aws/pattern.ts';
import type { Statement } from '../../infra/local/aws/queue-policy.ts';
import { type Services, startServices } from './services.ts';

const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
const RULE = 'arn:aws:events:us-east-1:000000000000:rule/stage/requests';
const mayPut = (queue: string): Statement => ({
  Effect: 'Allow',
  Principal: { Service: 'events.amazonaws.com' },
  Action: 'sqs:SendMessage',
  Resource: arn(queue),
  Condition: { ArnEquals: { 'aws:SourceArn': [RULE] } },
});
const REQUESTED = { 'detail-type': ['organization.offboarding.requested'] };

let services: Services;
beforeEach(async () => {
  services = await startServices({ retrySpeed: 1000 });
  services.aws.eventBridge.addBus('stage');
});
afterEach(() => services.aws.close());

/** A rule to a queue, with a dead-letter queue; each queue lets it send unless `refuses` names it. */
function rule({ refuses = [] as string[], retries = 2 } = {}) {
  for (const name of ['requests', 'undelivered'])
    services.aws.createQueue(name, { policy: refuses.includes(name) ? [] : [mayPut(name)] });
  const target = {
    arn: arn('requests'),
    retryPolicy: { MaximumRetryAttempts: retries },
    deadLetterArn: arn('undelivered'),
  };
  const takes = compilePattern(REQUESTED);
  services.aws.eventBridge.addRule({ name: 'requests', bus: 'stage', takes, targets: [target] });
}
const entry = (n: number, more: object = {}) => ({
  EventBusName: 'stage',
  Source: 'billing',
  DetailType: 'organization.offboarding.requested',
  Detail: JSON.stringify({ n }),
  ...more,
});
const put = (...Entries: object[]) => services.events.send(new PutEventsCommand({ Entries: Entries as never }));
const numbers = (queue: string) => services.aws.messages(queue).map(({ body }) => JSON.parse(body).detail.n);

describe('PutEvents', () => {
  test('fails by entry: what is refused is not there, and the rest is', async () => {
    rule();
    services.aws.addFaults({ operation: 'PutEvents', entries: [0], error: 'ThrottlingException' });
    const { FailedEntryCount, Entries } = await put(entry(1), entry(2));
    expect([FailedEntryCount, Entries?.[0]?.ErrorCode, Entries?.[0]?.EventId]).toEqual([
      1,
      'ThrottlingException',
      undefined,
    ]);
    expect(numbers('requests')).toEqual([2]);
  });

  test('fails for what a fault is about, and for nothing else, until that is taken back', async () => {
    rule();
    const refused = { operation: 'PutEvents', error: 'AccessDeniedException', times: 2 };
    services.aws.addFaults({ ...refused, about: 'org_a' }, { ...refused, about: 'org_b' });
    await put(entry(1));
    await expect(put(entry(2, { Detail: '{"id":"org_a"}' }))).rejects.toThrow('Failed on purpose');
    services.aws.clearFaults('org_a');
    await put(entry(3, { Detail: '{"n":3,"id":"org_a"}' }));
    await expect(put(entry(4, { Detail: '{"id":"org_b"}' }))).rejects.toThrow('Failed on purpose');
    services.aws.clearFaults();
    await put(entry(5, { Detail: '{"n":5,"id":"org_b"}' }));
    expect(numbers('requests')).toEqual([1, 3, 5]);
  });

  test.each<[what: string, more: object, code: string]>([
    ['has a detail that is no JSON', { Detail: '{' }, 'MalformedDetail'],
    ['has an array as its detail', { Detail: '[1]' }, 'MalformedDetail'],
    ['has a text as its detail', { Detail: '"x"' }, 'MalformedDetail'],
    ['has no detail', { Detail: undefined }, 'InvalidArgument'],
    ['has no type', { DetailType: undefined }, 'InvalidArgument'],
    ['has no source', { Source: undefined }, 'InvalidArgument'],
    ['has a source of AWS', { Source: 'aws.events' }, 'NotAuthorizedForSource'],
  ])('when an entry %s, that entry fails and the other is delivered', async (_what, more, code) => {
    rule();
    const { FailedEntryCount, Entries } = await put(entry(1, more), entry(2));
    expect(FailedEntryCount).toBe(1);
    expect(Entries).toEqual([{ ErrorCode: code, ErrorMessage: expect.any(String) }, { EventId: expect.any(String) }]);
    expect(numbers('requests')).toEqual([2]);
  });

  test('takes ten entries and less than a megabyte in all, or nothing', async () => {
    rule();
    const half = { Detail: JSON.stringify({ text: 'x'.repeat(524_288) }) };
    await expect(put(entry(1, half), entry(2, half))).rejects.toThrow(/over the limit/);
    await expect(put(...Array.from({ length: 11 }, (_, n) => entry(n)))).rejects.toThrow(/less than or equal to 10/);
    await expect(put(entry(1, { EventBusName: 'other' }))).rejects.toThrow(/does not exist/);
    expect(numbers('requests')).toEqual([]);
  });
});

describe('a target', () => {
  test('that a policy keeps closed is not tried again: the event is in the dead-letter queue', async () => {
    rule({ refuses: ['requests'] });
    await put(entry(1));
    expect(numbers('undelivered')).toEqual([1]);
    const [letter] = services.aws.messages('undelivered');
    expect(letter?.attributes).toMatchObject({
      ERROR_CODE: { StringValue: 'NO_PERMISSIONS' },
      RETRY_ATTEMPTS: { StringValue: '0' },
    });
  });

  test('whose dead-letter queue does not let the rule send, either: the event is gone', async () => {
    rule({ refuses: ['requests', 'undelivered'] });
    await put(entry(1));
    expect([numbers('requests'), numbers('undelivered')]).toEqual([[], []]);
    expect(services.aws.lost()).toMatchObject([{ detail: { n: 1 } }]);
  });

  test('that fails is tried as often as its retry policy says, and no more', async () => {
    rule();
    services.aws.addFaults({ operation: 'Deliver', error: 'ThrottlingException', times: 2 });
    await put(entry(1));
    await expect.poll(() => numbers('requests')).toEqual([1]);
    services.aws.addFaults({ operation: 'Deliver', error: 'ThrottlingException', times: 3 });
    await put(entry(2));
    await expect.poll(() => numbers('undelivered')).toEqual([2]);
  });

  test('gets an event twice, late, or after a later one', async () => {
    rule();
    services.aws.addFaults({ operation: 'Deliver', delay: 50 }, { operation: 'Deliver', duplicate: true });
    await put(entry(1), entry(2));
    await expect.poll(() => numbers('requests')).toEqual([2, 2, 1]);
  });
});

test('a replay goes to all rules, marked, with the id and the time that the event had, and is not archived', async () => {
  rule();
  services.aws.eventBridge.addArchive('year', 'stage', { 'detail-type': [{ prefix: 'organization.' }] });
  const Time = new Date('2026-01-05T06:07:08Z');
  await put(
    entry(1, { Time }),
    entry(2, { Time: new Date('2025-01-01T00:00:00Z') }),
    entry(3, { DetailType: 'other' }),
  );
  const [first] = services.aws.events;
  services.aws.messages('requests').splice(0);
  const replay = {
    ReplayName: 'audit',
    EventSourceArn: 'arn:aws:events:us-east-1:000000000000:archive/year',
    EventStartTime: new Date('2026-01-01T00:00:00Z'),
    EventEndTime: new Date('2026-12-31T00:00:00Z'),
    Destination: { Arn: 'arn:aws:events:us-east-1:000000000000:event-bus/stage' },
  };
  await services.events.send(new StartReplayCommand(replay));
  const [again, ...more] = services.aws.messages('requests').map(({ body }) => JSON.parse(body));
  expect(again).toEqual({ ...first, 'replay-name': 'audit' });
  expect(more).toEqual([]);
  expect(services.aws.eventBridge.archives[0]?.events.length).toBe(2);
});

describe('a rule that an operator puts', () => {
  const name = { Name: 'audit', EventBusName: 'stage' };
  const putRule = (pattern: object, more: object = {}) =>
    services.events.send(new PutRuleCommand({ ...name, EventPattern: JSON.stringify(pattern), ...more }));
  const stateOf = async () => (await services.events.send(new DescribeRuleCommand(name))).State;

  beforeEach(async () => {
    services.aws.createQueue('audit');
    await putRule({ detail: { connections: { outcome: ['failed'] } } });
    const Targets = [{ Id: 'queue', Arn: arn('audit') }];
    await services.events.send(new PutTargetsCommand({ Rule: 'audit', EventBusName: 'stage', Targets }));
  });
  const outcomes = (...all: string[]) => ({
    Detail: JSON.stringify({ connections: all.map((outcome) => ({ outcome })) }),
  });

  test('when it looks into a list of objects, it takes the events of which one object fits', async () => {
    await put(entry(1, outcomes('disabled', 'failed')), entry(2, outcomes('disabled')));
    expect(services.aws.messages('audit').length).toBe(1);
  });

  test.each<[pattern: object, reason: RegExp]>([
    [{ source: 'billing' }, /source must be an object or a list/],
    [{ source: [{ cidr: '10.0.0.0/8' }] }, /cidr is not played here/],
    [{ source: [{ starts: 'x' }] }, /starts is no event pattern operator/],
  ])('when its pattern is %j, it is refused at once and the rule stays as it was', async (pattern, reason) => {
    await expect(putRule(pattern)).rejects.toMatchObject({
      name: 'InvalidEventPatternException',
      message: expect.stringMatching(reason),
    });
    await put(entry(1, outcomes('failed')));
    expect(services.aws.messages('audit').length).toBe(1);
  });

  test('when it is disabled it takes nothing, and when it is enabled again it keeps its targets', async () => {
    await services.events.send(new DisableRuleCommand(name));
    await put(entry(1, outcomes('failed')));
    expect([await stateOf(), services.aws.messages('audit').length]).toEqual(['DISABLED', 0]);
    await services.events.send(new EnableRuleCommand(name));
    await put(entry(2, outcomes('failed')));
    expect([await stateOf(), services.aws.messages('audit').length]).toEqual(['ENABLED', 1]);
  });

  test('when it is put again it has the new pattern and its old targets', async () => {
    await putRule({ source: ['other'] });
    await put(entry(1, outcomes('failed')), entry(2, { Source: 'other' }));
    expect(services.aws.messages('audit').map(({ body }) => JSON.parse(body).source)).toEqual(['other']);
  });

  test('when there is none of that name, enabling it is refused', async () => {
    const unknown = new EnableRuleCommand({ Name: 'unknown', EventBusName: 'stage' });
    await expect(services.events.send(unknown)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
