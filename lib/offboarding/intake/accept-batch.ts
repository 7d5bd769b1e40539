import type { Batch } from '../model/batch.ts';
import { type Core, type EffectError, notStored, perform } from '../model/effects.ts';
import type { Failure, Priority } from '../model/organization.ts';
import { requestOf } from '../model/organization.ts';
import { iso, type Stage } from '../model/stage.ts';
import { acceptRequest, type NewRequest } from '../rules/acceptance.ts';
import { CUT_OFF_MS, finishRefused } from './full-organizations.ts';
import { isNotDone, runAll, type Updated, updateOrganization, type Writer } from './update.ts';

export interface AcceptBatchInput extends Writer {
  batch_id: string;
  fingerprint: string;
  members: { organization_id: string; request: NewRequest }[];
  hasKey: boolean;
  priority: Priority;
  stage: Stage;
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
  const { members, priority } = input;
  const opened = yield* openBatch(input, now);
  if (opened.is !== 'open') return opened;
  const { batch } = opened;
  const written = yield* runAll(members.map((member) => writeMember(member, batch, input, opened.at)));
  const failed = written.find(isNotDone);
  const at = Math.max(opened.at, ...written.map((one) => one.at));
  if (failed) {
    yield* writeBatch({ ...batch, status: 'void', version: `${input.nonce}.void` }, batch.version);
    return { is: 'unavailable', error: failed.error };
  }
  const counting = { ...batch, ...refusedOf(members, written, at) };
  const accepted = yield* decide(counting, input, at);
  if (accepted.is !== 'accepted') return accepted;
  const ids = new Map(members.map(({ organization_id, request }) => [organization_id, request.offboarding_id]));
  const offboardingIdOf = (organization_id: string) => ids.get(organization_id) ?? '';
  yield* finishRefused(acceptedAs(counting, input), { ...input, offboardingIdOf }, at);
  const notices = members.map(({ organization_id }) => ({ organization_id, priority }));
  // What is not sent is found by its date.
  yield* perform<'sendDue'>({ do: 'sendDue', notices });
  return { is: 'accepted', status: 'accepted', accepted: members.length };
}

type Opened = { is: 'open'; batch: Batch; at: number } | Exclude<AcceptedBatch, { is: 'accepted' }>;

/** The batch's item, open for its members: new, or that of a repetition that was cut off. */
function* openBatch(input: AcceptBatchInput, now: number): Core<Opened> {
  const { batch_id, fingerprint, members, hasKey, nonce } = input;
  const organization_ids = members.map(({ organization_id }) => organization_id);
  let found: Batch | undefined;
  for (let attempts = 1; attempts <= 5; attempts++) {
    if (hasKey || attempts > 1) {
      const read = yield* perform<'readBatch'>({ do: 'readBatch', batch_id });
      if (read.error) return { is: 'unavailable', error: read.error };
      found = read.value;
    }
    if (found && found.fingerprint !== fingerprint) return { is: 'reused' };
    if (found?.status === 'accepted' || found?.status === 'cancelled')
      return { is: 'replayed', status: found.status, accepted: found.organization_ids.length };
    if (found?.status === 'open') return { is: 'open', batch: found, at: now };
    const created = {
      batch_id,
      fingerprint,
      organization_ids,
      attempt: (found?.attempt ?? 0) + 1,
      created_at: iso(now),
    };
    const batch: Batch = { ...created, status: 'open', version: `${nonce}.open.${attempts}` };
    const written = yield* writeBatch(batch, found?.version);
    if (written.value === true) return { is: 'open', batch, at: Math.max(now, written.at) };
    if (written.error && !written.error.is_transient) return { is: 'unavailable', error: written.error };
  }
  return { is: 'unavailable', error: notStored('The batch could not be stored') };
}

const writeBatch = (batch: Batch, expected: string | undefined) =>
  perform<'writeBatch'>({ do: 'writeBatch', batch, expected });

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

const acceptedAs = (batch: Batch, { nonce }: Pick<Writer, 'nonce'>): Batch => ({
  ...batch,
  status: 'accepted',
  version: `${nonce}.accepted`,
});

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

/** The one write that accepts all of the batch. */
function* decide(batch: Batch, { nonce, deadline }: Writer, now: number): Core<AcceptedBatch> {
  const late = notStored('The batch could not be stored in time');
  let error = late;
  for (let [attempts, at] = [1, now]; attempts <= 3 && at < deadline; attempts++) {
    const accepted = acceptedAs(batch, { nonce });
    const written = yield* writeBatch(accepted, batch.version);
    if (written.value === true) return { is: 'accepted', status: 'accepted', accepted: batch.organization_ids.length };
    const read = yield* perform<'readBatch'>({ do: 'readBatch', batch_id: batch.batch_id });
    at = Math.max(at, read.at);
    if (read.error) {
      if (written.error?.may_be_done) return { is: 'unknown', error: read.error };
      error = read.error;
      continue;
    }
    // Accepted by this write, whose answer was lost, or by a repetition that was quicker; and maybe cancelled since.
    const isAccepted = read.value?.status === 'accepted' || read.value?.status === 'cancelled';
    if (isAccepted && read.value?.attempt === batch.attempt)
      return { is: 'accepted', status: 'accepted', accepted: batch.organization_ids.length };
    if (read.value?.version !== batch.version) return { is: 'unavailable', error: late };
    error = written.error ?? late;
  }
  yield* writeBatch({ ...batch, status: 'void', version: `${nonce}.void` }, batch.version);
  return { is: 'unavailable', error };
}
