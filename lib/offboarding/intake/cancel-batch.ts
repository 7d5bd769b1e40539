import type { Batch } from '../model/batch.ts';
import { type Core, type EffectError, perform } from '../model/effects.ts';
import type { Act } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { cancelRequest } from '../rules/cancellation.ts';
import { acceptMember } from '../rules/members.ts';
import { areSessionsLeft, isAccepted, isCancellable, isRemoving } from '../rules/requests.ts';
import { CUT_OFF_MS, type FinishInput, finishRefused } from './full-organizations.ts';
import { isNotDone, runAll, type Updated, updateBatch, updateOrganization } from './update.ts';

export interface CancelBatchInput extends FinishInput {
  batch_id: string;
  act: Act;
}

export type CancelledBatch =
  | { is: 'cancelled'; cancelling: number; not_pending: number }
  | { is: 'not found' }
  | { is: 'unavailable'; error: EffectError };

/**
 * Cancels the members of a batch: first its item says so, from then on none of them begins; then each member does. Only members
 * are cancelled, and no request that took one over. May be repeated, and goes on where it was cut off.
 */
export function* cancelBatch(input: CancelBatchInput, now: number): Core<CancelledBatch> {
  const marked = yield* markCancelled(input, now);
  if (marked.is !== 'done') return { is: 'unavailable', error: marked.error };
  const { value: isRepeated, item: batch } = marked;
  if (isRepeated === undefined || !batch) return { is: 'not found' };
  const ids = batch.organization_ids;
  const members = yield* runAll(
    ids.map((organization_id) => cancelMember(organization_id, batch, { ...input, isRepeated }, now)),
  );
  const failed = members.find(isNotDone);
  if (failed) return { is: 'unavailable', error: failed.error };
  yield* finishRefused(batch, input, now);
  const isCancelling = members.map((one) => one.is === 'done' && one.value);
  const cancelling = isCancelling.filter(Boolean).length;
  const notices = ids
    .filter((_, index) => isCancelling[index])
    .map((organization_id) => ({ organization_id, priority: 'batch' as const }));
  // What is not sent is found by its date.
  if (notices.length > 0) yield* perform({ do: 'sendDue', notices });
  return { is: 'cancelled', cancelling, not_pending: ids.length - cancelling };
}

/** Whether the batch was cancelled before; undefined where there is none that was accepted. */
const markCancelled = ({ batch_id, act, ...writer }: CancelBatchInput, now: number) =>
  updateBatch<boolean | undefined>(batch_id, { ...writer, nonce: `${writer.nonce}.cancelled` }, now, (found) => {
    if (found?.status === 'cancelled') return { value: true };
    if (found?.status !== 'accepted') return { value: undefined };
    return { item: { ...found, status: 'cancelled', cancelled: act, due_at: iso(now + CUT_OFF_MS) }, value: false };
  });

/** Cancels one member in its organization's item. True where something was, or is being, cancelled. */
function cancelMember(
  organization_id: string,
  batch: Batch,
  input: CancelBatchInput & { isRepeated: boolean },
  now: number,
): Core<Updated<boolean>> {
  const offboarding_id = input.memberIdOf(batch.batch_id, organization_id);
  return updateOrganization<boolean>(organization_id, input, now, function* (item, at) {
    const member = item.requests.find((one) => one.batch?.id === batch.batch_id);
    if (!member) {
      if (input.isRepeated) return { value: false };
      // The worker has met it as a member of a cancelled batch, and has dealt with it.
      const record = yield* perform({ do: 'readRecord', organization_id, offboarding_id });
      return { value: record.value?.status === 'cancelled' };
    }
    const act = batch.cancelled ?? input.act;
    const isReal = !member.parameters.dry_run;
    if (!isAccepted(member)) return { item: acceptMember(item, { ...member, cancelled: act }, at), value: isReal };
    if (member.status === 'cancelling') return { value: true };
    // One that was taken over may still end sessions.
    const isSuperseded = member.status === 'superseded' && areSessionsLeft(member);
    if (isRemoving(member) || !(isSuperseded || isCancellable(item, member)))
      return { value: member.status === 'cancelled' };
    return { item: cancelRequest(item, member, act, at), value: true };
  });
}
