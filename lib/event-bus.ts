import { EventBridgeClient, PutEventsCommand, type PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import pMap from 'p-map';
import { backoff, sleep } from './deadline.ts';
import { AWS_CLIENT, required } from './environment.ts';
import { chunksOf } from './json.ts';

const EventBusName = required('EVENT_BUS_NAME');
const client = new EventBridgeClient(AWS_CLIENT);

const TRIES = 4;
/** What PutEvents takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

/** Puts one event of `detailType` on the stage's bus for each detail. Throws when the bus does not take them, also after it was tried again. */
export async function putEvents(DetailType: string, details: object[]): Promise<void> {
  const event = { EventBusName, Source: 'org-connections', DetailType };
  const entries = details.map((detail) => ({ ...event, Detail: JSON.stringify(detail) }));
  await pMap(chunksOf(entries, MAX_ENTRIES), putEntries, { concurrency: CALLS_AT_ONCE });
}

/** Puts entries in one call, and again those that were refused: throttling and internal failures are reported per entry. */
async function putEntries(entries: PutEventsRequestEntry[]): Promise<void> {
  let left = entries;
  for (let tries = 1; ; tries++) {
    const { Entries = [] } = await client.send(new PutEventsCommand({ Entries: left }));
    const refused = Entries.find(({ EventId }) => !EventId);
    left = left.filter((_, index) => !Entries[index]?.EventId);
    if (left.length === 0) return;
    if (tries >= TRIES) throw new Error(`The event bus refused the event: ${refused?.ErrorCode ?? 'no entry'}`);
    await sleep(backoff(tries, 100, 1000));
  }
}
