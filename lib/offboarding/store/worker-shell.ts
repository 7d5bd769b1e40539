import { putEvents } from '../../aws/event-bus.ts';
import type { Log } from '../../log.ts';
import { sendSessionsDue } from '../../sessions/queue.ts';
import type { OutgoingEvent } from '../model/effects.ts';
import { FIGHT } from '../rules/drift.ts';
import { sendDeadLetter } from './dead-letter-queue.ts';
import { scheduleNotice } from './removal-schedule.ts';
import type { Performer } from './shell.ts';

/** Performs the effects that the worker alone asks for. What is published stands in the log, too, as does a dead letter's reason. */
export const workerEffects = (log: Log) =>
  ({
    publish: async ({ events }) => {
      await putEvents(events.map(({ event, detail }) => ({ type: `organization.offboarding.${event}`, detail })));
      for (const one of events) logEvent(one, log);
    },
    scheduleRemoval: ({ organization_id, at }) => scheduleNotice(organization_id, at),
    sendDeadLetter: async ({ body, priority, reason }) => {
      await sendDeadLetter(JSON.stringify(body), priority, reason);
      log.error('offboarding_dead_lettered', { reason });
    },
    sendSessionsDue,
  }) satisfies Performer;

/** An event in the log and as a metric. A failure that nobody asked for is an error; a dry run is nobody's alarm. */
function logEvent({ event, detail }: OutgoingEvent, log: Log): void {
  const isDryRun = detail.dry_run === true;
  const level = event === 'failed' && !isDryRun ? 'ERROR' : event === 'drifted' ? 'WARN' : 'INFO';
  const metrics = isDryRun ? {} : { Offboardings: 1 };
  log.metrics(`offboarding_${event}`, metrics, { detail }, ['outcome', event], level);
  if (event === 'drifted' && JSON.stringify(detail).includes(`"code":"${FIGHT.code}"`))
    log.metrics('reenabled_repeatedly', { ReenabledRepeatedly: 1 }, {}, undefined, 'ERROR');
  if (event === 'sessions_ended' && detail.error)
    log.metrics('sessions_not_ended', { SessionsNotEnded: 1 }, { error: detail.error }, undefined, 'ERROR');
}
