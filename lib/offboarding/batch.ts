import pMap from 'p-map';
import { deterministicUuid } from '../ids.ts';
import { Problem } from '../problem.ts';
import type { Act } from './offboarding.ts';
import { cancelOne, getOrganization } from './organization.ts';
import * as records from './record.ts';
import { isAccepted, isCancellable } from './rules.ts';

const WRITES_AT_ONCE = 50;

/** The id of a batch's offboarding of an organization. */
export const offboardingIdOf = (batch_id: string, organization_id: string) =>
  deterministicUuid(batch_id, organization_id);

/**
 * Accepts the cancelling of each offboarding of a batch that is pending or holds something, also of those that a caller who was
 * cut off has not put on record yet; other offboardings of the same organizations are left alone. Returns which organizations these are,
 * and of how many nothing is to be cancelled. Throws `not_found`.
 */
export async function cancelBatch(batch_id: string, act: Act, deadline: number) {
  const batch = await records.getBatch(batch_id);
  if (!batch) throw new Problem('not_found', 'There is no such batch');
  if (!batch.cancelled) await records.endBatch(batch);
  const cancel = async (organization_id: string) => {
    const offboarding_id = offboardingIdOf(batch_id, organization_id);
    const cancellation = { ...act, ids: [offboarding_id], pending: [offboarding_id], only: true as const };
    for (;;) {
      if (Date.now() >= deadline) throw new Problem('record_unavailable', 'The batch could not be cancelled in time');
      const organization = await getOrganization(organization_id);
      const record = await records.getRecord(organization_id, offboarding_id);
      const isRemoving = organization.removing?.offboarding_id === offboarding_id;
      if (isRemoving || (record && isAccepted(record) && !isCancellable(record))) return undefined;
      // Record and organization are of one moment: a write in between is seen.
      if (await cancelOne(organization, cancellation)) return { organization_id, priority: 'batch' as const };
    }
  };
  const accepted = (await pMap(batch.organization_ids, cancel, { concurrency: WRITES_AT_ONCE })).filter(
    (one) => one !== undefined,
  );
  return { accepted, not_pending: batch.organization_ids.length - accepted.length };
}
