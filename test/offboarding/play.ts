// A world in memory for one computation of the core: a table, a clock, and what fails. It plays what the deployed shell performs,
// effect by effect, so that a test sees each of them, in its order.
import type { Batch } from '../../lib/offboarding/model/batch.ts';
import type {
  Core,
  Effect,
  EffectError,
  OperationName,
  Result,
  SingleEffect,
} from '../../lib/offboarding/model/effects.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { NOW, ORG } from './items.ts';

/** AWS or Auth0 did not do it, and may later. */
export const AWAY: EffectError = { code: 'away', message: 'Away', is_transient: true, may_be_done: false };
/** The answer was lost: it may be done. */
export const UNANSWERED: EffectError = { ...AWAY, code: 'unanswered', may_be_done: true };
/** It never will. */
export const REJECTED: EffectError = { ...AWAY, code: 'rejected', message: 'Rejected', is_transient: false };

type EffectBy<N extends OperationName> = Extract<SingleEffect, { do: N }>;
interface Fault {
  effect: OperationName;
  times: number;
  error?: EffectError | undefined;
  /** Whether it is carried out all the same, before its answer is lost. */
  isDone: boolean;
  /** What somebody else does a moment before. */
  before?: (() => void) | undefined;
}

export class World {
  now = NOW;
  items: Record<string, Organization> = {};
  records: Record<string, OffboardingRecord> = {};
  batches: Record<string, Batch> = {};
  /** What Auth0, the index and the queues answer, where it is not `undefined`. */
  answers: { [N in OperationName]?: (effect: EffectBy<N>) => unknown } = {};
  /** How long an effect takes, milliseconds. */
  takes: Partial<Record<OperationName, number>> = {};
  /** Everything that was asked for, in its order. */
  effects: SingleEffect[] = [];
  #faults: Fault[] = [];

  constructor(...items: Organization[]) {
    for (const item of items) this.items[item.organization_id] = item;
  }

  get item(): Organization {
    return this.items[ORG] as Organization;
  }

  /** The next effects of this name fail. */
  fail(effect: OperationName, error: EffectError, { times = 1, isDone = false } = {}): this {
    this.#faults.push({ effect, times, error, isDone });
    return this;
  }

  /** Before the next effect of this name, once those that were named before have happened, somebody else does something. */
  meanwhile(effect: OperationName, before: () => void): this {
    this.#faults.push({ effect, times: 1, isDone: true, before });
    return this;
  }

  /** Runs a computation to its end. */
  run<R>(core: Core<R>): R {
    let step = core.next(undefined as never);
    for (let rounds = 0; !step.done; rounds++) {
      if (rounds > 2000) throw new Error(`It goes on for ever: ${JSON.stringify(step.value)}`);
      step = core.next(this.#perform(step.value));
    }
    return step.value;
  }

  /** The effects of one name. */
  all<N extends OperationName>(name: N): EffectBy<N>[] {
    return this.effects.filter((one): one is EffectBy<N> => one.do === name);
  }

  /** The names of what was asked for. */
  get story(): string {
    return this.effects.map((one) => one.do).join(' ');
  }

  #perform(effect: Effect): Result {
    if (effect.do !== 'all') return this.#performOne(effect);
    const value = effect.effects.map((one) => this.#performOne(one));
    return { at: this.now, value };
  }

  #performOne(effect: SingleEffect): Result {
    this.effects.push(effect);
    this.now += this.takes[effect.do] ?? 0;
    const fault = this.#faults.find((one) => one.effect === effect.do && one.times > 0);
    if (fault) fault.times -= 1;
    fault?.before?.();
    const value = !fault || fault.isDone ? this.#valueOf(effect) : undefined;
    return fault?.error ? { at: this.now, error: fault.error } : { at: this.now, value };
  }

  #valueOf(effect: SingleEffect): unknown {
    const answer = this.answers[effect.do] as ((effect: SingleEffect) => unknown) | undefined;
    if (answer) return answer(effect);
    switch (effect.do) {
      case 'readOrganization':
        return this.items[effect.organization_id];
      case 'writeOrganization': {
        const { item, expected } = effect;
        if (this.items[item.organization_id]?.version !== expected) return false;
        this.items[item.organization_id] = structuredClone(item);
        return true;
      }
      case 'readRecord':
        return this.records[effect.offboarding_id];
      case 'writeRecord':
        this.records[effect.record.offboarding_id] = structuredClone(effect.record);
        return undefined;
      case 'readBatch':
        return this.batches[effect.batch_id];
      case 'writeBatch': {
        const { batch, expected } = effect;
        if (this.batches[batch.batch_id]?.version !== expected) return false;
        this.batches[batch.batch_id] = structuredClone(batch);
        return true;
      }
      case 'pause':
        this.now += effect.ms;
        return undefined;
      case 'change':
        return { is_uncertain: false };
      case 'listConnections':
        return [];
      case 'listGrants':
      case 'readName':
        return null;
      default:
        return undefined;
    }
  }
}
