import { sendDeadLetter, sendDue } from './offboarding-queue.ts';
import { sendSessionsDue } from '../../sessions/queue.ts';
import type { Performer } from './shell.ts';

/** Performs the effects of the queues. */
export const DUE_EFFECTS = {
  sendDue: async ({ notices }) => {
    await sendDue(notices);
    return undefined;
  },
} satisfies Performer;

/** Those of the worker alone. */
export const QUEUE_EFFECTS = {
  ...DUE_EFFECTS,
  sendDeadLetter: async ({ body, priority, reason }) => {
    await sendDeadLetter(JSON.stringify(body), priority, reason);
    return undefined;
  },
  sendSessionsDue: async (about) => {
    await sendSessionsDue(about);
    return undefined;
  },
} satisfies Performer;
