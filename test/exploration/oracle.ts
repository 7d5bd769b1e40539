import { answersAreTrue } from './oracle/answers.ts';
import type { Check, StepCheck } from './oracle/check.ts';
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

const firstOf = (checks: StepCheck[], world: World, scenario: Scenario, before: World) => {
  for (const check of checks) {
    const what = check(world, scenario, before);
    if (what) return what;
  }
  return undefined;
};

const SHOWN = [
  ...[eventsAreTrue, answersAreTrue, nothingTwice, nothingWaits],
  ...[duesAreRight, dispatchIsTold, versionsAreNew, recordsAreStored],
];
const { recordsStay, lettersFirst, sessionsStop, nothingOverdue, leaseIsKept, messagesComeBack } = steps;
const KEPT = [recordsStay, lettersFirst, sessionsStop, nothingOverdue, leaseIsKept, messagesComeBack];

/** What must hold in every step; a sentence where it does not. */
export function checkStep(before: World, after: World, scenario: Scenario): string | undefined {
  for (const change of after.story.changes) {
    const what = steps.checkChange(change, before);
    if (what) return what;
  }
  const wrong = firstOf(SHOWN, after, scenario, before);
  if (wrong) return wrong;
  const answer = after.story.cancelled[before.story.cancelled.length];
  if (answer?.status === 200) return steps.nothingLeftToEnable(after, answer, scenario);
  if (answer?.status === 404) return steps.nothingWasThere(after, answer, scenario);
  return firstOf(KEPT, after, scenario, before);
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
    world,
  );
