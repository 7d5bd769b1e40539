import { acceptEvent } from '../../lib/offboarding/intake/accept-event.ts';
import { acceptCancellationEvent } from '../../lib/offboarding/intake/cancel.ts';
import { type By, coreProgram, nameOf, type Program, parametersOf, VISIT_MS, writer } from './programs.ts';
import type { Message, RequestOptions } from './world.ts';

/** What the worker does with an event before its visit. */
export function eventProgram(message: Message, by: By): Program {
  const { event, organization } = message;
  if (!event) throw new Error('no event');
  const time = new Date(event.time).toISOString();
  if (message.kind === 'cancellation') {
    const input = {
      organization_id: organization,
      act: { caller: '12 crm', requested_by: 'crm', reason: 'stays' },
      at: time,
      ...writer(by, VISIT_MS),
    };
    return coreProgram(nameOf(`cancellation ${event.id}`, by), () => acceptCancellationEvent(input, by.now));
  }
  const { body: fingerprint = '' } = (event.options ?? {}) as RequestOptions;
  const about = { message: envelopeOf(message, event, time) as never, offboarding_id: event.id, fingerprint };
  return coreProgram(nameOf(`event ${event.id}`, by), () => acceptEvent({ ...about, ...writer(by, VISIT_MS) }, by.now));
}

/** The event as EventBridge delivers it. */
function envelopeOf({ organization }: Message, event: NonNullable<Message['event']>, time: string): object {
  const { requested_by, ...parameters } = parametersOf({
    id: event.id,
    organization,
    action: event.action ?? 'disable',
    options: event.options ?? {},
  });
  const { idempotency_key } = (event.options ?? {}) as RequestOptions;
  const own = event.kind === 'own' && { offboarding_id: event.id };
  const detail = {
    organization_id: organization,
    ...parameters,
    requested_by,
    ...(idempotency_key && { idempotency_key }),
    ...own,
  };
  return {
    id: event.id,
    source: event.kind === 'own' ? 'org-connections' : 'billing',
    ...(event.kind === 'replay' && { 'replay-name': 'again' }),
    account: '12',
    time,
    'detail-type': 'organization.offboarding.requested',
    detail,
  };
}
