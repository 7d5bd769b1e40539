import { putEvents } from '../../aws/event-bus.ts';
import type { Log } from '../../log.ts';
import type { OutgoingEvent } from '../model/effects.ts';
import { FIGHT } from '../rules/drift.ts';
import { scheduleNotice } from './removal-schedule.ts';
import type { Performer } from './shell.ts';

/** An event as the bus names its type. */
export const typeOf = (event: string) => `organization.offboarding.${event}`;

/** Performs the effects of EventBridge and its Scheduler; what is published stands in the log, too. */
export const busEffects = (log: Log) =>
  ({
    publish: async ({ events }) => {
      await putEvents(events.map(({ event, detail }) => ({ type: typeOf(event), detail })));
      for (const one of events) logEvent(one, log);
      return undefined;
    },
    scheduleRemoval: async ({ organization_id, at }) => {
      await scheduleNotice(organization_id, at);
      return undefined;
    },
  }) satisfies Performer;

/** An event in the log and as a metric. A failure that nobody asked for is an error; a dry run is nobody's alarm. */
export function logEvent({ event, detail }: OutgoingEvent, log: Log): void {
  const isDryRun = detail.dry_run === true;
  const level = event === 'failed' && !isDryRun ? 'ERROR' : event === 'drifted' ? 'WARN' : 'INFO';
  const metrics = isDryRun ? {} : { Offboardings: 1 };
  log.metrics(`offboarding_${event}`, metrics, { detail }, ['outcome', event], level);
  if (event === 'drifted' && JSON.stringify(detail).includes(`"code":"${FIGHT.code}"`))
    log.metrics('reenabled_repeatedly', { ReenabledRepeatedly: 1 }, {}, undefined, 'ERROR');
  if (event === 'sessions_ended' && detail.error)
    log.metrics('sessions_not_ended', { SessionsNotEnded: 1 }, { error: detail.error }, undefined, 'ERROR');
}
