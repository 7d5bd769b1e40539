import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  type SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import * as v from 'valibot';
import { LOCK_EXPIRED, PendingRemoval, REMOVAL_DUE } from './offboarding.ts';
import { MESSAGE_GROUP, queueArn } from './offboarding-queue.ts';

/** A lock that outlives its holder goes after this long: longer than any function may run. */
const LOCK_SECONDS = 300;
/** A cancelled removal is remembered for longer than any queue keeps a duplicate of its request. */
const REMEMBER_CANCELLED_DAYS = 15;
/** Scheduler refuses a time that has passed. */
const SOONEST_MS = 5000;

const Input = v.object({ detail: PendingRemoval });

interface SchedulePlace {
  group: string;
  roleArn: string;
  queueUrl: string;
  undeliveredArn: string | undefined;
}

/**
 * Pending removals: one one-time schedule per organization, named after it, whose input is the record. It goes when it has
 * fired; from then on its message is the record. `roleArn` is the role that Scheduler takes on: it may send to the offboarding
 * queue, and to the queue of what it could not deliver (`undeliveredArn`), and nothing else.
 */
export function createRemovalSchedule(
  { group, roleArn, queueUrl, undeliveredArn }: SchedulePlace,
  client: SchedulerClient,
) {
  const target = {
    Arn: queueArn(queueUrl),
    RoleArn: roleArn,
    ...(undeliveredArn && { DeadLetterConfig: { Arn: undeliveredArn } }),
    ...(queueUrl.endsWith('.fifo') && { SqsParameters: { MessageGroupId: MESSAGE_GROUP } }),
  };
  const definition = (name: string, at: Date, input: object) => ({
    Name: name,
    GroupName: group,
    ScheduleExpression: `at(${at.toISOString().slice(0, 19)})`,
    ScheduleExpressionTimezone: 'UTC',
    FlexibleTimeWindow: { Mode: 'OFF' as const },
    ActionAfterCompletion: 'DELETE' as const,
    Target: { ...target, Input: JSON.stringify(input) },
  });

  const lockName = (organizationId: string) => `${organizationId}.lock`;

  async function remove(name: string): Promise<void> {
    await client
      .send(new DeleteScheduleCommand({ Name: name, GroupName: group }))
      .catch(unless('ResourceNotFoundException'));
  }

  return {
    /** The record of an organization's pending (or lately cancelled) removal. */
    async read(organizationId: string): Promise<PendingRemoval | undefined> {
      const schedule = await client
        .send(new GetScheduleCommand({ Name: organizationId, GroupName: group }))
        .catch(unless('ResourceNotFoundException'));
      return schedule && v.parse(Input, JSON.parse(schedule.Target?.Input ?? 'null')).detail;
    },

    /**
     * Makes `record` the organization's; its removal falls due at `removal_due_at`. Throws after `deadline` (Unix time in
     * milliseconds): a container that is frozen with its answer given and thawed much later holds no lock any more.
     */
    async write(record: PendingRemoval, deadline: number): Promise<void> {
      if (Date.now() > deadline) throw new Error('The time was over before the record could be written');
      const cancelled = record.status === 'cancelled';
      const due = cancelled ? Date.now() + REMEMBER_CANCELLED_DAYS * 86_400_000 : Date.parse(record.removal_due_at);
      const at = new Date(Math.max(due, Date.now() + SOONEST_MS));
      const { id, source, time } = record.request;
      const input = { version: '0', id, source, time, 'detail-type': REMOVAL_DUE, detail: record };
      const wanted = definition(record.organization_id, at, input);
      const updated = await client.send(new UpdateScheduleCommand(wanted)).catch(unless('ResourceNotFoundException'));
      if (!updated) await client.send(new CreateScheduleCommand(wanted));
    },

    delete: remove,

    /**
     * Runs `work` while nobody else changes the organization's record; undefined when somebody does. Creating a schedule
     * is what Scheduler does atomically, so a schedule is the lock; should its holder die, it fires, goes and means nothing.
     */
    async locked<T>(organizationId: string, work: () => Promise<T>): Promise<{ value: T } | undefined> {
      const name = lockName(organizationId);
      const at = new Date(Date.now() + LOCK_SECONDS * 1000);
      const input = {
        id: name,
        source: 'org-connections',
        time: at.toISOString(),
        'detail-type': LOCK_EXPIRED,
        detail: {},
      };
      const taken = await client
        .send(new CreateScheduleCommand(definition(name, at, input)))
        .catch(unless('ConflictException'));
      if (!taken) return undefined;
      try {
        return { value: await work() };
      } finally {
        // What could not be deleted expires; what has expired may be somebody else's by now.
        if (Date.now() < at.getTime()) await remove(name).catch(() => undefined);
      }
    },
  };
}

const unless = (name: string) => (error: unknown) => {
  if (error instanceof Error && error.name === name) return undefined;
  throw error;
};
