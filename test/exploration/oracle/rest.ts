import type { Check } from './check.ts';
import { msOf } from './events.ts';
import { canHaveFailed } from './faults.ts';
import { isCovered, isTurnedAway, names, statusOf } from './standing.ts';

// What must hold when nothing is left that could happen.

/** Nothing is left lying: no status in between, no event, no record that is out of date. */
export const openWork: Check = ({ items, connections, story }) => {
  for (const { organization_id, requests, outbox, ledger } of Object.values(items)) {
    const isGone = (id: string) => !connections[organization_id]?.some((one) => one.id === id);
    const left = ledger.find(
      ({ kind, added, id }) =>
        kind === 'connection' && added && isGone(id) && story.touched.some((one) => one.id === id && one.isOver),
    );
    if (left) return `${left.id} was new once and is gone, and stays in the organization's item`;
    const pending = requests.find(({ status }) => ['requested', 'working', 'removing', 'cancelling'].includes(status));
    if (pending) return `${pending.offboarding_id} stays ${pending.status} for ever`;
    if (outbox.length > 0) return `${outbox[0]?.event} of ${outbox[0]?.offboarding_id} is never published`;
    const old = requests.find(({ is_unrecorded }) => is_unrecorded);
    if (old) return `The record of ${old.offboarding_id} stays out of date`;
    const over = requests.find(({ status }) => status === 'cancelled');
    if (over) return `${over.offboarding_id} is over, and stays in the organization's item`;
    const intent = ledger.find((one) => one.intent && !one.drifted_at);
    if (intent) return `What was planned for ${intent.id} is never done`;
  }
  return undefined;
};

/** Every request that was accepted has a record with an end, or waits for its date. */
export const endedOnce: Check = (world, scenario) => {
  const mayFail = canHaveFailed(world, scenario);
  for (const [id, { isMaybe, time, at }] of Object.entries(world.story.accepted)) {
    const status = statusOf(world, id);
    const isOld = time !== undefined && at - time > msOf(scenario.stage.giveUpAfter);
    if (isOld && status) return `${id} was too old, and is ${status}`;
    if (!status && !isMaybe && !isOld && !mayFail) return `${id} was accepted, and has no record`;
    if (isMaybe && !status) continue;
    // An event that is refused has its dead letter, and no record.
    if (!status && time !== undefined && world.story.letters.includes(id)) continue;
    if (!['completed', 'failed', 'cancelled', 'superseded', 'scheduled'].includes(status))
      return `${id} was accepted and ends as "${status}"`;
  }
  return undefined;
};

export const nothingOfTheRejected: Check = ({ story, records }) => {
  const carriedOut = story.rejected.find((id) => !story.accepted[id] && records[id]);
  return carriedOut && `${carriedOut} was rejected and was carried out`;
};

/** What a cancellation covered neither waits for its removal nor is watched. */
export const cancelledIsOver: Check = ({ story, records }) => {
  // A batch's cancellation leaves alone what is completed.
  for (const { before } of story.cancelled.filter(
    ({ status, isBatch }) => !isBatch && (status === 200 || status === 202),
  ))
    for (const id of before) {
      const { status, watch, dry_run } = records[id] ?? {};
      if (!dry_run && (status === 'scheduled' || watch === 'on')) return `${id} was cancelled, and is ${status}`;
    }
  return undefined;
};

/** What was carried out shows in Auth0; a request that nobody cancelled was carried out. */
export const asAskedFor: Check = (world, scenario) => {
  const { connections, grants } = scenario;
  const mayFail = canHaveFailed(world, scenario);
  const { story } = world;
  for (const [id, one] of Object.entries(story.accepted)) {
    const own = statusOf(world, id);
    // What another one took over, it carries out.
    const status = own === 'superseded' ? statusOf(world, world.records[id]?.superseded_by ?? '') : own;
    const isCancelled = isCovered(story, id);
    if (own === 'cancelled' && !isCancelled) return `${id} was cancelled, and nobody asked for that`;
    if (status === 'failed' && !mayFail) return `${id} failed, and Auth0 refused nothing`;
    // A cancellation gives back to all that were requested before it.
    if (one.isDryRun || isCancelled || !['completed', 'scheduled'].includes(status)) continue;
    for (const connection of connections[one.organization] ?? []) {
      if (!names(one, connection.id) || story.touched.some((by) => by.id === connection.id)) continue;
      const now = world.connections[one.organization]?.find((known) => known.id === connection.id);
      if (status === 'completed' && one.action !== 'disable' && now)
        return `${id} is completed and ${connection.id} is still there`;
      if (now?.isEnabled) return `${id} is ${status} and ${connection.id} is enabled`;
    }
    const isLeft = (known: string) =>
      world.grants[one.organization]?.includes(known) && !story.touched.some((by) => by.id === known);
    const grant = one.endsMachines && grants.find(isLeft);
    if (grant) return `${id} is ${status} and ${grant} is still there`;
  }
  return undefined;
};

/** Nothing stays disabled by us that no offboarding can give back, or wants disabled; and what is given back is as it was. */
export const givenBack: Check = (world, { connections, grants }) => {
  const wants = (organization: string, id: string, isGrant = false) =>
    Object.entries(world.story.accepted).some(([known, one]) => {
      const own = world.records[known];
      const record = own?.status === 'superseded' ? world.records[own.superseded_by ?? ''] : own;
      if (one.isDryRun || one.organization !== organization || (isGrant ? !one.endsMachines : !names(one, id)))
        return false;
      if (record?.status !== 'failed') return record?.status === 'completed' || record?.status === 'scheduled';
      return isGrant || record.connections.some((shown) => shown.connection_id === id && shown.disabled_by_offboarding);
    });
  for (const [organization, all] of Object.entries(connections))
    for (const { id, isEnabled, level } of all) {
      const now = world.connections[organization]?.find((one) => one.id === id);
      if (wants(organization, id)) continue;
      const isTouched = world.story.touched.some((one) => one.id === id);
      if (isEnabled && now && !now.isEnabled && !isTouched)
        return `${id} is disabled, and no offboarding can give it back`;
      if (isEnabled && now && now.level !== level) return `${id} is enabled and its level was not given back`;
    }
  const grant = grants.find((one) => !world.grants.org_A?.includes(one) && !wants('org_A', one, true));
  return grant && `${grant} is gone, and no offboarding can give it back`;
};

/** Of several that disable now and remove later one at the most removes: the one that was requested last. */
export const lastOneDecides: Check = ({ records, story }) => {
  const pending = Object.values(records).filter(({ status }) => status === 'scheduled');
  if (new Set(pending.map(({ organization_id }) => organization_id)).size < pending.length)
    return 'Two removals of one organization are pending';
  for (const [id, { superseded_by }] of Object.entries(records)) {
    const [by, own] = [story.accepted[superseded_by ?? ''], story.accepted[id]];
    if (by && own && !own.time && !by.time && own.after.includes(superseded_by ?? ''))
      return `${id} was requested after ${superseded_by}, and is superseded by it`;
  }
  return undefined;
};

/** A record shows the settings from before the first of the pending offboardings. */
export const settingsAreKept: Check = ({ records, story }, { connections }) => {
  const isFirst = (id: string) =>
    !Object.values(records).some(({ offboarding_id, status }) => offboarding_id !== id && status === 'completed');
  for (const { connections: shown, organization_id, offboarding_id } of Object.values(records).filter(
    ({ offboarding_id: id }) => isFirst(id),
  ))
    for (const { connection_id, before } of shown) {
      const known = connections[organization_id]?.find(({ id }) => id === connection_id);
      const isTouched = story.touched.some(({ id }) => id === connection_id);
      if (known && before && !isTouched && before.organization_access_level !== known.level)
        return `${offboarding_id} shows settings of ${connection_id} that are not those from before`;
    }
  return undefined;
};

/** The newest offboarding that was carried out is the organization's current one. */
export const currentIsKnown: Check = ({ items, records }) => {
  for (const [organization, { requests, current }] of Object.entries(items)) {
    const ended = Object.values(records).filter(
      (one) =>
        one.organization_id === organization &&
        !one.dry_run &&
        !isTurnedAway(one) &&
        ['completed', 'failed'].includes(one.status),
    );
    const newest = ended.sort((a, b) => (a.requested_at < b.requested_at ? -1 : 1)).at(-1);
    const known = [...requests, ...(current ? [current] : [])].map(({ offboarding_id }) => offboarding_id);
    if (newest && !known.includes(newest.offboarding_id)) return `${newest.offboarding_id} is forgotten`;
    if (current && !ended.some((one) => one.offboarding_id === current.offboarding_id))
      return `${current.offboarding_id} is current, and was not carried out`;
  }
  return undefined;
};
