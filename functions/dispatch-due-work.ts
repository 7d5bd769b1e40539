import type { Context, EventBridgeEvent } from 'aws-lambda';
import { createLog } from '../lib/log.ts';
import { notificationIn } from '../lib/offboarding/intake/auth0-notification.ts';
import { dispatch, redriveDeadLetters, requestCheck, requeue } from '../lib/offboarding/worker/dispatcher.ts';

type Event = Partial<EventBridgeEvent<string, unknown>> & { requeue?: unknown; redrive?: unknown };

const DEFAULT_TIME_MS = 60_000;

/**
 * Sends due notices: by the clock for everything that is due, by a notification of Auth0's for the organization that it names, by an
 * operator's `{"requeue": {"organization_id": "…"} | "overdue"}`; and moves dead letters back by `{"redrive": …}`.
 */
export async function handler(event: Event, context: Partial<Context> = {}): Promise<object | undefined> {
  const log = createLog({ request_id: context.awsRequestId });
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? DEFAULT_TIME_MS) * 0.9;
  if (event.requeue !== undefined) return { requeued: await requeue(event.requeue, deadline, log) };
  if (event.redrive !== undefined) return redriveDeadLetters(event.redrive, deadline, log);
  if (event['detail-type'] === 'Scheduled Event') await dispatch(deadline, log);
  else await requestCheck(notificationIn(event.detail), deadline, log);
  return undefined;
}
