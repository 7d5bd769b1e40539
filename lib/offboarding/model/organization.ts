import type { Parameters } from './request.ts';
import type { Sessions } from './sessions.ts';
import type { Status } from './status.ts';

// One item of the table per organization holds everything that decides: the lease, the open requests, the ledger of what we did
// to each connection, the latest cancellation, and what has to be published. One conditional write changes all of it.
// Times are ISO 8601 text to the millisecond, unless a member says otherwise.

/** What went wrong: a stable code and a sentence. */
export type Failure = { code: string; message: string };

/** Who did something, and when: `caller` is the IAM identity or an event's account and source; the rest is what people say of themselves. */
export interface Act {
  at: string;
  caller: string;
  requested_by?: string | null | undefined;
  reason?: string | null | undefined;
}

/** What lets a customer in and can be switched off: an organization's connection, or a client grant. */
export type Kind = 'connection' | 'client_grant';

/** What a connection or a client grant is brought to. A client grant is disabled by deleting it and enabled by creating it again. */
export type Goal = 'disabled' | 'removed' | 'enabled';

/** What a request did to one connection or client grant. */
export interface Outcome {
  outcome: Goal | 'unchanged' | 'failed';
  error?: Failure | undefined;
  /** Of a dry run: the settings before, where the ledger has those from before an earlier offboarding. */
  before?: LedgerEntry['before'] | undefined;
}

/** A call of Auth0 that is about to be made for an offboarding, or that is uncertain: nobody knows whether it was carried out. */
export interface Intent {
  goal: Goal;
  offboarding_id: string;
  /** The access level that goes with it. */
  level?: string | undefined;
  is_uncertain?: true | undefined;
  /** Of a drift check: that it did not succeed is published already. */
  is_reported?: true | undefined;
}

/** What this service did to one connection or client grant, and what it needs to give it back. */
export interface LedgerEntry {
  kind: Kind;
  id: string;
  name: string | null;
  strategy: string | null;
  /** The settings as Auth0 had them before the first of the pending offboardings touched it; null where the organization did not have it. */
  before: Record<string, unknown> | null;
  /** The offboardings that want it disabled or removed, as long as nobody cancels them. */
  claims: string[];
  /** Auth0 confirmed that we disabled it, or nobody knows. A cancellation enables only this. */
  disabled_by_us: boolean;
  /** The access level that we lowered (`limited`, `full`), which goes back with the connection. */
  lowered_level?: string | undefined;
  intent?: Intent | undefined;
  /** Our last change of it (Unix ms): a listing that is not newer by some seconds does not show it. */
  changed?: { goal: Goal; at: number } | undefined;
  /** Since when it is enabled again; the last times that this happened. */
  drifted_at?: string | undefined;
  reenabled_at?: string[] | undefined;
  /** New since an offboarding of the whole organization: a removal leaves it alone. */
  added?: true | undefined;
}

/** One with a call of Auth0 that is to be made. */
export type PlannedEntry = LedgerEntry & { intent: Intent };

/** The source of this service's own requests and events. */
export const OWN_SOURCE = 'org-connections';

/** A request in the organization's item: pending, not published, watched, or failed with something disabled. */
export interface OpenRequest {
  offboarding_id: string;
  requested_at: string;
  accepted_at: string;
  parameters: Parameters;
  /** The event that it came as; for HTTP the service's own. */
  request: { id: string; source: string; time: string };
  caller: string;
  /** The batch that it is a member of. It counts only when the batch's own item says that this attempt is accepted. */
  batch?: { id: string; attempt: number; is_accepted: boolean } | undefined;
  urgent?: true | undefined;
  /** A hash of the body, where it came with an idempotency key; and the key itself, of an event. */
  fingerprint?: string | undefined;
  idempotency_key?: string | undefined;
  status: Status;
  updated_at: string;
  removal_due_at?: string | undefined;
  /** When `removal_upcoming` is due; undefined once it is in the outbox. */
  notice_due_at?: string | undefined;
  /** The visits that ended in an error, the last error, and when the worker tries again. */
  attempts: number;
  last_error?: Failure | undefined;
  next_try_at?: string | undefined;
  error?: Failure | undefined;
  /** By `keyOf` a ledger entry. */
  outcomes: Record<string, Outcome>;
  superseded_by?: string | undefined;
  cancelled?: Act | undefined;
  ended_at?: string | undefined;
  watch?: 'on' | 'ended' | undefined;
  watch_ended?: Act | undefined;
  drift_count?: number | undefined;
  sessions?: Sessions | undefined;
  /** Its record does not show it as it is. */
  is_unrecorded?: true | undefined;
}

export type OutcomeEvent =
  | 'requested'
  | 'superseded'
  | 'removal_upcoming'
  | 'completed'
  | 'scheduled'
  | 'cancelled'
  | 'failed'
  | 'drifted'
  | 'watch_ended'
  | 'sessions_ended';

/** A connection or grant that is enabled again or new, as its event shows it. */
export interface Drift {
  key: string;
  drift: 'reenabled' | 'added';
  outcome: 'disabled' | 'unchanged';
  error: Failure | null;
  now: Record<string, unknown> | null;
  changed_by?: string | undefined;
}

/** An event that is not published yet. The outcomes are those of the moment at which it was decided. */
export interface OutboxEntry {
  event: OutcomeEvent;
  offboarding_id: string;
  at: string;
  outcomes?: Record<string, Outcome> | undefined;
  drift?: Drift | undefined;
}

/** The latest recorded cancellation of all that was requested before it. */
export interface Cancellation extends Act {
  /** What it found; empty where there was nothing yet. */
  found: string[];
  /** What of that it enables again; the others are only watched no more. */
  reenabled: string[];
  /** That it found something, also once a later request has made a repetition be about something new. */
  has_found?: true | undefined;
}

/** The message groups of the queue, the one that goes first first. */
export type Priority = 'single' | 'batch' | 'watch';

/** What remains of an organization's access beside its connections. */
export interface RemainingAccess {
  kind: 'client_grant';
  client_id: string;
  audience: string;
  scope: string[];
  /** There are more scopes than are kept. */
  is_shortened?: true | undefined;
}

/** The range key of an organization's item, which no record has. */
export const ORGANIZATION = 'organization';

export interface Organization {
  organization_id: string;
  /** Another one with each write: the writer's nonce and a number. Undefined where there is no item yet. */
  version?: string | undefined;
  /** Counts the writes; a record shows the one that it was made of. */
  revision: number;
  /** Who works on the organization, until when at the latest (Unix time in milliseconds). */
  lease?: { owner: string; until: number } | undefined;
  requests: OpenRequest[];
  ledger: LedgerEntry[];
  outbox: OutboxEntry[];
  /** The latest moment that orders requests: of a request or a cancellation that was accepted. */
  last_requested_at?: string | undefined;
  cancellation?: Cancellation | undefined;
  /** The newest offboarding that was carried out, once it has left `requests`. */
  current?: { offboarding_id: string; requested_at: string } | undefined;
  /** Connections that an offboarding ended once, the latest last: a name of these is no mistyped one. */
  known: string[];
  /** Auth0's name of the organization, once a dry run has looked it up. */
  name?: string | null | undefined;
  /** When the next drift check is due, and when the last was made. */
  next_drift_check_at?: string | undefined;
  last_drift_check_at?: string | undefined;
  /** Counts the drift checks that notifications asked for: one that arrives during a check leads to another. */
  drift_checks_requested?: number | undefined;
  /** When the last of these was requested. */
  drift_check_requested_at?: string | undefined;
  /** Who changed which connection, as notifications said since the last drift check; the latest last. */
  changed_by?: { connection_id?: string | undefined; name: string; at: string }[] | undefined;
  /** Client grants of the organization as Auth0 listed them last; null where that is not known. */
  remaining_access?: (RemainingAccess & { id: string })[] | null | undefined;
  /** When a message is to say that something is due, unless one does before; Unix time in milliseconds. */
  notice_at?: number | undefined;
}

/** The name of a ledger entry in `outcomes`. */
export const keyOf = ({ kind, id }: { kind: Kind; id: string }): string => (kind === 'connection' ? id : `grant ${id}`);

export const emptyOrganization = (organization_id: string): Organization => ({
  organization_id,
  revision: 0,
  requests: [],
  ledger: [],
  outbox: [],
  known: [],
});

/** The organization with one of its requests changed. */
export const withRequest = (item: Organization, changed: OpenRequest): Organization => ({
  ...item,
  requests: item.requests.map((one) => (one.offboarding_id === changed.offboarding_id ? changed : one)),
});

/** The organization with one of its ledger entries changed, or added. */
export function withEntry(item: Organization, changed: LedgerEntry): Organization {
  const isThis = (one: LedgerEntry) => keyOf(one) === keyOf(changed);
  const ledger = item.ledger.some(isThis)
    ? item.ledger.map((one) => (isThis(one) ? changed : one))
    : [...item.ledger, changed];
  return { ...item, ledger };
}

export const requestOf = (item: Organization, offboardingId: string): OpenRequest | undefined =>
  item.requests.find(({ offboarding_id }) => offboarding_id === offboardingId);

export const entryOf = (item: Organization, key: string): LedgerEntry | undefined =>
  item.ledger.find((one) => keyOf(one) === key);
