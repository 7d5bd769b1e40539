import type { OffboardingRequest } from './request.ts';

/**
 * The statuses of an offboarding, and those that may follow each. Nothing else changes a status, and what is done at Auth0
 * depends on it: disabling and removing at once in `working`, removing what is due in `removing`, enabling in `cancelling`.
 */
export const TRANSITIONS = {
  /** On record, not begun. */
  requested: ['working', 'cancelling'],
  /** Being disabled or removed. */
  working: ['completed', 'failed', 'scheduled', 'cancelling', 'superseded'],
  /** Disabled; the removal is due at `removal_due_at`. */
  scheduled: ['removing', 'cancelling', 'superseded'],
  removing: ['completed', 'failed'],
  cancelling: ['cancelled', 'failed'],
  /** Only of a cancelling that was accepted while it was being worked off. */
  completed: ['cancelling'],
  /** Where it had disabled something, that can still be enabled again. */
  failed: ['cancelling'],
  cancelled: [],
  /** A later request took over what this one had disabled; cancelled only as `completed` is. */
  superseded: ['cancelling'],
} as const satisfies Record<string, readonly string[]>;

export type Status = keyof typeof TRANSITIONS;
export const STATUSES = Object.keys(TRANSITIONS) as Status[];

const ENDED: readonly Status[] = ['completed', 'failed', 'cancelled', 'superseded'];
export const hasEnded = ({ status }: Pick<Offboarding, 'status'>) => ENDED.includes(status);

/** What is wrong, as it is shown: a stable code and a sentence. */
export type Failure = { code: string; message: string };

/** Who did something, and when: the IAM identity that signed, or an event's account and source, beside what people say of themselves. */
export interface Act {
  at: string;
  caller: string;
  requested_by?: string | null | undefined;
  reason?: string | null | undefined;
}

/** A connection that is enabled again, or is new, as it is to be told: in a `drifted` event that is not on the bus yet. */
export interface Drift {
  drift: 'reenabled' | 'added';
  outcome: 'disabled' | 'unchanged';
  error: Failure | null;
  now: Record<string, unknown> | null;
}

/** What was, or is to be, done to one connection. */
export interface ConnectionRecord {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  /** The organization connection's settings from before the offboarding; null when the organization had no such connection. */
  before: Record<string, unknown> | null;
  /** Null until it is known. */
  outcome: 'disabled' | 'removed' | 'enabled' | 'unchanged' | 'failed' | null;
  error: Failure | null;
  /** Whether Auth0 was asked to change it, or was about to be, since the status last changed, and nobody knows how that ended. */
  attempted: boolean;
  /** Held: Auth0 confirmed that this offboarding disabled it, or nobody knows. Only that is ever enabled by its cancelling. */
  disabled_by_offboarding: boolean;
  /** Another offboarding that is watched had ended it before. */
  ended_earlier?: true | undefined;
  /** New since the offboarding of the whole organization: never removed. */
  added?: true | undefined;
  /** Since when it is enabled again, until it is disabled or removed; the last times that this happened. */
  drifted_at?: string | undefined;
  reenabled_at?: string[] | undefined;
  /** A drift check is disabling it again. */
  disabling_again?: true | undefined;
  /** What is not told yet. */
  untold?: Drift | undefined;
}

/** Whether an offboarding has ended the access through a connection, or goes on with what another has ended. */
export const hasEndedIt = ({ outcome, disabled_by_offboarding, ended_earlier }: ConnectionRecord) =>
  disabled_by_offboarding || outcome === 'disabled' || outcome === 'removed' || ended_earlier === true;

/** One request and what became of it: an item of the table, keyed by `organization_id` and `offboarding_id`. Times are ISO 8601. */
export interface Offboarding extends OffboardingRequest {
  offboarding_id: string;
  /** The event that it came as. */
  request: { id: string; source: string; time: string };
  caller: string;
  /** A batch that does not give way to single requests. */
  urgent?: boolean | undefined;
  /** An event's `time`, or when the record of an HTTP request was created. */
  asked_at: string;
  status: Status;
  /** Another one with each write: a write is made upon the version that its writer expects (optimistic locking). */
  version: string;
  created_at: string;
  updated_at: string;
  /** A request without a key is nothing until it is on the bus; when it is not by then, it never was. */
  accept_by?: string | undefined;
  removal_due_at?: string | undefined;
  /** Deliveries that ended in an error, the last error, and when the work is tried again. */
  attempts: number;
  last_error?: Failure | undefined;
  next_try_at?: string | undefined;
  /** Why nothing, or nothing more, could be done. */
  error?: Failure | undefined;
  connections: ConnectionRecord[];
  superseded_by?: string | undefined;
  ended_at?: string | undefined;
  cancelled?: Act | undefined;
  /** Whether it is checked that nobody enables a connection again. */
  watch?: 'on' | 'ended' | undefined;
  watch_ended?: Act | undefined;
  drifted?: number | undefined;
  /** What is not on the bus yet: the outcome of the status, or that the watch has ended. */
  unpublished?: 'status' | 'watch_ended' | undefined;
  /** How far the ending of the members' sessions has come; undefined where it was not asked for, or is not due. */
  sessions?: Sessions | undefined;
  /** What the caller sent along with an idempotency key, as a hash. */
  fingerprint?: string | undefined;
  /** Unix time in seconds; DynamoDB deletes the item some time after it. */
  expires_at?: number | undefined;
}

/** How far the ending of the members' sessions has come: a page's cursor and counts, and no list of people. */
export interface Sessions {
  status: 'due' | 'ending' | 'ended' | 'failed' | 'refused';
  cursor?: string | undefined;
  members: number;
  asked: number;
  skipped: number;
  failed: number;
  error?: Failure | undefined;
  /** The outcome is not on the bus yet. */
  unpublished?: boolean | undefined;
  /** When the last message was sent that says that they are due. */
  sent_at?: string | undefined;
  updated_at: string;
}

/** A cancelling that was accepted: of all that was asked for before it, or of the one offboarding that it names. */
export interface Cancellation extends Act {
  /** What it covers of what was on record then, and what of that was pending or held something. */
  ids: string[];
  pending: string[];
  /** It covers nothing else: the cancelling of a batch. */
  only?: true | undefined;
}

/** The message groups of the queue, the one that goes first first. */
export type Priority = 'single' | 'batch' | 'watch';

/** Whose turn an offboarding has to wait for. */
export const priorityOf = ({ batch_id, urgent }: Pick<Offboarding, 'batch_id' | 'urgent'>): Priority =>
  batch_id === undefined || urgent ? 'single' : 'batch';

/** What the offboardings of an organization have in common: an item of the table beside them. */
export interface Organization {
  organization_id: string;
  /** Another one with each write (optimistic locking); undefined where there is no item yet. */
  version?: string | undefined;
  /** The offboardings that are not over: pending, holding something, watched, or not told. */
  open: string[];
  /** Who works on it, alone, and until when at the latest (Unix time in milliseconds). */
  holder?: string | undefined;
  held_until?: number | undefined;
  /** Whose connections are being removed, and since when: from here on nobody can cancel. */
  removing?: { offboarding_id: string; since: string } | undefined;
  /** The last cancelling of all of it, and those of single offboardings that are not carried out. */
  cancelled?: Cancellation | undefined;
  cancelled_ones?: Cancellation[] | undefined;
  /** When its next step is, or was, due. */
  due_at?: string | undefined;
  priority?: Priority | undefined;
  /** When a message is to say so, unless one does before; Unix time in milliseconds. */
  notice_at?: number | undefined;
  /** When a drift check is due, and when the last was made. */
  look_at?: string | undefined;
  looked_at?: string | undefined;
  /** When the last notification asked for one, Unix time in milliseconds. */
  check_asked_at?: number | undefined;
}
