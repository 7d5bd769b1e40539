import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { parseAs, parseJson } from '../lib/json.ts';
import { createLog, describeError } from '../lib/log.ts';
import { endSessions } from '../lib/sessions/end.ts';
import { comeBack, SessionsDue } from '../lib/sessions/queue.ts';

/** What it takes to write the record and the log at the end, as a share of the function's time. */
const MARGIN = 0.03;

/**
 * Processes the session queue (SQS with partial batch responses): after an offboarding, the sessions of the organization's members
 * are ended. What is done and what is left is on the record.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? 60_000) * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const message of event.Records) {
    const about = parseAs(SessionsDue, parseJson(message.body))?.detail;
    const log = createLog({ request_id: context.awsRequestId, message_id: message.messageId, ...about });
    try {
      if (about) await endSessions(about, deadline, log);
      else log.error('session_message_invalid');
    } catch (error) {
      // What could not even be put off comes back when its visibility timeout is over.
      const waits = await comeBack(message, error).catch(() => ({ inQueue: true }));
      log.info('sessions_wait', { ...waits, error: describeError(error) });
      if (waits.inQueue) batchItemFailures.push({ itemIdentifier: message.messageId });
    }
  }
  return { batchItemFailures };
}
