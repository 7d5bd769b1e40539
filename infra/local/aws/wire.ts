// What the stand-ins of AWS share: how a call fails, how it is made to fail on purpose, and what waits for a time.

export type Json = Record<string, unknown>;
/** Calls a function as Lambda does: resolves to its result, rejects when it throws, times out or dies. */
export type Invoke = (event: unknown, milliseconds?: number, trace?: string) => Promise<unknown>;

export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class AwsError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/**
 * One way to fail on purpose: it meets calls of `operation`, `times` of them. Beside the API's operations there are those that
 * AWS makes itself: `Deliver` (EventBridge hands an event to a target), `Fire` (Scheduler sends a schedule's message).
 */
export interface AwsFault {
  operation: string;
  times?: number;
  /** It meets only calls that have this text in their body. */
  about?: string;
  /** Milliseconds before the answer, or before the delivery. */
  delay?: number;
  /** The error's name and status. A delivery is tried again after a status of 500 or more, which is what left out means there. */
  error?: string;
  status?: number;
  /** Refuses these entries of the call (by index) and takes the others: PutEvents, SendMessageBatch. */
  entries?: number[];
  /** Leaves so many keys of a BatchGetItem unread. */
  leftOver?: number;
  /** Answer with this text instead, or with no answer at all. */
  garbage?: string;
  reset?: boolean;
  /** It is done, and its answer is lost. */
  resetAfter?: boolean;
  /** Answer with this instead. */
  answer?: Json;
  /** Deliver it twice, or not at all. */
  duplicate?: boolean;
  lost?: boolean;
}

/** What is known of a call beside its body. */
export interface Call {
  fault?: AwsFault | undefined;
  /** The header that Lambda's SDK sends. */
  trace?: string | undefined;
  /** Where the services are, for what has an address. */
  endpoint?: string | undefined;
}
export type Operation = (input: Json, call: Call) => Json | Promise<Json>;

export function text(input: Json, member: string): string {
  const value = input[member];
  if (typeof value !== 'string') throw new AwsError('ValidationException', `${member} is missing`);
  return value;
}

export const arnOf = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;

/** The faults that are still to come. A fault of an operation that `isPlayed` does not know would meet nothing: it is refused. */
export function createFaults(isPlayed: (operation: string) => boolean = () => true) {
  let faults: AwsFault[] = [];
  return {
    add(...more: AwsFault[]) {
      const unknown = more.find(({ operation }) => !isPlayed(operation));
      if (unknown)
        throw new Error(`No operation ${unknown.operation} is played here, so this fault would meet nothing`);
      faults.push(...more.map((fault) => ({ ...fault })));
    },
    /** Takes all of them back, or those about a text. */
    clear(about?: string) {
      faults = faults.filter((fault) => about !== undefined && fault.about !== about);
    },
    /** The next fault that meets a call of `operation` with this body; it is used up by that. */
    next(operation: string, body = ''): AwsFault | undefined {
      const fault = faults.find(
        ({ operation: name, about = '', times = 1 }) => name === operation && times > 0 && body.includes(about),
      );
      if (fault) fault.times = (fault.times ?? 1) - 1;
      return fault;
    },
  };
}
export type Faults = ReturnType<typeof createFaults>;

/** What AWS does by itself later. A clock that was put forward is noticed by `tick`. */
export function createAgenda() {
  type Entry = { at: number; run: () => void; timer?: NodeJS.Timeout };
  const entries = new Set<Entry>();

  function arm(entry: Entry): void {
    clearTimeout(entry.timer);
    const wait = Math.max(0, entry.at - Date.now());
    entry.timer = setTimeout(
      () => (wait > LONGEST_TIMER_MS ? arm(entry) : start(entry)),
      Math.min(wait, LONGEST_TIMER_MS),
    );
    entry.timer.unref();
  }
  function start(entry: Entry): void {
    clearTimeout(entry.timer);
    if (entries.delete(entry)) entry.run();
  }
  /** No entry is due before this: looked for again only when it has passed, however many entries there are. */
  let soonest = Number.POSITIVE_INFINITY;
  function next(): number {
    if (soonest > Date.now()) return soonest;
    soonest = Number.POSITIVE_INFINITY;
    for (const { at } of entries) soonest = Math.min(soonest, at);
    return soonest;
  }
  return {
    /** Runs `run` at a time (Unix ms); the returned function calls it off. */
    at(at: number, run: () => void): () => void {
      const entry: Entry = { at, run };
      entries.add(entry);
      soonest = Math.min(soonest, at);
      arm(entry);
      return () => {
        clearTimeout(entry.timer);
        entries.delete(entry);
      };
    },
    tick() {
      if (next() > Date.now()) return;
      for (const entry of [...entries]) if (entry.at <= Date.now()) start(entry);
    },
    /** When the next of them is due at the earliest (Unix ms). */
    next,
    close() {
      for (const { timer } of entries) clearTimeout(timer);
      entries.clear();
    },
  };
}
export type Agenda = ReturnType<typeof createAgenda>;
