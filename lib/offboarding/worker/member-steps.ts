import { BATCH_IS_OPEN_MS } from '../rules/due-work.ts';
import { withMember } from '../rules/members.ts';
import { versionOf } from './lease.ts';
import type { Step } from './step.ts';
import type { VisitState } from './visit-state.ts';

/** Members of batches of which nobody knows yet whether they count: their batches tell. One that is open for too long is given up. */
export function toResolve(state: VisitState): Step | undefined {
  const { item, batches, now } = state;
  for (const member of item.requests) {
    if (!member.batch || member.batch.is_accepted) continue;
    const { id, attempt } = member.batch;
    const batch = batches[id];
    // What was read of an earlier attempt says nothing of this one.
    if (batch === undefined || (batch && batch.attempt < attempt)) return { do: 'readBatch', batch_id: id };
    const settled = withMember(item, member, batch, now);
    if (settled !== item) return { do: 'change', item: settled };
    if (batch && Date.parse(batch.created_at) + BATCH_IS_OPEN_MS <= now)
      return {
        do: 'writeBatch',
        batch: { ...batch, status: 'void', version: versionOf(state) },
        expected: batch.version,
      };
  }
  return undefined;
}
