import type { CloudWatchLogsEvent, Context } from 'aws-lambda';
import { putEvents } from '../lib/aws/event-bus.ts';
import { changesIn } from '../lib/connection-changes/log-lines.ts';
import { createLog } from '../lib/log.ts';

/** What it takes to write the log at the end, milliseconds. */
const MARGIN_MS = 1000;
const DEFAULT_TIME_MS = 29_000;

/**
 * Publishes `connection.disabled` and `connection.removed` from the log lines of disable-connection and remove-connection. Throws
 * when the bus does not take them, and when a line of a change can't be read, once the others are published; Lambda then invokes it
 * again, its alarm sees it, and an event may come twice.
 */
export async function handler(event: CloudWatchLogsEvent, context: Partial<Context> = {}): Promise<void> {
  const log = createLog({ request_id: context.awsRequestId });
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? DEFAULT_TIME_MS) - MARGIN_MS;
  const { events, unreadable, lost } = changesIn(event);
  if (unreadable > 0) log.error('log_lines_unreadable', { lines: unreadable });
  await putEvents(events, deadline);
  log.info('connection_changes_published', { events: events.length });
  // A change without its event is what nobody else would notice.
  if (lost > 0) throw new Error(`Of ${lost} changes the log line can't be read`);
}
