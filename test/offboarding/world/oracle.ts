// What must never be seen, and what must be in the end, from the requests alone: it knows nothing of the rules.
import { hasEnded, type Offboarding } from '../../../lib/offboarding/offboarding.ts';
import { currentOf, statusOf, watchedOf } from '../../../lib/offboarding/rules.ts';
import { type Ask, askOf, coveredIn, DAY, idOf, isAcceptedAsk, isLaterAsk, type World, worldOf } from './state.ts';

/** What an onlooker must never see, in any state; undefined when all is well. */
export function brokenIn(world: World): string | undefined {
  if (world.broken) return world.broken;
  const records = Object.values(world.records);
  for (const record of records) {
    const id = record.offboarding_id;
    const held = record.connections.filter(({ disabled_by_offboarding }) => disabled_by_offboarding);
    const cause = held.find(({ connection_id }) => world.refused.includes(`${id} ${connection_id}`));
    if (cause && !world.worker) return `${id} holds ${cause.connection_id}, which Auth0 refused to disable`;
    const told = (world.told[id] ?? []).join(' ');
    if (!/^(scheduled ?)?(completed|failed)?( ?cancelled| ?failed)*( ?watch_ended)?$/.test(told))
      return `${id} told: ${told}`;
    if (told.length > 0 && world.asks[Number(id.slice(1))]?.is === 'new')
      return `${id} is told, and was never asked for`;
    if (record.accept_by && (record.status !== 'requested' || told)) return `${id} is worked off, and not accepted`;
  }
  for (const { answer, covered = [], ids } of world.cancels) {
    if (answer !== '200') continue;
    const left = records.find((one) => covered.includes(one.offboarding_id) && !one.accept_by && !isOver(one));
    const isIts = left && ids?.includes(left.offboarding_id);
    if (isIts) return `the cancelling was answered 200, and ${left.offboarding_id} is ${left.status}`;
  }
  const status = records.find((record) => {
    const isCovered = world.cancels.some(({ is, ids }) => is === 'accepted' && ids?.includes(record.offboarding_id));
    return (
      isCovered &&
      !hasEnded(record) &&
      !record.accept_by &&
      !record.dry_run &&
      world.organization &&
      statusOf(record, world.organization) !== 'cancelling'
    );
  });
  if (status) return `${status.offboarding_id} is covered by the cancelling, and shown as ${status.status}`;
  return dueTooLate(world);
}

const HOUR_MS = 3_600_000;
/** What nobody is at is found within the hour: the organization is due when the next step of each that is open is, or was. */
function dueTooLate({ organization, records, worker, now }: World): string | undefined {
  if (worker || !organization) return undefined;
  const due = Date.parse(organization.due_at ?? '9999');
  const late = organization.open.flatMap((id) => records[id] ?? []).find((record) => due > latestFor(record, now));
  return late && `${late.offboarding_id} is ${late.status}, and the organization is due ${organization.due_at}`;
}
function latestFor({ status, removal_due_at = '', unpublished, watch }: Offboarding, now: number): number {
  if (hasEnded({ status }) && !unpublished) return watch === 'on' ? now + DAY : Number.POSITIVE_INFINITY;
  return status === 'scheduled' ? Date.parse(removal_due_at) : now + HOUR_MS;
}

const didNothing = ({ status, connections }: Offboarding) =>
  status === 'completed' && connections.every(({ outcome }) => outcome === 'unchanged');

const isOver = ({ status, watch }: Offboarding) =>
  ['completed', 'cancelled', 'superseded'].includes(status) || watch === 'ended';

/** What must hold where nothing is due any more and nothing is on its way. */
export function brokenAtRest(world: World): string | undefined {
  const { organization, records, told, auth0, scenario, left } = world;
  const covered = coveredIn(world);
  const open = organization?.open ?? [];
  for (const [k, ask] of scenario.asks.entries()) {
    const [id, record] = [idOf(k), records[idOf(k)]];
    if (!isAcceptedAsk(world, k)) {
      if (open.includes(id)) return `${id} was never accepted, and is open`;
      if (told[id]) return `${id} was never accepted, and told`;
      continue;
    }
    if (!record || !hasEnded(record)) return `${id} is ${record?.status} for ever`;
    const last = told[id]?.filter((one) => one !== 'watch_ended').at(-1);
    const isTold = record.status === 'superseded' ? last === 'scheduled' : last === record.status;
    if (!isTold) return `${id} is ${record.status}, and told: ${told[id]}`;
    const by = record.superseded_by && askOf(world, record.superseded_by);
    if (by && (by.dry || by.on?.every((one) => !'ABC'.includes(one))))
      return `${id} is superseded by ${record.superseded_by}, which changes nothing`;
    if (record.status === 'failed' && !wentWrong(world)) return `${id} failed, and nothing was wrong`;
    if (
      record.status === 'completed' &&
      left.old === -1 &&
      record.connections.length === 0 &&
      record.error === undefined
    )
      return `${id} is completed, and nothing was done`;
    if (
      covered.includes(id) &&
      !ask.dry &&
      !world.overBefore.includes(id) &&
      !['cancelled', 'failed'].includes(record.status) &&
      !didNothing(record)
    )
      return `${id} was cancelled before it was over, and is ${record.status}`;
  }
  for (const { offboarding_id: id, status, watch, connections } of Object.values(records)) {
    const isHolding = status === 'failed' && connections.some((one) => one.disabled_by_offboarding);
    if (isHolding && !open.includes(id)) return `${id} failed and holds something, and can not be cancelled`;
    const isGone = Object.keys(world.last).some((one) => world.last[one] === id && !(one in auth0));
    // What is left of a removal that failed can be cancelled; what is gone is told as removed all the same.
    const isTold = connections.some((one) => one.outcome === 'removed');
    if (isGone && status === 'cancelled' && !isTold) return `${id} has removed something, and is cancelled`;
    const isHalf = watch === 'on' && connections.some((one) => one.disabling_again || one.untold);
    if (isHalf) return `a look at ${id} was cut off, and does not go on`;
  }
  if (organization?.due_at && Date.parse(organization.due_at) <= world.now) return 'a look is due, and nobody makes it';
  const shown = currentOf(open.flatMap((id) => records[id] ?? []));
  const live = liveAsks(world);
  // What was completed, and is undone for a cancelling that had not seen that yet, may have been the one that is watched.
  const isUndone = Object.values(told).some((one) => one.includes('completed') && one.includes('cancelled'));
  if (live.length > 0 && !shown && !isUndone) return `${live[0]} is accepted, and GET shows nothing`;
  const watched = watchedOf(Object.values(records)).flatMap(({ connections }) => connections);
  for (const [id, is_enabled] of Object.entries(auth0)) {
    const by = world.last[id];
    if (is_enabled || by === undefined || by === 'hand') continue;
    const isHeld = Object.values(records).some(
      ({ status, connections }) =>
        ['completed', 'failed'].includes(status) &&
        connections.some((one) => one.connection_id === id && (status === 'completed' || one.disabled_by_offboarding)),
    );
    if (!isHeld) return `${id} stays disabled by ${by}, and nobody holds it`;
    if (!covered.includes(by) && !watched.some((one) => one.connection_id === id))
      return `${id} is disabled by ${by}, and nobody watches it`;
  }
  return Object.keys(worldOf(scenario).auth0)
    .map((id) => wrongConnection(world, id))
    .find((one) => one);
}

const wentWrong = (world: World) => {
  const spent = (what: 'refusal' | 'old') =>
    world.scenario.left?.[what] !== undefined && world.left[what] !== world.scenario.left[what];
  return spent('refusal') || spent('old');
};

/** The requests that still mean something: accepted, not a dry run, not cancelled, not failed, and no later removal in their place. */
const liveAsks = (world: World): string[] =>
  world.scenario.asks.flatMap((ask, k) => {
    const id = idOf(k);
    const isVoid = (other: Ask, j: number) =>
      ask.action === 'disable_then_remove' &&
      other.action === ask.action &&
      !other.dry &&
      world.told[idOf(j)]?.includes('scheduled') &&
      isLaterAsk(world, j, k);
    const isLive =
      isAcceptedAsk(world, k) && !ask.dry && !coveredIn(world).includes(id) && !world.told[id]?.includes('failed');
    return isLive && !world.scenario.asks.some(isVoid) ? [id] : [];
  });

/** The oracle: who wants what of a connection that nobody has touched by hand, from the requests alone. */
function wrongConnection(world: World, id: string): string | undefined {
  if (world.touched.includes(id)) return undefined;
  const names = ({ on }: Ask) => on === undefined || on.includes(id);
  const asks = liveAsks(world)
    .map((one) => askOf(world, one))
    .filter(names);
  const overBefore = world.overBefore.some((one) => names(askOf(world, one)) && world.records[one]?.watch === 'ended');
  const voided =
    world.told && world.scenario.asks.some((ask, k) => names(ask) && world.records[idOf(k)]?.status === 'superseded');
  const { [id]: is } = world.auth0;
  const isRemoved = asks.some(({ action }) => action !== 'disable');
  const now = is === undefined ? 'gone' : is ? 'enabled' : 'disabled';
  if (isRemoved) return now === 'gone' ? undefined : `${id} was to be removed, and is ${now}`;
  if (now === 'gone') return undefined;
  if (asks.length > 0) return now === 'disabled' ? undefined : `${id} was to be disabled, and is ${now}`;
  if (now === 'enabled' || overBefore || voided) return undefined;
  const failed = Object.values(world.records).some(
    ({ status, connections }) => status === 'failed' && connections.some((one) => one.connection_id === id),
  );
  return failed && wentWrong(world) ? undefined : `${id} was to be left alone, and is ${now}`;
}
