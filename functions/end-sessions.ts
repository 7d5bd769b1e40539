import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { required } from '../lib/environment.ts';
import { parseAs, parseJson } from '../lib/json.ts';
import { createLog, describeError, type Log } from '../lib/log.ts';
import { DUE_EFFECTS } from '../lib/offboarding/store/offboarding-queue.ts';
import { run, writerUntil } from '../lib/offboarding/store/shell.ts';
import { TABLE_EFFECTS } from '../lib/offboarding/store/table-shell.ts';
import { endSessions } from '../lib/sessions/end-sessions.ts';
import { comeBack, SessionsDue } from '../lib/sessions/queue.ts';
import { ALL_MEMBERS, sessionEffects } from '../lib/sessions/session-shell.ts';

/** What it takes to write the item and the log at the end, as a share of the function's time. */
const MARGIN = 0.05;
const DEFAULT_TIME_MS = 60_000;

// The worker, which has the same queue to send to, may lack it; this function cannot work without.
required('SESSION_QUEUE_URL');

/**
 * Processes the session queue (SQS with partial batch responses): after an offboarding, the sessions of the organization's members
 * are ended. What is done and what is left stands in the organization's item.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? DEFAULT_TIME_MS) * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const message of event.Records) {
    const about = parseAs(SessionsDue, parseJson(message.body))?.detail;
    const log = createLog({ request_id: context.awsRequestId, message_id: message.messageId, ...about });
    const isDone = about ? await processMessage(message, about, deadline, log) : true;
    if (!about) log.error('session_message_invalid');
    if (!isDone) batchItemFailures.push({ itemIdentifier: message.messageId });
  }
  return { batchItemFailures };
}

/** True when the message is done; false when SQS is to deliver it again. */
async function processMessage(
  message: SQSRecord,
  about: { organization_id: string; offboarding_id: string },
  deadline: number,
  log: Log,
) {
  const input = { ...about, ...writerUntil(deadline), allMembers: ALL_MEMBERS };
  const performers = [TABLE_EFFECTS, DUE_EFFECTS, sessionEffects(deadline, log)];
  const end = await run(endSessions(input, Date.now()), performers, log);
  if (end.is === 'not due') log.info('sessions_not_due_any_more');
  if (end.is !== 'later') return true;
  // What could not even be postponed comes back when its visibility timeout is over.
  const waits = await comeBack(message, end.error).catch((error) => ({ inQueue: true, error: describeError(error) }));
  log.info('sessions_wait', { ...waits, error: end.error });
  return !waits.inQueue;
}
