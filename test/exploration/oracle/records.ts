import type { Scenario } from '../scenarios.ts';
import type { Detail, Story } from '../story.ts';
import type { Request, World } from '../world.ts';
import type { Check } from './check.ts';
import { isTurnedAway } from './standing.ts';

// What records and events say of a request: what was asked for, by whom and when, and how it ended.

/** The first member of `expected` that is not shown as it should be. */
const otherMember = (shown: object, expected: object): string | undefined =>
  Object.entries(expected).find(
    ([name, value]) => JSON.stringify((shown as Record<string, unknown>)[name]) !== JSON.stringify(value),
  )?.[0];

const described = ({ id, action, organization, batch, options = {} }: Request, time: number | undefined) => ({
  ...{ offboarding_id: id, organization_id: organization, batch_id: batch, action },
  ...{ requested_by: options.requested_by ?? 'billing', reason: options.reason ?? 'contract ended' },
  ...{ dry_run: options.dry_run ?? false, caller: time === undefined ? 'arn:billing' : '12 billing' },
});
const parametersOf = ({ options = {} }: Request) => ({
  ...{ on_reenable: options.on_reenable ?? 'report', end_sessions: options.sessions ?? false },
  ...{ end_machine_access: options.machines ?? false, connection_ids: options.ids, grace_period: options.grace },
});

/** In the world time may stand still from an end to an event of its watch: the words are in the record alone then. */
const isWordless = ({ requested_by, reason }: Detail) => requested_by === '' && reason === '';

/** What is shown otherwise than it was asked for; `isWhole`: with all parameters. */
export function misquoted(shown: Detail, isWhole: boolean, { requests }: Scenario, { accepted }: Story) {
  const id = String(shown.offboarding_id);
  const time = accepted[id]?.time;
  const origin =
    time === undefined
      ? { id, source: 'org-connections', time: shown.requested_at }
      : { id, source: 'billing', time: new Date(time).toISOString() };
  const words = isWordless(shown) ? { requested_by: '', reason: '' } : {};
  const wrong = (requests[id] ?? []).map((one) =>
    otherMember(shown, { ...described(one, time), ...(isWhole && parametersOf(one)), ...words, request: origin }),
  );
  if (wrong.length === 0) return `"${id}" is told of, and nobody asked for it`;
  return wrong.includes(undefined) ? undefined : `${id} shows another ${wrong[0]} than was asked for`;
}

/** Who cancels, and what they say of themselves. */
const PEOPLE: Record<string, string | null> = { 'arn:support': 'support', '12 crm': 'crm', 'org-connections': null };

/** Whether an act says who did it, when and why. */
export const isAct = (act: World['records'][string]['cancelled'], { now }: World): boolean =>
  act !== undefined && PEOPLE[act.caller] === act.requested_by && Boolean(act.reason) && isPast(act.at, now);

/** Clocks are apart by this much at the most, and a process may take its time, milliseconds. */
const APART_MS = 150_000;
const isPast = (at: string | undefined, now: number) => at !== undefined && Date.parse(at) <= now + APART_MS;

const isError = (error: { code: string; message: string } | null | undefined) => Boolean(error?.code && error.message);
const ENDED = ['completed', 'failed', 'cancelled', 'superseded'];

/** What a record or an event shows of an end; `is` is its status, or the event's name. */
export function wrongEnd(shown: Detail, is: string, world: World, scenario: Scenario): string | undefined {
  const { offboarding_id: id = '', superseded_by, cancelled, error } = shown;
  const mayFail = !['completed', 'cancelled', 'superseded'].includes(is);
  if (is === 'failed' ? !isError(error) : error && !mayFail)
    return `${id} is ${is}, and its error is ${JSON.stringify(error)}`;
  if (is === 'cancelled' && (!isAct(cancelled, world) || cancelled?.caller === 'org-connections'))
    return `${id} is cancelled, and does not say by whom and when`;
  if (is === 'cancelled' && Date.parse(String(cancelled?.at)) < Date.parse(String(shown.requested_at)) - APART_MS)
    return `${id} was requested after its cancellation`;
  const later = scenario.requests[superseded_by ?? '']?.[0];
  if (ENDED.includes(is) && ((is === 'superseded') !== (later !== undefined) || (later && superseded_by === id)))
    return `${id} is ${is}, and superseded by ${superseded_by}`;
  if (is === 'superseded' && (shown.action !== 'disable_then_remove' || later?.action !== 'disable_then_remove'))
    return `${id} is superseded, and not of two that remove later`;
  return undefined;
}

/** A record shows what was asked for, and its end. */
export const recordsShow: Check = (world, scenario) => {
  for (const record of Object.values(world.records)) {
    const { status, offboarding_id: id } = record;
    const wrong =
      misquoted(record as Detail, true, scenario, world.story) ?? wrongEnd(record as Detail, status, world, scenario);
    if (wrong) return `The record: ${wrong}`;
    // An error that the worker met is noted after a cancellation, too.
    if (status !== 'cancelled' && (record.attempts > 0 || record.last_error || record.next_try_at))
      return `${id} is ${status}, and its record says that it is tried again`;
    if (ENDED.includes(status) !== (record.ended_at !== undefined))
      return `${id} is ${status} since ${record.ended_at}`;
  }
  return undefined;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Requests are ordered once, a removal waits for its grace period, and what has ended is kept for a while and not for ever. */
export const datesAreRight: Check = ({ records, items, story, now }, { stage }) => {
  for (const [id, { requested_at, accepted_at, ended_at, updated_at, ...record }] of Object.entries(records)) {
    const { after = [], time } = story.accepted[id] ?? {};
    const isEarlier = (other: string) =>
      other !== id &&
      story.accepted[other]?.time === undefined &&
      records[other]?.organization_id === record.organization_id &&
      String(records[other]?.requested_at) >= requested_at;
    if (time === undefined && !isTurnedAway(records[id] as World['records'][string]) && after.some(isEarlier))
      return `${id} was requested later, and is ordered before`;
    if (time !== undefined && Date.parse(requested_at) !== time) return `${id} has lost the time of its event`;
    if (![requested_at, accepted_at, updated_at, ended_at ?? updated_at].every((at) => isPast(at, now)))
      return `${id} has a time that is not over`;
    const isOpen = items[record.organization_id]?.requests.some(({ offboarding_id }) => offboarding_id === id);
    const days = ((record.expires_at ?? 0) * 1000 - now) / DAY_MS;
    const least = record.dry_run || stage.giveUpAfter !== 'P7D' ? 6 : 8;
    if (!isOpen && (days < least || days > 800)) return `The record of ${id} expires in ${days} days`;
    if (ended_at && ended_at < accepted_at) return `${id} ended before it was accepted`;
  }
  return undefined;
};
