import type { OpenRequest } from '../model/organization.ts';
import { after } from '../model/stage.ts';

// How long what has ended is kept: for as long as the archive keeps events; a dry run is looked at for days.

export const RETENTION = 'P400D';
const KEEP_DRY_RUN = 'P7D';
const KEEP_BATCH = 'P1200D';

/** When the record of a request that has ended expires, Unix seconds. */
export const recordExpiresAt = ({ parameters, updated_at }: OpenRequest): number =>
  seconds(after(updated_at, parameters.dry_run ? KEEP_DRY_RUN : RETENTION));

/** When something expires that has been of no use since `at` (ISO 8601 or Unix ms), Unix seconds. */
export const expiresAfter = (at: string | number): number => seconds(after(at, RETENTION));

/** When a batch expires that is written now: its members have a grace period, are watched, and their records are kept. */
export const batchExpiresAfter = (at: number): number => seconds(after(at, KEEP_BATCH));

const seconds = (ms: number) => Math.floor(ms / 1000);
