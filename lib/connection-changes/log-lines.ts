import { gunzipSync } from 'node:zlib';
import type { CloudWatchLogsEvent } from 'aws-lambda';
import * as v from 'valibot';
import { ConnectionId, OrganizationId } from '../ids.ts';
import { lenient, parseAs, parseJson } from '../json.ts';

/** The detail-type of the event for each code of a log line. */
const DETAIL_TYPES = { connection_disabled: 'connection.disabled', connection_removed: 'connection.removed' } as const;

/** The log line of a request that disabled or removed one connection, as far as the event has it. */
const Line = v.object({
  code: v.picklist(['connection_disabled', 'connection_removed']),
  organization_id: OrganizationId,
  connection_id: ConnectionId,
  caller: v.optional(v.string(), 'unknown'),
  request_id: v.string(),
  correlation_id: lenient(v.string()),
  /** The connection as Auth0 answered it, where the request saw it. */
  connection: lenient(v.looseObject({})),
});

interface Changes {
  /** The event of each change: its detail-type, and its detail. */
  events: { type: string; detail: object }[];
  unreadable: number;
  lost: number;
}

/** Whether a line that can't be read is one of those from which events are made, whole or not. */
const isOfChange = (message: string) => Object.keys(DETAIL_TYPES).some((code) => message.includes(`"code":"${code}"`));

/**
 * The events of the changes that a delivery of CloudWatch Logs holds, in the order of the log; how many of its lines can't be read, and how many
 * of these tell of a change all the same. Throws when the delivery itself can't be read. (CloudWatch Logs user guide, "Subscription filters with AWS Lambda": JSON, gzip, base64.)
 */
export function changesIn(event: CloudWatchLogsEvent): Changes {
  const delivery = JSON.parse(gunzipSync(Buffer.from(event.awslogs.data, 'base64')).toString());
  // A control message says that the subscription works.
  if (delivery.messageType === 'CONTROL_MESSAGE') return { events: [], unreadable: 0, lost: 0 };
  const lines: { message: string }[] = delivery.logEvents;
  const events: Changes['events'] = [];
  const unreadable: string[] = [];
  for (const { message } of lines) {
    const line = parseAs(Line, parseJson(message));
    if (line) events.push(eventOf(line));
    else unreadable.push(message);
  }
  return { events, unreadable: unreadable.length, lost: unreadable.filter(isOfChange).length };
}

function eventOf({ code, connection, ...fields }: v.InferOutput<typeof Line>) {
  const settings = connection ? { ...connection, connection_id: undefined } : null;
  return { type: DETAIL_TYPES[code], detail: { version: 1, ...fields, settings } };
}
