import type { Batch } from '../model/batch.ts';
import type { Core, EffectError, Result, SingleEffect } from '../model/effects.ts';
import { notStored, perform, performAll } from '../model/effects.ts';
import { emptyOrganization, type Organization } from '../model/organization.ts';
import type { Stage } from '../model/stage.ts';

/** Who changes an item: a nonce for the versions that it writes, until when it begins anything (Unix ms), and the stage. */
export interface Writer {
  nonce: string;
  deadline: number;
  stage: Stage;
}

/**
 * What a change makes of the item, and what it is to answer; without an item nothing is written. After an `error` of what it had to
 * read it is made again.
 */
type Changed<T, I> = { item?: I | undefined; value: T; error?: undefined } | { error: EffectError };

/**
 * `unavailable`: nothing of the change was written. `unknown`: the table answered neither the write nor the read after it, so it
 * may be written.
 */
export type Updated<T, I = Organization> =
  | { is: 'done'; value: T; item: I | undefined; at: number }
  | { is: 'unavailable' | 'unknown'; error: EffectError; at: number };

export const isNotDone = <T>(one: Updated<T>): one is Exclude<Updated<T>, { is: 'done' }> => one.is !== 'done';

const MAX_ATTEMPTS = 40;
const MAX_FAILURES = 3;
const NO_TIME = notStored('The request could not be stored in time');

/** Makes a change of an item; `isAgain`: an earlier write of it may have been carried out, and may have been dealt with since. */
type Change<T, I, Stored = I> = (item: Stored, now: number, isAgain: boolean) => Changed<T, I> | Core<Changed<T, I>>;

/** How an item is read as it is now, and written upon the version that is expected. */
interface Place<I> {
  read: () => Core<Result<I | undefined>>;
  write: (item: I, expected: string | undefined) => Core<Result<boolean>>;
}

/** What an item is taken to be, which saves a read where it is so. */
type Assumed<I> = { item: I | undefined } | undefined;

/** How far the attempts to change an item have come. */
interface Attempts<T, I> {
  count: number;
  failures: number;
  at: number;
  /** The last error, and whether the last write may have been carried out. */
  error: EffectError;
  isPending: boolean;
  /** What the next attempt takes the item to be. */
  assumed?: Assumed<I>;
  end?: Updated<T, I> | undefined;
}

/**
 * Changes the organization's item as it is now, and again upon what somebody else has written meanwhile. `isNew` begins with the
 * assumption that there is no item yet.
 */
export function updateOrganization<T>(
  organization_id: string,
  writer: Writer,
  now: number,
  change: Change<T, Organization>,
  isNew = false,
): Core<Updated<T>> {
  const place: Place<Organization> = {
    read: () => perform({ do: 'readOrganization', organization_id }),
    write: (item, expected) => perform({ do: 'writeOrganization', item, expected }),
  };
  const changeStored: Change<T, Organization, Organization | undefined> = function* (stored, at, isAgain) {
    const made = change(stored ?? emptyOrganization(organization_id), at, isAgain);
    const changed = 'next' in made ? yield* made : made;
    if (changed.error) return changed;
    const { item, value } = changed;
    // A message that is on its way may be one about something that is due much later.
    return { item: item && { ...item, notice_at: undefined, revision: item.revision + 1 }, value };
  };
  return update(place, writer, now, changeStored, isNew ? { item: undefined } : undefined);
}

/** Changes a batch's item in the same way; `assumed` is what it is taken to be at first. */
export const updateBatch = <T>(
  batch_id: string,
  writer: Writer,
  now: number,
  change: Change<T, Batch, Batch | undefined>,
  assumed?: Assumed<Batch>,
): Core<Updated<T, Batch>> =>
  update(
    {
      read: () => perform({ do: 'readBatch', batch_id }),
      write: (batch, expected) => perform({ do: 'writeBatch', batch, expected }),
    },
    writer,
    now,
    change,
    assumed,
  );

/** Changes an item until its write is taken, or the time is over. */
export function* update<T, I extends { version?: string | undefined }>(
  place: Place<I>,
  writer: Writer,
  now: number,
  change: Change<T, I, I | undefined>,
  assumed: Assumed<I>,
): Core<Updated<T, I>> {
  let state: Attempts<T, I> = { count: 0, failures: 0, at: now, error: NO_TIME, isPending: false, assumed };
  while (!state.end && state.count < MAX_ATTEMPTS && state.failures < MAX_FAILURES && state.at < writer.deadline)
    state = yield* attempt(place, writer, { ...state, count: state.count + 1 }, change);
  return state.end ?? { is: state.isPending ? 'unknown' : 'unavailable', error: state.error, at: state.at };
}

/** One attempt: read, change, write. */
function* attempt<T, I extends { version?: string | undefined }>(
  place: Place<I>,
  { nonce }: Writer,
  { assumed, ...before }: Attempts<T, I>,
  change: Change<T, I, I | undefined>,
): Core<Attempts<T, I>> {
  let state: Attempts<T, I> = before;
  let stored = assumed?.item;
  if (!assumed) {
    const read = yield* place.read();
    const at = Math.max(state.at, read.at);
    if (read.error) return { ...state, at, error: read.error, failures: state.failures + 1 };
    stored = read.value;
    state = { ...state, at, isPending: false };
  }
  const made = change(stored, state.at, state.count > 1);
  const result = 'next' in made ? yield* made : made;
  if (result.error) return { ...state, error: result.error, failures: state.failures + 1 };
  const { item: changed, value } = result;
  if (!changed) return { ...state, end: { is: 'done', value, item: stored, at: state.at } };
  const item = { ...changed, version: `${nonce}.${state.count}` };
  const { error, ...written } = yield* place.write(item, stored?.version);
  state = { ...state, at: Math.max(state.at, written.at) };
  if (written.value === true) return { ...state, end: { is: 'done', value, item, at: state.at } };
  if (error && !error.is_transient) return { ...state, end: { is: 'unavailable', error, at: state.at } };
  const failed = error && { error, failures: state.failures + 1, isPending: error.may_be_done };
  // A write that was refused may have been refused for its own success, whose answer was lost: the item tells.
  const found = yield* place.read();
  const next = { ...state, ...failed, at: Math.max(state.at, found.at), ...(!found.error && { isPending: false }) };
  if (found.value?.version === item.version) return { ...next, end: { is: 'done', value, item, at: next.at } };
  if (state.count > 3) yield* perform({ do: 'pause', ms: 10 * Math.min(state.count, 20) });
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
