import type { Batch } from '../model/batch.ts';
import { type Core, perform } from '../model/effects.ts';
import { emptyOrganization } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { acceptRequest } from '../rules/acceptance.ts';
import { recordOf } from '../rules/projection.ts';
import { runAll, updateOrganization, type Writer } from './update.ts';

/** The dispatcher goes on with what was cut off after this, milliseconds. */
export const CUT_OFF_MS = 60_000;
/** An item's outbox takes so many failures of members that found no room. */
const MOST_FAILURES = 40;

export interface FinishInput extends Writer {
  /** The id of a batch's offboarding of an organization. */
  memberIdOf: (batch_id: string, organization_id: string) => string;
}

/**
 * The organizations of a batch that took no more: each offboarding ends as a failed record, and its event goes out. Then nothing of
 * the batch is left to be done. Where the table does not take one of them, its item stays due, and the dispatcher goes on.
 */
export function* finishRefused(batch: Batch, input: FinishInput, now: number): Core<void> {
  if (!batch.due_at) return;
  const all = yield* runAll((batch.refused?.organization_ids ?? []).map((one) => recordOne(one, batch, input, now)));
  if (!all.every(Boolean)) return;
  const done: Batch = { ...batch, refused: undefined, due_at: undefined, version: `${input.nonce}.done` };
  yield* perform({ do: 'writeBatch', batch: done, expected: batch.version });
}

/** First the record, then its event in the outbox. True where both are stored. */
function* recordOne(organization_id: string, batch: Batch, input: FinishInput, now: number): Core<boolean> {
  const { refused, batch_id: id, attempt } = batch;
  if (!refused) return true;
  const { parameters, caller, failure } = refused;
  const offboarding_id = input.memberIdOf(id, organization_id);
  const empty = emptyOrganization(organization_id);
  const member = { offboarding_id, parameters, caller, batch: { id, attempt, is_accepted: true } };
  const accepted = acceptRequest(empty, member, now, input.stage);
  if (accepted.is !== 'accepted') return true;
  const ended = { status: 'failed' as const, error: failure, ended_at: iso(now), is_unrecorded: undefined };
  const record = recordOf(empty, { ...accepted.request, ...ended });
  const written = yield* perform({ do: 'writeRecord', record });
  if (written.error) return false;
  const writer = { ...input, nonce: `${input.nonce}.failed` };
  const updated = yield* updateOrganization<undefined>(organization_id, writer, now, (item, at) => {
    const entry = { event: 'failed' as const, offboarding_id, at: iso(at) };
    const isThere = item.outbox.some((one) => one.offboarding_id === offboarding_id);
    const hasRoom = item.outbox.length < MOST_FAILURES && !isThere;
    return { item: hasRoom ? { ...item, outbox: [...item.outbox, entry] } : undefined, value: undefined };
  });
  return updated.is === 'done';
}
