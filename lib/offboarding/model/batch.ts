import type { Act, Failure } from './organization.ts';
import type { Parameters } from './request.ts';

/** The range key of a batch's item, which no record has. */
export const BATCH = 'batch';

/**
 * A batch: an item of its own, which decides whether its members count. `open`: they are being written. `accepted`: all of them
 * count, by the one write that said so. `void`: the attempt was given up, and none of its members ever counts. `cancelled`: none
 * of them begins any more.
 */
export interface Batch {
  batch_id: string;
  version?: string | undefined;
  status: 'open' | 'accepted' | 'void' | 'cancelled';
  /** A repetition with the same key after a `void` attempt is another attempt. */
  attempt: number;
  fingerprint: string;
  organization_ids: string[];
  created_at: string;
  cancelled?: Act | undefined;
  /** The organizations that took no more, and what was requested of them: each gets a failed record and its event. */
  refused?: { organization_ids: string[]; parameters: Parameters; caller: string; failure: Failure } | undefined;
  /** Something of it is not done yet: members do not know of its cancellation, or refused ones have no record. The dispatcher goes on when this date has passed. */
  due_at?: string | undefined;
}
