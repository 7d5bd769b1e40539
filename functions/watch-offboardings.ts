import type { Context, EventBridgeEvent } from 'aws-lambda';
import { createLog } from '../lib/log.ts';
import { notificationIn } from '../lib/offboarding/intake/auth0-notification.ts';
import { requestCheck } from '../lib/offboarding/notification.ts';
import { sendWhatIsAskedFor, sendWhatIsDue } from '../lib/offboarding/sweep.ts';

type Event = Partial<EventBridgeEvent<string, unknown>> & { requeue?: unknown };

/**
 * Sends messages that something of an organization is due: by the clock for all that is, by a notification of Auth0's for the
 * organization that it names, and by an operator's `{"requeue": {"organization_id": "…"} | "overdue"}`.
 */
export async function handler(event: Event, context: Partial<Context> = {}): Promise<{ requeued: number } | undefined> {
  const log = createLog({ request_id: context.awsRequestId });
  if (event.requeue !== undefined) return { requeued: await sendWhatIsAskedFor(event.requeue, log) };
  if (event['detail-type'] === 'Scheduled Event') await sendWhatIsDue(log);
  else await requestCheck(notificationIn(event.detail), log);
  return undefined;
}
