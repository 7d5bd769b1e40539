import type { SingleEffect } from '../model/effects.ts';
import { REQUESTED } from '../model/messages.ts';
import { type OpenRequest, OWN_SOURCE, requestOf } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { hasEnded } from '../model/status.ts';
import { priorityOf } from '../rules/priority.ts';
import { recordOf } from '../rules/projection.ts';
import { toOutgoingEvent } from '../views/outcome.ts';
import { isWordless } from './facts.ts';
import { nextEvents } from './learn.ts';
import { isSaved, isStoredAsShown, type Next, save } from './lease.ts';
import type { VisitState } from './visit-state.ts';

/** What is in the outbox goes to the bus, in its order, once it is stored. A failed event has its dead letter first. */
export function publish(state: VisitState): Next {
  if (!isSaved(state)) return save(state, true);
  const { item } = state;
  const events = [];
  for (const entry of nextEvents(state)) {
    const request = requestOf(item, entry.offboarding_id);
    const letter = entry.event === 'failed' && request && deadLetterOf(request, state);
    if (letter) return { state, effect: letter };
    const known = recordBefore(state, entry.offboarding_id);
    if (known === 'unread') return readRecord(state, entry.offboarding_id);
    events.push(toOutgoingEvent(item, entry, known));
  }
  return { state, effect: { do: 'publish', events } };
}

/** The record of a request is written, once all that it shows is stored. */
export function record(request: OpenRequest, state: VisitState): Next {
  if (!isStoredAsShown(state, request)) return save(state, true);
  const known = recordBefore(state, request.offboarding_id);
  if (known === 'unread') return readRecord(state, request.offboarding_id);
  return { state, effect: { do: 'writeRecord', record: recordOf(state.item, request, known) } };
}

const readRecord = (state: VisitState, offboarding_id: string): Next => ({
  state,
  effect: { do: 'readRecord', organization_id: state.input.organization_id, offboarding_id },
});

/** The record of an offboarding that had ended before: what its item no longer has. */
function recordBefore({ item, records }: VisitState, offboarding_id: string): OffboardingRecord | 'unread' | undefined {
  const request = requestOf(item, offboarding_id);
  // An organization of a batch that took no more has a record alone.
  const isFinal =
    !request ||
    isWordless(request) ||
    (hasEnded(request) && request.ended_at !== undefined && request.ended_at !== request.updated_at);
  const known = records[offboarding_id];
  return isFinal ? (known === undefined ? 'unread' : (known ?? undefined)) : undefined;
}

/** The dead letter that a failed request by event still needs: the event that it came as, so that, moved back, it is the same request. */
function deadLetterOf(failed: OpenRequest, { item, sent }: VisitState): SingleEffect | undefined {
  const { parameters, idempotency_key, request, caller, cancelled, error } = failed;
  const isDone = cancelled || request.source === OWN_SOURCE || parameters.dry_run;
  if (isDone || sent.includes(`letter ${request.id}`)) return undefined;
  const { organization_id } = item;
  const detail = { organization_id, ...parameters, ...(idempotency_key && { idempotency_key }) };
  // The account that EventBridge vouched for: the caller of an event is its account and its source.
  const account = /^\d+ /.test(caller) ? { account: caller.split(' ')[0] } : {};
  const { code, message } = error ?? { code: 'failed', message: 'A connection could not be changed' };
  const body = { ...request, ...account, 'detail-type': REQUESTED, detail };
  return { do: 'sendDeadLetter', body, priority: priorityOf(failed), reason: `${code}: ${message}` };
}
