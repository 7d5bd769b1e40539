import { type Updated, updateOrganization, type Writer } from '../offboarding/intake/update.ts';
import { type Core, type EffectError, perform } from '../offboarding/model/effects.ts';
import { type OpenRequest, requestOf, withRequest } from '../offboarding/model/organization.ts';
import { areMembersLeft, noSessions, type Sessions } from '../offboarding/model/sessions.ts';
import { after, iso, type Stage } from '../offboarding/model/stage.ts';
import { areSessionsLeft, withEvent } from '../offboarding/rules/requests.ts';

// Ends the sessions of an organization's members, page by page. What is done stands in the organization's item, and before every
// member it is asked whether a cancellation has stopped it.

export interface EndSessionsInput extends Writer {
  organization_id: string;
  offboarding_id: string;
  /** Whether members of other organizations lose their sessions, too. */
  allMembers: boolean;
}

/** `later`: the rest is for another delivery, after `error` or because the time is over. */
export type SessionsEnd = { is: 'done' | 'not due' } | { is: 'later'; error?: EffectError | undefined };

/** Auth0's own refusal of what the tenant's plan does not have, or of what the client was not granted. */
const REFUSALS = ['forbidden_by_auth0', 'management_token_scope_missing'];
/** What one member and the write of its page take, milliseconds. */
const MEMBER_TAKES_MS = 3000;
/** A member that Auth0 keeps failing for is counted as failed after so many visits, or once another member has succeeded. */
const MOST_TRIES = 5;

type Page = { sessions: Sessions; end?: SessionsEnd | undefined; now: number };

/** Ends the sessions of the members of one offboarding's organization, from where an earlier delivery ended. */
export function* endSessions(input: EndSessionsInput, started: number): Core<SessionsEnd> {
  const { organization_id, offboarding_id, deadline } = input;
  for (let [now, pages] = [started, 0]; ; pages++) {
    const read = yield* perform({ do: 'readOrganization', organization_id });
    now = Math.max(now, read.at);
    if (read.error) return { is: 'later', error: read.error };
    const request = read.value && requestOf(read.value, offboarding_id);
    if (!request || !areSessionsLeft(request)) return { is: 'not due' };
    // The message may be quicker than the write that says that it was sent.
    const before = request.sessions ?? noSessions(Date.parse(request.updated_at));
    if (now + MEMBER_TAKES_MS > deadline) return { is: 'later' };
    const page = yield* endPage(input, before, request.parameters.dry_run, now);
    const saved = yield* savePage(input, before, page, pages);
    now = Math.max(now, page.now);
    if (saved.is !== 'done') return { is: 'later', error: saved.error };
    if (!saved.value) return { is: 'not due' };
    if (page.end) return page.end;
    if (!areMembersLeft(page.sessions)) {
      // The worker publishes what became of it.
      yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'batch' }] });
      return { is: 'done' };
    }
  }
}

/** A page of members: what became of it, and how the visit ends, if it does. */
function* endPage(input: EndSessionsInput, before: Sessions, isDryRun: boolean, started: number): Core<Page> {
  const { organization_id, stage, deadline } = input;
  const listed = yield* perform({ do: 'listMembers', organization_id, cursor: before.cursor });
  let now = Math.max(started, listed.at);
  if (listed.error) return endByError(before, listed.error, stage, now);
  const { ids, next } = listed.value;
  const start = onPage(before, ids);
  const triesAt = (place: number) => (start.position === place ? (start.tries ?? 0) : 0) + 1;
  let sessions = start;
  /** The member before, where Auth0 failed for it: the next one shows whether it is the member. */
  let failing: { place: number; error: EffectError } | undefined;
  for (let place = start.position ?? 0; place < ids.length; place++) {
    const here = at(sessions, failing?.place ?? place);
    if (now + MEMBER_TAKES_MS > deadline) return { sessions: here, end: { is: 'later' }, now };
    if (yield* isStoppedNow(input)) return { sessions: here, end: { is: 'not due' }, now };
    const outcome = yield* endMember(input, ids[place] ?? '', isDryRun);
    now = Math.max(now, outcome.at);
    if (typeof outcome.is === 'string') {
      sessions = counted(failing ? counted(sessions, 'failed') : sessions, outcome.is);
      failing = undefined;
      continue;
    }
    if (!mayBeTheMember(outcome.is)) return endByError(here, outcome.is, stage, now);
    const tries = triesAt(place);
    // Of two in a row it is not the member.
    if (failing) return endByError({ ...here, tries }, outcome.is, stage, now);
    if (tries >= MOST_TRIES) sessions = counted(sessions, 'failed');
    else failing = { place, error: outcome.is };
  }
  if (failing) {
    const { place, error } = failing;
    return endByError({ ...at(sessions, place), tries: triesAt(place) }, error, stage, now);
  }
  const done = { ...sessions, position: undefined, tries: undefined, page: undefined, cursor: next };
  return { sessions: next === undefined ? { ...done, status: 'ended' } : done, now };
}

const mayBeTheMember = ({ code, is_transient }: EffectError): boolean =>
  is_transient && code !== 'rate_limited' && !REFUSALS.includes(code);

/** Where a page begins: at the place where an earlier delivery ended, or anew, as it was counted then, where it lists others by now. */
function onPage(before: Sessions, ids: string[]): Sessions {
  const of = numberOf(ids);
  const { members, revocations_requested, skipped, failed } = before;
  const { of: known = of, ...counts } = before.page ?? { members, revocations_requested, skipped, failed };
  const page = { of, ...counts };
  const begun = { ...before, status: 'ending' as const, page };
  return known === of ? begun : { ...begun, ...counts, position: undefined, tries: undefined };
}

/** Tells lists of ids apart without keeping one (FNV-1a, 32 bits). */
const numberOf = (ids: string[]): number =>
  [...ids.join('\n')].reduce(
    (hash, character) => Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619),
    2_166_136_261,
  ) >>> 0;

const at = (sessions: Sessions, position: number): Sessions => ({ ...sessions, position });

type Count = 'revocations_requested' | 'skipped' | 'failed';
const counted = (sessions: Sessions, count: Count): Sessions => ({
  ...sessions,
  [count]: sessions[count] + 1,
  members: sessions.members + 1,
});

/** Whether the customer stays, or is back: its people keep their sessions from then on. A read that fails counts as that. */
function* isStoppedNow({ organization_id, offboarding_id }: EndSessionsInput): Core<boolean> {
  const read = yield* perform({ do: 'readOrganization', organization_id });
  const request = read.value && requestOf(read.value, offboarding_id);
  return !request || !areSessionsLeft(request);
}

/** One member: what became of it, or Auth0's error. */
function* endMember(
  input: EndSessionsInput,
  user_id: string,
  isDryRun: boolean,
): Core<{ is: Count | EffectError; at: number }> {
  const { organization_id, allMembers } = input;
  const elsewhere = allMembers
    ? { value: false, at: 0, error: undefined }
    : yield* perform({ do: 'isMemberElsewhere', user_id, organization_id });
  if (elsewhere.error) return { is: memberFailure(elsewhere.error), at: elsewhere.at };
  if (elsewhere.value) return { is: 'skipped', at: elsewhere.at };
  if (isDryRun) return { is: 'revocations_requested', at: elsewhere.at };
  const ended = yield* perform({ do: 'endUserSessions', user_id });
  return { is: ended.error ? memberFailure(ended.error) : 'revocations_requested', at: ended.at };
}

/** Auth0's own refusal of this member, or an error. */
const memberFailure = (error: EffectError): 'failed' | EffectError =>
  error.is_transient || REFUSALS.includes(error.code) ? error : 'failed';

/** The end that an error is. Only age ends what may pass, counted from the last page that was done. */
function endByError(sessions: Sessions, error: EffectError, stage: Stage, now: number): Page {
  const { code, message, is_transient, upstream } = error;
  const refusal = { code: 'end_sessions_refused', message: `${message} (${upstream?.error_code ?? code})` };
  if (REFUSALS.includes(code)) return { sessions: { ...sessions, status: 'refused', error: refusal }, now };
  const isOverdue = after(sessions.updated_at, stage.giveUpAfter) < now;
  if ((is_transient && !isOverdue) || code === 'rate_limited') return { sessions, end: { is: 'later', error }, now };
  return { sessions: { ...sessions, status: 'failed', error: { code, message } }, now };
}

/** Writes a page upon what it began with. False where another delivery has done it, or a cancellation has stopped it. */
function* savePage(
  input: EndSessionsInput,
  before: Sessions,
  { sessions, now }: Page,
  pages: number,
): Core<Updated<boolean>> {
  const { organization_id, offboarding_id, nonce, deadline } = input;
  const writer = { ...input, nonce: `${nonce}.${pages}`, deadline: deadline + MEMBER_TAKES_MS };
  const isProgress =
    sessions.members > before.members || sessions.cursor !== before.cursor || sessions.status !== before.status;
  return yield* updateOrganization<boolean>(organization_id, writer, now, (item, written) => {
    const request = requestOf(item, offboarding_id);
    const known = request && (request.sessions ?? before);
    if (!known || known.cursor !== before.cursor || known.members !== before.members || known.status !== before.status)
      return { value: false };
    const saved = { ...sessions, sent_at: known.sent_at, updated_at: isProgress ? iso(written) : before.updated_at };
    const changed: OpenRequest = { ...request, sessions: saved };
    if (areMembersLeft(saved)) return { item: withRequest(item, changed), value: true };
    return { item: withEvent(item, changed, 'sessions_ended', written), value: true };
  });
}
