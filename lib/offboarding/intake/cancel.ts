import { type Core, type EffectError, perform } from '../model/effects.ts';
import { type Act, type Cancellation, type OpenRequest, type Organization, requestOf } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { nextRequestedAt } from '../rules/acceptance.ts';
import { acceptCancellation, type CancellationRequest, type CancellationResult } from '../rules/cancellation.ts';
import { withMember } from '../rules/members.ts';
import { recordOf } from '../rules/projection.ts';
import { CLOCKS_APART_MS } from '../worker/lease.ts';
import { visit } from '../worker/visit.ts';
import { type Updated, updateOrganization, type Writer } from './update.ts';

/** How long a caller waits for whoever works on the organization, and between two attempts, milliseconds. */
const WAIT_FOR_TURN_MS = 10_000;
const TRY_AGAIN_MS = 250;
/** What it takes to store what came of the calls, to read the records and to answer, milliseconds: calls of Auth0 have ended by then. */
export const ANSWER_TAKES_MS = 1500;

export interface CancelInput extends Writer {
  organization_id: string;
  act: Omit<Act, 'at'>;
}

/** What a cancellation found, as it is now. `isOver`: nothing is left to enable, and nothing can disable again. */
export type Cancelled =
  | { is: 'found'; cancellation: Cancellation; records: OffboardingRecord[]; isOver: boolean; isReplayed: boolean }
  | { is: 'nothing' }
  | Extract<CancellationResult, { is: 'removing' }>
  | { is: 'unavailable' | 'unknown'; error: EffectError };

/**
 * Cancels everything of an organization that was requested before now, and carries that out as far as it can be done in time. The
 * rest goes on by itself.
 */
export function* cancelOrganization(input: CancelInput, now: number): Core<Cancelled> {
  const { organization_id, act, deadline } = input;
  const updated = yield* recordCancellation(input, now, (item, at) => ({
    ...act,
    at: nextRequestedAt(item, at),
    isEvent: false,
  }));
  if (updated.is !== 'done') return { is: updated.is, error: updated.error };
  const { value, item } = updated;
  if (value.is === 'removing') return value;
  const { cancellation } = item ?? {};
  if (!item || !cancellation || cancellation.found.length === 0) return { is: 'nothing' };
  const carried = yield* carryOut(
    input,
    Math.min(deadline - ANSWER_TAKES_MS, updated.at + WAIT_FOR_TURN_MS),
    updated.at,
  );
  const result = yield* resultOf(item, cancellation, carried, value.is === 'nothing');
  // Whether it is over or not, its events and records are the worker's, whose lease is no reason for the caller to wait.
  yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'single' }] });
  return result;
}

/** A cancellation by event: its outcome is an event, too, and the worker carries it out. `at` has whole seconds. */
export function* acceptCancellationEvent(
  input: CancelInput & { at: string },
  now: number,
): Core<Updated<CancellationResult>> {
  const { organization_id, act, at } = input;
  const updated = yield* recordCancellation(input, now, () => ({ ...act, at, isEvent: true }));
  if (updated.is === 'done' && updated.value.is === 'found')
    yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'single' }] });
  return updated;
}

function recordCancellation(
  input: CancelInput,
  now: number,
  requestFor: (item: Organization, at: number) => CancellationRequest,
): Core<Updated<CancellationResult>> {
  return updateOrganization(input.organization_id, input, now, function* (item, at) {
    const settled = yield* settleMembers(item, at);
    if (settled.error) return settled;
    const result = acceptCancellation(settled.item, requestFor(settled.item, at), at);
    return { item: result.is === 'removing' ? undefined : result.item, value: result };
  });
}

/** The organization with each member of a batch as the batch's item has it: one that counts is found, and one that never will is not. */
function* settleMembers(
  item: Organization,
  now: number,
): Core<{ item: Organization; error?: undefined } | { error: EffectError }> {
  let settled = item;
  for (const member of item.requests) {
    const { batch } = member;
    if (!batch || batch.is_accepted) continue;
    const read = yield* perform({ do: 'readBatch', batch_id: batch.id });
    if (read.error) return read;
    settled = withMember(settled, member, read.value ?? null, now);
  }
  return { item: settled };
}

/** Visits the organization until the cancellation is carried out, or the time is over. True where it is over for good. */
function* carryOut(input: CancelInput, until: number, now: number): Core<boolean> {
  const { organization_id, nonce, deadline, stage } = input;
  let at = now;
  for (let attempts = 1; at < until; attempts++) {
    const about = { organization_id, stage, waitMs: 0, retries: 0, mode: 'cancel' as const };
    const end = yield* visit(
      { ...about, nonce: `${nonce}.visit${attempts}`, deadline: deadline - ANSWER_TAKES_MS },
      at,
    );
    if (end.is === 'done') return true;
    if (end.error || end.wait_ms > WAIT_FOR_TURN_MS) return false;
    const paused = yield* perform({ do: 'pause', ms: TRY_AGAIN_MS });
    at = Math.max(at, paused.at);
  }
  return false;
}

/**
 * What the cancellation found, as the item has it now, or its record where it has left the item; where the table does not answer, as
 * it was when the cancellation was accepted.
 */
function* resultOf(
  accepted: Organization,
  cancellation: Cancellation,
  isCarriedOut: boolean,
  isReplayed: boolean,
): Core<Cancelled> {
  const { organization_id } = accepted;
  const read = yield* perform({ do: 'readOrganization', organization_id });
  const item = read.value ?? accepted;
  const records: OffboardingRecord[] = [];
  for (const offboarding_id of cancellation.found) {
    const open: OpenRequest | undefined = requestOf(item, offboarding_id);
    if (open) records.push(recordOf(item, open));
    else {
      const found = yield* perform({ do: 'readRecord', organization_id, offboarding_id });
      if (found.value) records.push(found.value);
    }
  }
  const { lease } = item;
  // Auth0 may still carry out what a drift check or an earlier attempt asked for.
  const isFree = !lease || lease.until + CLOCKS_APART_MS <= read.at;
  const isPending = records.some(
    ({ offboarding_id, status }) => cancellation.reenabled.includes(offboarding_id) && status === 'cancelling',
  );
  const isOver =
    read.error === undefined && isCarriedOut && isFree && !isPending && records.length === cancellation.found.length;
  return { is: 'found', cancellation, records, isOver, isReplayed };
}
