// EventBridge: buses with their rules, targets and an archive (user guide, "Event bus targets", "Retry policy", "Archive and
// replay").
import { randomUUID } from 'node:crypto';
import type { Invocations } from './invocations.ts';
import { matches } from './pattern.ts';
import { maySend, type Sqs } from './sqs.ts';
import {
  ACCOUNT,
  type Agenda,
  AwsError,
  arnOf,
  type Call,
  type Faults,
  type Invoke,
  type Json,
  type Operation,
  REGION,
  text,
} from './wire.ts';

export interface BusEvent extends Json {
  id: string;
  source: string;
  'detail-type': string;
  time: string;
  detail: Json;
}

export interface Target {
  id?: string;
  arn: string;
  messageGroupId?: string | undefined;
  retryPolicy?: { MaximumRetryAttempts?: number; MaximumEventAgeInSeconds?: number } | undefined;
  deadLetterArn?: string | undefined;
}

export interface Rule {
  name: string;
  bus: string;
  takes: (event: BusEvent) => boolean;
  targets: Target[];
}

/** A function that a rule may invoke: its permissions name the rules. */
interface InvokedFunction {
  invoke: Invoke;
  sourceArns: string[];
}

const MAX_ENTRIES = 10;
/** All entries of a call together, in bytes. */
const MAX_BYTES = 1_048_576;
const DEFAULT_RETRIES = 185;
const DEFAULT_AGE_S = 86_400;
const LONGEST_RETRY_WAIT_MS = 600_000;

export function createEventBridge(
  sqs: Sqs,
  invocations: Invocations,
  agenda: Agenda,
  faults: Faults,
  retrySpeed: number,
) {
  const buses = new Set<string>(['default']);
  const rules: Rule[] = [];
  const archives: { arn: string; bus: string; pattern: Json; events: BusEvent[] }[] = [];
  const functions = new Map<string, InvokedFunction>();
  const events: BusEvent[] = [];
  const undelivered: { event: Json; rule: string; code: string }[] = [];
  const listeners = new Set<(event: BusEvent) => void>();
  const ruleArn = ({ bus, name }: Rule) => arnOf('events', bus === 'default' ? `rule/${name}` : `rule/${bus}/${name}`);

  function publish(event: BusEvent, bus: string): void {
    events.push(event);
    for (const archive of archives)
      if (archive.bus === bus && matches(archive.pattern, event)) archive.events.push(event);
    for (const listener of listeners) listener(event);
    toRules(event, bus);
  }

  function toRules(event: BusEvent, bus: string, names?: string[]): void {
    for (const rule of rules)
      if (rule.bus === bus && (!names || names.includes(ruleArn(rule))) && rule.takes(event)) toTargets(rule, event);
  }

  function toTargets(rule: Rule, event: Json): void {
    for (const target of rule.targets) {
      const fault = faults.next('Deliver');
      const since = Date.now();
      if (fault?.lost) continue;
      const go = () => deliver(rule, target, event, since, 0, fault?.error);
      if (fault?.delay) agenda.at(Date.now() + fault.delay, go);
      else go();
      if (fault?.duplicate) deliver(rule, target, event, since, 0);
    }
  }

  /** One attempt. What can not be mended by waiting is not tried again; the rest is, as the target's retry policy says. */
  function deliver(rule: Rule, target: Target, event: Json, since: number, retries: number, refusedFor?: string): void {
    try {
      if (refusedFor) throw new AwsError(refusedFor, 'Failed on purpose.', 500);
      hand(rule, target, event);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const { MaximumRetryAttempts = DEFAULT_RETRIES, MaximumEventAgeInSeconds = DEFAULT_AGE_S } =
        target.retryPolicy ?? {};
      const isTooOld = Date.now() - since >= MaximumEventAgeInSeconds * 1000;
      if (error.status < 500 || retries >= MaximumRetryAttempts || isTooOld)
        return void bury(rule, target, event, error, retries);
      const wait = Math.min(1000 * 2 ** retries, LONGEST_RETRY_WAIT_MS) / retrySpeed;
      agenda.at(Date.now() + wait, () =>
        deliver(rule, target, event, since, retries + 1, faults.next('Deliver')?.error),
      );
    }
  }

  function hand(rule: Rule, { arn, messageGroupId }: Target, event: Json): void {
    const source = ruleArn(rule);
    const invoked = functions.get(arn);
    if (invoked) {
      if (!invoked.sourceArns.includes(source)) throw new AwsError('NO_PERMISSIONS', `${source} may not invoke ${arn}`);
      void invocations.invokeLater(invoked.invoke, event);
      return;
    }
    const queue = sqs.withArn(arn);
    if (!queue) throw new AwsError('NO_RESOURCE', `${arn} does not exist`);
    if (!maySend(queue, 'events.amazonaws.com', source))
      throw new AwsError('NO_PERMISSIONS', `${source} may not send to ${arn}`);
    sqs.send(queue, JSON.stringify(event), { group: messageGroupId });
  }

  /** To the target's dead-letter queue: a standard one, whose policy lets this rule send. Else the event is gone. */
  function bury(rule: Rule, target: Target, event: Json, { type, message }: AwsError, retries: number): void {
    const queue = sqs.withArn(target.deadLetterArn);
    if (!queue || queue.fifo || !maySend(queue, 'events.amazonaws.com', ruleArn(rule))) {
      undelivered.push({ event, rule: rule.name, code: type });
      return;
    }
    const string = (StringValue: string) => ({ DataType: 'String', StringValue });
    const attributes = {
      RULE_ARN: string(ruleArn(rule)),
      TARGET_ARN: string(target.arn),
      ERROR_CODE: string(type),
      ERROR_MESSAGE: string(message),
      RETRY_ATTEMPTS: string(String(retries)),
    };
    try {
      sqs.send(queue, JSON.stringify(event), { attributes });
    } catch (error) {
      undelivered.push({ event, rule: rule.name, code: String(error) });
    }
  }

  function putEvents(input: Json, { fault }: Call): Json {
    const entries = input.Entries as Json[];
    if (entries.length > MAX_ENTRIES)
      throw new AwsError('ValidationException', `Member must have length less than or equal to ${MAX_ENTRIES}`);
    const bytes = entries.reduce(
      (sum, entry) =>
        sum +
        (entry.Time ? 14 : 0) +
        ['Source', 'DetailType', 'Detail'].reduce((all, name) => all + Buffer.byteLength(String(entry[name] ?? '')), 0),
      0,
    );
    if (bytes >= MAX_BYTES)
      throw new AwsError('ValidationException', 'Total size of the entries in the request is over the limit.');
    const Entries = entries.map((entry, index) => {
      if (fault?.entries?.includes(index))
        return { ErrorCode: fault.error ?? 'InternalFailure', ErrorMessage: 'Failed on purpose.' };
      const bus = String(entry.EventBusName ?? 'default')
        .split('/')
        .at(-1) as string;
      if (!buses.has(bus)) throw new AwsError('ResourceNotFoundException', `Event bus ${bus} does not exist.`);
      const time = entry.Time ? new Date(Number(entry.Time) * 1000) : new Date();
      const event: BusEvent = {
        version: '0',
        id: randomUUID(),
        'detail-type': text(entry, 'DetailType'),
        source: text(entry, 'Source'),
        account: ACCOUNT,
        time: `${time.toISOString().slice(0, 19)}Z`,
        region: REGION,
        resources: [],
        detail: JSON.parse(text(entry, 'Detail')),
      };
      publish(event, bus);
      return { EventId: event.id };
    });
    return { FailedEntryCount: Entries.filter((entry) => 'ErrorCode' in entry).length, Entries };
  }

  /** A replay goes to all rules of the bus unless some are named, in no order, with the ids and the times that the events had. */
  function startReplay(input: Json): Json {
    const name = text(input, 'ReplayName');
    const archive = archives.find(({ arn }) => arn === input.EventSourceArn);
    const { Arn, FilterArns } = Object(input.Destination);
    if (!archive || !Arn) throw new AwsError('ResourceNotFoundException', 'The archive does not exist.');
    const [from, until] = [Number(input.EventStartTime) * 1000, Number(input.EventEndTime) * 1000];
    const found = archive.events.filter(({ time }) => Date.parse(time) >= from && Date.parse(time) <= until);
    for (const event of found.reverse()) toRules({ ...event, 'replay-name': name }, archive.bus, FilterArns);
    return { ReplayArn: arnOf('events', `replay/${name}`), State: 'STARTING' };
  }

  /** Rates alone; each run is late by less than a minute. */
  function addSchedule(name: string, expression: string, targets: Target[]): void {
    const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
    if (!count || !unit) throw new Error(`The schedule ${expression} is not played here`);
    const every = Number(count) * { minute: 60_000, hour: 3_600_000, day: 86_400_000 }[unit as 'minute'];
    const rule: Rule = { name, bus: 'default', takes: () => false, targets };
    const run = () => {
      toTargets(rule, scheduledEvent(ruleArn(rule)));
      agenda.at(Date.now() + every, run);
    };
    rules.push(rule);
    agenda.at(Date.now() + every, run);
  }

  /** What an operator's own rule takes; it has no targets yet. */
  function putRule(input: Json): Json {
    const [name, bus] = [text(input, 'Name'), text(input, 'EventBusName')];
    const pattern = JSON.parse(text(input, 'EventPattern'));
    const rule: Rule = { name, bus, takes: (event) => matches(pattern, event), targets: [] };
    rules.push(rule);
    return { RuleArn: ruleArn(rule) };
  }

  function putTargets(input: Json): Json {
    const rule = rules.find(({ name, bus }) => name === input.Rule && bus === input.EventBusName);
    if (!rule) throw new AwsError('ResourceNotFoundException', `Rule ${input.Rule} does not exist.`);
    for (const { Id, Arn } of input.Targets as { Id: string; Arn: string }[]) rule.targets.push({ id: Id, arn: Arn });
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  const operations: Record<string, Operation> = {
    PutEvents: putEvents,
    StartReplay: startReplay,
    PutRule: putRule,
    PutTargets: putTargets,
  };
  return {
    operations,
    events,
    /** What no target got and no dead-letter queue took. */
    undelivered,
    archives,
    addBus: (name: string) => void buses.add(name),
    addRule: (rule: Rule) => void rules.push(rule),
    addSchedule,
    addArchive(name: string, bus: string, pattern: Json) {
      archives.push({ arn: arnOf('events', `archive/${name}`), bus, pattern, events: [] });
    },
    addFunction: (arn: string, invoked: InvokedFunction) => void functions.set(arn, invoked),
    /** The bus that events of `source` come to, where no other is named: a partner's, the bus of its own name. */
    busOf(source: string): string {
      if (buses.has(source)) return source;
      const isPartner = (name: string) => name.startsWith('aws.partner/');
      return [...buses].findLast((name) => isPartner(name) === isPartner(source)) ?? 'default';
    },
    publish,
    onEvent(listener: (event: BusEvent) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What a rule with a schedule sends. */
const scheduledEvent = (resource: string): BusEvent => ({
  version: '0',
  id: randomUUID(),
  'detail-type': 'Scheduled Event',
  source: 'aws.events',
  account: ACCOUNT,
  time: `${new Date().toISOString().slice(0, 19)}Z`,
  region: REGION,
  resources: [resource],
  detail: {},
});
