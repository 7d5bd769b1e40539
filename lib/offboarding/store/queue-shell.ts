import { sendDue } from './offboarding-queue.ts';
import type { Performer } from './shell.ts';

/** Performs the one effect of the offboarding queue that many functions ask for. */
export const DUE_EFFECTS = {
  sendDue: ({ notices }) => sendDue(notices),
} satisfies Performer;
