// What Scheduler repeats, delays and drops, by its user guide.
import { CreateScheduleCommand, DeleteScheduleGroupCommand } from '@aws-sdk/client-scheduler';
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
  services.aws.createQueue(QUEUE);
  services.aws.createQueue('undelivered');
  services.aws.scheduler.addRole(ROLE, role(QUEUE, 'undelivered'));
});
afterEach(async () => {
  vi.useRealTimers();
  await services.aws.close();
});

async function schedule(name: string, target: object = {}) {
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
    new CreateScheduleCommand({ Name: name, GroupName: 'removals', ActionAfterCompletion: 'DELETE', ...time, Target }),
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
