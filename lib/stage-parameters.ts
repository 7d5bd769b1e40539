import { addDuration } from './duration.ts';
import type { Stage } from './offboarding/model/stage.ts';

/** The stage's durations, by environment variable, and what they are where it is not set. */
const DURATIONS = {
  DEFAULT_GRACE_PERIOD: 'P30D',
  MINIMUM_GRACE_PERIOD: 'P1D',
  REMOVAL_NOTICE: 'P3D',
  GIVE_UP_AFTER: 'P7D',
  WATCH_INTERVAL: 'P1D',
  WATCH_FOR: 'P400D',
};

/** The stage's duration `name`. Throws with its name where it is not one, so that a function that is set up wrongly fails at its start. */
function durationOf(name: keyof typeof DURATIONS): string {
  const duration = process.env[name] || DURATIONS[name];
  if (!addDuration(new Date(0), duration)) throw new Error(`Environment variable ${name} is not an ISO 8601 duration`);
  return duration;
}

/** What the stage's parameters say, from the environment of the function. */
export const STAGE: Stage = {
  defaultGracePeriod: durationOf('DEFAULT_GRACE_PERIOD'),
  minimumGracePeriod: durationOf('MINIMUM_GRACE_PERIOD'),
  removalNotice: durationOf('REMOVAL_NOTICE'),
  giveUpAfter: durationOf('GIVE_UP_AFTER'),
  watchInterval: durationOf('WATCH_INTERVAL'),
  watchFor: durationOf('WATCH_FOR'),
  canEndSessions: Boolean(process.env.SESSION_QUEUE_URL),
  canEndMachineAccess: process.env.MACHINE_ACCESS === 'true',
};

/** What the stage says that it does not do. The functions that accept requests refuse it at once; all else is the worker's to decide. */
export const REFUSED = {
  endSessions: process.env.END_SESSIONS === 'false',
  endMachineAccess: process.env.MACHINE_ACCESS === 'false',
};
