import type { Batch } from './batch.ts';
import type { Goal, Kind, Organization, Priority, RemainingAccess } from './organization.ts';
import type { OffboardingRecord } from './record.ts';

// What the core asks of the world: one effect is one request to one service. The deployed shell performs effects on AWS and
// Auth0 (store/shell.ts), the exploration on a world in memory. The core decides what a result means and what comes next.

/** An organization's connection as Auth0 lists it. */
export interface ListedConnection {
  connection_id: string;
  is_enabled?: boolean | undefined;
  connection?: { name?: string | undefined; strategy?: string | undefined } | undefined;
  [setting: string]: unknown;
}

/** A client grant of an organization as Auth0 lists it; those for any organization are none. */
export interface ListedGrant extends Omit<RemainingAccess, 'kind'> {
  id: string;
}

/** An event for the bus: its type without the prefix `organization.offboarding.`, and its detail. */
export interface OutgoingEvent {
  event: string;
  detail: Record<string, unknown>;
}

/** The table did not take something in time, or not at all; nothing of it is written. */
export const notStored = (message: string): EffectError => ({
  code: 'record_unavailable',
  message,
  is_transient: true,
  may_be_done: false,
});

export interface DueNotice {
  organization_id: string;
  priority: Priority;
}

/** An item of the index of what is due: an organization, or a batch whose cancellation was cut off. */
export interface DueItem extends DueNotice {
  /** The range key: `organization`, or `batch`. */
  offboarding_id: string;
  due_at: string;
  work_due_at?: string | undefined;
  notice_at?: number | undefined;
}

/** An operation by the name of its effect: what it takes, and what it resolves to; `unknown` where that tells nothing. */
export interface Operations {
  readOrganization: { takes: { organization_id: string }; gives: Organization | undefined };
  /** Written upon the version `expected`, or, without one, as new. False where another version is there. */
  writeOrganization: { takes: { item: Organization; expected: string | undefined }; gives: boolean };
  readRecord: { takes: { organization_id: string; offboarding_id: string }; gives: OffboardingRecord | undefined };
  /** Written unless the record that is there was made of a later revision of its organization. */
  writeRecord: { takes: { record: OffboardingRecord }; gives: unknown };
  readBatch: { takes: { batch_id: string }; gives: Batch | undefined };
  writeBatch: { takes: { batch: Batch; expected: string | undefined }; gives: boolean };
  listConnections: { takes: { organization_id: string }; gives: ListedConnection[] };
  /** Null where the token lacks the scope. */
  listGrants: { takes: { organization_id: string }; gives: ListedGrant[] | null };
  /** Null where there is none, or where the token may not read it. */
  readName: { takes: { organization_id: string }; gives: string | null };
  /** One change of a connection or a client grant, sent to Auth0 before `send_before` (Unix ms) or not at all. */
  change: {
    takes: {
      organization_id: string;
      kind: Kind;
      id: string;
      goal: Goal;
      /** The access level that goes with it. */
      level: string | undefined;
      send_before: number;
    };
    /** Whether an attempt before the one that succeeded may still be carried out. */
    gives: { is_uncertain: boolean };
  };
  publish: { takes: { events: OutgoingEvent[] }; gives: unknown };
  sendDeadLetter: { takes: { body: Record<string, unknown>; priority: Priority; reason: string }; gives: unknown };
  sendDue: { takes: { notices: DueNotice[] }; gives: unknown };
  scheduleRemoval: { takes: { organization_id: string; at: string }; gives: unknown };
  sendSessionsDue: { takes: { organization_id: string; offboarding_id: string }; gives: unknown };
  pause: { takes: { ms: number }; gives: unknown };
  /** A page of what is due before `before` (ISO 8601), from an index that may be late. */
  readDue: {
    takes: { shard: number; before: string; cursor: string | undefined };
    gives: { due: DueItem[]; cursor: string | undefined };
  };
  /** Says that a message about what is due at `due_at` is on its way until `notice_at` (Unix ms). */
  markNoticed: {
    takes: { organization_id: string; offboarding_id: string; due_at: string; notice_at: number };
    gives: unknown;
  };
  listMembers: {
    takes: { organization_id: string; cursor: string | undefined };
    gives: { ids: string[]; next: string | undefined };
  };
  isMemberElsewhere: { takes: { user_id: string; organization_id: string }; gives: boolean };
  endUserSessions: { takes: { user_id: string }; gives: unknown };
}

export type OperationName = keyof Operations;
export type EffectOf<N extends OperationName> = { do: N } & Operations[N]['takes'];
/** An effect; `all` performs several at the same time, as many as there are sockets. */
export type SingleEffect = { [N in OperationName]: EffectOf<N> }[OperationName];
export type Effect = SingleEffect | { do: 'all'; effects: SingleEffect[] };

/** Why an effect did not succeed. */
export interface EffectError {
  code: string;
  message: string;
  /** The same may succeed later. */
  is_transient: boolean;
  /** It may have been carried out, or may still be. */
  may_be_done: boolean;
  /** Seconds after which the service asks to be asked again. */
  retry_after?: number | undefined;
  upstream?: { status: number; error_code: string | null; message: string | null } | undefined;
}

/** What became of an effect, and when (Unix ms of the process that performed it). */
export type Result<T = unknown> = { at: number } & (
  | { value: T; error?: undefined }
  | { value?: undefined; error: EffectError }
);

/** A computation that asks for effects one after the other and ends with `R`. It decides by its arguments and the results alone. */
export type Core<R> = Generator<Effect, R, Result>;

/** Performs one effect and gives its result. */
export function* perform<N extends OperationName>(
  effect: EffectOf<N>,
): Generator<Effect, Result<Operations[N]['gives']>, Result> {
  return (yield effect as Effect) as Result<Operations[N]['gives']>;
}

/** Performs several effects at the same time. The results are in the same order. */
export function* performAll<N extends OperationName>(
  effects: EffectOf<N>[],
): Generator<Effect, Result<Operations[N]['gives']>[], Result> {
  if (effects.length === 0) return [];
  const all = yield { do: 'all', effects: effects as unknown as SingleEffect[] };
  return all.value as Result<Operations[N]['gives']>[];
}
