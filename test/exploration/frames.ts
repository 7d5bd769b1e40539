import { update } from '../../lib/offboarding/intake/update.ts';
import type { Core, Effect, Result } from '../../lib/offboarding/model/effects.ts';
import { visit } from '../../lib/offboarding/worker/visit.ts';
import { namedBy } from './interned.ts';

// What a computation of generators knows: for each generator that has not ended, what it was told. A generator that has ended
// told its caller a value, and nothing else of it is left. So two computations with different pasts are at the same place when
// what their open generators were told is the same.

/** Of these only the last value counts: all that they know is in it. */
const MACHINES = [visit, update];

type AnyGenerator = Generator<unknown, unknown, unknown>;
interface Call {
  generator: AnyGenerator;
  given: unknown;
  isForwarded: boolean;
}

const prototype = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())) as AnyGenerator;
const originalNext = prototype.next;

/** A computation run to its last result, and what is left of its past. */
export function replay(
  start: () => Core<unknown>,
  path: Result[],
): { step: IteratorResult<Effect, unknown>; key: string } {
  const open = new Map<AnyGenerator, string[]>();
  const calls: Call[] = [];
  prototype.next = function next(this: AnyGenerator, given?: unknown) {
    const caller = calls.at(-1);
    // `yield*` hands a result down, as it is.
    if (caller && given !== undefined && caller.given === given) caller.isForwarded = true;
    const call = { generator: this, given, isForwarded: false };
    calls.push(call);
    const isNew = !open.has(this);
    if (isNew) open.set(this, []);
    const step = originalNext.call(this, given as never);
    calls.pop();
    if (!isNew && !call.isForwarded) tell(open, this, given);
    if (step.done) {
      open.delete(this);
      if (caller) tell(open, caller.generator, step.value);
    }
    return step;
  } as typeof prototype.next;
  try {
    const core = start();
    let step = core.next(undefined as never);
    for (const result of path) step = core.next(result);
    return { step, key: JSON.stringify([...open.values()]) };
  } finally {
    prototype.next = originalNext;
  }
}

function tell(open: Map<AnyGenerator, string[]>, generator: AnyGenerator, value: unknown): void {
  const given = open.get(generator);
  if (!given) return;
  if (MACHINES.some((one) => generator instanceof one)) given.length = 0;
  given.push(tokenOf(value));
}

/** A short text for a value; the same for equal values. */
export const tokenOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? objectToken(value) : String(value);

const objectToken = namedBy((value) => {
  let text = '';
  for (const [name, part] of Object.entries(value)) text += `${name}:${tokenOf(part)},`;
  return text;
});
