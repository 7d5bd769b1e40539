import type { EffectError } from '../../lib/offboarding/model/effects.ts';
import type { Fault, World } from './world.ts';

// The ways in which an effect may end: as it should, or with a fault that the world has left.

export interface Performed {
  /** How it ended: `ok`, or the fault. */
  how: 'ok' | Fault;
  world: World;
  value?: unknown;
  error?: EffectError;
}

/** Who performs: by name, by the nonce of its versions, and its clock (Unix ms). */
export interface Performer {
  name: string;
  nonce: string;
  /** It is compared by what it has read, and reads versions that tell contents apart. */
  isByContent: boolean;
  at: number;
}

export const failure = (code: string, is_transient: boolean, may_be_done: boolean): EffectError => ({
  code,
  message: code,
  is_transient,
  may_be_done,
});
export const AWAY = failure('record_unavailable', true, false);
/** What AWS did not answer may be done. */
export const UNANSWERED = failure('internal_error', true, true);

/** Faults after which something may stay undone: the oracle tells these from all others. */
const TELLING: Fault[] = ['refused', 'conflict', 'refused list', 'failed list', 'rejected item', 'repeated'];

/** The world after one of its faults has happened. */
export function use(world: World, fault: Fault): World {
  const faults = world.isOneFault ? {} : { ...world.faults, [fault]: (world.faults[fault] ?? 0) - 1 };
  const isNew = TELLING.includes(fault) && !world.met.includes(fault);
  return { ...world, faults, met: isNew ? [...world.met, fault].sort() : world.met };
}
export const has = (world: World, fault: Fault): boolean => (world.faults[fault] ?? 0) > 0;

/** As it should end, and with each of these faults that the world has left. */
export function ways(
  ok: Omit<Performed, 'how'>,
  faults: Partial<Record<Fault, () => Omit<Performed, 'how'>>>,
): Performed[] {
  const { world } = ok;
  const all = Object.entries(faults) as [Fault, () => Omit<Performed, 'how'>][];
  const failed = all.filter(([fault]) => has(world, fault)).map(([how, way]) => ({ how, ...way() }));
  return [{ how: 'ok' as const, ...ok }, ...failed.map((one) => ({ ...one, world: use(one.world, one.how) }))];
}
