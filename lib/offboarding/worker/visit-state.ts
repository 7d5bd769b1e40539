import type { Batch } from '../model/batch.ts';
import type { EffectError, ListedGrant } from '../model/effects.ts';
import type {
  Failure,
  Goal,
  Intent,
  LedgerEntry,
  OpenRequest,
  Organization,
  OutboxEntry,
} from '../model/organization.ts';
import { entryOf, keyOf, noSessions, requestOf, withEntry, withRequest } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { iso, type Stage } from '../model/stage.ts';
import { boundedRemaining } from '../rules/bounds.ts';
import { goalOf, type Listing } from '../rules/connections.ts';
import { afterDriftCall } from '../rules/drift.ts';
import { remainingIn } from '../rules/projection.ts';
import { isPending } from '../rules/requests.ts';

/** What a visit is given: which organization, by whom, until when (Unix ms), and how long it waits after an error, milliseconds. */
export interface VisitInput {
  organization_id: string;
  /** Unique: the owner of the lease, and part of each version that this visit writes. */
  nonce: string;
  deadline: number;
  waitMs: number;
  /** How often what failed for a passing reason is tried again before the visit ends. */
  retries: number;
  /** `cancel` carries out cancellations and nothing else, and leaves events and records to the worker. */
  mode: 'work' | 'cancel';
  stage: Stage;
}

/** What a visit has learned since it last wrote or read the item: applied again where somebody else wrote it meanwhile. */
export type Fact =
  | {
      is: 'called';
      key: string;
      offboarding_id: string;
      goal: Goal;
      level?: string | undefined;
      result: CallResult;
      error?: Failure | undefined;
      isDrift: boolean;
      at: number;
    }
  | { is: 'named'; name: string | null }
  | { is: 'listed grants'; grants: ListedGrant[] | null }
  | { is: 'published'; entries: OutboxEntry[] }
  | { is: 'recorded'; request: OpenRequest }
  | { is: 'sessions sent'; offboarding_id: string; at: number }
  | { is: 'checked'; at: number; checks: number; nextAt: string }
  | { is: 'failed'; offboarding_id: string; error: Failure; nextTryAt: string };

/** `done`; `gone`: Auth0 does not know it; `refused` for good; `uncertain`: Auth0 may have carried it out; `not done`, to be tried again. */
export type CallResult = 'done' | 'gone' | 'refused' | 'uncertain' | 'not done';

/** What the worker on an organization knows: plain data, so that the exploration can compare two of them. */
export interface VisitState {
  input: VisitInput;
  now: number;
  writes: number;
  isRead: boolean;
  /** The item as it was last read or written; undefined where there is none. */
  stored?: Organization | undefined;
  /** The same with the facts since, and with what the rules make of them. */
  item?: Organization | undefined;
  facts: Fact[];
  listing?: (Listing & { checks: number; isUnknown?: true }) | undefined;
  /** Batches that members wait for, as they were read. */
  batches: Record<string, Batch | 'none'>;
  /** Records of offboardings that had ended before. */
  records: Record<string, OffboardingRecord | 'none'>;
  /** What Auth0 failed for in this visit, and what a drift check has tried. */
  postponed: string[];
  tried: string[];
  retriesLeft: number;
  uncertainUntil?: number | undefined;
  /** The goal of a call that Auth0 may still carry out, by key, whatever a later attempt brought: no other goal is called before that is over. */
  unsettled: Record<string, Goal>;
  /** Of Auth0's listing, where it will not pass. */
  listFailure?: Failure | undefined;
  /** Why the client grants are not known: who is to end them waits, or fails if that will not pass. */
  grantsError?: EffectError | undefined;
  /** The last error that did not end the visit. */
  passing?: EffectError | undefined;
  /** What ends the visit, once what it decided is published. */
  error?: EffectError | undefined;
  /** What is done once a visit at the most: schedules, dead letters. */
  sent: string[];
  /** Failed attempts of the effect that is being repeated. */
  failures: number;
  end?: VisitEnd | undefined;
}

/** How a visit ended: everything that is due is done, or it goes on later, in `wait_ms` at the earliest, after `error` if there was one. */
export type VisitEnd = { is: 'done' } | { is: 'later'; wait_ms: number; error?: EffectError | undefined };

export const startVisit = (input: VisitInput, now: number): VisitState => ({
  input,
  now,
  writes: 0,
  isRead: false,
  facts: [],
  batches: {},
  records: {},
  postponed: [],
  tried: [],
  unsettled: {},
  retriesLeft: input.retries,
  sent: [],
  failures: 0,
});

/** Whether a change was postponed that is none of a drift check's. */
export const isWorkPostponed = ({ postponed, tried }: VisitState): boolean =>
  postponed.some((key) => !tried.includes(key));

/** The organization with what was learned. */
export const applyFacts = (item: Organization, facts: Fact[]): Organization => facts.reduce(applyFact, item);

export function applyFact(item: Organization, fact: Fact): Organization {
  switch (fact.is) {
    case 'called':
      return applyCall(item, fact);
    case 'listed grants':
      return { ...item, remaining_access: boundedRemaining(remainingIn(fact.grants)) };
    case 'named':
      return { ...item, name: fact.name };
    case 'published':
      return { ...item, outbox: item.outbox.filter((one) => !fact.entries.some((entry) => isSameEntry(one, entry))) };
    case 'recorded':
      return changeRequest(item, fact.request.offboarding_id, (one) => {
        // Somebody else has changed it meanwhile, maybe within the same millisecond.
        if (JSON.stringify(one) !== JSON.stringify(fact.request)) return one;
        // Of what is only watched the record keeps the words; a failed one may still be cancelled, which says them.
        const words = one.status === 'completed' && one.watch === 'on' ? { reason: '', requested_by: '' } : {};
        return { ...one, parameters: { ...one.parameters, ...words }, is_unrecorded: undefined };
      });
    case 'sessions sent':
      return changeRequest(item, fact.offboarding_id, (one) => ({
        ...one,
        sessions: { ...(one.sessions ?? noSessions(fact.at)), sent_at: iso(fact.at) },
      }));
    case 'checked': {
      const isAskedAgain = (item.drift_checks_requested ?? 0) !== fact.checks;
      return {
        ...item,
        last_drift_check_at: iso(fact.at),
        // What notifications said of changes before this check is about these alone.
        changed_by: item.changed_by?.filter(({ at }) => at > iso(fact.at)),
        next_drift_check_at: isAskedAgain ? iso(fact.at) : fact.nextAt,
      };
    }
    case 'failed':
      return changeRequest(item, fact.offboarding_id, (one) => withLastError(one, fact));
  }
}

const isSameEntry = (a: OutboxEntry, b: OutboxEntry) =>
  a.event === b.event && a.offboarding_id === b.offboarding_id && a.at === b.at && a.drift?.key === b.drift?.key;

function changeRequest(
  item: Organization,
  id: string,
  change: (one: Organization['requests'][number]) => Organization['requests'][number],
) {
  const request = requestOf(item, id);
  return request ? withRequest(item, change(request)) : item;
}

/** Lists show a new error; the same again is not worth a write. What was cancelled meanwhile is not tried again. */
function withLastError(one: OpenRequest, { error, nextTryAt }: Extract<Fact, { is: 'failed' }>): OpenRequest {
  if (!isPending(one)) return one;
  const isNew = one.last_error?.code !== error.code;
  const tried = { ...one, attempts: one.attempts + 1, last_error: error, next_try_at: nextTryAt };
  return isNew ? { ...tried, is_unrecorded: true } : tried;
}

/** What a call of Auth0 made of its ledger entry and of its request. */
function applyCall(item: Organization, fact: Extract<Fact, { is: 'called' }>): Organization {
  const { key, goal, result, offboarding_id } = fact;
  const request = requestOf(item, offboarding_id);
  const entry = entryOf(item, key);
  if (!entry) return item;
  if (result === 'not done')
    return fact.isDrift && request && fact.error?.code === 'conflict'
      ? afterDriftCall(item, key, request, fact.error, false, fact.at)
      : item;
  const wasOurs = entry.disabled_by_us;
  if (result === 'uncertain') {
    const { intent = { goal, offboarding_id } } = entry;
    return withEntry(item, uncertainEntry(item, { ...entry, intent }, { goal, offboarding_id, level: fact.level }));
  }
  if (fact.isDrift && request) {
    const level = result === 'done' ? withEntry(item, { ...entry, ...levelAfter(goal, fact.level, entry) }) : item;
    return afterDriftCall(level, key, request, fact.error, result === 'refused', fact.at);
  }
  // A refusal after an attempt of unknown end says nothing of that attempt.
  if (result === 'refused' && entry.intent?.is_uncertain) return item;
  const isOurs = result === 'refused' ? wasOurs : goal === 'disabled' && result === 'done';
  const level = result === 'done' ? levelAfter(goal, fact.level, entry) : {};
  const next = withEntry(item, {
    ...entry,
    ...level,
    intent: undefined,
    disabled_by_us: isOurs,
    // Enabled again from here on, that is another drift.
    ...(result !== 'refused' && { changed: { goal, at: fact.at }, drifted_at: undefined }),
  });
  if (!request || !isOfGoal(request, entry.kind, goal)) return next;
  const outcome = result === 'refused' ? 'failed' : result === 'done' || goal === 'removed' ? goal : 'unchanged';
  const outcomes = {
    ...request.outcomes,
    [keyOf(entry)]: { outcome, ...(result === 'refused' && { error: fact.error }) },
  };
  return withRequest(next, { ...request, outcomes } as typeof request);
}

/** A ledger entry after a call that Auth0 may have carried out: nobody knows. */
export function uncertainEntry(
  item: Organization,
  entry: LedgerEntry & { intent: Intent },
  { goal, offboarding_id, level }: Intent,
): LedgerEntry {
  const request = requestOf(item, offboarding_id);
  const isOurs = goal === 'disabled' && (!request || isPending(request));
  return {
    ...entry,
    // A level is given back once Auth0 says so.
    ...(goal === 'disabled' && levelAfter(goal, level, entry)),
    // A cancellation enables it.
    disabled_by_us: entry.disabled_by_us || isOurs,
    intent: { ...entry.intent, is_uncertain: true },
  };
}

/** Whether a call with this goal is still what the request is about: a cancellation may have been accepted during it. */
const isOfGoal = (request: Organization['requests'][number], kind: string, goal: Goal) =>
  goalOf(request) === goal || (kind === 'client_grant' && goal === 'disabled' && request.status === 'working');

/** The level that a disabling took from the customer, until it is given back. */
export const levelAfter = (
  goal: Goal,
  level: string | undefined,
  { before, lowered_level }: { before: Record<string, unknown> | null; lowered_level?: string | undefined },
) => {
  if (goal === 'enabled') return { lowered_level: undefined };
  if (goal !== 'disabled' || level === undefined) return {};
  return { lowered_level: lowered_level ?? (before?.organization_access_level as string | undefined) };
};
