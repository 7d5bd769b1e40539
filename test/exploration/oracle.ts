import { answersAreTrue } from './oracle/answers.ts';
import type { Check } from './oracle/check.ts';
import { dispatchIsTold, duesAreRight } from './oracle/due.ts';
import { nothingTwice, nothingWaits } from './oracle/efforts.ts';
import { eventsAreTrue, toldInOrder } from './oracle/events.ts';
import { outcomesAreTrue } from './oracle/outcomes.ts';
import { datesAreRight, recordsShow } from './oracle/records.ts';
import * as rest from './oracle/rest.ts';
import { sessionsAreEnded } from './oracle/sessions.ts';
import * as steps from './oracle/steps.ts';
import { recordsAreStored, versionsAreNew } from './oracle/stored.ts';
import { driftIsFound, watchIsKept } from './oracle/watch.ts';
import type { Scenario } from './scenarios.ts';
import type { World } from './world.ts';

// What must hold, in a few sentences, from what callers were answered and what Auth0, the events and the records show. It imports
// nothing of lib/: where the rules and these pages disagree, one of them is wrong.

const firstOf = (checks: Check[], world: World, scenario: Scenario) => {
  for (const check of checks) {
    const what = check(world, scenario);
    if (what) return what;
  }
  return undefined;
};

/** What must hold in every step; a sentence where it does not. */
export function checkStep(before: World, after: World, scenario: Scenario): string | undefined {
  for (const change of after.story.changes) {
    const what = steps.checkChange(change, before);
    if (what) return what;
  }
  const told = firstOf(
    [
      ...[eventsAreTrue, answersAreTrue(before), nothingTwice(before), nothingWaits(before)],
      ...[duesAreRight(before), dispatchIsTold, versionsAreNew(before), recordsAreStored(before)],
    ],
    after,
    scenario,
  );
  if (told) return told;
  const answer = after.story.cancelled[before.story.cancelled.length];
  if (answer?.status === 200) return steps.nothingLeftToEnable(after, answer, scenario);
  if (answer?.status === 404) return steps.nothingWasThere(after, answer, scenario);
  const { recordsStay, lettersFirst, sessionsStop, nothingOverdue, leaseIsKept, messagesComeBack } = steps;
  return firstOf(
    [recordsStay(before), lettersFirst, sessionsStop, nothingOverdue, leaseIsKept, messagesComeBack],
    after,
    scenario,
  );
}

const { openWork, endedOnce, nothingOfTheRejected, cancelledIsOver, asAskedFor, givenBack } = rest;
const { lastOneDecides, settingsAreKept, currentIsKnown } = rest;

/** What must hold when nothing is left that could happen. */
export const checkRest: Check = (world, scenario) =>
  firstOf(
    [
      ...[openWork, endedOnce, nothingOfTheRejected, cancelledIsOver, asAskedFor, givenBack, toldInOrder],
      ...[lastOneDecides, settingsAreKept, driftIsFound, sessionsAreEnded],
      ...[recordsShow, datesAreRight, outcomesAreTrue, watchIsKept, currentIsKnown],
    ],
    world,
    scenario,
  );
