import {
  type Core,
  type Effect,
  type EffectError,
  notStored,
  perform,
  performAll,
  type Result,
  type SingleEffect,
} from '../model/effects.ts';
import { emptyOrganization, type Organization } from '../model/organization.ts';

/** Who changes an organization's item: a nonce for the versions that it writes, and until when it begins anything (Unix ms). */
export interface Writer {
  nonce: string;
  deadline: number;
}

/** What a change makes of the item, and what it is to answer; without an item nothing is written. */
export interface Changed<T> {
  item?: Organization | undefined;
  value: T;
}

/**
 * `unavailable`: nothing of the change was written. `unknown`: the table answered neither the write nor the read after it, so it
 * may be written.
 */
export type Updated<T> =
  | { is: 'done'; value: T; item: Organization | undefined; at: number }
  | { is: 'unavailable' | 'unknown'; error: EffectError; at: number };

export const isNotDone = <T>(one: Updated<T>): one is Exclude<Updated<T>, { is: 'done' }> => one.is !== 'done';

const MAX_ATTEMPTS = 40;
const MAX_FAILURES = 3;
const NO_TIME = notStored('The request could not be stored in time');

/** Makes a change of an item; `isAgain`: an earlier write of it may have been carried out, and may have been dealt with since. */
type Change<T> = (
  item: Organization,
  now: number,
  isAgain: boolean,
) => Changed<T> | Generator<Effect, Changed<T>, Result>;

/** How far the attempts to change an item have come. */
interface Attempts<T> {
  count: number;
  failures: number;
  at: number;
  /** The last error, and whether the last write may have been carried out. */
  error: EffectError;
  isPending: boolean;
  /** Whether the next attempt begins with the assumption that there is no item yet. */
  isNew: boolean;
  end?: Updated<T> | undefined;
}

/**
 * Changes the organization's item as it is now, and again upon what somebody else has written meanwhile. `isNew` begins with the
 * assumption that there is no item yet, which saves a read where that is so.
 */
export function* updateOrganization<T>(
  organization_id: string,
  writer: Writer,
  now: number,
  change: Change<T>,
  isNew = false,
): Core<Updated<T>> {
  let state: Attempts<T> = { count: 0, failures: 0, at: now, error: NO_TIME, isPending: false, isNew };
  while (!state.end && state.count < MAX_ATTEMPTS && state.failures < MAX_FAILURES && state.at < writer.deadline)
    state = yield* attempt(organization_id, writer, { ...state, count: state.count + 1 }, change);
  return state.end ?? { is: state.isPending ? 'unknown' : 'unavailable', error: state.error, at: state.at };
}

/** One attempt: read, change, write. */
function* attempt<T>(
  organization_id: string,
  { nonce }: Writer,
  before: Attempts<T>,
  change: Change<T>,
): Core<Attempts<T>> {
  let state: Attempts<T> = { ...before, isNew: false };
  let stored: Organization | undefined;
  if (!before.isNew) {
    const read = yield* perform<'readOrganization'>({ do: 'readOrganization', organization_id });
    const at = Math.max(state.at, read.at);
    if (read.error) return { ...state, at, error: read.error, failures: state.failures + 1 };
    stored = read.value;
    state = { ...state, at, isPending: false };
  }
  const made = change(stored ?? emptyOrganization(organization_id), state.at, state.count > 1);
  const changed = 'next' in made ? yield* made : made;
  if (!changed.item) return { ...state, end: { is: 'done', value: changed.value, item: stored, at: state.at } };
  // A message that is on its way may be one about something that is due much later.
  const item = {
    ...changed.item,
    notice_at: undefined,
    version: `${nonce}.${state.count}`,
    revision: changed.item.revision + 1,
  };
  const written = yield* perform<'writeOrganization'>({ do: 'writeOrganization', item, expected: stored?.version });
  state = { ...state, at: Math.max(state.at, written.at) };
  if (written.value === true) return { ...state, end: { is: 'done', value: changed.value, item, at: state.at } };
  if (written.error && !written.error.is_transient)
    return { ...state, end: { is: 'unavailable', error: written.error, at: state.at } };
  const failed = written.error && {
    error: written.error,
    failures: state.failures + 1,
    isPending: written.error.may_be_done,
  };
  return yield* afterRefusal({ ...state, ...failed }, item, changed.value);
}

/** A write that was refused may have been refused for its own success, whose answer was lost: the item tells. */
function* afterRefusal<T>(state: Attempts<T>, item: Organization, value: T): Core<Attempts<T>> {
  const { organization_id, version } = item;
  const found = yield* perform<'readOrganization'>({ do: 'readOrganization', organization_id });
  const next = { ...state, at: Math.max(state.at, found.at), isPending: found.error ? state.isPending : false };
  if (found.value?.version === version) return { ...next, end: { is: 'done', value, item, at: next.at } };
  if (state.count > 3) yield* perform<'pause'>({ do: 'pause', ms: 10 * Math.min(state.count, 20) });
  return next;
}

/** Runs several computations at the same time: their effects go out together, round by round. The results are in the same order. */
export function* runAll<R>(all: Core<R>[]): Core<R[]> {
  const results: R[] = [];
  let waiting = all.map((core, index) => ({ core, index, step: core.next() }));
  for (;;) {
    for (const { index, step } of waiting) if (step.done) results[index] = step.value;
    waiting = waiting.filter(({ step }) => !step.done);
    if (waiting.length === 0) return results;
    const found: Result[] = yield* performAll(waiting.map(({ step }) => step.value as SingleEffect) as never);
    waiting = waiting.map(({ core, index }, place) => ({ core, index, step: core.next(found[place] as Result) }));
  }
}
