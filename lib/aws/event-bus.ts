import { EventBridgeClient, PutEventsCommand, type PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import pMap from 'p-map';
import { backoff, sleep } from '../deadline.ts';
import { required } from '../environment.ts';
import { chunksOf } from '../json.ts';
import { AWS_CLIENT } from './clients.ts';

const EventBusName = required('EVENT_BUS_NAME');
const client = new EventBridgeClient(AWS_CLIENT);

const MAX_ATTEMPTS = 4;
/** What PutEvents takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

/** For priming: a call without an event, which EventBridge refuses (API reference, PutEvents: at least one entry). */
export const primeBus = (): Promise<unknown> => client.send(new PutEventsCommand({ Entries: [] }));

/**
 * Puts events on the stage's bus, each with its type and its detail. Throws when the bus does not take them by `deadline` (Unix
 * time in milliseconds), also after it was tried again.
 */
export async function putEvents(events: { type: string; detail: object }[], deadline = Number.POSITIVE_INFINITY) {
  const event = { EventBusName, Source: 'org-connections' };
  const entries = events.map(({ type, detail }) => ({ ...event, DetailType: type, Detail: JSON.stringify(detail) }));
  const chunks = chunksOf(entries, MAX_ENTRIES);
  await pMap(chunks, (chunk) => putEntries(chunk, deadline), { concurrency: CALLS_AT_ONCE });
}

/**
 * Puts entries in one call. Throttling and internal failures are reported per entry: from the first that was rejected on they are put
 * again, some of them twice, so that none overtakes another.
 */
async function putEntries(entries: PutEventsRequestEntry[], deadline: number, attempts = 1): Promise<void> {
  if (Date.now() >= deadline) throw new Error('The event bus did not take all events in time');
  const { Entries = [] } = await client.send(new PutEventsCommand({ Entries: entries }));
  const first = entries.findIndex((_, index) => !Entries[index]?.EventId);
  if (first < 0) return;
  if (attempts >= MAX_ATTEMPTS) {
    const { ErrorCode = 'no entry' } = Entries.find(({ EventId }) => !EventId) ?? {};
    throw new Error(`The event bus rejected the event: ${ErrorCode}`);
  }
  await sleep(backoff(attempts, 100, 1000));
  await putEntries(entries.slice(first), deadline, attempts + 1);
}
