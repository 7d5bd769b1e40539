// EventBridge Scheduler: one-time schedules that send a message to a queue, at least once and sometimes late; and schedules with a rate,
// which invoke a function.
import { type Sqs, type Statement, sendsTo } from './sqs.ts';
import { type Agenda, AwsError, arnOf, type Faults, type Json, text } from './wire.ts';

interface Schedule {
  body: Json;
  at: number;
  cancel: () => void;
}

/** A role that Scheduler takes on. */
export interface Role {
  /** What `aws:SourceArn` must be for it to be taken on. */
  sourceArns: string[];
  statements: Statement[];
}

export interface Target {
  Arn: string;
  RoleArn: string;
  Input: string;
  SqsParameters?: { MessageGroupId: string };
  DeadLetterConfig?: { Arn: string };
  RetryPolicy?: { MaximumRetryAttempts?: number; MaximumEventAgeInSeconds?: number };
}

const DEFAULT_RETRIES = 185;
const DEFAULT_AGE_S = 86_400;
const LONGEST_RETRY_WAIT_MS = 600_000;

export function createScheduler(sqs: Sqs, agenda: Agenda, faults: Faults, retrySpeed: number) {
  const schedules = new Map<string, Schedule>();
  const groups = new Set<string>();
  const roles = new Map<string, Role>();
  const lost: Json[] = [];

  function fire(key: string): void {
    const found = schedules.get(key);
    if (!found) return;
    found.cancel();
    if (found.body.ActionAfterCompletion === 'DELETE') schedules.delete(key);
    const fault = faults.next('Fire');
    if (fault?.lost) return;
    const target = found.body.Target as Target;
    const group = arnOf('scheduler', `schedule-group/${key.split('/')[0]}`);
    const go = () => deliver(target, group, Date.now(), 0, fault?.error);
    if (fault?.delay) agenda.at(Date.now() + fault.delay, go);
    else go();
    if (fault?.duplicate) deliver(target, group, Date.now(), 0);
  }

  function deliver(target: Target, group: string, since: number, retries: number, refusedFor?: string): void {
    try {
      if (refusedFor) throw new AwsError(refusedFor, 'Failed on purpose.', 500);
      hand(target, target.Arn, group);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const { MaximumRetryAttempts = DEFAULT_RETRIES, MaximumEventAgeInSeconds = DEFAULT_AGE_S } =
        target.RetryPolicy ?? {};
      const isTooOld = Date.now() - since >= MaximumEventAgeInSeconds * 1000;
      if (error.status < 500 || retries >= MaximumRetryAttempts || isTooOld) return void bury(target, group);
      const wait = Math.min(1000 * 2 ** retries, LONGEST_RETRY_WAIT_MS) / retrySpeed;
      agenda.at(Date.now() + wait, () => deliver(target, group, since, retries + 1, faults.next('Fire')?.error));
    }
  }

  /** Sends as the target's role, where the role is known. */
  function hand(target: Target, arn: string, group: string): void {
    const role = roles.get(target.RoleArn);
    const mayBe = !role || role.sourceArns.length === 0 || role.sourceArns.includes(group);
    const queue = sqs.withArn(arn);
    if (!queue) throw new AwsError('AWS.SimpleQueueService.NonExistentQueue', `${arn} does not exist`);
    if (!mayBe || (role && !sendsTo(role.statements, queue)))
      throw new AwsError('AccessDenied', `${target.RoleArn} may not send to ${arn}`);
    sqs.send(queue, target.Input, { group: target.SqsParameters?.MessageGroupId });
  }

  function bury(target: Target, group: string): void {
    try {
      hand(target, target.DeadLetterConfig?.Arn ?? '', group);
    } catch {
      lost.push({ ...target });
    }
  }

  function createSchedule(name: string, body: Json): Json {
    const group = (body.GroupName as string | undefined) ?? 'default';
    const key = `${group}/${name}`;
    if (!groups.has(group))
      throw new AwsError('ResourceNotFoundException', `Schedule group ${group} does not exist.`, 404);
    const found = schedules.get(key);
    // The same client token is the same request, sent again because its answer was lost.
    if (found && found.body.ClientToken === body.ClientToken) return { ScheduleArn: '' };
    if (found) throw new AwsError('ConflictException', `Schedule ${name} already exists.`, 409);
    const [, at] = /^at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)$/.exec(text(body, 'ScheduleExpression')) ?? [];
    if (!at) throw new AwsError('ValidationException', `Invalid Schedule Expression ${body.ScheduleExpression}.`);
    const { Arn = '', SqsParameters } = (body.Target ?? {}) as Target;
    if (Arn.endsWith('.fifo') && !SqsParameters?.MessageGroupId)
      throw new AwsError('ValidationException', 'MessageGroupId is required for a FIFO queue.');
    const due = Date.parse(`${at}Z`);
    schedules.set(key, { body, at: due, cancel: agenda.at(due, () => fire(key)) });
    return { ScheduleArn: arnOf('scheduler', `schedule/${key}`) };
  }

  /** A schedule with a rate whose target is a function. Throws where its role may not invoke that. */
  function addRate(expression: string, { Arn, RoleArn, Input }: Target, invoke: (event: unknown) => Promise<unknown>) {
    const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
    if (!count || !unit) throw new Error(`The schedule ${expression} is not played here`);
    const mayInvoke = roles
      .get(RoleArn)
      ?.statements.some(({ Action, Resource }) => Action === 'lambda:InvokeFunction' && Resource === Arn);
    if (!mayInvoke) throw new Error(`${RoleArn} may not invoke ${Arn}`);
    const every = Number(count) * { minute: 60_000, hour: 3_600_000, day: 86_400_000 }[unit as 'minute'];
    const run = () => {
      // What the function throws, it finds again at the next run.
      invoke(JSON.parse(Input)).catch(() => undefined);
      agenda.at(Date.now() + every, run);
    };
    agenda.at(Date.now() + every, run);
  }

  return {
    addRate,
    schedules,
    /** Messages that were sent nowhere, not even to a dead-letter queue. */
    lost,
    /** The operation of a request, by its method and path; undefined where it is none of Scheduler's. */
    operationOf(method: string, pathname: string): [name: string, run: (body: Json) => Json] | undefined {
      const [, kind, encoded = ''] = /^\/(schedules|schedule-groups)\/([^/]+)$/.exec(pathname) ?? [];
      const name = decodeURIComponent(encoded);
      if (method === 'POST' && kind === 'schedules') return ['CreateSchedule', (body) => createSchedule(name, body)];
      if (method !== 'DELETE' || kind !== 'schedule-groups') return undefined;
      return ['DeleteScheduleGroup', () => this.deleteGroup(name)];
    },
    createGroup: (name: string) => void groups.add(name),
    /** Its schedules go with it. */
    deleteGroup(name: string): Json {
      groups.delete(name);
      for (const [key, { cancel }] of schedules) {
        if (!key.startsWith(`${name}/`)) continue;
        cancel();
        schedules.delete(key);
      }
      return {};
    },
    addRole: (arn: string, role: Role) => void roles.set(arn, role),
    /** Forgets the schedules whose name has `part` in it. */
    lose(part: string) {
      for (const [key, { cancel }] of schedules) {
        if (!key.includes(part)) continue;
        cancel();
        schedules.delete(key);
      }
    },
    /** Fires the schedules whose name has `part` in it, whatever their time. */
    fireAll(part: string) {
      for (const key of [...schedules.keys()]) if (key.includes(part)) fire(key);
    },
  };
}
