import type { Log } from '../../log.ts';
import { sendSessionsDue } from '../../sessions/queue.ts';
import { sendDeadLetter } from './dead-letter-queue.ts';
import type { Performer } from './shell.ts';

/** Performs the effects of the queues that the worker alone asks for. A dead letter has its reason in the log. */
export const workerQueueEffects = (log: Log) =>
  ({
    sendDeadLetter: async ({ body, priority, reason }) => {
      await sendDeadLetter(JSON.stringify(body), priority, reason);
      log.error('offboarding_dead_lettered', { reason });
      return undefined;
    },
    sendSessionsDue: async (about) => {
      await sendSessionsDue(about);
      return undefined;
    },
  }) satisfies Performer;
