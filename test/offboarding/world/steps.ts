// What happens beside the work: requests and cancellings on their way, time, somebody's own hand; and all of it together.
import { hasEnded, type Offboarding } from '../../../lib/offboarding/offboarding.ts';
import { foundBy, isAccepted, isCancellable } from '../../../lib/offboarding/rules.ts';
import {
  type Ask,
  acceptCancellation,
  admit,
  type Cancelling,
  change,
  coveredIn,
  idOf,
  isAcceptedAsk,
  iso,
  kill,
  type Next,
  organizationOf,
  put,
  SECOND,
  spend,
  type World,
} from './state.ts';
import { carryOut, take, workerSteps } from './worker.ts';

const ORDER = {
  event: ['new', 'asked', 'created', 'admitted'],
  http: ['new', 'created', 'admitted', 'told', 'accepted'],
  key: ['new', 'created', 'admitted', 'accepted', 'told'],
} as const;

/** The next step of a request on its way. */
export function askStep(before: World, k: number): Next | undefined {
  const ask = before.scenario.asks[k] as Ask;
  const { is, stopped, at } = before.asks[k] as World['asks'][number];
  const order: readonly string[] = ORDER[ask.by];
  const to = order[order.indexOf(is) + 1] as typeof is | undefined;
  if (!to || stopped) return undefined;
  const world = { ...before };
  if (is === 'new' && !ask.quick) world.now += SECOND;
  const asked_at = at ?? iso(world.now);
  world.asks = world.asks.map((one, i) => (i === k ? { ...one, is: to, at: asked_at } : one));
  const record = world.records[idOf(k)];
  if (to === 'created') put(world, recordOf(world, k, asked_at), true);
  if (to === 'admitted' && record) admit(world, record);
  if (to === 'accepted' && record?.accept_by) put(world, { ...record, accept_by: undefined });
  return [`request ${idOf(k)} (${ask.action}, ${ask.by}) is ${to}`, world];
}

const acceptBy = ({ now }: { now: number }) => iso(now + 45 * SECOND);

function recordOf({ scenario, now }: World, k: number, asked_at: string): Offboarding {
  const { action, by, on, grace, batch, dry, again } = scenario.asks[k] as Ask;
  const [offboarding_id, created_at] = [idOf(k), iso(now)];
  return {
    ...{ organization_id: 'org', offboarding_id, action, connection_ids: on, asked_at, created_at, updated_at: '' },
    grace_period: action === 'disable_then_remove' ? (grace ?? 'P7D') : undefined,
    ...{
      dry_run: dry ?? false,
      on_reenable: again ? 'disable_again' : 'report',
      reason: '',
      requested_by: '',
      caller: '',
    },
    ...{
      request: { id: offboarding_id, source: by, time: '' },
      status: 'requested',
      version: '',
      attempts: 0,
      connections: [],
    },
    ...(by !== 'event' && { accept_by: acceptBy({ now }) }),
    ...(batch && { batch_id: 'batch' }),
  } as unknown as Offboarding;
}

/** The next step of a cancelling. */
export function cancelStep(before: World, c: number): Next | undefined {
  const how = before.scenario.cancels?.[c] ?? 'http';
  const cancelling = before.cancels[c] ?? { is: 'refused' };
  if (cancelling.is === 'accepted' || cancelling.is === 'refused') return undefined;
  const world = { ...before };
  if (cancelling.is === 'new') world.now += SECOND;
  const at = cancelling.at ?? iso(world.now);
  const next = cancelled(world, { ...cancelling, at }, how);
  world.cancels = world.cancels.map((one, i) => (i === c ? next : one));
  return [`cancelling of ${typeof how === 'number' ? idOf(how) : 'all'} (${how}): ${next.is}`, world];
}

function cancelled(world: World, cancelling: Cancelling & { at: string }, how: 'http' | 'event' | number): Cancelling {
  const { at, is, ids = [], pending = [] } = cancelling;
  if (is === 'new' && how === 'event') return { is: 'sent', at };
  if (is !== 'read') return typeof how === 'number' ? readOne(world, at, how) : readAll(world, at);
  const isOne = typeof how === 'number';
  if (!acceptCancellation(world, { at, caller: '', ids, pending, ...(isOne && { only: true }) }, cancelling))
    return { ...cancelling, is: isOne ? 'refused' : 'sent' };
  return covering(world, { ...cancelling, is: 'accepted' }, isOne);
}

/** What its caller understands it to cover: what it has found, and of all what was asked for before it. */
function covering(world: World, cancelling: Cancelling & { at: string }, isOne: boolean): Cancelling {
  const { at, ids = [] } = cancelling;
  const earlier = world.asks.flatMap(({ at: asked = '~' }, k) => (asked < at ? [idOf(k)] : []));
  const covered = isOne ? ids : [...new Set([...earlier, ...ids])].sort();
  const isOver = (id: string) => ['completed', 'failed', 'superseded'].includes(world.records[id]?.status ?? '');
  const before = coveredIn(world);
  world.overBefore = [...world.overBefore, ...covered.filter((id) => isOver(id) && !before.includes(id))];
  return { ...cancelling, covered };
}

function readAll(world: World, at: string): Cancelling {
  const organization = organizationOf(world);
  const { open, removing, version, cancelled } = organization;
  if (cancelled && cancelled.at >= at) return covering(world, { is: 'accepted', at, ids: cancelled.ids }, false);
  const { ids, pending } = foundBy(
    at,
    open.flatMap((id) => world.records[id] ?? []),
    organization,
  );
  return { is: ids.length > 0 && !removing ? 'read' : 'refused', at, ids, pending, version };
}

function readOne(world: World, at: string, k: number): Cancelling {
  const one = world.records[idOf(k)];
  const ids = one && !one.accept_by && !isCancellable(one) ? [] : [idOf(k)];
  return { is: ids.length > 0 ? 'read' : 'refused', at, ids, pending: ids, wasPending: one !== undefined };
}

/** Time goes on to the next date that something waits for: whoever answers a caller has ended by then. */
function timePasses(before: World): Next[] {
  const { worker, organization, records, now, left } = before;
  const dates = Object.values(records).flatMap(({ status, removal_due_at, accept_by }) => [
    ...(accept_by ? [iso(Date.parse(accept_by) + SECOND)] : []),
    ...(!worker && status === 'scheduled' && removal_due_at ? [removal_due_at] : []),
  ]);
  const look = !worker && left.look && organization?.look_at;
  const next = [...dates, ...(look ? [look] : [])].map((at) => Date.parse(at)).filter((at) => at > now);
  return next.length > 0 ? [passed(before, Math.min(...next))] : [];
}
export function passed(before: World, now: number): Next {
  const isLook = iso(now) === before.organization?.look_at;
  const left =
    isLook && (before.left.look ?? 0) > 0 ? { ...before.left, look: (before.left.look ?? 0) - 1 } : before.left;
  const asks = before.asks.map((one, k) =>
    one.is === 'new' || before.scenario.asks[k]?.by === 'event' ? one : { ...one, stopped: true },
  );
  return [`time goes on to ${iso(now)}`, { ...before, now, left, asks }];
}

const isFree = ({ organization, worker }: World) => organization && !worker && !organization.held_until;
export const start = (world: World, cancels?: number): Next => {
  const next = { ...world };
  take(next, cancels);
  const who = cancels === undefined ? 'a worker' : 'the canceller';
  return [`${who} takes the organization`, next];
};
export const runsOut = (world: World): Next => {
  const next = { ...world, late: undefined };
  change(next, { held_until: undefined });
  return ['the lease runs out', next];
};
const isDue = ({ organization, now }: World) => (organization?.due_at ?? '~') <= iso(now);
const isCallerWaiting = ({ scenario }: World, { is, answer }: Cancelling, c: number) =>
  scenario.cancels?.[c] === 'http' && is === 'accepted' && answer === undefined;

/** All that may happen next. */
export function stepsOf(world: World): Next[] {
  const next: (Next | undefined)[] = world.worker ? workerSteps(world) : [];
  const killed = world.worker && kill(world);
  if (killed) next.push(['the worker is killed', killed]);
  for (const [k, { is, stopped }] of world.asks.entries()) {
    next.push(askStep(world, k));
    const change = (to: object) => ({ asks: world.asks.map((one, i) => (i === k ? { ...one, ...to } : one)) });
    const isHttp = world.scenario.asks[k]?.by !== 'event' && is !== 'new';
    if (isHttp && !stopped && !isAcceptedAsk(world, k)) {
      const cut = spend(world, 'kill');
      if (cut) next.push([`${idOf(k)}'s POST ends in an error`, { ...cut, ...change({ stopped: true }) }]);
    }
    const again = isHttp && stopped && world.scenario.asks[k]?.by === 'key' && spend(world, 'repeat');
    const isNew = world.records[idOf(k)]?.status === 'requested';
    if (again && isNew) {
      const record = world.records[idOf(k)] as Offboarding;
      const repeated = { ...again, ...change({ is: 'created', stopped: false }) };
      if (record.accept_by) put(repeated, { ...record, accept_by: acceptBy(world) });
      next.push([`${idOf(k)} is sent again`, repeated]);
    }
  }
  const isAsked = Object.values(world.records).some((record) => isAccepted(record) && !hasEnded(record));
  if (isFree(world) && (isDue(world) || isAsked || world.cancels.some(({ is }) => is === 'accepted')))
    next.push(start(world));
  for (const [c, cancelling] of world.cancels.entries()) {
    next.push(cancelStep(world, c));
    if (isFree(world) && isCallerWaiting(world, cancelling, c)) next.push(start(world, c));
  }
  if (!world.worker && world.organization?.held_until) next.push(runsOut(world));
  if (world.late) {
    const late = { ...world, late: undefined };
    carryOut(late, world.late);
    next.push([`Auth0 carries out that ${world.late.connection} is ${world.late.goal}`, late]);
  }
  for (const [id, is_enabled] of Object.entries(world.auth0)) {
    const hand = spend(world, 'hand');
    const touched = [...new Set([...world.touched, id])].sort();
    const changed = { auth0: { ...world.auth0, [id]: !is_enabled }, last: { ...world.last, [id]: 'hand' }, touched };
    if (hand) next.push([`somebody ${is_enabled ? 'disables' : 'enables'} ${id}`, { ...hand, ...changed }]);
  }
  const added = !('C' in world.auth0) && spend(world, 'added');
  if (added) next.push(['C is added', { ...added, auth0: { ...world.auth0, C: true } }]);
  if (world.left.old && world.left.old > 0)
    next.push(['a week passes', { ...world, left: { ...world.left, old: -1 } }]);
  return [...next.filter((one) => one !== undefined), ...timePasses(world)];
}

/** What happens when nothing is in the way any more; undefined at rest: nothing is due but a look, or nothing at all. */
export function calmStep(world: World): Next | undefined {
  const { organization, asks, left, now } = world;
  if (world.worker) return workerSteps(world)[0];
  const begun = asks.findIndex(({ is }, k) => is !== 'new' && askStep(world, k));
  if (begun >= 0) return askStep(world, begun);
  const cancels = world.cancels.findIndex(({ is }, c) => is !== 'new' && cancelStep(world, c));
  if (cancels >= 0) return cancelStep(world, cancels);
  if (organization?.held_until) return runsOut(world);
  const isLook = organization?.priority === 'watch';
  if (isDue(world) && !(isLook && left.look === -1))
    return start({ ...world, now: now + 50 * SECOND, ...(isLook && { left: { ...left, look: -1 } }) });
  if (!organization?.due_at) return undefined;
  const dates = Object.values(world.records).flatMap(({ status, removal_due_at }) =>
    status === 'scheduled' && removal_due_at ? [Date.parse(removal_due_at)] : [],
  );
  const next = isLook ? Math.min(...dates) : Date.parse(organization.due_at) + SECOND;
  return next > now && next < Number.POSITIVE_INFINITY
    ? passed({ ...world, left: { ...left, look: 0 } }, next)
    : undefined;
}

/** The world with nothing more to go wrong. */
export const calmed = (world: World): World => ({ ...world, left: { ...(world.left.old === -1 && { old: -1 }) } });
