import type { Batch } from '../model/batch.ts';
import { type Core, type EffectError, notStored, perform } from '../model/effects.ts';
import type { Failure, Priority } from '../model/organization.ts';
import { requestOf } from '../model/organization.ts';
import { iso, type Stage } from '../model/stage.ts';
import { acceptRequest, type NewRequest } from '../rules/acceptance.ts';
import { CUT_OFF_MS, finishRefused } from './full-organizations.ts';
import { isNotDone, runAll, type Updated, updateBatch, updateOrganization, type Writer } from './update.ts';

export interface AcceptBatchInput extends Writer {
  batch_id: string;
  fingerprint: string;
  members: { organization_id: string; request: NewRequest }[];
  hasKey: boolean;
  priority: Priority;
  stage: Stage;
}

export type AcceptedBatch =
  | { is: 'accepted'; status: Batch['status']; accepted: number }
  | { is: 'replayed'; status: Batch['status']; accepted: number }
  | { is: 'reused' }
  | { is: 'unavailable' | 'unknown'; error: EffectError };

/**
 * Accepts a batch by one write of its item, after its members are written into their organizations: all of it counts from then
 * on. Where that write does not come about, none of it ever counts.
 */
export function* acceptBatch(input: AcceptBatchInput, now: number): Core<AcceptedBatch> {
  const { members, priority } = input;
  const opened = yield* openBatch(input, now);
  if (opened.is !== 'done') return { is: opened.is, error: opened.error };
  const batch = opened.item;
  if (opened.value.is !== 'open' || !batch) return opened.value as AcceptedBatch;
  const written = yield* runAll(members.map((member) => writeMember(member, batch, input, opened.at)));
  const failed = written.find(isNotDone);
  if (failed) {
    yield* giveUp(batch, input);
    return { is: 'unavailable', error: failed.error };
  }
  const at = Math.max(opened.at, ...written.map((one) => one.at));
  const decided = yield* decide({ ...batch, ...refusedOf(members, written, at) }, input, at);
  if (decided.is !== 'done') return { is: decided.is, error: decided.error };
  const { item: accepted, value: isAccepted } = decided;
  if (!isAccepted || !accepted) return { is: 'unavailable', error: LATE };
  const ids = new Map(members.map(({ organization_id, request }) => [organization_id, request.offboarding_id]));
  const offboardingIdOf = (organization_id: string) => ids.get(organization_id) ?? '';
  yield* finishRefused(accepted, { ...input, offboardingIdOf }, at);
  const notices = members.map(({ organization_id }) => ({ organization_id, priority }));
  // What is not sent is found by its date.
  yield* perform<'sendDue'>({ do: 'sendDue', notices });
  return { is: 'accepted', status: 'accepted', accepted: members.length };
}

const hasBeenAccepted = (batch: Batch | undefined) => batch?.status === 'accepted' || batch?.status === 'cancelled';

/** The batch's item, open for its members: new, or that of a repetition that was cut off. */
function openBatch(input: AcceptBatchInput, now: number) {
  const { batch_id, fingerprint, members, hasKey } = input;
  const organization_ids = members.map(({ organization_id }) => organization_id);
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

type Opened = { is: 'open' } | Extract<AcceptedBatch, { is: 'replayed' | 'reused' }>;

/** The attempt is over: none of its members ever counts. */
const giveUp = (batch: Batch, { nonce }: Writer) =>
  perform<'writeBatch'>({
    do: 'writeBatch',
    batch: { ...batch, status: 'void', version: `${nonce}.void` },
    expected: batch.version,
  });

/** Writes a member into its organization; it does not count yet. Resolves to why it found no room. */
function writeMember(
  member: AcceptBatchInput['members'][number],
  batch: Batch,
  input: AcceptBatchInput,
  now: number,
): Core<Updated<Failure | undefined>> {
  const membership = { id: batch.batch_id, attempt: batch.attempt, is_accepted: false };
  return updateOrganization<Failure | undefined>(
    member.organization_id,
    input,
    now,
    (item, at) => {
      const known = requestOf(item, member.request.offboarding_id);
      if (known && known.batch?.attempt === batch.attempt) return { value: undefined };
      const rest = known ? { ...item, requests: item.requests.filter((one) => one !== known) } : item;
      const result = acceptRequest(rest, { ...member.request, batch: membership }, at, input.stage);
      return result.is === 'accepted' ? { item: result.item, value: undefined } : { value: result.failure };
    },
    !input.hasKey,
  );
}

/** What the batch's item keeps of the organizations that took no more, until each has its record. */
function refusedOf(
  members: AcceptBatchInput['members'],
  written: Updated<Failure | undefined>[],
  now: number,
): Pick<Batch, 'refused' | 'due_at'> {
  const failures = written.map((one) => (one.is === 'done' ? one.value : undefined));
  const failure = failures.find((one) => one !== undefined);
  const first = members[0]?.request;
  if (!failure || !first) return {};
  const organization_ids = members.filter((_, index) => failures[index]).map(({ organization_id }) => organization_id);
  const { parameters, caller } = first;
  return { refused: { organization_ids, parameters, caller, failure }, due_at: iso(now + CUT_OFF_MS) };
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
