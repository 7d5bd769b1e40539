import { type Core, perform } from '../model/effects.ts';
import { OWN_SOURCE } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { cancelBatch } from './cancel-batch.ts';
import { type FinishInput, finishRefused } from './full-organizations.ts';

/** Goes on with what was cut off of a batch: its cancellation, or the records of those that took no more. */
export function* finishBatch(batch_id: string, input: FinishInput, now: number): Core<void> {
  const read = yield* perform({ do: 'readBatch', batch_id });
  if (read.value?.status === 'accepted') yield* finishRefused(read.value, input, now);
  if (read.value?.status !== 'cancelled') return;
  yield* cancelBatch({ ...input, batch_id, act: { at: iso(now), caller: OWN_SOURCE } }, now);
}
