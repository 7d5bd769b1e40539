import { type Core, type EffectError, perform } from '../model/effects.ts';
import { type RequestMessage, timeOf } from '../model/messages.ts';
import { type Failure, OWN_SOURCE, requestOf } from '../model/organization.ts';
import { after } from '../model/stage.ts';
import { acceptOffboarding } from './accept.ts';
import type { Writer } from './update.ts';

export interface AcceptEventInput extends Writer {
  message: RequestMessage;
  /** The ids that its idempotency key determines, where it has one, and a hash of its detail. */
  offboarding_id: string;
  fingerprint: string;
}

/** `visit`: the organization has work. `refused`: the event can never be carried out. `nothing`: there is nothing to do. */
export type AcceptedEvent =
  | { is: 'visit' | 'nothing' }
  | { is: 'refused'; failure: Failure }
  | { is: 'later'; error: EffectError; wait_ms?: undefined };

/** Accepts a request by event. An event of the service's own is believed only where its offboarding is there. */
export function* acceptEvent(input: AcceptEventInput, now: number): Core<AcceptedEvent> {
  const { message, offboarding_id, fingerprint, stage } = input;
  const { id, source, account, time, detail } = message;
  const { organization_id, idempotency_key, offboarding_id: own, ...parameters } = detail;
  if (source === OWN_SOURCE) return yield* findOwn(organization_id, own);
  const requested_at = timeOf(time, now);
  // What was requested long ago is nobody's wish today (EventBridge: "Archiving and replaying events").
  const isReplay = message['replay-name'] !== undefined;
  if (isReplay && after(requested_at, stage.giveUpAfter) < now) return { is: 'nothing' };
  const about = { offboarding_id, parameters, caller: `${account} ${source}`.trim(), request: { id, source, time } };
  const request = { ...about, requested_at, ...(idempotency_key && { fingerprint, idempotency_key }) };
  const acceptance = { ...input, organization_id, request, mayBeRepeated: true, isQuiet: true };
  const accepted = yield* acceptOffboarding(acceptance, now);
  if (accepted.is === 'refused') return accepted;
  if (accepted.is === 'reused') return { is: 'refused', failure: REUSED };
  return 'error' in accepted ? { is: 'later', error: accepted.error } : { is: 'visit' };
}

const REUSED: Failure = {
  code: 'idempotency_key_reused',
  message: 'The idempotency key was used with another body',
};
const NOT_OURS: Failure = {
  code: 'invalid_message',
  message: 'An event of the service itself has no record: it is not its own',
};

function* findOwn(organization_id: string, offboarding_id: string | undefined): Core<AcceptedEvent> {
  if (!offboarding_id) return { is: 'refused', failure: NOT_OURS };
  const item = yield* perform({ do: 'readOrganization', organization_id });
  if (item.error) return { is: 'later', error: item.error };
  if (item.value && requestOf(item.value, offboarding_id)) return { is: 'visit' };
  const record = yield* perform({ do: 'readRecord', organization_id, offboarding_id });
  if (record.error) return { is: 'later', error: record.error };
  return record.value ? { is: 'nothing' } : { is: 'refused', failure: NOT_OURS };
}
