import { randomUUID } from 'node:crypto';
import { CreateScheduleCommand, type SchedulerClient } from '@aws-sdk/client-scheduler';
import { REMOVAL_DUE } from './offboarding-message.ts';
import { queueArn } from './offboarding-queue.ts';
import type { Offboarding } from './offboarding-record.ts';

/** Scheduler refuses a time that has passed. */
const SOONEST_MS = 5000;

export interface RemovalScheduleConfig {
  group: string;
  /** The role that Scheduler takes on: it may send to the offboarding queue and to that of what it could not deliver. */
  roleArn: string;
  queueUrl: string;
  deadLetterQueueArn: string | undefined;
}

/**
 * The alarm clock of removals: a one-time schedule whose message says "look at this record now" and nothing else. Each has a
 * name of its own, and one that is not needed any more fires without effect. Scheduler delivers at least once, and late.
 */
export function createRemovalSchedule(config: RemovalScheduleConfig, client: SchedulerClient) {
  const { group, roleArn, queueUrl, deadLetterQueueArn } = config;
  return {
    /** Has the removal of `record` looked at when it is due. */
    async create({ organization_id, offboarding_id, removal_due_at = '' }: Offboarding): Promise<void> {
      const at = new Date(Math.max(Date.parse(removal_due_at), Date.now() + SOONEST_MS));
      const message = { 'detail-type': REMOVAL_DUE, detail: { organization_id, offboarding_id } };
      await client.send(
        new CreateScheduleCommand({
          Name: `${organization_id}-${randomUUID().slice(0, 13)}`,
          GroupName: group,
          ScheduleExpression: `at(${at.toISOString().slice(0, 19)})`,
          ScheduleExpressionTimezone: 'UTC',
          FlexibleTimeWindow: { Mode: 'OFF' },
          ActionAfterCompletion: 'DELETE',
          Target: {
            Arn: queueArn(queueUrl),
            RoleArn: roleArn,
            Input: JSON.stringify(message),
            ...(deadLetterQueueArn && { DeadLetterConfig: { Arn: deadLetterQueueArn } }),
            ...(queueUrl.endsWith('.fifo') && { SqsParameters: { MessageGroupId: 'batch' } }),
          },
        }),
      );
    },
  };
}
