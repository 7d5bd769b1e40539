import type { Scenario } from '../scenarios.ts';
import type { World } from '../world.ts';

// None of the oracle's pages imports anything of lib/: where the rules and the oracle disagree, one of them is wrong.

/** A sentence where something does not hold. */
export type Check = (world: World, scenario: Scenario) => string | undefined;

/** The same for a step; `before`: the world before it. */
export type StepCheck = (world: World, scenario: Scenario, before: World) => string | undefined;
