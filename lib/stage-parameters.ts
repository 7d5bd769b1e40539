import { addDuration } from './duration.ts';
import type { Stage } from './offboarding/model/stage.ts';

/** The duration in the variable `name`, or `usual`. Throws with its name where it is not one: a function that is set up wrongly fails at its start. */
function durationOf(name: string, usual: string): string {
  const duration = process.env[name] || usual;
  if (!addDuration(new Date(0), duration)) throw new Error(`Environment variable ${name} is not an ISO 8601 duration`);
  return duration;
}

/** What the stage's parameters say, from the environment of the function. */
export const STAGE: Stage = {
  defaultGracePeriod: durationOf('DEFAULT_GRACE_PERIOD', 'P30D'),
  minimumGracePeriod: durationOf('MINIMUM_GRACE_PERIOD', 'P1D'),
  removalNotice: durationOf('REMOVAL_NOTICE', 'P3D'),
  giveUpAfter: durationOf('GIVE_UP_AFTER', 'P7D'),
  watchInterval: durationOf('WATCH_INTERVAL', 'P1D'),
  watchFor: durationOf('WATCH_FOR', 'P400D'),
  canEndSessions: Boolean(process.env.SESSION_QUEUE_URL),
  canEndMachineAccess: process.env.MACHINE_ACCESS === 'true',
};

/** What the stage says that it does not do. The functions that accept requests refuse it at once; all else is the worker's to decide. */
export const REFUSED = {
  endSessions: process.env.END_SESSIONS === 'false',
  endMachineAccess: process.env.MACHINE_ACCESS === 'false',
};
