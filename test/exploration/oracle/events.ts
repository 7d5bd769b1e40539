import type { Scenario } from '../scenarios.ts';
import type { Detail } from '../story.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';
import { isFaultless } from './faults.ts';
import { type wrongConnection, wrongOutcomes, wrongRemains } from './outcomes.ts';
import { isAct, misquoted, wrongEnd } from './records.ts';
import { isTurnedAway } from './standing.ts';

// What events say, and in which order.

/** What is published in a step says what was asked for, what became of it, and what remains. */
export const eventsAreTrue: Check = (world, scenario) => {
  for (const { event, detail } of world.story.published) {
    const wrong =
      misquoted(detail, event === 'requested', scenario, world.story) ??
      wrongEnd(detail, event, world, scenario) ??
      wrongOutcomes(detail, event, world, scenario) ??
      WRONG[event]?.(detail, world, scenario);
    if (wrong) return `The event ${event}: ${wrong}`;
  }
  return undefined;
};

type Wrong = (detail: Detail, world: World, scenario: Scenario) => string | undefined;

const [SECOND_MS, DAY_MS] = [1000, 86_400_000];
/** How long a duration of days, hours and minutes is, milliseconds. */
export function msOf(duration: string): number {
  const [, days = 0, hours = 0, minutes = 0] = /^P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?$/.exec(duration) ?? [];
  return Number(days) * DAY_MS + Number(hours) * 3600 * SECOND_MS + Number(minutes) * 60 * SECOND_MS;
}
const CLOCKS_MS = 150 * SECOND_MS;

/** A removal is due after the grace period that was asked for, in whole seconds. */
function wrongDate(
  { offboarding_id: id = '', removal_due_at, requested_at }: Detail,
  world: World,
  scenario: Scenario,
) {
  const grace = msOf(scenario.requests[id]?.[0]?.options?.grace ?? scenario.stage.defaultGracePeriod);
  const begins = Date.parse(String(removal_due_at)) - grace;
  const slack = isFaultless(world, scenario) ? SECOND_MS : CLOCKS_MS;
  const isWhole = !String(removal_due_at).includes('.');
  const isRight = isWhole && begins >= Date.parse(String(requested_at)) - SECOND_MS && begins <= world.now + slack;
  return isRight ? undefined : `${id} is due at ${removal_due_at}`;
}

/** The notice goes out as long before the removal as the stage says, or at half of a shorter grace period. */
const wrongNotice: Wrong = (detail, world, scenario) => {
  const { offboarding_id: id = '', removal_due_at } = detail;
  const grace = msOf(scenario.requests[id]?.[0]?.options?.grace ?? scenario.stage.defaultGracePeriod);
  const notice = Math.min(msOf(scenario.stage.removalNotice), grace / 2);
  const early = Date.parse(String(removal_due_at)) - notice - world.now;
  const slack = isFaultless(world, scenario) ? SECOND_MS : CLOCKS_MS;
  return early > slack ? `The notice of ${id} is ${early} ms early` : wrongDate(detail, world, scenario);
};

const COUNTS = ['members', 'revocations_requested', 'skipped', 'failed'] as const;

const WRONG: Record<string, Wrong> = {
  requested: ({ offboarding_id: id, connections }, { story }) =>
    connections?.length || story.accepted[String(id)]?.time ? `${id} is told with an outcome, or twice` : undefined,
  scheduled: (detail, world, scenario) => wrongDate(detail, world, scenario) ?? wrongRemains(detail, world),
  completed: (detail, world) => wrongRemains(detail, world),
  removal_upcoming: wrongNotice,
  watch_ended: ({ offboarding_id, watch_ended: act }, world) =>
    isAct(act as never, world) ? undefined : `${offboarding_id} does not say who ended the watch`,
  sessions_ended: (detail, world) => {
    const { offboarding_id: id = '', connections = [] } = detail;
    const known = requestIn(world, id)?.sessions ?? world.records[id]?.sessions;
    const isOther = COUNTS.some((name) => detail[name] !== known?.[name]);
    const isError = Boolean((detail.error as { message?: string } | undefined)?.message);
    if (isOther || connections.length > 0) return `${id} tells other counts than it has`;
    return isError === (known?.status !== 'ended')
      ? undefined
      : `The sessions are ${known?.status}, and it says ${isError}`;
  },
  drifted: (detail, _, scenario) => wrongDrift(detail, scenario),
};

const requestIn = ({ items }: World, id: string) =>
  Object.values(items).flatMap(({ requests }) => requests.filter((one) => one.offboarding_id === id))[0];

type Drifted = Parameters<typeof wrongConnection>[0] & {
  drift?: string;
  now?: Record<string, unknown>;
  changed_by?: string;
};

/** A drift says which connection or grant it is about, whether it is new, and what was done about it. */
function wrongDrift(detail: Detail, scenario: Scenario): string | undefined {
  const { organization_id = '', offboarding_id: id = '', connections = [], client_grants = [] } = detail;
  const shown = [...(connections as Drifted[]), ...(client_grants as unknown as Drifted[])];
  if (shown.length !== 1 || !shown[0]?.drift) return `${id} drifted, and shows ${shown.length}`;
  const [one] = shown as [Drifted];
  if (connections.length === 0) return undefined;
  const { ids, on_reenable } = scenario.requests[id]?.[0]?.options ?? {};
  if (ids && !ids.includes(one.connection_id)) return `${one.connection_id} drifted, and is not covered`;
  const isNew = !scenario.connections[organization_id]?.some((known) => known.id === one.connection_id);
  // New once, it can be enabled again.
  if (one.drift !== 'reenabled' && !(isNew && one.drift === 'added'))
    return `${one.connection_id} is shown as ${one.drift}`;
  const isDisabled = one.outcome === 'disabled';
  if (!isDisabled && one.outcome !== 'unchanged') return `${one.connection_id} drifted, and is ${one.outcome}`;
  const disablesAgain = on_reenable === 'disable_again';
  if (isDisabled ? !disablesAgain || one.error : disablesAgain && !one.error)
    return `${one.connection_id} is ${one.outcome} by ${disablesAgain ? 'disabling' : 'reporting'}, for ${one.error?.code}`;
  if (!disablesAgain && one.now?.is_enabled !== true) return `${one.connection_id} is not shown as it is now`;
  const notifications = scenario.script.filter(({ label }) => label.startsWith('notification'));
  const [by, ...others] = [...new Set(notifications.map((notification) => notification.by))];
  const names = others.length > 0 ? [by, ...others, undefined] : [by];
  if (by && !names.includes(one.changed_by)) return `${one.connection_id} was changed by ${one.changed_by}`;
  return undefined;
}

/** Each end has its event, and no event contradicts it. */
export const toldInOrder: Check = (world, scenario) => {
  const { records, story } = world;
  for (const [id, record] of Object.entries(records)) {
    const { status, dry_run, action } = record;
    const events = story.events.filter((one) => one.id === id).map(({ event }) => event);
    const isEnd = ['completed', 'failed', 'cancelled', 'superseded'].includes(status);
    if (dry_run && status !== 'failed') {
      const end = action === 'disable_then_remove' ? 'scheduled' : 'completed';
      if (!events.includes(end) && status === 'completed') return `The dry run ${id} is over, and no event says so`;
      continue;
    }
    if (!events.includes(status)) return `${id} is ${status} and no event says so`;
    const after = isEnd ? events.slice(events.lastIndexOf(status) + 1) : [];
    const contradiction = after.find((event) =>
      ['requested', 'scheduled', 'removal_upcoming', 'completed'].includes(event),
    );
    if (contradiction) return `${id} is told as ${contradiction} after it was ${status}`;
    if (events.includes('failed') && events.includes('completed')) return `${id} is told as failed and as completed`;
    const { time, isDryRun } = story.accepted[id] ?? {};
    if (story.accepted[id] && time === undefined && !isDryRun && !isTurnedAway(record) && !events.includes('requested'))
      return `No event says that ${id} was requested`;
    const isRemoved = status === 'completed' && action === 'disable_then_remove' && events.includes('scheduled');
    if (isRemoved && isFaultless(world, scenario) && !events.includes('removal_upcoming'))
      return `${id} was removed, and nobody was told before`;
  }
  return undefined;
};
