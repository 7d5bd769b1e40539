import { sendSessionsDue } from '../../sessions/queue.ts';
import { sendDeadLetter } from './dead-letter-queue.ts';
import type { Performer } from './shell.ts';

/** Performs the effects of the queues that the worker alone asks for. */
export const WORKER_QUEUE_EFFECTS = {
  sendDeadLetter: async ({ body, priority, reason }) => {
    await sendDeadLetter(JSON.stringify(body), priority, reason);
    return undefined;
  },
  sendSessionsDue: async (about) => {
    await sendSessionsDue(about);
    return undefined;
  },
} satisfies Performer;
