import { type Accepted, acceptOffboarding } from '../../lib/offboarding/intake/accept.ts';
import { type AcceptedBatch, acceptBatch } from '../../lib/offboarding/intake/accept-batch.ts';
import { type Cancelled, cancelOrganization } from '../../lib/offboarding/intake/cancel.ts';
import { cancelBatch } from '../../lib/offboarding/intake/cancel-batch.ts';
import { requestDriftCheck } from '../../lib/offboarding/intake/drift-check.ts';
import type { Core, Effect, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import type { Stage } from '../../lib/offboarding/model/stage.ts';
import { dispatchDueWork } from '../../lib/offboarding/worker/dispatch.ts';
import { learn } from '../../lib/offboarding/worker/learn.ts';
import { nextEffect } from '../../lib/offboarding/worker/visit.ts';
import { startVisit, type VisitInput, type VisitState } from '../../lib/offboarding/worker/visit-state.ts';
import { endSessions } from '../../lib/sessions/end-sessions.ts';
import { type Computation, keyOfComputation, replay, resume, tokenOf } from './frames.ts';
import type { Message, Request } from './world.ts';

// What runs in the world is the deployed core. A worker's visit is compared by its state; every other computation by what is left
// of what it was given (frames.ts).

export const STAGE: Stage = {
  defaultGracePeriod: 'PT1H',
  minimumGracePeriod: 'PT1H',
  removalNotice: 'P3D',
  giveUpAfter: 'P7D',
  watchInterval: 'P10D',
  watchFor: 'P400D',
  canEndSessions: true,
  canEndMachineAccess: true,
};

/** A computation at one of its effects, or at its end. Each is computed once. */
interface CoreProgram {
  is: 'core';
  name: string;
  effect: Effect | undefined;
  result: unknown;
  start: () => Core<unknown>;
  /** One of the sequences of results that lead here. */
  path: Result[];
  /** The computation here, until it goes on. */
  computation?: Computation | undefined;
  id: number;
  /** Where each result has led, by its token. */
  next: Map<string, Program>;
}

/** A worker's visit in one of its states; `pending`: its next effect, with the state there. Each is computed once. */
interface VisitProgram {
  is: 'visit';
  state: VisitState;
  pending?: ReturnType<typeof nextEffect>;
  next: Map<string, Program>;
}

export type Program = CoreProgram | VisitProgram;

const known = new Map<string, Program>();

/** Before another scenario: its requests may have the same names. */
export const forgetPrograms = (): void => known.clear();

function coreAt(name: string, start: () => Core<unknown>, path: Result[], computation: Computation): Program {
  const { step } = computation;
  const id = `${name} ${step.done ? `ended ${tokenOf(step.value)}` : keyOfComputation(computation)}`;
  let program = known.get(id);
  if (!program) {
    const end = step.done ? { effect: undefined, result: step.value } : { effect: step.value, result: undefined };
    program = { is: 'core', name, ...end, start, path, computation, id: known.size, next: new Map() };
    known.set(id, program);
  }
  return program;
}

/** A computation that begins; `name` tells it apart from all others. */
export const coreProgram = (name: string, start: () => Core<unknown>): Program =>
  coreAt(name, start, [], replay(start, []));

export function visitProgram(input: VisitInput, now: number): Program {
  const id = `visit ${now} ${JSON.stringify(input)}`;
  let program = known.get(id);
  if (!program) {
    program = { is: 'visit', state: startVisit(input, now), next: new Map() };
    known.set(id, program);
  }
  return program;
}

function pendingIn(visit: VisitProgram): ReturnType<typeof nextEffect> {
  visit.pending ??= nextEffect(visit.state);
  return visit.pending;
}

/** The next effect of a program; undefined at its end. */
export const pendingOf = (program: Program): Effect | undefined =>
  program.is === 'core' ? program.effect : pendingIn(program).effect;

/** How a program ended. */
export const endOf = (program: Program): unknown =>
  program.is === 'core' ? program.result : pendingIn(program).state.end;

/** The program with the result of its next effect. */
export function proceed(program: Program, result: Result): Program {
  const { at, value, error } = result;
  const token = error ? `${at} failed ${tokenOf(error)}` : `${at} ${tokenOf(value)}`;
  let next = program.next.get(token);
  if (!next) {
    next = program.is === 'core' ? resumed(program, result) : learned(program, result);
    program.next.set(token, next);
  }
  return next;
}

/** A computation goes on once; where other results lead it is computed from its beginning. */
function resumed(program: CoreProgram, result: Result): Program {
  const { name, start, path, computation = replay(start, path) } = program;
  program.computation = undefined;
  resume(computation, result);
  return coreAt(name, start, [...path, result], computation);
}

function learned(visit: VisitProgram, result: Result): Program {
  const { state, effect } = pendingIn(visit);
  return { is: 'visit', state: learn(state, effect as SingleEffect, result), next: new Map() };
}

/** A worker has this long, milliseconds; a request over HTTP, too. */
export const VISIT_MS = 54_000;
const HTTP_MS = 28_000;

export const parametersOf = ({ action, options = {} }: Request) => ({
  action: action as 'disable',
  reason: options.reason ?? 'contract ended',
  requested_by: options.requested_by ?? 'billing',
  dry_run: options.dry_run ?? false,
  on_reenable: (options.on_reenable ?? 'report') as 'report',
  end_sessions: options.sessions ?? false,
  end_machine_access: options.machines ?? false,
  ...(options.grace && { grace_period: options.grace }),
  ...(options.ids && { connection_ids: options.ids }),
});

/** Who computes: the nonce of its versions, its clock (Unix ms), and the stage. */
export interface By {
  nonce: string;
  now: number;
  stage: Stage;
  /** How long a visit has, milliseconds, and how often it tries again. */
  visitMs?: number | undefined;
  retries?: number | undefined;
}
export const writer = ({ nonce, now, stage }: By, ms: number) => ({ nonce, deadline: now + ms, stage });
export const nameOf = (what: string, { nonce, now, stage }: By) => `${what} ${nonce} ${now} ${stage.canEndSessions}`;

/** `POST …/offboarding`, with a key where `hasKey`. */
export function postProgram(request: Request, by: By, hasKey: boolean): Program {
  const { id, organization, options } = request;
  const about = {
    offboarding_id: id,
    parameters: parametersOf(request),
    caller: 'arn:billing',
    ...(hasKey && { fingerprint: options?.body ?? 'body' }),
  };
  const input = { organization_id: organization, request: about, mayBeRepeated: hasKey, ...writer(by, HTTP_MS) };
  return coreProgram(nameOf(`post ${JSON.stringify(request)}`, by), () => acceptOffboarding(input, by.now));
}
export const statusOfPost = (end: unknown): number => {
  const { is } = end as Accepted;
  return is === 'accepted' || is === 'replayed'
    ? 202
    : is === 'unknown'
      ? 504
      : is === 'refused'
        ? 409
        : is === 'reused'
          ? 422
          : 503;
};

/** `POST /offboardings` of the same for each organization. */
export function batchProgram(batch: string, requests: Request[], by: By, hasKey: boolean): Program {
  const [first] = requests;
  if (!first) throw new Error('A batch has members');
  const input = {
    batch_id: batch,
    fingerprint: first.options?.body ?? 'body',
    organization_ids: requests.map(({ organization }) => organization),
    request: { parameters: parametersOf(first), caller: 'arn:billing' },
    memberIdOf,
    hasKey,
    ...writer(by, HTTP_MS),
  };
  return coreProgram(nameOf(`batch ${batch} ${input.fingerprint}`, by), () => acceptBatch(input, by.now));
}
export const statusOfBatch = (end: unknown): number => {
  const { is } = end as AcceptedBatch;
  return is === 'accepted' || is === 'replayed' ? 202 : is === 'unknown' ? 504 : is === 'reused' ? 422 : 503;
};

const SUPPORT = { caller: 'arn:support', requested_by: 'support', reason: 'stays' };

/** `DELETE …/offboarding`. */
export function cancelProgram(organization_id: string, by: By): Program {
  const input = { organization_id, act: SUPPORT, ...writer(by, HTTP_MS) };
  return coreProgram(nameOf(`cancel ${organization_id}`, by), () => cancelOrganization(input, by.now));
}
export const statusOfCancel = (end: unknown): number => {
  const result = end as Cancelled;
  if (result.is === 'found') {
    const isFailed = result.records.some(({ status, cancelled }) => status === 'failed' && cancelled);
    return isFailed ? 502 : result.isOver ? 200 : 202;
  }
  return result.is === 'nothing' ? 404 : result.is === 'removing' ? 409 : 503;
};

/** As scenarios name the members of a batch. */
const memberIdOf = (batch: string, organization: string): string => `${batch} ${organization}`;

/** `DELETE /offboardings?batch_id=…`. */
export function cancelBatchProgram(batch_id: string, by: By): Program {
  const input = {
    batch_id,
    memberIdOf,
    act: { at: new Date(by.now).toISOString(), ...SUPPORT },
    ...writer(by, HTTP_MS),
  };
  return coreProgram(nameOf(`cancel batch ${batch_id}`, by), () => cancelBatch(input, by.now));
}
export const statusOfCancelBatch = (end: unknown): number => {
  const { is } = end as { is: string };
  return is === 'cancelled' ? 202 : is === 'not found' ? 404 : 503;
};

/** A notification of Auth0's. */
export const checkProgram = (organization_id: string, by: By, what: object): Program =>
  coreProgram(nameOf(`check ${organization_id}`, by), () =>
    requestDriftCheck({ organization_id, ...what, ...writer(by, HTTP_MS) }, by.now),
  );

export const dispatchProgram = (by: By): Program =>
  coreProgram(nameOf('dispatch', by), () =>
    dispatchDueWork({ ...writer(by, VISIT_MS), shards: [0], all: false, memberIdOf }, by.now),
  );

/** The worker's visit of an organization. */
export const workProgram = (organization_id: string, by: By): Program =>
  visitProgram(
    { organization_id, ...writer(by, by.visitMs ?? VISIT_MS), waitMs: 5000, retries: by.retries ?? 0, mode: 'work' },
    by.now,
  );

export const sessionsProgram = ({ organization, offboarding = '' }: Message, by: By): Program => {
  const input = {
    organization_id: organization,
    offboarding_id: offboarding,
    allMembers: false,
    ...writer(by, by.visitMs ?? VISIT_MS),
  };
  const stage = { ...by.stage, canEndSessions: true };
  return coreProgram(nameOf(`sessions ${offboarding}`, by), () => endSessions({ ...input, stage }, by.now));
};
