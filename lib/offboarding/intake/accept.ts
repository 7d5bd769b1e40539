import { type Core, type EffectError, notStored, perform } from '../model/effects.ts';
import { type Failure, requestOf } from '../model/organization.ts';
import type { Status } from '../model/status.ts';
import { acceptRequest, type NewRequest, repetitionOf } from '../rules/acceptance.ts';
import { updateOrganization, type Writer } from './update.ts';

export interface AcceptInput extends Writer {
  organization_id: string;
  request: NewRequest;
  /** Whether it may have been made before: it came with a key, or as an event. Then its record is looked up, too. */
  mayBeRepeated: boolean;
  /** No message is needed: the worker that accepts it carries it out. */
  isQuiet?: boolean;
}

/** `reused`: the id is that of a request with another body. `replayed`: it was accepted before. */
export type Accepted =
  | { is: 'accepted' | 'replayed'; status: Status }
  | { is: 'refused'; failure: Failure }
  | { is: 'reused' }
  | { is: 'unavailable' | 'unknown'; error: EffectError };

/** Accepts a request: from one write of its organization's item on it counts, and it will be carried out. */
export function* acceptOffboarding(input: AcceptInput, now: number): Core<Accepted> {
  const { organization_id, request, mayBeRepeated, stage } = input;
  const updated = yield* updateOrganization<Accepted>(organization_id, input, now, function* (item, at, isAgain) {
    const open = requestOf(item, request.offboarding_id);
    if (open) return { value: repetitionOf(open, request) };
    if (mayBeRepeated || isAgain) {
      // A request leaves the item only after its record is written: first the item, then the record.
      const { offboarding_id } = request;
      const found = yield* perform({ do: 'readRecord', organization_id, offboarding_id });
      if (found.error) return found;
      if (found.value) return { value: repetitionOf(found.value, request) };
    }
    const result = acceptRequest(item, request, at, stage);
    if (result.is === 'accepted')
      return { item: result.item, value: { is: 'accepted', status: result.request.status } };
    return { value: result.isForNow ? { is: 'unavailable', error: notStored(result.failure.message) } : result };
  });
  if (updated.is !== 'done') return { is: updated.is, error: updated.error };
  if (updated.value.is === 'accepted' && !input.isQuiet) {
    // Should the message be lost, the dispatcher finds the request by its date.
    yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'single' }] });
  }
  return updated.value;
}
