import { acceptBatch, type AcceptedBatch } from '../../lib/offboarding/intake/accept-batch.ts';
import { acceptEvent } from '../../lib/offboarding/intake/accept-event.ts';
import { acceptOffboarding, type Accepted } from '../../lib/offboarding/intake/accept.ts';
import { acceptCancellationEvent, type Cancelled, cancelOrganization } from '../../lib/offboarding/intake/cancel.ts';
import { cancelBatch } from '../../lib/offboarding/intake/cancel-batch.ts';
import { requestDriftCheck } from '../../lib/offboarding/intake/drift-check.ts';
import type { Core, Effect, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import type { Stage } from '../../lib/offboarding/model/stage.ts';
import { dispatchDueWork } from '../../lib/offboarding/worker/dispatch.ts';
import { learn, nextEffect } from '../../lib/offboarding/worker/visit.ts';
import { startVisit, type VisitEnd, type VisitInput, type VisitState } from '../../lib/offboarding/worker/visit-state.ts';
import { replay, tokenOf } from './frames.ts';
import type { Message } from './world.ts';

// What runs in the world is the deployed core. A worker's visit is compared by its state; every other computation by what is left
// of what it was told (frames.ts).

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
interface Node {
  effect: Effect | undefined;
  result: unknown;
  start: () => Core<unknown>;
  /** One of the sequences of results that lead here. */
  path: Result[];
  children: Map<string, Node>;
  id: number;
}

export type Program = { is: 'core'; name: string; node: Node } | { is: 'visit'; state: VisitState };

const known = new Map<string, Node>();

/** Before another scenario: its requests may have the same names. */
export const forgetPrograms = (): void => known.clear();

function nodeOf(name: string, start: () => Core<unknown>, path: Result[]): Node {
  const { step, key } = replay(start, path);
  const id = `${name} ${step.done ? `ended ${tokenOf(step.value)}` : key}`;
  let node = known.get(id);
  if (!node) {
    const end = step.done ? { effect: undefined, result: step.value } : { effect: step.value, result: undefined };
    node = { ...end, path, start, children: new Map(), id: known.size };
    known.set(id, node);
  }
  return node;
}

/** A computation that begins; `name` tells it apart from all others. */
export const coreProgram = (name: string, start: () => Core<unknown>): Program => ({ is: 'core', name, node: nodeOf(name, start, []) });

export const visitProgram = (input: VisitInput, now: number): Program => ({ is: 'visit', state: startVisit(input, now) });

const effects = new WeakMap<VisitState, ReturnType<typeof nextEffect>>();

/** A visit's next effect, computed once for each state. */
function nextOf(state: VisitState): ReturnType<typeof nextEffect> {
  let next = effects.get(state);
  if (!next) {
    next = nextEffect(state);
    effects.set(state, next);
  }
  return next;
}

/** The effect that a program asks for next; undefined at its end. */
export function pendingOf(program: Program): Effect | undefined {
  return program.is === 'core' ? program.node.effect : nextOf(program.state).effect;
}

/** How a program ended. */
export const endOf = (program: Program): unknown => (program.is === 'core' ? program.node.result : nextOf(program.state).state.end);

/** The program with the result of the effect that it asked for. */
export function proceed(program: Program, result: Result): Program {
  if (program.is === 'visit') {
    const { state, effect } = nextOf(program.state);
    return { is: 'visit', state: learn(state, effect as SingleEffect, result) };
  }
  const { node, name } = program;
  const key = tokenOf(result);
  let next = node.children.get(key);
  if (!next) {
    next = nodeOf(name, node.start, [...node.path, result]);
    node.children.set(key, next);
  }
  return { is: 'core', name, node: next };
}

/** A worker has this long, milliseconds; a request over HTTP, too. */
const VISIT_MS = 54_000;
const HTTP_MS = 28_000;

export type Request = { id: string; action: string; organization: string; options?: { ids?: string[]; dry_run?: boolean; machines?: boolean; on_reenable?: string; fingerprint?: string } };

const parametersOf = ({ action, options = {} }: Request) => ({
  action: action as 'disable',
  reason: 'contract ended',
  requested_by: 'billing',
  dry_run: options.dry_run ?? false,
  on_reenable: (options.on_reenable ?? 'report') as 'report',
  end_sessions: false,
  end_machine_access: options.machines ?? false,
  ...(options.ids && { connection_ids: options.ids }),
});

/** `POST …/offboarding`, with a key where `hasKey`. */
export function postProgram(request: Request, nonce: string, now: number, hasKey: boolean): Program {
  const { id, organization, options } = request;
  const about = { offboarding_id: id, parameters: parametersOf(request), caller: 'arn:billing', ...(hasKey && { fingerprint: options?.fingerprint ?? 'body' }) };
  const input = { organization_id: organization, request: about, mayBeRepeated: hasKey, nonce, deadline: now + HTTP_MS, stage: STAGE };
  return coreProgram(`post ${JSON.stringify(request)} ${nonce} ${now}`, () => acceptOffboarding(input, now));
}
export const statusOfPost = (end: unknown): number => {
  const { is } = end as Accepted;
  return is === 'accepted' || is === 'replayed' ? 202 : is === 'unknown' ? 504 : is === 'refused' ? 409 : 503;
};

/** `POST /offboardings` of the same for each organization. */
export function batchProgram(batch: string, requests: Request[], nonce: string, now: number, hasKey: boolean): Program {
  const members = requests.map((request) => ({
    organization_id: request.organization,
    request: { offboarding_id: request.id, parameters: parametersOf(request), caller: 'arn:billing' },
  }));
  const input = { batch_id: batch, fingerprint: 'body', members, hasKey, priority: 'batch' as const, nonce, deadline: now + HTTP_MS, stage: STAGE };
  return coreProgram(`batch ${batch} ${nonce} ${now}`, () => acceptBatch(input, now));
}
export const statusOfBatch = (end: unknown): number => {
  const { is } = end as AcceptedBatch;
  return is === 'accepted' || is === 'replayed' ? 202 : is === 'unknown' ? 504 : 503;
};

/** `DELETE …/offboarding`. */
export function cancelProgram(organization: string, nonce: string, now: number): Program {
  const input = { organization_id: organization, act: { caller: 'arn:support' }, nonce, deadline: now + HTTP_MS, stage: STAGE };
  return coreProgram(`cancel ${organization} ${nonce} ${now}`, () => cancelOrganization(input, now));
}
export const statusOfCancel = (end: unknown): number => {
  const result = end as Cancelled;
  if (result.is === 'found') {
    const isFailed = result.records.some(({ status, cancelled }) => status === 'failed' && cancelled);
    return isFailed ? 502 : result.isOver ? 200 : 202;
  }
  return result.is === 'nothing' ? 404 : result.is === 'removing' ? 409 : 503;
};

export function cancelBatchProgram(batch: string, nonce: string, now: number): Program {
  const input = { batch_id: batch, act: { at: new Date(now).toISOString(), caller: 'arn:support' }, nonce, deadline: now + HTTP_MS };
  return coreProgram(`cancel batch ${batch} ${nonce} ${now}`, () => cancelBatch(input, now));
}
export const statusOfCancelBatch = (end: unknown): number => {
  const { is } = end as { is: string };
  return is === 'cancelled' ? 202 : is === 'not found' ? 404 : 503;
};

export const checkProgram = (organization: string, nonce: string, now: number): Program =>
  coreProgram(`check ${organization} ${nonce} ${now}`, () => requestDriftCheck({ organization_id: organization, nonce, deadline: now + HTTP_MS }, now));

export const dispatchProgram = (nonce: string, now: number): Program =>
  coreProgram(`dispatch ${nonce} ${now}`, () => dispatchDueWork({ nonce, deadline: now + VISIT_MS, shards: [0], all: false }, now));

/** The worker's visit of an organization. */
export const workProgram = (organization_id: string, nonce: string, now: number): Program =>
  visitProgram({ organization_id, nonce, deadline: now + VISIT_MS, waitMs: 5000, retries: 0, mode: 'work', stage: STAGE }, now);

/** What the worker does with an event before its visit. */
export function eventProgram(message: Message, nonce: string, now: number): Program {
  const { event, organization } = message;
  if (!event) throw new Error('no event');
  const time = new Date(event.time).toISOString();
  const writer = { nonce, deadline: now + VISIT_MS, stage: STAGE };
  if (message.kind === 'cancellation') {
    const input = { organization_id: organization, act: { caller: '1 crm', requested_by: 'crm', reason: 'stays' }, at: time, ...writer };
    return coreProgram(`cancellation ${event.id} ${nonce} ${now}`, () => acceptCancellationEvent(input, now));
  }
  const { requested_by, ...parameters } = parametersOf({ id: event.id, organization, action: event.action ?? 'disable', options: event.options ?? {} });
  const detail = { organization_id: organization, ...parameters, requested_by };
  const given = { id: event.id, source: 'billing', account: '1', time, 'detail-type': 'organization.offboarding.requested' as const, detail };
  return coreProgram(`event ${event.id} ${nonce} ${now}`, () => acceptEvent({ message: given as never, offboarding_id: event.id, fingerprint: '', ...writer }, now));
}

export type { VisitEnd };
