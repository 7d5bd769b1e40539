// EventBridge: buses, what is put on them, and archives (user guide, "Sending events with PutEvents", "Archive and replay").
import { randomUUID } from 'node:crypto';
import { createDelivery } from './event-delivery.ts';
import { type BusEvent, createRules } from './event-rules.ts';
import type { Invocations } from './invocations.ts';
import { compilePattern } from './pattern.ts';
import type { Sqs } from './sqs.ts';
import {
  ACCOUNT,
  type Agenda,
  AwsError,
  arnOf,
  type Call,
  type Faults,
  type Json,
  type Operation,
  REGION,
  text,
} from './wire.ts';

export type { BusEvent } from './event-rules.ts';

const MAX_ENTRIES = 10;
/** All entries of a call together, in bytes. */
const MAX_BYTES = 1_048_576;

export function createEventBridge(
  sqs: Sqs,
  invocations: Invocations,
  agenda: Agenda,
  faults: Faults,
  retrySpeed: number,
) {
  const buses = new Set<string>(['default']);
  const archives: { arn: string; bus: string; takes: (event: object) => boolean; events: BusEvent[] }[] = [];
  const replays = new Set<string>();
  const events: BusEvent[] = [];
  const listeners = new Set<(event: BusEvent) => void>();
  const delivery = createDelivery(sqs, invocations, agenda, faults, retrySpeed);
  const rules = createRules(agenda, delivery.toTargets);

  function publish(event: BusEvent, bus: string): void {
    events.push(event);
    for (const archive of archives) if (archive.bus === bus && archive.takes(event)) archive.events.push(event);
    for (const listener of listeners) listener(event);
    toRules(event, bus);
  }

  function toRules(event: BusEvent, bus: string, arns?: string[]): void {
    for (const rule of rules.matching(event, bus, arns)) delivery.toTargets(rule, event);
  }

  function putEvents(input: Json, { fault }: Call): Json {
    const entries = entriesOf(input);
    const Entries = entries.map((entry, index) => {
      if (fault?.entries?.includes(index))
        return { ErrorCode: fault.error ?? 'InternalFailure', ErrorMessage: 'Failed on purpose.' };
      const bus = String(entry.EventBusName ?? 'default')
        .split('/')
        .at(-1) as string;
      if (!buses.has(bus)) throw new AwsError('ResourceNotFoundException', `Event bus ${bus} does not exist.`);
      const refusal = refusalOf(entry);
      if (refusal) return refusal;
      const event = eventOf(entry);
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
    replays.add(name);
    return { ReplayArn: arnOf('events', `replay/${name}`), State: 'STARTING' };
  }

  /** A replay is over at once here. */
  function describeReplay(input: Json): Json {
    const name = text(input, 'ReplayName');
    if (!replays.has(name)) throw new AwsError('ResourceNotFoundException', `Replay ${name} does not exist.`);
    return { ReplayName: name, State: 'COMPLETED' };
  }

  const operations: Record<string, Operation> = {
    PutEvents: putEvents,
    StartReplay: startReplay,
    DescribeReplay: describeReplay,
    ...rules.operations,
  };
  return {
    operations,
    events,
    undelivered: delivery.undelivered,
    archives,
    addBus: (name: string) => void buses.add(name),
    addRule: rules.addRule,
    addSchedule: rules.addSchedule,
    /** An archive of the events that match the pattern; of all where there is none. */
    addArchive(name: string, bus: string, pattern?: Json) {
      const takes = pattern ? compilePattern(pattern) : () => true;
      archives.push({ arn: arnOf('events', `archive/${name}`), bus, takes, events: [] });
    },
    addFunction: delivery.addFunction,
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

/** The entries of a call; one that has too many or too large ones is refused as a whole. */
function entriesOf(input: Json): Json[] {
  const entries = input.Entries as Json[];
  if (entries.length === 0)
    throw new AwsError('ValidationException', 'Member must have length greater than or equal to 1');
  if (entries.length > MAX_ENTRIES)
    throw new AwsError('ValidationException', `Member must have length less than or equal to ${MAX_ENTRIES}`);
  const sizeOf = (entry: Json) =>
    (entry.Time ? 14 : 0) +
    ['Source', 'DetailType', 'Detail'].reduce((all, name) => all + Buffer.byteLength(String(entry[name] ?? '')), 0);
  if (entries.reduce((sum, entry) => sum + sizeOf(entry), 0) >= MAX_BYTES)
    throw new AwsError('ValidationException', 'Total size of the entries in the request is over the limit.');
  return entries;
}

/** Why an entry is refused, and the others are not; undefined where it is right (API reference, PutEvents). */
function refusalOf(entry: Json): { ErrorCode: string; ErrorMessage: string } | undefined {
  const missing = ['Source', 'DetailType', 'Detail'].find((name) => !entry[name]);
  if (missing) {
    const ErrorMessage = `Parameter ${missing} is not valid. Reason: ${missing} is a required argument.`;
    return { ErrorCode: 'InvalidArgument', ErrorMessage };
  }
  if (String(entry.Source).startsWith('aws.'))
    return { ErrorCode: 'NotAuthorizedForSource', ErrorMessage: 'Not authorized for the source.' };
  return isObjectText(String(entry.Detail))
    ? undefined
    : { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
}

function isObjectText(text: string): boolean {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function eventOf(entry: Json): BusEvent {
  const time = entry.Time ? new Date(Number(entry.Time) * 1000) : new Date();
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': String(entry.DetailType),
    source: String(entry.Source),
    account: ACCOUNT,
    time: `${time.toISOString().slice(0, 19)}Z`,
    region: REGION,
    resources: (entry.Resources as string[] | undefined) ?? [],
    detail: JSON.parse(String(entry.Detail)),
  };
}
