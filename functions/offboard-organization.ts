import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { primeCalls } from '../lib/auth0/management-api.ts';
import { primeBus } from '../lib/aws/event-bus.ts';
import { primeTable } from '../lib/aws/table.ts';
import { deliver } from '../lib/offboarding/worker/delivery.ts';
import { prime } from '../lib/priming.ts';

/** What it takes to write the record and the log at the end, as a share of the function's time. */
const MARGIN = 0.1;
const DEFAULT_TIME_MS = 60_000;

/**
 * Processes the offboarding queue (SQS with partial batch responses): requests and cancellations from the bus, and due notices. The
 * organization's item decides what is done and what is left; a message only says where to look.
 */
export async function handler(event: SQSEvent, context: Partial<Context> = {}): Promise<SQSBatchResponse> {
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? DEFAULT_TIME_MS) * (1 - MARGIN);
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const message of event.Records) {
    const isDone = await deliver(message, deadline, context.awsRequestId);
    if (!isDone) batchItemFailures.push({ itemIdentifier: message.messageId });
  }
  return { batchItemFailures };
}

await prime(primeCalls(), primeTable(), primeBus());
