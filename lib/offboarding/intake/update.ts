import {
  type Core,
  type Effect,
  type EffectError,
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

/** How long a message is taken to be on its way, milliseconds. */
const MESSAGE_TAKES_MS = 300_000;
const MAX_ATTEMPTS = 40;
const MAX_FAILURES = 3;
const NO_TIME: EffectError = {
  code: 'record_unavailable',
  message: 'The request could not be stored in time',
  is_transient: true,
  may_be_done: false,
};

/**
 * Changes the organization's item as it is now, and again upon what somebody else has written meanwhile. `isNew` begins with the
 * assumption that there is no item yet, which saves a read where that is so. `isAgain` tells the change that an earlier write of
 * it may have been carried out, and may have been dealt with since.
 */
export function* updateOrganization<T>(
  organization_id: string,
  { nonce, deadline }: Writer,
  now: number,
  change: (item: Organization, now: number, isAgain: boolean) => Changed<T> | Generator<Effect, Changed<T>, Result>,
  isNew = false,
): Core<Updated<T>> {
  let at = now;
  let [failures, pending] = [0, false];
  let error = NO_TIME;
  let assumed = isNew;
  for (let attempts = 1; attempts <= MAX_ATTEMPTS && failures < MAX_FAILURES && at < deadline; attempts++) {
    let stored: Organization | undefined;
    if (!assumed) {
      const read = yield* perform<'readOrganization'>({ do: 'readOrganization', organization_id });
      at = Math.max(at, read.at);
      if (read.error) {
        ({ error } = read);
        failures += 1;
        continue;
      }
      stored = read.value;
      pending = false;
    }
    assumed = false;
    const made = change(stored ?? emptyOrganization(organization_id), at, attempts > 1);
    const changed = 'next' in made ? yield* made : made;
    if (!changed.item) return { is: 'done', value: changed.value, item: stored, at };
    // Should the message about it be lost, the dispatcher sends another after this.
    const notice_at = Math.min(changed.item.notice_at ?? Number.POSITIVE_INFINITY, at + MESSAGE_TAKES_MS);
    const item = { ...changed.item, notice_at, version: `${nonce}.${attempts}`, revision: changed.item.revision + 1 };
    const written = yield* perform<'writeOrganization'>({ do: 'writeOrganization', item, expected: stored?.version });
    at = Math.max(at, written.at);
    if (written.value === true) return { is: 'done', value: changed.value, item, at };
    if (written.error && !written.error.is_transient) return { is: 'unavailable', error: written.error, at };
    if (written.error) {
      ({ error } = written);
      failures += 1;
      pending = written.error.may_be_done;
    }
    // Refused, it may be refused for its own success, whose answer was lost: the item tells.
    const found = yield* perform<'readOrganization'>({ do: 'readOrganization', organization_id });
    at = Math.max(at, found.at);
    if (!found.error) pending = false;
    if (found.value?.version === item.version) return { is: 'done', value: changed.value, item, at };
    if (attempts > 3) yield* perform<'pause'>({ do: 'pause', ms: 10 * Math.min(attempts, 20) });
  }
  return { is: pending ? 'unknown' : 'unavailable', error, at };
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
