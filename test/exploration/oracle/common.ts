import type { Scenario } from '../scenarios.ts';
import type { Accepted, Story } from '../story.ts';
import type { World } from '../world.ts';

// What every page of the oracle asks. None of them imports anything of lib/: where the rules and the oracle disagree, one of them is
// wrong.

/** A sentence where something does not hold. */
export type Check = (world: World, scenario: Scenario) => string | undefined;

export const PENDING = ['requested', 'working', 'removing', 'cancelling', 'scheduled'];

export const statusIn = ({ items }: World, id: string) =>
  Object.values(items).flatMap(({ requests }) => requests.filter((one) => one.offboarding_id === id))[0]?.status ?? '';

/** A member of a batch that found no room: it has a record alone, and was never accepted. */
export const isTurnedAway = ({ batch_id, error }: World['records'][string]): boolean =>
  batch_id !== undefined && error?.code === 'conflict';
export const statusOf = ({ records }: World, id: string) => records[id]?.status ?? '';
/** Whether somebody asked for the cancellation of a request, or may have. */
export const isCovered = ({ cancelled }: Story, id: string) =>
  cancelled.some(
    ({ before, begun, status }) => (before.includes(id) || begun.includes(id)) && ![409, 503].includes(status),
  );
export const names = ({ ids }: Accepted, connection: string) => ids?.includes(connection) ?? true;

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
