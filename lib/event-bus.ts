import { type EventBridgeClient, PutEventsCommand, type PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { chunksOf, inParallel } from './concurrency.ts';
import { backoff, sleep } from './deadline.ts';

const TRIES = 4;
/** What PutEvents takes in one call. */
const MAX_ENTRIES = 10;
const CALLS_AT_ONCE = 10;

/** The stage's own bus. */
export function createEventBus(name: string, client: EventBridgeClient) {
  /** Puts entries in one call, and again those that were refused: throttling and internal failures are reported per entry. */
  async function putEntries(entries: PutEventsRequestEntry[]): Promise<void> {
    let left = entries;
    for (let tries = 1; ; tries++) {
      const { Entries = [] } = await client.send(new PutEventsCommand({ Entries: left }));
      const refused = Entries.find(({ EventId }) => !EventId);
      left = left.filter((_, index) => !Entries[index]?.EventId);
      if (left.length === 0) return;
      if (tries >= TRIES)
        throw new Error(`The event bus refused the event: ${refused?.ErrorCode ?? 'no entry in its answer'}`);
      await sleep(backoff(tries, 100, 1000));
    }
  }

  return {
    /** Puts one event of `detailType` on the bus for each detail. Throws when the bus does not take them, also after it was tried again. */
    async put(detailType: string, details: object[]): Promise<void> {
      const entries = details.map((detail) => ({
        EventBusName: name,
        Source: 'org-connections',
        DetailType: detailType,
        Detail: JSON.stringify(detail),
      }));
      await inParallel(chunksOf(entries, MAX_ENTRIES), CALLS_AT_ONCE, putEntries);
    },
  };
}

export type EventBus = ReturnType<typeof createEventBus>;
