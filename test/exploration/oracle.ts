import type { Scenario } from './scenarios.ts';
import type { World } from './world.ts';

// What must hold, in a few sentences, from what callers were answered and what Auth0 and the records show. It imports nothing of
// lib/: where the rules and this page disagree, one of them is wrong.

type Accepted = World['story']['accepted'][string];

/** What must hold in every step; a sentence where it does not. */
export function checkStep(before: World, after: World, scenario: Scenario): string | undefined {
  for (const change of after.story.changes) {
    const cancelled = before.story.cancelled.filter((one) => one.organization === change.organization && one.status === 200);
    const last = cancelled.at(-1);
    if (!last || change.goal === 'enabled') continue;
    const isLater = ([id, one]: [string, Accepted]) => one.organization === change.organization && !last.before.includes(id);
    const isSomebodyElses = Object.entries(before.story.accepted).some(isLater) || scenario.isUncovered?.(before) === true;
    if (!isSomebodyElses) return `Auth0 carried out "${change.goal} ${change.id}" after a cancellation was answered 200`;
  }
  for (const [id, record] of Object.entries(after.records)) {
    const known = before.records[id];
    const isFinal = ['completed', 'cancelled'].includes(known?.status ?? '');
    if (known && isFinal && record.status !== known.status) return `The record of ${id} was ${known.status} and is ${record.status}`;
  }
  return undefined;
}

/** What must hold when nothing is left that could happen. */
export function checkRest(world: World, scenario: Scenario): string | undefined {
  const checks = [openWork, endedOnce, nothingOfTheRejected, asAskedFor, givenBack, toldInOrder, noDoubleDates];
  for (const check of checks) {
    const what = check(world, scenario);
    if (what) return what;
  }
  return undefined;
}

const statusOf = (world: World, id: string) => world.records[id]?.status;

/** Nothing is left lying: no lease, no event, no request on its way. */
function openWork(world: World): string | undefined {
  for (const item of Object.values(world.items)) {
    const pending = item.requests.find(({ status }) => ['requested', 'working', 'removing', 'cancelling'].includes(status));
    if (pending) return `${pending.offboarding_id} stays ${pending.status} for ever`;
    if (item.outbox.length > 0) return `${item.outbox[0]?.event} of ${item.outbox[0]?.offboarding_id} is never published`;
  }
  return undefined;
}

/** Every request that was accepted has a record with an end, or waits for its date. */
function endedOnce(world: World): string | undefined {
  for (const [id, { isMaybe }] of Object.entries(world.story.accepted)) {
    const status = statusOf(world, id);
    if (isMaybe && !status) continue;
    if (!status) return `${id} was accepted and has no record`;
    if (!['completed', 'failed', 'cancelled', 'superseded', 'scheduled'].includes(status)) return `${id} was accepted and ends as ${status}`;
  }
  return undefined;
}

function nothingOfTheRejected(world: World): string | undefined {
  for (const id of world.story.rejected) if (!world.story.accepted[id] && world.records[id]) return `${id} was rejected and was carried out`;
  return undefined;
}

const isCovered = (accepted: Accepted, connection: string) => accepted.ids?.includes(connection) ?? true;

/** What was carried out shows in Auth0; a request that nobody cancelled was carried out. */
function asAskedFor(world: World, scenario: Scenario): string | undefined {
  for (const [id, one] of Object.entries(world.story.accepted)) {
    if (one.isDryRun) continue;
    const status = statusOf(world, id) ?? '';
    const isCancelled = world.story.cancelled.some(({ before, begun, status: answer }) => (before.includes(id) || begun.includes(id)) && [0, 200, 202, 404, 502].includes(answer)) || scenario.isUncovered?.(world);
    if (status === 'cancelled' && !isCancelled) return `${id} was cancelled, and nobody asked for that`;
    if (status === 'failed' && !scenario.mayFail) return `${id} failed, and Auth0 refused nothing`;
    // A cancellation gives back to all that were requested before it.
    if (status !== 'completed' || isCancelled) continue;
    for (const connection of scenario.connections[one.organization] ?? []) {
      if (!isCovered(one, connection.id) || world.story.touched.includes(connection.id)) continue;
      const now = world.connections[one.organization]?.find(({ id: known }) => known === connection.id);
      const isRemoval = one.action !== 'disable';
      if (isRemoval && now) return `${id} is completed and ${connection.id} is still there`;
      if (now?.isEnabled) return `${id} is completed and ${connection.id} is enabled`;
    }
  }
  return undefined;
}

/** Nothing stays disabled by us that no offboarding can give back, or wants disabled; and what is given back is as it was. */
function givenBack(world: World): string | undefined {
  const wants = Object.entries(world.story.accepted).filter(([id, one]) => {
    const record = world.records[id];
    const canGiveBack = record?.status === 'failed' && record.connections.some(({ disabled_by_offboarding }) => disabled_by_offboarding);
    return !one.isDryRun && (record?.status === 'completed' || record?.status === 'scheduled' || canGiveBack || record?.status === 'failed');
  });
  for (const [organization, all] of Object.entries(world.connections))
    for (const one of all) {
      if (one.isEnabled || one.level === 'off') {
        if (one.isEnabled && one.level === 'readonly' && wants.length === 0) return `${one.id} is enabled and its level was not given back`;
        continue;
      }
      const isWanted = wants.some(([, accepted]) => accepted.organization === organization && isCovered(accepted, one.id));
      if (!isWanted && !world.story.touched.includes(one.id)) return `${one.id} is disabled, and no offboarding can give it back`;
    }
  return undefined;
}

const ENDS: Record<string, string> = { completed: 'completed', failed: 'failed', cancelled: 'cancelled', superseded: 'superseded' };

/** Each end has its event, and no event contradicts it. */
function toldInOrder(world: World): string | undefined {
  for (const [id, record] of Object.entries(world.records)) {
    if (record.dry_run) continue;
    const events = world.story.events.filter((one) => one.id === id).map(({ event }) => event);
    const end = ENDS[record.status];
    if (end && !events.includes(end)) return `${id} is ${record.status} and no event says so`;
    if (events.includes('failed') && events.includes('completed')) return `${id} is told as failed and as completed`;
    const isAfterEnd = end && record.status === 'cancelled' && events.lastIndexOf('scheduled') > events.lastIndexOf('cancelled');
    if (isAfterEnd) return `${id} is told as scheduled after it was cancelled`;
    if (events.includes('completed') && events.lastIndexOf('scheduled') > events.indexOf('completed')) return `${id} is told as scheduled after it was completed`;
  }
  return undefined;
}

/** Of several that disable now and remove later one at the most removes. */
function noDoubleDates(world: World): string | undefined {
  const pending = Object.values(world.records).filter(({ status }) => status === 'scheduled');
  const organizations = pending.map(({ organization_id }) => organization_id);
  return new Set(organizations).size < organizations.length ? 'Two removals of one organization are pending' : undefined;
}
