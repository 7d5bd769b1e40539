import type { Failure, LedgerEntry, OpenRequest, Outcome, RemainingAccess } from './organization.ts';
import type { Parameters } from './request.ts';

/** A connection of an offboarding as its record shows it; `before` is null where the organization had no such connection. */
export interface ConnectionRecord
  extends Pick<LedgerEntry, 'name' | 'strategy' | 'before' | 'added' | 'drifted_at' | 'reenabled_at'> {
  connection_id: string;
  /** Null until it is known. */
  outcome: Outcome['outcome'] | null;
  error: Failure | null;
  disabled_by_offboarding: boolean;
}

/** A client grant of an offboarding as its record shows it. */
export interface GrantRecord extends Omit<RemainingAccess, 'kind'> {
  grant_id: string;
  outcome: 'removed' | 'restored' | 'unchanged' | 'failed' | null;
  error: Failure | null;
}

/**
 * An offboarding as lists show it: a projection of its organization's item, which alone decides. A record is written from the
 * outbox and may be late; `revision` says which write of the item it was made of.
 */
export interface OffboardingRecord
  extends Parameters,
    Omit<OpenRequest, 'parameters' | 'batch' | 'outcomes' | 'notice_due_at' | 'is_unrecorded'> {
  organization_id: string;
  revision: number;
  /** Auth0's name of the organization, where a dry run looked it up. */
  organization_name?: string | null | undefined;
  batch_id?: string | undefined;
  last_drift_check_at?: string | undefined;
  connections: ConnectionRecord[];
  client_grants?: GrantRecord[] | undefined;
  remaining_access?: RemainingAccess[] | null | undefined;
  /** Unix time in seconds; DynamoDB deletes the item some time after it. Undefined while the organization's item has the request. */
  expires_at?: number | undefined;
}
