// EventBridge Scheduler: schedules that send a message to a queue or invoke a function, once or by a rate, at least once and
// sometimes late (user guide, "Schedule types", "Managing targets").
import { randomUUID } from 'node:crypto';
import { createDeliverer, type RetryPolicy } from './delivery-retries.ts';
import type { Invocations } from './invocations.ts';
import type { LambdaApi } from './lambda-api.ts';
import { mayDo, type Statement } from './queue-policy.ts';
import { millisecondsOf } from './rate.ts';
import type { Sqs } from './sqs.ts';
import { ACCOUNT, type Agenda, AwsError, arnOf, type Faults, type Json, REGION, text } from './wire.ts';

interface Schedule {
  body: Json;
  at: number;
  /** Milliseconds between two of a rate; none of a single one. */
  every: number | undefined;
  /** Whether it fires by itself. */
  runs: boolean;
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
  Input?: string;
  SqsParameters?: { MessageGroupId: string };
  DeadLetterConfig?: { Arn: string };
  RetryPolicy?: RetryPolicy;
}

const NAME = /^[\w.-]{1,64}$/;
const invalid = (message: string) => new AwsError('ValidationException', message);

interface Services {
  sqs: Sqs;
  invocations: Invocations;
  lambda: LambdaApi;
}

export function createScheduler(
  { sqs, invocations, lambda }: Services,
  agenda: Agenda,
  faults: Faults,
  retrySpeed: number,
) {
  const schedules = new Map<string, Schedule>();
  const groups = new Set<string>(['default']);
  const roles = new Map<string, Role>();
  const lost: Json[] = [];
  const deliver = createDeliverer('Fire', agenda, faults, retrySpeed);

  function fire(key: string): void {
    const found = schedules.get(key);
    if (!found) return;
    found.cancel();
    if (found.every !== undefined) schedules.set(key, armed(key, found, Date.now() + found.every));
    else if (found.body.ActionAfterCompletion === 'DELETE') schedules.delete(key);
    if (found.body.State === 'DISABLED') return;
    const fault = faults.next('Fire');
    if (fault?.lost) return;
    const given = found.body.Target as Target;
    const target = {
      ...given,
      Input: given.Input ?? JSON.stringify(defaultEvent(arnOf('scheduler', `schedule/${key}`))),
    };
    const group = arnOf('scheduler', `schedule-group/${key.split('/')[0]}`);
    const delivery = {
      handOver: () => hand(target, target.Arn, group),
      giveUp: () => bury(target, group),
      retryPolicy: target.RetryPolicy,
    };
    const go = () => deliver(delivery, Date.now(), fault);
    if (fault?.delay) agenda.at(Date.now() + fault.delay, go);
    else go();
    if (fault?.duplicate) deliver(delivery, Date.now());
  }

  /** Sends as the target's role, where the role is known. */
  function hand(target: Target, arn: string, group: string): void {
    const role = roles.get(target.RoleArn);
    const mayBe = !role || role.sourceArns.length === 0 || role.sourceArns.includes(group);
    const [queue, invoke] = [sqs.withArn(arn), lambda.withArn(arn)];
    if (!queue && !invoke) throw new AwsError('ResourceNotFoundException', `${arn} does not exist`);
    const action = invoke ? 'lambda:InvokeFunction' : 'sqs:SendMessage';
    if (!mayBe || (role && !mayDo(role.statements, action, arn)))
      throw new AwsError('AccessDenied', `${target.RoleArn} lacks ${action} on ${arn}`);
    const input = target.Input ?? '';
    if (invoke) void invocations.invokeLater(invoke, JSON.parse(input));
    else if (queue) sqs.send(queue, input, { group: target.SqsParameters?.MessageGroupId });
  }

  function bury(target: Target, group: string): void {
    try {
      hand(target, target.DeadLetterConfig?.Arn ?? '', group);
    } catch {
      lost.push({ ...target });
    }
  }

  function createSchedule(name: string, body: Json): Json {
    const key = keyOf(name, body.GroupName);
    const found = schedules.get(key);
    // The same client token is the same request, sent again because its answer was lost.
    if (found && body.ClientToken !== undefined && found.body.ClientToken === body.ClientToken)
      return { ScheduleArn: arnOf('scheduler', `schedule/${key}`) };
    if (found) throw new AwsError('ConflictException', `Schedule ${name} already exists.`, 409);
    put(name, key, body);
    return { ScheduleArn: arnOf('scheduler', `schedule/${key}`) };
  }

  /** An update replaces everything; what it leaves out has its default again. */
  function updateSchedule(name: string, body: Json): Json {
    const key = keyOf(name, body.GroupName);
    existing(name, key).cancel();
    put(name, key, body);
    return { ScheduleArn: arnOf('scheduler', `schedule/${key}`) };
  }

  function keyOf(name: string, groupName: unknown): string {
    const group = (groupName as string | undefined) ?? 'default';
    if (!groups.has(group))
      throw new AwsError('ResourceNotFoundException', `Schedule group ${group} does not exist.`, 404);
    return `${group}/${name}`;
  }
  function existing(name: string, key: string): Schedule {
    const found = schedules.get(key);
    if (!found) throw new AwsError('ResourceNotFoundException', `Schedule ${name} does not exist.`, 404);
    return found;
  }

  function put(name: string, key: string, body: Json, runs = true): void {
    if (!NAME.test(name)) throw invalid(`the name ${name} is not one of 1 to 64 letters, digits and -_.`);
    const zone = body.ScheduleExpressionTimezone ?? 'UTC';
    if (zone !== 'UTC') throw invalid(`the time zone ${zone} is not played here`);
    const { Arn = '', Input = '{}', SqsParameters } = (body.Target ?? {}) as Target;
    if (Arn.endsWith('.fifo') && !SqsParameters?.MessageGroupId)
      throw invalid('MessageGroupId is required for a FIFO queue.');
    const expression = text(body, 'ScheduleExpression');
    const [, once] = /^at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)$/.exec(expression) ?? [];
    const every = once ? undefined : millisecondsOf(expression);
    if (!once && every === undefined) throw invalid(`Invalid Schedule Expression ${expression}.`);
    if (lambda.withArn(Arn)) checkJson(Input);
    const at = once ? Date.parse(`${once}Z`) : Date.now() + (every ?? 0);
    schedules.set(key, armed(key, { body, every, runs }, at));
  }

  function armed(key: string, schedule: Omit<Schedule, 'at' | 'cancel'>, at: number): Schedule {
    return { ...schedule, at, cancel: schedule.runs ? agenda.at(at, () => fire(key)) : () => {} };
  }

  function getSchedule(name: string, group: string | null): Json {
    const key = keyOf(name, group ?? undefined);
    const { body } = existing(name, key);
    return { State: 'ENABLED', ...body, Name: name, Arn: arnOf('scheduler', `schedule/${key}`) };
  }

  return {
    schedules,
    /** Messages that were sent nowhere, not even to a dead-letter queue. */
    lost,
    /** The operation of a request, by its method and path; undefined where it is none of Scheduler's. */
    operationOf(method: string, pathname: string, search = ''): [name: string, run: (body: Json) => Json] | undefined {
      const [, kind, encoded = ''] = /^\/(schedules|schedule-groups)\/([^/]+)$/.exec(pathname) ?? [];
      const name = decodeURIComponent(encoded);
      const group = new URLSearchParams(search).get('groupName');
      if (method === 'POST' && kind === 'schedules') return ['CreateSchedule', (body) => createSchedule(name, body)];
      if (method === 'PUT' && kind === 'schedules') return ['UpdateSchedule', (body) => updateSchedule(name, body)];
      if (method === 'GET' && kind === 'schedules') return ['GetSchedule', () => getSchedule(name, group)];
      if (method !== 'DELETE' || kind !== 'schedule-groups') return undefined;
      return ['DeleteScheduleGroup', () => this.deleteGroup(name)];
    },
    /** A schedule of the template; `runs` says whether it fires by itself. */
    addSchedule: (name: string, body: Json, runs: boolean) => put(name, keyOf(name, body.GroupName), body, runs),
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

/** What a schedule without an input sends; its detail is text. */
const defaultEvent = (resource: string): Json => ({
  version: '0',
  id: randomUUID(),
  'detail-type': 'Scheduled Event',
  source: 'aws.scheduler',
  account: ACCOUNT,
  time: `${new Date().toISOString().slice(0, 19)}Z`,
  region: REGION,
  resources: [resource],
  detail: '{}',
});

function checkJson(input: string): void {
  try {
    JSON.parse(input);
  } catch {
    throw invalid('The input of a function must be JSON.');
  }
}
