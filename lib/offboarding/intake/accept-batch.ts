import type { Batch } from '../model/batch.ts';
import { type Core, type EffectError, notStored, perform } from '../model/effects.ts';
import { type Failure, type Organization, requestOf } from '../model/organization.ts';
import { iso } from '../model/stage.ts';
import { acceptRequest, type NewRequest } from '../rules/acceptance.ts';
import { priorityInBatch } from '../rules/priority.ts';
import { CUT_OFF_MS, type FinishInput, finishRefused } from './full-organizations.ts';
import { isNotDone, runAll, type Updated, updateBatch, updateOrganization, type Writer } from './update.ts';

export interface AcceptBatchInput extends FinishInput {
  batch_id: string;
  fingerprint: string;
  hasKey: boolean;
  organization_ids: string[];
  /** What is requested of each of them. */
  request: Omit<NewRequest, 'offboarding_id'>;
}

export type AcceptedBatch =
  | { is: 'accepted' | 'replayed'; status: Batch['status']; accepted: number }
  | { is: 'reused' }
  | { is: 'unavailable' | 'unknown'; error: EffectError };

/**
 * Accepts a batch by one write of its item, after its members are written into their organizations: all of it counts from then
 * on. Where that write does not come about, none of it ever counts.
 */
export function* acceptBatch(input: AcceptBatchInput, now: number): Core<AcceptedBatch> {
  const { organization_ids, request } = input;
  const opened = yield* openBatch(input, now);
  // One that is open, or may be, is not accepted.
  if (opened.is !== 'done') return { is: 'unavailable', error: opened.error };
  const batch = opened.item;
  if (opened.value.is !== 'open' || !batch) return opened.value as AcceptedBatch;
  const written = yield* runAll(organization_ids.map((id) => writeMember(id, batch, input, opened.at)));
  const failed = written.find(isNotDone);
  if (failed) {
    yield* giveUp(batch, input);
    return { is: 'unavailable', error: failed.error };
  }
  const at = Math.max(opened.at, ...written.map((one) => one.at));
  const decided = yield* decide({ ...batch, ...refusedOf(input, written, at) }, input, at);
  if (decided.is !== 'done') return { is: decided.is, error: decided.error };
  const { item: accepted, value: isAccepted } = decided;
  if (!isAccepted || !accepted) return { is: 'unavailable', error: LATE };
  yield* finishRefused(accepted, input, at);
  const priority = priorityInBatch(request);
  const notices = organization_ids.map((organization_id) => ({ organization_id, priority }));
  // What is not sent is found by its date.
  yield* perform({ do: 'sendDue', notices });
  return { is: 'accepted', status: 'accepted', accepted: organization_ids.length };
}

const hasBeenAccepted = (batch: Batch | undefined) => batch?.status === 'accepted' || batch?.status === 'cancelled';

/** The batch's item, open for its members: new, or that of a repetition that was cut off. */
function openBatch(input: AcceptBatchInput, now: number) {
  const { batch_id, fingerprint, organization_ids, hasKey } = input;
  const writer = { ...input, nonce: `${input.nonce}.open` };
  return updateBatch<Opened>(
    batch_id,
    writer,
    now,
    (found) => {
      if (found && found.fingerprint !== fingerprint) return { value: { is: 'reused' } };
      if (found && hasBeenAccepted(found))
        return { value: { is: 'replayed', status: found.status, accepted: found.organization_ids.length } };
      if (found?.status === 'open') return { value: { is: 'open' } };
      const attempt = (found?.attempt ?? 0) + 1;
      const about = { batch_id, fingerprint, organization_ids, attempt, created_at: iso(now) };
      return { item: { ...about, status: 'open' }, value: { is: 'open' } };
    },
    hasKey ? undefined : { item: undefined },
  );
}

type Opened = { is: 'open' } | Exclude<AcceptedBatch, { is: 'unavailable' | 'unknown' }>;

/** The attempt is over: none of its members ever counts. */
const giveUp = (batch: Batch, { nonce }: Writer) =>
  perform({
    do: 'writeBatch',
    batch: { ...batch, status: 'void', version: `${nonce}.void` },
    expected: batch.version,
  });

/** Writes a member into its organization; it does not count yet. Resolves to why it found no room. */
function writeMember(organization_id: string, { batch_id, attempt }: Batch, input: AcceptBatchInput, now: number) {
  const offboarding_id = input.memberIdOf(batch_id, organization_id);
  const member = { ...input.request, offboarding_id, batch: { id: batch_id, attempt, is_accepted: false } };
  const change = (item: Organization, at: number) => {
    const known = requestOf(item, offboarding_id);
    if (known && known.batch?.attempt === attempt) return { value: undefined };
    const rest = { ...item, requests: item.requests.filter((one) => one !== known) };
    const result = acceptRequest(rest, member, at, input.stage);
    return result.is === 'accepted' ? { item: result.item, value: undefined } : { value: result.failure };
  };
  return updateOrganization<Failure | undefined>(organization_id, input, now, change, !input.hasKey);
}

/** What the batch's item keeps of the organizations that took no more, until each has its record. */
function refusedOf(
  { organization_ids, request }: AcceptBatchInput,
  written: Updated<Failure | undefined>[],
  now: number,
): Pick<Batch, 'refused' | 'due_at'> {
  const failures = written.map((one) => (one.is === 'done' ? one.value : undefined));
  const failure = failures.find((one) => one !== undefined);
  if (!failure) return {};
  const { parameters, caller } = request;
  const ids = organization_ids.filter((_, index) => failures[index]);
  return { refused: { organization_ids: ids, parameters, caller, failure }, due_at: iso(now + CUT_OFF_MS) };
}

const LATE = notStored('The batch could not be stored in time');

/** The one write that accepts all of the batch. False where somebody else has given it up. */
function* decide(batch: Batch, input: Writer, now: number): Core<Updated<boolean, Batch>> {
  const writer = { ...input, nonce: `${input.nonce}.accepted` };
  const change = (found: Batch | undefined) => {
    // By a repetition that was quicker; and maybe cancelled since.
    if (found?.attempt === batch.attempt && hasBeenAccepted(found)) return { value: true };
    if (found?.version !== batch.version) return { value: false };
    return { item: { ...batch, status: 'accepted' as const }, value: true };
  };
  const decided = yield* updateBatch(batch.batch_id, writer, now, change, { item: batch });
  if (decided.is === 'unavailable') yield* giveUp(batch, input);
  return decided;
}
