import { type OpenRequest, type Organization, withRequest } from '../model/organization.ts';
import { noSessions } from '../model/sessions.ts';
import { iso } from '../model/stage.ts';
import { hasEnded } from '../model/status.ts';
import { momentsOf, sessionsDueAt } from '../rules/due-work.ts';
import { withoutOldClaims, withoutOver, withoutOverdueWatches } from '../rules/leaving.ts';
import { beginRemoval } from '../rules/progress.ts';
import { isToRecord } from '../rules/projection.ts';
import { acceptedOf, isRemoving, publishableOf, withEvent } from '../rules/requests.ts';
import { toCheck, toPlanCheck } from './check-steps.ts';
import { isSaved } from './lease.ts';
import { toResolve } from './member-steps.ts';
import { hasStatus, NOT_ENABLED, toBegin, toGoOn } from './request-steps.ts';
import type { Rule, Step } from './step.ts';
import type { VisitState } from './visit-state.ts';

/** A removal that is this much ahead of its time is due: clocks differ, milliseconds. */
const CLOCK_TOLERANCE_MS = 2000;

/** A cancellation that was accepted is carried out on all that it covers. */
const toCancel = toGoOn('cancelling');

/** What is decided is published first, and in its order. That a request was made is published with what follows, or at the end. */
const RULES: Rule[] = [toTidy, toPlanCheck, toSchedule, toPublish(({ event }) => event !== 'requested')];
const CHANGES: Rule[] = [
  toCancel,
  // What has begun to be removed goes on until it has ended.
  toGoOn('removing'),
  toGoOn('working'),
  toRecordEnded,
  toBegin,
  toNotify,
  toStartRemoval,
  toEndSessions,
  toCheck,
];
const AT_THE_END: Rule[] = [toPublish(() => true), toRecord];

/** The one next step of an organization. After an error nothing more is begun. */
export function nextStep(state: VisitState): Step {
  const changes = state.error ? [] : state.input.mode === 'cancel' ? [toCancel] : CHANGES;
  const rules = state.input.mode === 'cancel' ? changes : [...RULES, ...changes, ...AT_THE_END];
  for (const rule of [toResolve, ...rules]) {
    const step = rule(state);
    if (step) return step;
  }
  return { do: 'rest' };
}

/** What is over leaves the item. */
function toTidy({ item, now, input }: VisitState): Step | undefined {
  const tidy = withoutOver(withoutOldClaims(withoutOverdueWatches(item, now, input.stage), now), now);
  return tidy === item ? undefined : { do: 'change', item: tidy };
}

function toPublish(isWanted: (entry: Organization['outbox'][number]) => boolean): Rule {
  return ({ item }) => (publishableOf(item).some(isWanted) ? { do: 'publish' } : undefined);
}

function toRecord({ item }: VisitState): Step | undefined {
  const request = item.requests.find(isToRecord);
  return request && { do: 'record', request };
}

/** What begins next may change what the ledger says: before that, the record of what has ended is written. */
function toRecordEnded({ item }: VisitState): Step | undefined {
  const request = item.requests.find((one) => isToRecord(one) && hasEnded(one));
  return request && hasStatus(item, 'requested').length > 0 ? { do: 'record', request } : undefined;
}

/** EventBridge Scheduler makes a removal and its notice punctual; nothing depends on it. */
function toSchedule({ item, sent, now, error }: VisitState): Step | undefined {
  const isNew = ({ updated_at }: OpenRequest) =>
    item.outbox.some(({ event, at }) => event === 'scheduled' && at === updated_at);
  const scheduled = error ? [] : hasStatus(item, 'scheduled').filter(isNew);
  const at = scheduled
    .flatMap(({ notice_due_at, removal_due_at }) => momentsOf(notice_due_at, removal_due_at))
    .find((one) => !sent.includes(`schedule ${one}`) && Date.parse(one) > now);
  return at ? { do: 'scheduleRemoval', organization_id: item.organization_id, at } : undefined;
}

/** Of several that disable now and remove later the one requested last decides the date; until it is scheduled none removes. */
function toStartRemoval({ item, now, postponed }: VisitState): Step | undefined {
  const request = decidingOf(item);
  if (request?.status !== 'scheduled' || postponed.length > 0 || acceptedOf(item).some(isRemoving)) return undefined;
  if (Date.parse(request.removal_due_at ?? '') > now + CLOCK_TOLERANCE_MS) return undefined;
  return { do: 'change', item: beginRemoval(item, request, now) };
}

/** The pending offboarding that decides when the organization's connections are removed. */
const decidingOf = (item: Organization): OpenRequest | undefined =>
  acceptedOf(item).findLast(
    ({ parameters, status }) =>
      parameters.action === 'disable_then_remove' &&
      !parameters.dry_run &&
      ['requested', 'working', 'scheduled', 'removing'].includes(status),
  );

function toNotify({ item, now }: VisitState): Step | undefined {
  const request = decidingOf(item);
  if (request?.status !== 'scheduled' || (request.notice_due_at ?? '~') > iso(now + CLOCK_TOLERANCE_MS))
    return undefined;
  const published = { ...request, notice_due_at: undefined };
  // The record shows nothing of it.
  return { do: 'change', item: withRequest(withEvent(item, published, 'removal_upcoming', now), published) };
}

/** After the connections, a function of its own ends the sessions of the members. */
function toEndSessions(state: VisitState): Step | undefined {
  const { item, now, sent, input } = state;
  const request = acceptedOf(item).find(
    (one) => (sessionsDueAt(one) ?? '~') <= iso(now) && !sent.includes(`sessions ${one.offboarding_id}`),
  );
  if (!request) return undefined;
  const { offboarding_id, sessions = noSessions(now) } = request;
  if (!input.stage.canEndSessions) {
    const refused = { ...sessions, status: 'failed' as const, error: NOT_ENABLED.sessions, updated_at: iso(now) };
    return { do: 'change', item: withEvent(item, { ...request, sessions: refused }, 'sessions_ended', now) };
  }
  // The function that gets the message finds them in the item.
  if (!request.sessions) return { do: 'change', item: withRequest(item, { ...request, sessions }) };
  if (!isSaved(state)) return { do: 'save' };
  return { do: 'sendSessionsDue', organization_id: item.organization_id, offboarding_id };
}
