import { update } from '../../lib/offboarding/intake/update.ts';
import type { Core, Effect, Result } from '../../lib/offboarding/model/effects.ts';
import { visit } from '../../lib/offboarding/worker/visit.ts';
import { namedBy } from './interned.ts';

// What a computation of generators knows: for each generator that has not ended, what it was given. A generator that has ended
// gave its caller a value, and nothing else of it is left. So two computations with different pasts are at the same place when
// what their open generators were given is the same.

/** Of these only the last value counts: all that they know is in it. */
const MACHINES = [visit, update];

type AnyGenerator = Generator<unknown, unknown, unknown>;
/** The generators that have not ended, each with what it was given. */
type Open = Map<AnyGenerator, unknown[]>;
interface Call {
  generator: AnyGenerator;
  given: unknown;
  isForwarded: boolean;
}

const prototype = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())) as AnyGenerator;
const originalNext = prototype.next;

/** A computation that waits for the result of an effect, or has ended. */
export interface Computation {
  core: Core<unknown>;
  open: Open;
  step: IteratorResult<Effect, unknown>;
}

/** A computation that begins, and is given these results. */
export function replay(start: () => Core<unknown>, path: Result[]): Computation {
  const computation = { core: start(), open: new Map() } as unknown as Computation;
  for (const result of [undefined, ...path]) resume(computation, result);
  return computation;
}

/** The open generators of the computation that goes on, and the calls of them that have not come back, the outermost first. */
let open: Open = new Map();
let calls: Call[] = [];

/** Gives a computation the result of its effect. */
export function resume(computation: Computation, result: Result | undefined): void {
  open = computation.open;
  calls = [];
  prototype.next = observedNext;
  try {
    computation.step = computation.core.next(result as Result);
  } finally {
    prototype.next = originalNext;
  }
}

/** One function for all: `yield*` keeps the one that it found when it began. */
function observedNext(this: AnyGenerator, given?: unknown): IteratorResult<unknown, unknown> {
  const caller = calls.at(-1);
  // `yield*` hands a result down, as it is.
  if (caller && given !== undefined && caller.given === given) caller.isForwarded = true;
  const call = { generator: this, given, isForwarded: false };
  calls.push(call);
  const isNew = !open.has(this);
  if (isNew) open.set(this, []);
  const step = originalNext.call(this, given as never);
  calls.pop();
  if (!isNew && !call.isForwarded) give(this, given);
  if (step.done) {
    open.delete(this);
    if (caller) give(caller.generator, step.value);
  }
  return step;
}

function give(generator: AnyGenerator, value: unknown): void {
  const given = open.get(generator);
  if (!given) return;
  if (MACHINES.some((one) => generator instanceof one)) given.length = 0;
  given.push(value);
}

/** The same for computations that are at the same place. */
export const keyOfComputation = ({ open }: Computation): string =>
  [...open.values()].map((given) => given.map(tokenOf).join()).join(';');

/** A short text for a value; the same for equal values. */
export const tokenOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? objectToken(value) : String(value);

const objectToken = namedBy((value) => {
  let text = '';
  for (const [name, part] of Object.entries(value)) text += `${name}:${tokenOf(part)},`;
  return text;
});
