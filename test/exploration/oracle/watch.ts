import type { Story } from '../story.ts';
import type { Check } from './check.ts';
import { msOf } from './events.ts';
import { isFaultless } from './faults.ts';
import { isAct } from './records.ts';
import { isCovered, names } from './standing.ts';

// What is watched after an offboarding, until when, and what is found.

/** What somebody enables while an offboarding is watched is reported, and disabled again where that was asked for. */
export const driftIsFound: Check = (world, { script, connections }) => {
  // A change that Auth0 carries out late may disable it again by itself.
  if (
    world.story.checks < script.filter(({ label }) => label.startsWith('notification')).length ||
    world.met.includes('repeated')
  )
    return undefined;
  for (const { id, isOver } of world.story.touched)
    for (const [known, one] of Object.entries(world.story.accepted)) {
      if (world.story.checks === 0) continue;
      const isGrant = id.startsWith('cgr');
      if (world.records[known]?.watch !== 'on' || (isGrant ? !one.endsMachines : !names(one, id))) continue;
      const now = world.connections[one.organization]?.find((connection) => connection.id === id);
      // It was there before, and was removed and not enabled.
      const wasThere = connections[one.organization]?.some((connection) => connection.id === id);
      if (isOver && wasThere && !now) continue;
      const isLeft = isGrant ? world.grants[one.organization]?.includes(id) : now?.isEnabled;
      if (!world.story.events.some(({ event, about }) => event === 'drifted' && about.includes(id)))
        return `${id} was enabled, and nobody was told`;
      if (one.disablesAgain && isLeft && !isFight(world.story, id) && !world.met.includes('refused'))
        return `${id} was enabled, and stays so`;
    }
  return undefined;
};

/** Somebody's tool works against us: after three times within a day it is left as it is. */
const isFight = ({ touched }: Story, id: string) => touched.filter((one) => one.id === id).length > 2;

const MOST_WATCHED = 10;

/** What has ended an organization's access is watched until its date or its cancellation, and the next check has a date. */
export const watchIsKept: Check = (world, scenario) => {
  const { records, items, story, now } = world;
  const { watchFor, watchInterval } = scenario.stage;
  for (const [id, record] of Object.entries(records)) {
    const { status, watch, watch_ended: act, ended_at = '', organization_id: organization, drift_count = 0 } = record;
    const isOver = Date.parse(ended_at) + msOf(watchFor) < now;
    const isWatched = !record.dry_run && (status === 'completed' || status === 'scheduled');
    if (isWatched && !watch) return `${id} is ${status}, and is not watched`;
    if (watch === 'on' && (isOver || record.dry_run)) return `${id} is watched for ever`;
    if (watch !== 'ended' && act) return `The watch of ${id} goes on, and has an end`;
    if (watch === 'ended' && !isAct(act, world)) return `The watch of ${id} ended, and nobody did it`;
    // So many are watched at a time.
    const isOfMany = Object.keys(records).length > MOST_WATCHED;
    if (watch === 'ended' && !isOver && !isOfMany && !isCovered(story, id)) return `The watch of ${id} ended early`;
    if (watch === 'ended' && !story.events.some((one) => one.event === 'watch_ended' && one.id === id))
      return `The watch of ${id} ended, and no event says so`;
    const drifts = story.events.filter((one) => one.event === 'drifted' && one.id === id).length;
    if (isFaultless(world, scenario) && drifts !== drift_count)
      return `${id} drifted ${drifts} times, and shows ${drift_count}`;
    const next = Date.parse(items[organization]?.next_drift_check_at ?? '');
    if (watch === 'on' && !(next > now - LATE_MS && next <= now + msOf(watchInterval) + LATE_MS))
      return `${id} is watched, and is compared next at ${items[organization]?.next_drift_check_at}`;
    const isCompared = watch === 'on' && story.checks > 0 && items[organization]?.last_drift_check_at === undefined;
    if (isCompared && isFaultless(world, scenario)) return `${id} was compared, and does not say when`;
  }
  return undefined;
};
const LATE_MS = 600_000;
