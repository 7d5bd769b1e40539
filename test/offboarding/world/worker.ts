// The work on the organization, as work.ts does it, with each way in which a step of it may end.
import type { OrganizationConnection } from '../../../lib/auth0/management-api.ts';
import type { CallResult, Step } from '../../../lib/offboarding/connections.ts';
import { hasEnded, type Offboarding, type Organization } from '../../../lib/offboarding/offboarding.ts';
import {
  byAskedAt,
  cancellationOf,
  dueOf,
  isAccepted,
  isOpen,
  nextCancellingStep,
  nextStep,
  watchedOf,
} from '../../../lib/offboarding/rules.ts';
import { waiting } from '../../../lib/offboarding/transitions.ts';
import {
  type Ask,
  askOf,
  breaks,
  change,
  coveredIn,
  DAY,
  idOf,
  isAcceptedAsk,
  isLaterAsk,
  iso,
  kill,
  type Next,
  organizationOf,
  put,
  spend,
  type Worker,
  type World,
} from './state.ts';

export function take(world: World, cancels?: number): void {
  const { holder } = organizationOf(world);
  change(world, { holder: 'worker', held_until: 1 });
  const abandoned = holder !== undefined && holder !== 'nobody';
  const known = { looked: organizationOf(world), records: [], postponed: [], transient: false, unknown: false };
  load(world, { cancels, lease: organizationOf(world), abandoned, ...known });
}

function load(world: World, worker: Worker): void {
  const lease = organizationOf(world);
  const found = lease.open.flatMap((id) => world.records[id] ?? []);
  const records = found.filter(({ accept_by = '~' }) => accept_by > iso(world.now)).sort(byAskedAt);
  world.worker = { ...worker, lease, looked: lease, records, listed: undefined, postponed: [] };
}

/** What Auth0 may still carry out is waited for. */
function reload(world: World, worker: Worker): void {
  if (worker.unknown) endInError(world, worker, 'auth0_unavailable');
  else load(world, worker);
}

const stateOf = ({ now, left }: World, worker: Worker) => ({
  organization: worker.looked,
  records: worker.records,
  listed: worker.listed,
  now: new Date(now),
  postponed: new Set(worker.postponed),
  isTooOld: () => left.old === -1,
  wasAbandoned: worker.abandoned,
  isWatchOver: () => false,
  canEndSessions: false,
});

function know(worker: Worker, record: Offboarding): Worker {
  const records = worker.records.map((one) => (one.offboarding_id === record.offboarding_id ? record : one));
  return { ...worker, records, about: record.offboarding_id, call: undefined };
}

/** The work ends in an error: what is known is put on record, the organization is let go. */
function endInError(world: World, worker: Worker, code?: string): void {
  const about = worker.records.find(({ offboarding_id }) => offboarding_id === worker.about);
  if (about && code !== 'changed')
    put(world, code && !hasEnded(about) ? waiting(about, { code, message: '' }, new Date(world.now)) : about);
  giveUp(world, worker.unknown);
}
function giveUp(world: World, unknown: boolean): void {
  change(world, unknown ? { holder: 'nobody' } : { holder: undefined, held_until: undefined });
  world.worker = undefined;
}

function write(world: World, worker: Worker, record: Offboarding): void {
  const written = put(world, record);
  if (written) world.worker = know(worker, written);
  else endInError(world, worker, 'changed');
}

/** Written upon the version that the worker has; else all is read anew. */
function changeKnown(world: World, worker: Worker, changes: Partial<Organization>): boolean {
  const isKnown = organizationOf(world).version === worker.lease.version;
  if (isKnown) change(world, changes);
  const lease = organizationOf(world);
  if (isKnown) world.worker = { ...worker, lease, looked: lease };
  else reload(world, worker);
  return isKnown;
}

function rest(world: World, worker: Worker): void {
  const { looked: organization, records: all } = worker;
  const open = all.filter((record) => isOpen(record, all));
  const look_at = watchedOf(open).length === 0 ? undefined : (organization.look_at ?? iso(world.now + DAY));
  const next = { ...organization, look_at };
  const isLeft = (id: string) =>
    all.some((one) => one.offboarding_id === id && (!isAccepted(one) || cancellationOf(one, next) !== undefined));
  const known = new Set(all.map(({ offboarding_id }) => offboarding_id));
  const ones = (organization.cancelled_ones ?? []).filter(({ ids: [id = ''] }) => !known.has(id) || isLeft(id));
  if (organization.version !== organizationOf(world).version) {
    reload(world, worker);
    return;
  }
  const rests = { look_at, cancelled_ones: ones, ...(world.scenario.dueOf ?? dueOf)(next, open) };
  change(world, { ...rests, open: open.map(({ offboarding_id }) => offboarding_id).sort() });
  if (worker.cancels !== undefined) answer(world, worker.records, worker.cancels);
  giveUp(world, worker.unknown);
}

/** What the caller of a cancelling is told, as cancelling.ts says it. */
function answer(world: World, records: Offboarding[], c: number): void {
  const found = records.filter(({ offboarding_id }) => world.cancels[c]?.ids?.includes(offboarding_id));
  const isOver = found.every(({ status, watch }) => ['cancelled', 'superseded'].includes(status) || watch === 'ended');
  const answer = isOver ? '200' : '202';
  world.cancels = world.cancels.map((one, i) => (i === c ? { ...one, answer } : one));
}

/** The next step of the worker, with each way in which it may end; what goes well comes first. */
export function workerSteps(before: World): Next[] {
  const worker = before.worker as Worker;
  if (worker.call) return callSteps(before, worker, worker.call);
  const step = (worker.cancels === undefined ? nextStep : nextCancellingStep)(stateOf(before, worker));
  const world = { ...before };
  const record = 'record' in step ? step.record : undefined;
  const about = record ? `${step.do} ${record.offboarding_id} ${record.status}` : step.do;
  const after: Next[] = [[`worker: ${about}`, world]];
  switch (step.do) {
    case 'write':
    case 'schedule':
      write(world, worker, step.record);
      break;
    case 'list': {
      const listed = Object.entries(world.auth0).map(([connection_id, is_enabled]) => ({ connection_id, is_enabled }));
      const asks = { ...worker, about: step.about?.offboarding_id ?? worker.about };
      world.worker = { ...asks, listed: listed as OrganizationConnection[] };
      const failed = spend(before, 'outage');
      if (failed) endInError(failed, asks, 'auth0_unavailable');
      if (failed) after.push(['worker: list fails for now', failed]);
      break;
    }
    case 'call': {
      const written = put(world, step.record);
      if (!written) endInError(world, worker, 'changed');
      else world.worker = { ...worker, call: { ...step, record: written } };
      break;
    }
    case 'start removing': {
      const { offboarding_id } = step.record;
      const since = iso(world.now);
      if (changeKnown(world, worker, { removing: { offboarding_id, since } })) checkRemoval(world, offboarding_id);
      break;
    }
    case 'end removing':
      changeKnown(world, worker, { removing: undefined });
      break;
    case 'publish':
      return publishSteps(before, worker, step);
    case 'checked':
      world.worker = { ...worker, looked: { ...worker.looked, look_at: iso(world.now + DAY) } };
      break;
    case 'postpone':
      endInError(world, { ...worker, about: step.record.offboarding_id }, 'auth0_unavailable');
      break;
    case 'end sessions':
      break;
    case 'nothing':
      rest(world, worker);
  }
  return after;
}

function publishSteps(before: World, worker: Worker, { record, connection }: Extract<Step, { do: 'publish' }>): Next[] {
  const { offboarding_id: id, unpublished, status } = record;
  const outcome = unpublished === 'watch_ended' ? unpublished : status === 'superseded' ? 'scheduled' : status;
  const told = before.told[id] ?? [];
  const isNews = !connection && told.at(-1) !== outcome;
  const sent = { ...before, told: isNews ? { ...before.told, [id]: [...told, outcome] } : before.told };
  const killed = isNews && kill(sent);
  const world = { ...sent };
  const connections = record.connections.map((one) => (one === connection ? { ...one, untold: undefined } : one));
  write(world, worker, connection ? { ...record, connections } : { ...record, unpublished: undefined });
  const what = `worker: tells ${connection ? 'drift' : outcome} of ${id}`;
  return [[what, world], ...(killed ? [[`${what}, and is killed`, killed] as Next] : [])];
}

/** Auth0 changes the connection, or does not know it. */
export function carryOut(world: World, { goal, connection, by }: NonNullable<World['late']>): CallResult {
  const { [connection]: current, ...others } = world.auth0;
  if (current === undefined) return { is: 'gone' };
  if (goal === 'removed' && !organizationOf(world).removing)
    breaks(world, `${connection} is removed by ${by}, unguarded`);
  world.auth0 = goal === 'removed' ? others : { ...others, [connection]: goal === 'enabled' };
  world.auth0 = Object.fromEntries(Object.entries(world.auth0).sort());
  world.last = { ...world.last, [connection]: by };
  const isAnswered = world.cancels.some(({ answer, covered }) => answer === '200' && covered?.includes(by));
  if (isAnswered && goal !== 'enabled')
    breaks(world, `${connection} is ${goal} by ${by} after its cancelling was answered 200`);
  return { is: 'done' };
}

function callSteps(before: World, worker: Worker, step: NonNullable<Worker['call']>): Next[] {
  const { goal, record, connection, after } = step;
  const { connection_id } = connection;
  const call = { goal, connection: connection_id, by: record.offboarding_id };
  const what = `worker: has ${connection_id} ${goal} for ${call.by}`;
  const mark = `${call.by} ${connection_id}`;
  const asked = { ...before, refused: before.refused.filter((one) => one !== mark) };
  const known = (world: World, result: CallResult) => {
    const current = know(worker, { ...after(result), version: record.version });
    const listed = current.listed?.filter((one) => goal !== 'removed' || one.connection_id !== connection_id);
    const is_enabled = goal === 'enabled';
    const changed = listed?.map((one) => (one.connection_id === connection_id ? { ...one, is_enabled } : one));
    world.worker = result.is === 'done' ? { ...current, listed: changed } : current;
    return world.worker;
  };
  const done = { ...asked };
  known(done, carryOut(done, call));
  const steps: Next[] = [[what, done]];
  const also = (world: World | undefined, how: string, then: (world: World) => void) => {
    if (!world) return;
    then(world);
    steps.push([`${what}: ${how}`, world]);
  };
  also(spend(asked, 'refusal'), 'refused for good', (world) => {
    known(world, { is: 'rejected', error: { code: 'forbidden_by_auth0', message: '' } });
    if (goal === 'disabled' && record.status === 'working') world.refused = [...world.refused, mark].sort();
  });
  /** The first failure stops no other connection. */
  const transient = (world: World, mayBeDone: boolean) => {
    const current = known(world, { is: 'transient', mayBeDone });
    const failed = { ...current, unknown: current.unknown || mayBeDone };
    if (worker.transient) endInError(world, failed, 'auth0_unavailable');
    else world.worker = { ...failed, transient: true, postponed: [connection_id] };
  };
  also(spend(asked, 'outage'), 'fails for now, nothing done', (world) => transient(world, false));
  also(spend(asked, 'unknown'), 'the answer is lost, it is done', (world) => {
    carryOut(world, call);
    transient(world, true);
  });
  also(spend(asked, 'unknown'), 'no answer; Auth0 may do it later', (world) => {
    world.late = call;
    transient(world, true);
  });
  also(kill(asked), 'killed, it is done', (world) => carryOut(world, call));
  also(kill(asked), 'killed; Auth0 may do it later', (world) => {
    world.late = call;
  });
  return steps;
}

/** `P{n}D` or `PT{n}H`, milliseconds. */
const graceOf = (grace: string) => Number(/\d+/.exec(grace)) * (grace.startsWith('PT') ? DAY / 24 : DAY);

/** Who asked later for a removal, and has been accepted, decides the date: an onlooker's view, at the moment of the decision. */
function checkRemoval(world: World, id: string): void {
  const { action, grace = 'P7D' } = askOf(world, id);
  const own = Number(id.slice(1));
  const asked = world.asks[own]?.at ?? '';
  if (coveredIn(world).includes(id)) breaks(world, `${id} begins to remove after its cancelling was accepted`);
  if (action !== 'disable_then_remove') return;
  // Two clocks may differ by two seconds.
  if (world.now < Date.parse(asked) + graceOf(grace) - 2000) breaks(world, `${id} removes too early`);
  const later = world.asks.findIndex((_, k) => {
    const ask = world.scenario.asks[k] as Ask;
    const status = isAcceptedAsk(world, k) && isLaterAsk(world, k, own) && !ask.dry && world.records[idOf(k)]?.status;
    const over = ['completed', 'failed', 'cancelled'];
    return ask.action === action && status && !over.includes(status) && !coveredIn(world).includes(idOf(k));
  });
  if (later >= 0) breaks(world, `${id} begins to remove after the later ${idOf(later)} was accepted`);
}
/** Accepted: on record and on the bus, or with a key on record; an event once it is admitted. */
