import type { PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { backoff, sleep } from '../deadline.ts';
import { required } from '../environment.ts';
import * as eventbridge from './eventbridge.ts';

const EventBusName = required('EVENT_BUS_NAME');

const MAX_ATTEMPTS = 4;
/** What PutEvents takes in one call: entries, and bytes of all of them together ("less than 1 MB"). */
const MAX_ENTRIES = 10;
const MAX_BYTES = 1_000_000;

/** For priming: a call without an event, which EventBridge refuses (API reference, PutEvents: at least one entry). */
export const primeBus = (): Promise<unknown> => eventbridge.putEvents({ Entries: [] });

/**
 * Puts events on the stage's bus in their order, each with its type and its detail. Throws when the bus does not take them by `deadline` (Unix
 * time in milliseconds), also after it was tried again.
 */
export async function putEvents(events: { type: string; detail: object }[], deadline = Number.POSITIVE_INFINITY) {
  const event = { EventBusName, Source: 'org-connections' };
  const entries = events.map(({ type, detail }) => ({ ...event, DetailType: type, Detail: JSON.stringify(detail) }));
  for (const part of inCalls(entries)) await putEntries(part, deadline);
}

/** An entry's bytes, with some to spare for its time ("Calculating PutEvents event entry size", EventBridge user guide). */
const bytesOf = ({ Source = '', DetailType = '', Detail = '' }: PutEventsRequestEntry) =>
  Buffer.byteLength(Source + DetailType + Detail) + 100;

/** Entries by calls, in their order: as many together as have room in one. One that has none is refused, and goes alone. */
function inCalls(entries: PutEventsRequestEntry[]): PutEventsRequestEntry[][] {
  const calls: PutEventsRequestEntry[][] = [];
  let room = 0;
  for (const entry of entries) {
    room -= bytesOf(entry);
    if (room < 0 || calls.at(-1)?.length === MAX_ENTRIES) {
      calls.push([]);
      room = MAX_BYTES - bytesOf(entry);
    }
    calls.at(-1)?.push(entry);
  }
  return calls;
}

/**
 * Puts entries in one call. Throttling and internal failures are reported per entry: from the first that was rejected on they are put
 * again, some of them twice, so that none overtakes another.
 */
async function putEntries(entries: PutEventsRequestEntry[], deadline: number, attempts = 1): Promise<void> {
  if (Date.now() >= deadline) throw new Error('The event bus did not take all events in time');
  const { Entries = [] } = await eventbridge.putEvents({ Entries: entries });
  const first = entries.findIndex((_, index) => !Entries[index]?.EventId);
  if (first < 0) return;
  if (attempts >= MAX_ATTEMPTS) {
    const { ErrorCode = 'no entry' } = Entries.find(({ EventId }) => !EventId) ?? {};
    throw new Error(`The event bus rejected the event: ${ErrorCode}`);
  }
  await sleep(backoff(attempts, 100, 1000));
  await putEntries(entries.slice(first), deadline, attempts + 1);
}
