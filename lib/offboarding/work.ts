import { randomUUID } from 'node:crypto';
import { type CallContext, LATE_MS } from '../auth0/call-context.ts';
import { disable, enable, list, remove } from '../auth0/management-api.ts';
import { addStageDuration } from '../duration.ts';
import { asProblem, isFinal, type Problem, RetryLater } from '../problem.ts';
import { type Call, type CallResult, type Step, withConnection } from './connections.ts';
import { type Failure, hasEnded, type Offboarding, type Organization } from './offboarding.ts';
import * as organizations from './organization.ts';
import { publishDrift, publishRecord } from './outcome.ts';
import * as records from './record.ts';
import { byAskedAt, cancellationOf, dueOf, isAccepted, isOpen, nextStep, type State, watchedOf } from './rules.ts';
import { end, waiting } from './transitions.ts';

/** A worker, which can go on in its next delivery, begins a write only when this much time is left, milliseconds. */
const TIME_FOR_A_WRITE_MS = 3000;
/** A cancelling of one offboarding that nobody has put on record is waited for, milliseconds. */
const CANCELLED_UNSEEN_MS = 86_400_000;

export interface WorkOptions {
  /** What is to be done next; all that the rules say, when left out. */
  next?: ((state: State) => Step) | undefined;
  /** Tells Scheduler of a removal; only who disables needs it. */
  schedule?: ((record: Offboarding) => Promise<void>) | undefined;
  /** Says that the sessions of an organization's members are to be ended; where the stage does that. */
  endSessions?: ((record: Offboarding) => Promise<void>) | undefined;
  /** Called before a failure that nobody asked for is told. */
  onFailed?: ((record: Offboarding, reason: Failure) => Promise<void>) | undefined;
  /** How long what ended in an error waits, and for the end of what, as it is shown. */
  waitAfter?: ((error: unknown) => { ms: number; problem?: Failure }) | undefined;
}

/** The work on one organization: what is known of it, as far as it was written, and the record that the last step was about. */
interface Work {
  state: State;
  options: WorkOptions;
  context: CallContext;
  about?: Offboarding | undefined;
  transient?: Problem;
}

/**
 * Works on an organization, alone, until the rules say that nothing is left to be done now. Throws what ends the work for now
 * (`RetryLater`, or a transient `Problem`); what is done and what is left is on record then, and the organization is given back,
 * or its lease runs out where Auth0 may still carry out a call.
 */
export async function workOn(organization_id: string, context: CallContext, options: WorkOptions = {}): Promise<void> {
  const taken = await organizations.take(organization_id, randomUUID(), context.deadline + LATE_MS);
  const state: State = {
    ...taken,
    records: [],
    listed: undefined,
    now: new Date(),
    postponed: new Set(),
    isTooOld: isOver('GIVE_UP_AFTER'),
    isWatchOver: isOver('WATCH_FOR'),
    canEndSessions: options.endSessions !== undefined,
  };
  const work: Work = { options, context, state };
  try {
    await load(state, taken.organization);
    for (;;) {
      const step = (options.next ?? nextStep)({ ...state, now: new Date() });
      if (step.do !== 'nothing') await perform(step, work);
      else if (await rest(work)) return;
      else await reload(work);
    }
  } catch (error) {
    await endInError(error, work);
    throw error;
  }
}

const isOver = (duration: Parameters<typeof addStageDuration>[1]) => (since: string) =>
  addStageDuration(new Date(since), duration) < new Date();

/** Reads what the organization is about. One that was never accepted in time is forgotten when the organization is given back. */
async function load(state: State, organization: Organization): Promise<void> {
  const now = new Date().toISOString();
  const found = await organizations.openRecords(organization);
  const records = found.filter(({ accept_by = '~' }) => accept_by > now).sort(byAskedAt);
  Object.assign(state, { organization, records, listed: undefined });
}

/** Reads all of it anew, for something was accepted meanwhile; who has lost the organization stops. */
async function reload({ state, context, transient }: Work): Promise<void> {
  const { organization_id, holder } = state.organization;
  const current = await organizations.getOrganization(organization_id);
  if (current.holder !== holder) throw new RetryLater('The lease of the organization has run out', 0);
  // What Auth0 may still carry out is waited for: what it lists now says nothing about that.
  if (unknownUntil(context)) throw transient ?? new RetryLater('Auth0 may still carry out a call', 0);
  await load(state, current);
}

/** Writes the organization; where something was accepted meanwhile, that decides. */
async function change(work: Work, changes: Partial<Organization>): Promise<void> {
  const { state } = work;
  const organization = await organizations.write(state.organization, changes);
  if (organization) state.organization = organization;
  else await reload(work);
}

/** The record as it is known from now on; what is not written yet is written with the next step. */
function know(work: Work, record: Offboarding): void {
  work.state.records = work.state.records.map((one) => (one.offboarding_id === record.offboarding_id ? record : one));
  work.about = record;
}

const save = async (work: Work, record: Offboarding) => know(work, await records.put(record));

async function perform(step: Step, work: Work): Promise<void> {
  const { context, state, options } = work;
  if (Date.now() >= context.deadline) throw new RetryLater("The function's time is used up", 0);
  switch (step.do) {
    case 'write':
      return save(work, step.record);
    case 'list':
      work.about = step.about ?? work.about;
      return askForList(step.about, work);
    case 'call':
      return callAuth0(step, work);
    case 'end sessions':
      await options.endSessions?.(step.record);
      return save(work, step.record);
    case 'schedule':
      work.about = step.record;
      await options.schedule?.(step.record);
      return save(work, step.record);
    case 'start removing': {
      const { offboarding_id } = step.record;
      return change(work, { removing: { offboarding_id, since: new Date().toISOString() } });
    }
    case 'end removing':
      return change(work, { removing: undefined });
    case 'publish':
      return publish(step, work);
    case 'postpone':
      work.about = step.record;
      throw work.transient ?? new RetryLater('A connection is left for later', 0);
    case 'checked':
      state.organization = { ...state.organization, look_at: nextCheckAt(), looked_at: new Date().toISOString() };
  }
}

const nextCheckAt = () => addStageDuration(new Date(), 'WATCH_INTERVAL').toISOString();

/** The organization's connections; none where Auth0 does not know it any more, which is the end of a request that has not begun. */
async function askForList(about: Offboarding | undefined, work: Work): Promise<void> {
  const { context, state } = work;
  try {
    state.listed = await list(state.organization.organization_id, context);
  } catch (error) {
    if (!isFinal(error)) throw error;
    const record = about ?? state.records.find((one) => !hasEnded(one) && one.status !== 'scheduled');
    if (error.code === 'unknown_organization' && about?.status !== 'requested') state.listed = [];
    else if (record) await save(work, end(record, error.failure));
    else throw error;
  }
}

const CALL = { disabled: disable, removed: remove, enabled: enable };

/** One call of Auth0: what is about to be done is on record before it is done. A first transient failure stops no other connection. */
async function callAuth0({ goal, record, connection, level, after }: Call, work: Work): Promise<void> {
  const { context, state } = work;
  const { connection_id } = connection;
  if (goal !== 'enabled' && context.deadline - Date.now() < TIME_FOR_A_WRITE_MS)
    throw new RetryLater("The function's time is used up", 0);
  const { version, updated_at } = await records.put(record);
  const known = (result: CallResult) => know(work, { ...after(result), version, updated_at });
  try {
    await CALL[goal](record.organization_id, connection_id, context, level);
    known({ is: 'done' });
    // One read is enough for all that is done.
    const listed = state.listed?.filter((one) => goal !== 'removed' || one.connection_id !== connection_id);
    const changed = { is_enabled: goal === 'enabled', ...(level && { organization_access_level: level }) };
    state.listed = listed?.map((one) => (one.connection_id === connection_id ? { ...one, ...changed } : one));
    context.log.info('connection_processed', { goal, connection_id });
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.code === 'unknown_connection' || problem.code === 'unknown_organization') return known({ is: 'gone' });
    // Refused after an attempt whose end nobody knows, it may be done all the same: what Auth0 lists later tells.
    if (!problem.isTransient && !problem.mayBeDone) {
      const error = { code: problem.code, message: problem.upstream?.message ?? problem.message };
      return known({ is: 'rejected', error });
    }
    known({ is: 'transient', mayBeDone: problem.mayBeDone });
    if (work.transient || problem.code !== 'auth0_unavailable') throw problem;
    work.transient = problem;
    state.postponed = new Set([connection_id]);
  }
}

async function publish({ record, connection }: Extract<Step, { do: 'publish' }>, work: Work): Promise<void> {
  const { context, options } = work;
  if (connection) {
    await publishDrift(record, connection, context.log);
    const told = withConnection(record, { ...connection, untold: undefined });
    return save(work, { ...told, drifted: (record.drifted ?? 0) + 1 });
  }
  if (record.status === 'failed' && record.error) await options.onFailed?.(record, record.error);
  await publishRecord(record, context.log);
  await save(work, { ...record, unpublished: undefined });
}

/** Gives the organization back with what it waits for. False when something was accepted meanwhile: there is more to do. */
function rest({ state, context }: Work): Promise<boolean> {
  const { organization, records: all } = state;
  const open = all.filter((record) => isOpen(record, all));
  const look_at = watchedOf(open).length > 0 ? (organization.look_at ?? nextCheckAt()) : undefined;
  const next = { ...organization, look_at };
  const recently = new Date(Date.now() - CANCELLED_UNSEEN_MS).toISOString();
  // A batch's that is cancelled before its record is there is cancelled when it comes.
  const cancelled_ones = organization.cancelled_ones?.filter(({ ids: [id], at }) => {
    const record = all.find(({ offboarding_id }) => offboarding_id === id);
    return record ? !isAccepted(record) || cancellationOf(record, next) !== undefined : at > recently;
  });
  const looked = { look_at, looked_at: organization.looked_at };
  const rest = { open: open.map(({ offboarding_id }) => offboarding_id), ...dueOf(next, open) };
  return organizations.giveBack(organization, { ...rest, ...looked, cancelled_ones }, unknownUntil(context));
}

const unknownUntil = ({ unknownUntil = 0 }: CallContext) => (unknownUntil > Date.now() ? unknownUntil : undefined);

/** What was learned is on record, with what it waits for; a failure to say so changes nothing of what is due. */
async function endInError(error: unknown, { about, state, options, context }: Work): Promise<void> {
  const { ms, problem } = options.waitAfter?.(error) ?? { ms: 0 };
  const until = new Date(Date.now() + ms);
  try {
    if (about && !(error instanceof records.RecordChanged))
      await records.put(problem && !hasEnded(about) ? waiting(about, problem, until) : about);
  } catch (cause) {
    context.log.warn('offboarding_wait_failed', { error: String(cause) });
  }
  await organizations.letGo(state.organization, unknownUntil(context), until.getTime()).catch(() => undefined);
}
