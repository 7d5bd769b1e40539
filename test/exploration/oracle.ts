import type { Scenario } from './scenarios.ts';
import type { Accepted, Story } from './story.ts';
import type { World } from './world.ts';

// What must hold, in a few sentences, from what callers were answered and what Auth0, the events and the records show. It imports
// nothing of lib/: where the rules and this page disagree, one of them is wrong.

type Check = (world: World, scenario: Scenario) => string | undefined;

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
    const what = checkChange(change, before);
    if (what) return what;
  }
  const answer = after.story.cancelled[before.story.cancelled.length];
  if (answer?.status === 200) return nothingLeftToEnable(after, answer, scenario);
  if (answer?.status === 404) return nothingWasThere(after, answer, scenario);
  return firstOf([recordsStay(before), lettersFirst, sessionsStop, nothingOverdue, oldestIsTold], after, scenario);
}

/** What must hold when nothing is left that could happen. */
export const checkRest: Check = (world, scenario) =>
  firstOf(
    [
      ...[
        openWork,
        endedOnce,
        nothingOfTheRejected,
        cancelledIsOver,
        asAskedFor,
        givenBack,
        toldInOrder,
        lastOneDecides,
      ],
      ...[settingsAreKept, driftIsFound, sessionsAreEnded],
    ],
    world,
    scenario,
  );

const PENDING = ['requested', 'working', 'removing', 'cancelling', 'scheduled'];

/** Requests that an answer did not cover. */
const othersOf = ({ story }: World, { before }: Story['cancelled'][number]): Accepted[] =>
  Object.entries(story.accepted).flatMap(([id, one]) => (before.includes(id) ? [] : [one]));

/** A change is made under the lease, not after a cancellation, and not to what somebody enabled before its removal. */
function checkChange(
  { id, goal, by, holder, at, organization }: Story['changes'][number],
  { story, ...world }: World,
): string | undefined {
  const what = `"${goal} ${id}"`;
  if (by !== 'Auth0' && holder !== by && !holder?.startsWith(`${by}.`)) return `${by} made ${what} without the lease`;
  if (goal === 'enabled') return undefined;
  const last = story.cancelled
    .filter((one) => one.organization === organization && [200, 404].includes(one.status))
    .at(-1);
  if (last && othersOf({ ...world, story }, last).length === 0)
    return `Auth0 carried out ${what} after a cancellation was answered ${last.status}`;
  const isAtOnce = Object.values(story.accepted).some(({ action }) => action === 'remove');
  const touched = story.touched.find((one) => one.id === id);
  if (goal === 'removed' && touched && !touched.isOver && !isAtOnce && touched.at + 5000 < at)
    return `${id} was removed although somebody had enabled it`;
  return undefined;
}

/** 200 means done: nothing that was covered is disabled, and Auth0 has nothing left to carry out. */
function nothingLeftToEnable(
  world: World,
  answer: Story['cancelled'][number],
  { connections }: Scenario,
): string | undefined {
  if (othersOf(world, answer).length > 0) return undefined;
  const late = world.late.find(({ goal }) => goal !== 'enabled');
  if (late) return `200 was answered, and Auth0 may still carry out "${late.goal} ${late.id}"`;
  const isFinal = answer.before.some((id) => ['completed'].includes(world.records[id]?.status ?? statusIn(world, id)));
  const left = Object.entries(connections).flatMap(([organization, all]) =>
    all.filter(
      ({ id, isEnabled }) =>
        isEnabled && world.connections[organization]?.some((now) => now.id === id && !now.isEnabled),
    ),
  );
  return left[0] && !isFinal ? `200 was answered, and ${left[0].id} is disabled` : undefined;
}

const statusIn = ({ items }: World, id: string) =>
  Object.values(items).flatMap(({ requests }) => requests.filter((one) => one.offboarding_id === id))[0]?.status ?? '';

const isAnswered = ({ story }: World, id: string, organization: string) =>
  story.accepted[id]?.organization === organization && !story.accepted[id].isMaybe;

/** 404 means that nothing was there. */
function nothingWasThere(
  world: World,
  { before, organization }: Story['cancelled'][number],
  { script }: Scenario,
): string | undefined {
  const isOnlyOne = script.filter(({ label }) => /^(DELETE|cancellation)/.test(label)).length === 1;
  const isFound = (status: string) => PENDING.includes(status) || (isOnlyOne && status === 'cancelled');
  const pending = before.find(
    (id) => isAnswered(world, id, organization) && !world.story.accepted[id]?.time && isFound(statusIn(world, id)),
  );
  return pending && `404 was answered, and ${pending} is ${statusIn(world, pending)}`;
}

/** The end of an offboarding does not change, and no record that is needed expires. */
const recordsStay =
  (before: World): Check =>
  ({ records }) => {
    for (const [id, { status, watch, expires_at }] of Object.entries(records)) {
      const known = before.records[id]?.status ?? '';
      if (['completed', 'cancelled'].includes(known) && status !== known)
        return `The record of ${id} was ${known} and is ${status}`;
      if (expires_at !== undefined && (PENDING.includes(status) || watch === 'on'))
        return `The record of ${id} expires while it is ${status}`;
    }
    return undefined;
  };

/** A failure of a request by event has its dead letter first, and the worker publishes it, whose failures raise an alarm. */
const lettersFirst: Check = ({ story, items }) => {
  const isCancelled = (id: string) =>
    Object.values(items).some(({ requests }) => requests.some((one) => one.offboarding_id === id && one.cancelled));
  const needsLetter = (id: string) =>
    story.accepted[id]?.time !== undefined && !isCancelled(id) && !isCovered(story, id);
  const failed = story.events.find(
    ({ event, id, by }) => event === 'failed' && (by !== 'worker' || (needsLetter(id) && !story.letters.includes(id))),
  );
  return failed && `The failure of ${failed.id} reaches nobody`;
};

/** After a cancellation no more than the member that is being asked for loses its sessions. */
const sessionsStop: Check = ({ story }) =>
  story.endedAfter > 1 ? 'Sessions are ended after the cancellation' : undefined;

const LONGEST_MS = 65 * 60_000;

/** What is due is found within the hour. */
const nothingOverdue: Check = ({ items, processes, now }) => {
  if (processes.length > 0) return undefined;
  const isLate = (at: string | undefined) => at !== undefined && Date.parse(at) < now - LONGEST_MS;
  for (const { requests, outbox } of Object.values(items)) {
    const late = requests.find(({ status, accepted_at, cancelled, removal_due_at, sessions, watch }) => {
      if (status === 'cancelling') return isLate(cancelled?.at);
      if (status === 'scheduled' || status === 'removing') return isLate(removal_due_at);
      if (sessions && ['due', 'ending'].includes(sessions.status) && watch !== 'ended')
        return isLate(sessions.updated_at);
      return PENDING.includes(status) && isLate(accepted_at);
    });
    if (late) return `${late.offboarding_id} is overdue, and nobody works on it`;
    if (isLate(outbox[0]?.at))
      return `${outbox[0]?.event} of ${outbox[0]?.offboarding_id} is not published for an hour`;
  }
  return undefined;
};

const oldestIsTold: Check = ({ story: { oldest } }) =>
  oldest && oldest.reported > oldest.is ? 'The oldest overdue work is missing from the metric' : undefined;

const statusOf = ({ records }: World, id: string) => records[id]?.status ?? '';
/** Whether somebody asked for the cancellation of a request, or may have. */
const isCovered = ({ cancelled }: Story, id: string) =>
  cancelled.some(
    ({ before, begun, status }) => (before.includes(id) || begun.includes(id)) && ![409, 503].includes(status),
  );
const names = ({ ids }: Accepted, connection: string) => ids?.includes(connection) ?? true;

/** Nothing is left lying: no status in between, no event, no record that is out of date. */
const openWork: Check = ({ items }) => {
  for (const { requests, outbox, ledger } of Object.values(items)) {
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
const endedOnce: Check = (world) => {
  for (const [id, { isMaybe, time }] of Object.entries(world.story.accepted)) {
    const status = statusOf(world, id);
    if (isMaybe && !status) continue;
    // An event that is refused has its dead letter, and no record.
    if (!status && time !== undefined && world.story.letters.includes(id)) continue;
    if (!['completed', 'failed', 'cancelled', 'superseded', 'scheduled'].includes(status))
      return `${id} was accepted and ends as "${status}"`;
  }
  return undefined;
};

const nothingOfTheRejected: Check = ({ story, records }) => {
  const carriedOut = story.rejected.find((id) => !story.accepted[id] && records[id]);
  return carriedOut && `${carriedOut} was rejected and was carried out`;
};

/** What a cancellation covered neither waits for its removal nor is watched. */
const cancelledIsOver: Check = ({ story, records }) => {
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
const asAskedFor: Check = (world, { mayFail, connections, grants }) => {
  const { story } = world;
  for (const [id, one] of Object.entries(story.accepted)) {
    const status = statusOf(world, id);
    const isCancelled = isCovered(story, id);
    if (status === 'cancelled' && !isCancelled) return `${id} was cancelled, and nobody asked for that`;
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
    const grant = one.endsMachines && grants.find((known) => world.grants[one.organization]?.includes(known));
    if (grant) return `${id} is ${status} and ${grant} is still there`;
  }
  return undefined;
};

/** Nothing stays disabled by us that no offboarding can give back, or wants disabled; and what is given back is as it was. */
const givenBack: Check = (world, { connections, grants }) => {
  const wants = (organization: string, id: string, isGrant = false) =>
    Object.entries(world.story.accepted).some(([known, one]) => {
      const record = world.records[known];
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

/** Each end has its event, and no event contradicts it. */
const toldInOrder: Check = ({ records, story }) => {
  for (const [id, { status, dry_run }] of Object.entries(records)) {
    const events = story.events.filter((one) => one.id === id).map(({ event }) => event);
    const isEnd = ['completed', 'failed', 'cancelled', 'superseded'].includes(status);
    if (dry_run && status !== 'failed') continue;
    if (!events.includes(status)) return `${id} is ${status} and no event says so`;
    const after = isEnd ? events.slice(events.lastIndexOf(status) + 1) : [];
    const contradiction = after.find((event) =>
      ['requested', 'scheduled', 'removal_upcoming', 'completed'].includes(event),
    );
    if (contradiction) return `${id} is told as ${contradiction} after it was ${status}`;
    if (events.includes('failed') && events.includes('completed')) return `${id} is told as failed and as completed`;
    const { time, isDryRun } = story.accepted[id] ?? {};
    if (story.accepted[id] && time === undefined && !isDryRun && !events.includes('requested'))
      return `No event says that ${id} was requested`;
  }
  return undefined;
};

/** Of several that disable now and remove later one at the most removes: the one that was requested last. */
const lastOneDecides: Check = ({ records, story }) => {
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
const settingsAreKept: Check = ({ records, story }, { connections }) => {
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

/** What somebody enables while an offboarding is watched is reported, and disabled again where that was asked for. */
const driftIsFound: Check = (world, { script, world: start }) => {
  // A change that Auth0 carries out late may disable it again by itself.
  if (
    world.story.checks < script.filter(({ label }) => label.startsWith('notification')).length ||
    start.faults.repeated
  )
    return undefined;
  for (const { id } of world.story.touched)
    for (const [known, one] of Object.entries(world.story.accepted)) {
      if (world.story.checks === 0) continue;
      if (world.records[known]?.watch !== 'on' || !names(one, id)) continue;
      const now = world.connections[one.organization]?.find((connection) => connection.id === id);
      if (!world.story.events.some(({ event, about }) => event === 'drifted' && about.includes(id)))
        return `${id} was enabled, and nobody was told`;
      if (one.disablesAgain && now?.isEnabled && !start.faults.refused) return `${id} was enabled, and stays so`;
    }
  return undefined;
};

/** Where it was asked for and nobody cancelled it, each member's sessions are ended, or it is said why not. */
const sessionsAreEnded: Check = (world, { mayFail }) => {
  for (const [id, { endsSessions, isDryRun }] of Object.entries(world.story.accepted)) {
    const { status = '', sessions } = world.records[id] ?? {};
    if (!endsSessions || isCovered(world.story, id) || !['completed', 'scheduled'].includes(status)) continue;
    if (!sessions || ['due', 'ending'].includes(sessions.status))
      return `The sessions of ${id} are ${sessions?.status} for ever`;
    if (!world.story.events.some(({ event, id: about }) => event === 'sessions_ended' && about === id))
      return `Nobody is told that the sessions of ${id} have ended`;
    if (sessions.status !== 'ended' && (mayFail || world.isSessionsOff)) continue;
    const isEnded = (member: string) =>
      isDryRun || world.story.ended.includes(member) || /^(stubborn|elsewhere)/.test(member);
    const left = world.members.find((member) => !isEnded(member));
    if (left && !mayFail) return `${left} keeps its sessions`;
    if (sessions.members !== world.members.length)
      return `Of ${world.members.length} members ${sessions.members} are counted`;
  }
  return undefined;
};
