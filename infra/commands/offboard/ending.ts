// How the command ends: 0 all as planned, 1 something failed or watching ended early, 2 nothing was started.
import { printError } from './terminal.ts';

/** Bad input, or a no: one plain sentence, and nothing was started. */
export class Refusal extends Error {}

/** Something failed, or may have been started: one plain sentence. */
export class Failure extends Error {}

interface Interruption {
  /** What Ctrl-C says. */
  words: () => string;
  exitStatus: 1 | 2;
  /** What has to be undone first; its time is limited. */
  cleanUp?: () => Promise<void>;
}

const CLEAN_UP_WITHIN_MS = 10_000;
let current: Interruption = { words: () => 'Stopped. Nothing was started.', exitStatus: 2 };

/**
 * What Ctrl-C does from now on. The exit status also holds where the process ends by itself while it waits, as Node does when the
 * input of a prompt has ended.
 */
export function onInterrupt(interruption: Interruption): void {
  current = interruption;
  process.exitCode = interruption.exitStatus;
}

/** From now on Ctrl-C says what it has stopped, and what it has not. A second Ctrl-C waits for nothing. */
export function handleInterrupts(): void {
  onInterrupt(current);
  let isEnding = false;
  const end = async () => {
    const { words, exitStatus, cleanUp } = current;
    if (isEnding) process.exit(exitStatus);
    isEnding = true;
    if (cleanUp) {
      const limit = new Promise<void>((resolve) => setTimeout(resolve, CLEAN_UP_WITHIN_MS));
      await Promise.race([cleanUp().catch(() => {}), limit]);
    }
    printError(`\n${words()}`);
    process.exit(exitStatus);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  // The reader of the output has gone (`| head`): that ends the command as Ctrl-C does.
  process.stdout.on('error', end);
  // The terminal itself has gone: there is nobody left to tell.
  process.stderr.on('error', () => process.exit(current.exitStatus));
}
