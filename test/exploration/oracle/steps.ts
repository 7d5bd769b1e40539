import type { Scenario } from '../scenarios.ts';
import type { Accepted, Story } from '../story.ts';
import type { World } from '../world.ts';
import type { Check, StepCheck } from './check.ts';
import { isCovered, PENDING, statusIn } from './standing.ts';

// What must hold in every step, whatever comes later.

/** Requests that an answer did not cover. */
const othersOf = ({ story }: World, { before }: Story['cancelled'][number]): Accepted[] =>
  Object.entries(story.accepted).flatMap(([id, one]) => (before.includes(id) ? [] : [one]));

const APART_MS = 130_000;

/** Whether an offboarding that removes now has the date for it, by a clock that may be ahead. */
const isDue = ({ items }: World, organization: string, at: number): boolean =>
  items[organization]?.requests.some(
    ({ status, parameters, removal_due_at = '' }) =>
      (status === 'working' && parameters.action === 'remove') ||
      (status === 'removing' && Date.parse(removal_due_at) <= at + APART_MS),
  ) === true;

/** A change is made under the lease, not after a cancellation, and not to what somebody enabled before its removal. */
export function checkChange(
  { id, goal, by, holder, at, organization }: Story['changes'][number],
  { story, ...world }: World,
): string | undefined {
  const what = `"${goal} ${id}"`;
  if (by !== 'Auth0' && holder !== by && !holder?.startsWith(`${by}.`)) return `${by} made ${what} without the lease`;
  if (goal === 'enabled') return undefined;
  if (goal === 'removed' && by !== 'Auth0' && !isDue({ ...world, story }, organization, at))
    return `${by} made ${what} before it was due`;
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
export function nothingLeftToEnable(
  world: World,
  answer: Story['cancelled'][number],
  { connections }: Scenario,
): string | undefined {
  if (othersOf(world, answer).length > 0) return undefined;
  const late = world.late.find(({ goal }) => goal !== 'enabled');
  if (late) return `200 was answered, and Auth0 may still carry out "${late.goal} ${late.id}"`;
  const isFinal = answer.before.some((id) => ['completed'].includes(world.records[id]?.status ?? statusIn(world, id)));
  const about = Object.entries(connections).filter(([id]) => id === answer.organization);
  const left = about.flatMap(([organization, all]) =>
    all.filter(
      ({ id, isEnabled }) =>
        isEnabled && world.connections[organization]?.some((now) => now.id === id && !now.isEnabled),
    ),
  );
  return left[0] && !isFinal ? `200 was answered, and ${left[0].id} is disabled` : undefined;
}

const isAnswered = ({ story }: World, id: string, organization: string) =>
  story.accepted[id]?.organization === organization && !story.accepted[id].isMaybe;

/** 404 means that nothing was there. */
export function nothingWasThere(
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
export const recordsStay: StepCheck = ({ records }, _, before) => {
  if (records === before.records) return undefined;
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
export const lettersFirst: Check = ({ story, items }) => {
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
export const sessionsStop: Check = ({ story }) =>
  story.endedAfter > 1 ? 'Sessions are ended after the cancellation' : undefined;

const LONGEST_MS = 65 * 60_000;

/** What is due is found within the hour. */
export const nothingOverdue: Check = ({ items, processes, now }) => {
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

/** A message comes back within the hour. */
export const messagesComeBack: Check = ({ queue, now }) => {
  const late = queue.find(({ visibleAt }) => visibleAt > now + LONGEST_MS);
  return late && `A message about ${late.organization} comes back in ${late.visibleAt - now} ms`;
};

/** As long as Auth0 may carry out a change, somebody has the organization's lease. */
export const leaseIsKept: Check = ({ late, items, story }) => {
  const open = late.find(({ organization, until }) => !((items[organization]?.lease?.until ?? 0) >= until));
  return open && story.changes.length === 0
    ? `Auth0 may still carry out "${open.goal} ${open.id}", and the lease is given back`
    : undefined;
};
