import type { ListedGrant } from '../model/effects.ts';
import type {
  Failure,
  Goal,
  Intent,
  LedgerEntry,
  OpenRequest,
  Organization,
  OutboxEntry,
  Outcome,
} from '../model/organization.ts';
import { entryOf, requestOf, withEntry, withRequest } from '../model/organization.ts';
import { noSessions } from '../model/sessions.ts';
import { iso } from '../model/stage.ts';
import { boundedRemaining } from '../rules/bounds.ts';
import { goalOf } from '../rules/connections.ts';
import { afterDriftCall } from '../rules/drift.ts';
import { remainingIn } from '../rules/projection.ts';
import { isPending } from '../rules/requests.ts';

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

/** The organization with what was learned. */
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
      return changeRequest(item, fact.request.offboarding_id, (one) => recorded(one, fact.request));
    case 'sessions sent':
      return changeRequest(item, fact.offboarding_id, (one) => ({
        ...one,
        sessions: { ...(one.sessions ?? noSessions(fact.at)), sent_at: iso(fact.at) },
      }));
    case 'checked':
      return {
        ...item,
        last_drift_check_at: iso(fact.at),
        // What notifications said of changes before this check is about these alone.
        changed_by: item.changed_by?.filter(({ at }) => at > iso(fact.at)),
        next_drift_check_at: (item.drift_checks_requested ?? 0) === fact.checks ? fact.nextAt : iso(fact.at),
      };
    case 'failed':
      return changeRequest(item, fact.offboarding_id, (one) => withLastError(one, fact));
  }
}

const isSameEntry = (a: OutboxEntry, b: OutboxEntry) =>
  a.event === b.event && a.offboarding_id === b.offboarding_id && a.at === b.at && a.drift?.key === b.drift?.key;

function changeRequest(item: Organization, id: string, change: (one: OpenRequest) => OpenRequest): Organization {
  const request = requestOf(item, id);
  return request ? withRequest(item, change(request)) : item;
}

/** Whether the record alone has what people said of a request. */
export const isWordless = ({ parameters }: OpenRequest): boolean => parameters.reason === '';

function recorded(one: OpenRequest, shown: OpenRequest): OpenRequest {
  // Somebody else has changed it meanwhile, maybe within the same millisecond.
  if (JSON.stringify(one) !== JSON.stringify(shown)) return one;
  // Of what is only watched the record keeps the words; a failed one may still be cancelled, which says them.
  const words = one.status === 'completed' && one.watch === 'on' ? { reason: '', requested_by: '' } : {};
  return { ...one, parameters: { ...one.parameters, ...words }, is_unrecorded: undefined };
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
  const { key, goal, level, result, offboarding_id, error, isDrift, at } = fact;
  const request = requestOf(item, offboarding_id);
  const entry = entryOf(item, key);
  if (!entry) return item;
  const isReported = isDrift && request !== undefined && (result !== 'not done' || error?.code === 'conflict');
  if (result === 'not done' && !isReported) return item;
  if (result === 'uncertain')
    return withEntry(item, uncertainEntry(item, entry, { goal, offboarding_id, level, ...entry.intent }));
  const reached = result === 'done' ? { ...entry, ...levelAfter(goal, level, entry) } : entry;
  if (isReported) return afterDriftCall(item, reached, request, error, result === 'refused', at);
  // A refusal after an attempt of unknown end says nothing of that attempt.
  if (result === 'refused' && entry.intent?.is_uncertain) return item;
  const next = withEntry(item, {
    ...reached,
    intent: undefined,
    // Enabled again from here on, that is another drift.
    ...(result !== 'refused' && {
      disabled_by_us: goal === 'disabled' && result === 'done',
      changed: { goal, at },
      drifted_at: undefined,
    }),
  });
  if (!request || !isOfGoal(request, entry.kind, goal)) return next;
  const outcome: Outcome =
    result === 'refused'
      ? { outcome: 'failed', error }
      : { outcome: result === 'done' || goal === 'removed' ? goal : 'unchanged' };
  return withRequest(next, { ...request, outcomes: { ...request.outcomes, [key]: outcome } });
}

/** A ledger entry after a call that Auth0 may have carried out: nobody knows. */
export function uncertainEntry(item: Organization, entry: LedgerEntry, intent: Intent): LedgerEntry {
  const { goal, offboarding_id, level } = intent;
  const request = requestOf(item, offboarding_id);
  const isOurs = goal === 'disabled' && (!request || isPending(request));
  return {
    ...entry,
    // A level is given back once Auth0 says so.
    ...(goal === 'disabled' && levelAfter(goal, level, entry)),
    // A cancellation enables it.
    disabled_by_us: entry.disabled_by_us || isOurs,
    intent: { ...intent, is_uncertain: true },
  };
}

/** Whether a call with this goal is still what the request is about: a cancellation may have been accepted during it. */
const isOfGoal = (request: OpenRequest, kind: LedgerEntry['kind'], goal: Goal) =>
  goalOf(request) === goal || (kind === 'client_grant' && goal === 'disabled' && request.status === 'working');

/** The level that a disabling took from the customer, until it is given back. */
export function levelAfter(
  goal: Goal,
  level: string | undefined,
  { before, lowered_level }: Pick<LedgerEntry, 'before' | 'lowered_level'>,
): Pick<LedgerEntry, 'lowered_level'> {
  if (goal === 'enabled') return { lowered_level: undefined };
  if (goal !== 'disabled' || level === undefined) return {};
  return { lowered_level: lowered_level ?? (before?.organization_access_level as string | undefined) };
}
