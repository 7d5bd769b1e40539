import type { Act, Failure, Goal, OpenRequest, RemainingAccess } from './organization.ts';
import type { Parameters } from './request.ts';
import type { Sessions } from './sessions.ts';
import type { Status } from './status.ts';

/** A connection of an offboarding as its record shows it. */
export interface ConnectionRecord {
  connection_id: string;
  name: string | null;
  strategy: string | null;
  /** The settings from before the offboarding; null where the organization had no such connection. */
  before: Record<string, unknown> | null;
  /** Null until it is known. */
  outcome: Goal | 'unchanged' | 'failed' | null;
  error: Failure | null;
  disabled_by_offboarding: boolean;
  added?: true | undefined;
  drifted_at?: string | undefined;
  reenabled_at?: string[] | undefined;
}

/** A client grant of an offboarding as its record shows it. */
export interface GrantRecord {
  grant_id: string;
  client_id: string;
  audience: string;
  scope: string[];
  /** There are more scopes than are kept. */
  is_shortened?: true | undefined;
  outcome: 'removed' | 'restored' | 'unchanged' | 'failed' | null;
  error: Failure | null;
}

/**
 * An offboarding as lists show it: a projection of its organization's item, which alone decides. A record is written from the
 * outbox and may be late; `revision` says which write of the item it was made of.
 */
export interface OffboardingRecord
  extends Parameters,
    Pick<OpenRequest, 'requested_at' | 'accepted_at' | 'request' | 'caller'> {
  organization_id: string;
  offboarding_id: string;
  revision: number;
  /** Auth0's name of the organization, where a dry run looked it up. */
  organization_name?: string | null | undefined;
  batch_id?: string | undefined;
  urgent?: true | undefined;
  fingerprint?: string | undefined;
  status: Status;
  updated_at: string;
  ended_at?: string | undefined;
  removal_due_at?: string | undefined;
  attempts: number;
  last_error?: Failure | undefined;
  next_try_at?: string | undefined;
  error?: Failure | undefined;
  superseded_by?: string | undefined;
  cancelled?: Act | undefined;
  watch?: 'on' | 'ended' | undefined;
  watch_ended?: Act | undefined;
  drift_count?: number | undefined;
  last_drift_check_at?: string | undefined;
  sessions?: Sessions | undefined;
  connections: ConnectionRecord[];
  client_grants?: GrantRecord[] | undefined;
  remaining_access?: RemainingAccess[] | null | undefined;
  /** Unix time in seconds; DynamoDB deletes the item some time after it. Undefined while the organization's item has the request. */
  expires_at?: number | undefined;
}
