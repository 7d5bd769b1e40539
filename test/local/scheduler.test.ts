// What Scheduler repeats, delays and drops, by its user guide.
import {
  CreateScheduleCommand,
  DeleteScheduleGroupCommand,
  GetScheduleCommand,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Services, startServices } from './services.ts';

const QUEUE = 'groups.fifo';
const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
const ROLE = 'arn:aws:iam::000000000000:role/removals';
const role = (...queues: string[]) => ({
  sourceArns: ['arn:aws:scheduler:us-east-1:000000000000:schedule-group/removals'],
  statements: [{ Effect: 'Allow', Action: 'sqs:SendMessage', Resource: queues.map(arn) }],
});

let services: Services;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  services = await startServices({ retrySpeed: 1000 });
  services.aws.createScheduleGroup('removals');
  services.aws.createQueue(QUEUE, { contentBasedDeduplication: true });
  services.aws.createQueue('undelivered');
  services.aws.scheduler.addRole(ROLE, role(QUEUE, 'undelivered'));
});
afterEach(async () => {
  vi.useRealTimers();
  await services.aws.close();
});

async function schedule(name: string, target: object = {}, more: object = {}) {
  const at = new Date(Date.now() + 60_000).toISOString().slice(0, 19);
  const Target = {
    Arn: arn(QUEUE),
    RoleArn: ROLE,
    Input: name,
    SqsParameters: { MessageGroupId: 'batch' },
    DeadLetterConfig: { Arn: arn('undelivered') },
    ...target,
  };
  const time = { ScheduleExpression: `at(${at})`, FlexibleTimeWindow: { Mode: 'OFF' as const } };
  await services.scheduler.send(
    new CreateScheduleCommand({
      Name: name,
      GroupName: 'removals',
      ActionAfterCompletion: 'DELETE',
      ...time,
      Target,
      ...more,
    }),
  );
}
const sent = () => services.aws.messages(QUEUE).map(({ body }) => body);

test('a notice is there within its minute, once, and its schedule is gone', async () => {
  await schedule('org_1');
  services.later(61_000, QUEUE);
  expect(sent()).toEqual(['org_1']);
  expect(services.aws.schedules.size).toBe(0);
});

test('twice: within five minutes the queue swallows the second, later it does not', async () => {
  await schedule('org_1');
  services.aws.addFaults({ operation: 'Fire', duplicate: true });
  services.aws.fireAll('org_1');
  expect(sent()).toEqual(['org_1']);
  await schedule('org_2');
  services.aws.addFaults({ operation: 'Fire', duplicate: true, delay: 600_000 });
  services.aws.fireAll('org_2');
  services.later(600_000, QUEUE);
  expect(sent()).toEqual(['org_1', 'org_2', 'org_2']);
});

test('a day late, or never', async () => {
  await schedule('org_late');
  await schedule('org_lost');
  services.aws.addFaults({ operation: 'Fire', delay: 86_400_000 }, { operation: 'Fire', lost: true });
  services.later(61_000, QUEUE);
  expect(sent()).toEqual([]);
  services.later(86_400_000, QUEUE);
  expect(sent()).toEqual(['org_late']);
});

test('deleting the group deletes its schedules', async () => {
  await schedule('org_1');
  await services.scheduler.send(new DeleteScheduleGroupCommand({ Name: 'removals' }));
  services.later(61_000, QUEUE);
  expect(sent()).toEqual([]);
  await expect(schedule('org_2')).rejects.toThrow(/does not exist/);
});

test('a FIFO queue needs a group, and deduplication by content; without it the notice is in the dead-letter queue', async () => {
  await expect(schedule('org_1', { SqsParameters: undefined })).rejects.toThrow(/MessageGroupId/);
  services.aws.createQueue('plain.fifo', { contentBasedDeduplication: false });
  services.aws.scheduler.addRole(ROLE, role('plain.fifo', 'undelivered'));
  await schedule('org_2', { Arn: arn('plain.fifo') });
  services.later(61_000, QUEUE);
  expect(services.aws.messages('undelivered').map(({ body }) => body)).toEqual(['org_2']);
});

test('sends as its role and only where that may; what fails for a while is tried again', async () => {
  await schedule('org_1');
  services.aws.addFaults({ operation: 'Fire', error: 'ThrottlingException', times: 2 });
  services.aws.fireAll('org_1');
  await expect.poll(sent).toEqual(['org_1']);
  services.aws.scheduler.addRole(ROLE, role());
  await schedule('org_2');
  services.later(61_000, QUEUE);
  expect(sent()).toEqual(['org_1']);
  expect(services.aws.lost()).toMatchObject([{ Input: 'org_2' }]);
});

test('when a schedule has a time zone other than UTC, it is refused and not taken for UTC', async () => {
  await schedule('org_1', {}, { ScheduleExpressionTimezone: 'UTC' });
  await expect(schedule('org_2', {}, { ScheduleExpressionTimezone: 'Europe/Berlin' })).rejects.toThrow(
    /Europe\/Berlin/,
  );
  expect([...services.aws.schedules.keys()]).toEqual(['removals/org_1']);
});

test.each(['x'.repeat(65), 'org/1', 'org 1'])('when a schedule is named %s, it is refused', async (name) => {
  await expect(schedule(name)).rejects.toThrow();
  expect(services.aws.schedules.size).toBe(0);
});

test('when a schedule is created twice, the second is a conflict unless it has the token of the first', async () => {
  await schedule('org_1', {}, { ClientToken: 'a' });
  await schedule('org_1', {}, { ClientToken: 'a' });
  await expect(schedule('org_1', {}, { ClientToken: 'b' })).rejects.toMatchObject({ name: 'ConflictException' });
  // The SDK adds a token of its own; without any, as the bare protocol allows, it is a conflict as well.
  const body = JSON.stringify({
    GroupName: 'removals',
    ScheduleExpression: 'at(2030-01-01T00:00:00)',
    FlexibleTimeWindow: { Mode: 'OFF' },
    Target: { Arn: arn(QUEUE), RoleArn: ROLE, Input: 'x', SqsParameters: { MessageGroupId: 'batch' } },
  });
  const post = () => fetch(`${services.aws.url}/schedules/org_bare`, { method: 'POST', body });
  expect([(await post()).status, (await post()).status]).toEqual([200, 409]);
});

test('when a schedule has a rate and a function as its target, it invokes the function again and again until it is disabled', async () => {
  const events: unknown[] = [];
  const functionArn = 'arn:aws:lambda:us-east-1:000000000000:function:watch';
  services.aws.lambda.addFunction('watch', {
    invoke: async (event) => void events.push(event),
    allowsLoops: false,
  });
  services.aws.scheduler.addRole(ROLE, {
    ...role(),
    statements: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: functionArn }],
  });
  const rate = { ScheduleExpression: 'rate(1 hour)', FlexibleTimeWindow: { Mode: 'OFF' as const } };
  const target = { Arn: functionArn, RoleArn: ROLE, Input: '{"by":"clock"}' };
  const names = { Name: 'watch', GroupName: 'removals' };
  await services.scheduler.send(new CreateScheduleCommand({ ...names, ...rate, Target: target }));
  for (let hour = 0; hour < 2; hour++) services.later(3_600_000, QUEUE);
  expect(events).toEqual([{ by: 'clock' }, { by: 'clock' }]);
  await services.scheduler.send(new UpdateScheduleCommand({ ...names, ...rate, State: 'DISABLED', Target: target }));
  services.later(3_600_000, QUEUE);
  expect(events.length).toBe(2);
  const read = await services.scheduler.send(new GetScheduleCommand(names));
  expect(read).toMatchObject({
    State: 'DISABLED',
    ScheduleExpression: 'rate(1 hour)',
    Target: { Input: '{"by":"clock"}' },
  });
  // Without a permission of the role the function is not invoked.
  services.aws.scheduler.addRole(ROLE, role());
  await services.scheduler.send(
    new UpdateScheduleCommand({ ...names, ...rate, Target: { ...target, Input: undefined } }),
  );
  services.later(3_600_000, QUEUE);
  expect(events.length).toBe(2);
  expect(services.aws.lost()).toMatchObject([{ Arn: functionArn }]);
});
