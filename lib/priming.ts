import { withDeadline } from './deadline.ts';

/** No function's start waits longer for its priming, milliseconds: Lambda gives a start ten seconds in all. */
export const PRIMING_MS = 2000;

/**
 * Waits for what a first request would have to do, while the function loads: Lambda gives a function a whole core then, and its share
 * of one afterwards ("Lambda execution environment lifecycle", Lambda developer guide). Never rejects, and never waits for longer than
 * two seconds: whatever went wrong, the first request does itself, and says so. To be awaited at a module's top level, for what is
 * pending when a start has ended may be frozen for hours.
 */
export async function prime(...works: Promise<unknown>[]): Promise<void> {
  const late = () => new Error('Priming took too long');
  await withDeadline(Date.now() + PRIMING_MS, Promise.allSettled(works), late).catch(() => undefined);
}
