import { randomUUID } from 'node:crypto';
import { createSchedule } from '../../aws/scheduler.ts';
import { required } from '../../environment.ts';
import { DUE } from '../model/messages.ts';

const GroupName = required('REMOVAL_SCHEDULE_GROUP');
/** Scheduler takes on the role: it may send to the offboarding queue and to that of what it could not deliver. */
const RoleArn = required('REMOVAL_SCHEDULE_ROLE_ARN');
const Arn = queueArn(required('OFFBOARDING_QUEUE_URL'), RoleArn);
const deadLetters = process.env.REMOVAL_DEAD_LETTER_QUEUE_ARN;
/** Where a schedule's message goes. */
const QUEUE = {
  Arn,
  RoleArn,
  ...(deadLetters && { DeadLetterConfig: { Arn: deadLetters } }),
  SqsParameters: { MessageGroupId: 'batch' },
};
/** At its time, and then it is gone. */
const ONE_TIME = { FlexibleTimeWindow: { Mode: 'OFF' }, ActionAfterCompletion: 'DELETE' } as const;
/** Scheduler rejects a time that has passed. */
const SOONEST_MS = 5000;

/** The ARN of the queue at `url` (`https://sqs.{region}.amazonaws.com/{account}/{name}`), in the partition of `roleArn`. */
function queueArn(url: string, roleArn: string): string {
  const [name, account] = url.split('/').reverse();
  const region = process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1';
  return `arn:${roleArn.split(':')[1]}:sqs:${region}:${account}:${name}`;
}

/**
 * Schedules a due notice for an organization at `moment` (ISO 8601), by a one-time schedule whose message names the organization
 * and nothing else: its item decides what is due. Each has a name and a content of its own, for the queue swallows what equals a
 * message of the last five minutes; one that is not needed any more fires without effect. Scheduler delivers at least once, and late.
 */
export async function scheduleNotice(organization_id: string, moment: string): Promise<void> {
  const at = new Date(Math.max(Date.parse(moment), Date.now() + SOONEST_MS));
  const id = randomUUID();
  const message = { 'detail-type': DUE, detail: { organization_id }, id };
  const Name = `${organization_id}-${id.slice(0, 13)}`;
  const time = { ScheduleExpression: `at(${at.toISOString().slice(0, 19)})`, ScheduleExpressionTimezone: 'UTC' };
  const Target = { ...QUEUE, Input: JSON.stringify(message) };
  await createSchedule({ Name, GroupName, ...time, ...ONE_TIME, Target });
}
