import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { sleep } from './deadline.ts';
import type { Outcome, RequestOrigin } from './offboarding.ts';
import { backoff } from './rate-limit.ts';

const TRIES = 4;

/** Detail of an outcome event: `organization.offboarding.completed`, `.scheduled`, `.cancelled` or `.failed`. */
export interface OutcomeDetail {
  organization_id: string | null;
  action: string | null;
  requested_by: string | null;
  reason: string | null;
  request: RequestOrigin | null;
  dry_run: boolean;
  removal_due_at?: string;
  correlation_id?: string;
  /** Why nothing could be done at all. */
  error?: { code: string; message: string };
  connections: Outcome[];
}

/** The stage's own bus. */
export function createEventBus(name: string, client: EventBridgeClient) {
  /** Puts one event on the bus; returns its id. Throws when the bus does not take it, also after it was tried again. */
  async function put(detailType: string, detail: object): Promise<string> {
    const entry = {
      EventBusName: name,
      Source: 'org-connections',
      DetailType: detailType,
      Detail: JSON.stringify(detail),
    };
    for (let tries = 1; ; tries++) {
      const { Entries } = await client.send(new PutEventsCommand({ Entries: [entry] }));
      const result = Entries?.[0];
      if (result?.EventId) return result.EventId;
      // PutEvents succeeds as a call and refuses single entries: throttling and internal failures are reported there.
      if (tries >= TRIES)
        throw new Error(`The event bus refused the event: ${result?.ErrorCode ?? 'no entry in its answer'}`);
      await sleep(backoff(tries, 100, 1000));
    }
  }

  return {
    put,
    announce: (outcome: 'completed' | 'scheduled' | 'cancelled' | 'failed', detail: OutcomeDetail) =>
      put(`organization.offboarding.${outcome}`, detail),
  };
}

export type EventBus = ReturnType<typeof createEventBus>;
