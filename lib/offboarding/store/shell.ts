import { randomUUID } from 'node:crypto';
import pMap from 'p-map';
import { CALLS_AT_ONCE } from '../../aws/client.ts';
import { ItemRejected } from '../../aws/table.ts';
import { sleep, withDeadline } from '../../deadline.ts';
import { describeError, type Log } from '../../log.ts';
import { asProblem, Problem } from '../../problem.ts';
import { STAGE } from '../../stage-parameters.ts';
import type { Core, EffectError, EffectOf, OperationName, Operations, Result, SingleEffect } from '../model/effects.ts';

/** Performs some of the effects: each function makes one request to one service. */
export type Performer = { [N in OperationName]?: (effect: EffectOf<N>) => Promise<Operations[N]['gives']> };

const PAUSE: Performer = { pause: ({ ms }) => sleep(ms) };

/** A writer of this process, until `deadline` (Unix ms): no version is another's. */
export const writerUntil = (deadline: number) => ({ nonce: randomUUID(), deadline, stage: STAGE });

const IN_TIME = 'The record of offboardings was not reached in time';

/**
 * The same performers, for a request that must be answered: from `deadline` (Unix time in milliseconds) on they begin nothing, and
 * what is under way fails as something that may be done. The core then says what is known.
 */
export function endingAt(deadline: number, ...performers: Performer[]): Performer {
  const late = () => new Problem('record_unavailable', IN_TIME, { mayBeDone: true });
  const bounded = async (operation: (effect: never) => Promise<unknown>, effect: never) => {
    if (Date.now() >= deadline) throw new Problem('record_unavailable', IN_TIME);
    return withDeadline(deadline, operation(effect), late);
  };
  const all = Object.entries(Object.assign({}, ...performers) as Record<string, (effect: never) => Promise<unknown>>);
  return Object.fromEntries(all.map(([name, operation]) => [name, (effect: never) => bounded(operation, effect)]));
}

/**
 * Runs a computation of the core to its end: performs the effects that it asks for, one after the other, and gives it their
 * results. `performers` are those of the services that this function may use.
 */
export async function run<R>(core: Core<R>, performers: Performer[], log: Log): Promise<R> {
  const performer: Performer = Object.assign({}, PAUSE, ...performers);
  let step = core.next();
  while (!step.done) {
    const effect = step.value;
    if (effect.do === 'all') {
      const all = await pMap(effect.effects, (one) => perform(one, performer, log), { concurrency: CALLS_AT_ONCE });
      step = core.next({ at: Date.now(), value: all });
    } else step = core.next(await perform(effect, performer, log));
  }
  return step.value;
}

/** Performs one effect; resolves to its value or to what went wrong. Never rejects. */
async function perform(effect: SingleEffect, performer: Performer, log: Log): Promise<Result> {
  const operation = performer[effect.do] as ((effect: SingleEffect) => Promise<unknown>) | undefined;
  try {
    if (!operation) throw new Error(`This function does not perform ${effect.do}`);
    const value = await operation(effect);
    return { at: Date.now(), value };
  } catch (cause) {
    const error = toEffectError(cause);
    log.warn('effect_failed', { effect: effect.do, problem: error.code, error: describeError(cause) });
    return { at: Date.now(), error };
  }
}

/** Whatever was thrown as the core reads it: plain data, without a cause. */
export function toEffectError(cause: unknown): EffectError {
  if (cause instanceof ItemRejected)
    return { code: 'internal_error', message: cause.message, is_transient: false, may_be_done: false };
  const { code, message, isTransient, mayBeDone, retryAfter, upstream } = asProblem(cause);
  // A service of AWS that failed may have done it.
  const may_be_done = mayBeDone || code === 'internal_error';
  return { code, message, is_transient: isTransient, may_be_done, retry_after: retryAfter, upstream };
}
