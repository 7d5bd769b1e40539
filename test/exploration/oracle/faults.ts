import type { Scenario } from '../scenarios.ts';
import type { World } from '../world.ts';

// What went wrong in a world, as far as it excuses anything.

/** What ends a request as failed: a definite refusal. */
const REFUSALS = ['refused', 'conflict', 'refused list', 'rejected item'];

/** Whether something may have failed for good. */
export const canHaveFailed = ({ met }: World, { mayFail }: Scenario): boolean =>
  mayFail || met.some((fault) => REFUSALS.includes(fault));

/** Whether nothing has gone wrong so far: no fault, and no clock that differs. */
export const isFaultless = ({ faults }: World, { world: start, skews, workers }: Scenario): boolean =>
  workers === 1 &&
  Object.keys(skews).length === 0 &&
  Object.entries(start.faults).every(([fault, times]) => faults[fault as keyof typeof faults] === times);
