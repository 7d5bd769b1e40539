import { type CallContext, createCallContext } from '../auth0/call-context.ts';
import { addStageDuration } from '../duration.ts';
import type { Log } from '../log.ts';
import type { Offboarding, Sessions } from '../offboarding/offboarding.ts';
import { outcomeDetail, publishOutcome } from '../offboarding/outcome.ts';
import { getRecord, put, RecordChanged } from '../offboarding/record.ts';
import { isFinal, Problem, RetryLater } from '../problem.ts';
import { endSessionsOf, isMemberElsewhere, membersFrom } from './members.ts';
import { createSharePacer } from './pace.ts';
import type { About } from './queue.ts';

const SHARE = Number(process.env.SESSION_SHARE || 0.2);
if (!(SHARE > 0 && SHARE <= 1)) throw new Error('Environment variable SESSION_SHARE is not a part of 1');
const ALL_MEMBERS = process.env.SESSION_MEMBERS === 'all';
/** A page may take this much longer than the one before it. */
const MARGIN = 1.2;
/** Auth0's own refusal of what the tenant's plan does not have, or of what the client was not granted. */
const REFUSALS = ['forbidden_by_auth0', 'management_token_scope_missing'];

const pacer = createSharePacer(SHARE);

/**
 * Ends the sessions of an organization's members, page by page, from where the record says that an earlier delivery ended. Throws
 * what is to be waited for: `RetryLater` when the time is over, or a transient problem.
 */
export async function endSessions({ organization_id, offboarding_id }: About, deadline: number, log: Log) {
  // Paths name people: they are not logged.
  const quiet = { ...log, debug: () => undefined };
  for (let pageMs = 0; ; ) {
    const began = Date.now();
    const record = await getRecord(organization_id, offboarding_id);
    const { sessions } = record ?? {};
    if (!record || !sessions) return log.warn('sessions_without_record');
    if (!['due', 'ending'].includes(sessions.status)) return publishEnd(record, sessions, log);
    if (isCalledOff(record)) return log.info('sessions_not_due_any_more');
    if (sessions.status === 'due') await save(record, { ...sessions, status: 'ending' });
    else if (began + pageMs * MARGIN > deadline) throw new RetryLater('The sessions go on in the next delivery', 0);
    else {
      const context = createCallContext({ deadline, log: quiet, pacer });
      await save(record, await endPage(record, sessions, context).catch((error) => failed(sessions, error)));
      pageMs = Date.now() - began;
    }
  }
}

/** Whether the customer stays, or is back: its people keep their sessions from then on. */
const isCalledOff = ({ status, watch }: Offboarding) => /^cancel/.test(status) || watch === 'ended';

/** A page of members; its counts and the next page's cursor are one write, so that no page is counted twice. */
async function endPage(
  { organization_id, dry_run }: Offboarding,
  before: Sessions,
  context: CallContext,
): Promise<Sessions> {
  const { ids, next } = await membersFrom(organization_id, before.cursor, context);
  const counts = { asked: before.asked, skipped: before.skipped, failed: before.failed };
  for (const id of ids) counts[await endMember(id, organization_id, dry_run, context)] += 1;
  const end = next === undefined && ({ status: 'ended', unpublished: true } as const);
  return { ...before, ...counts, members: before.members + ids.length, cursor: next, ...end };
}

async function endMember(id: string, organizationId: string, dryRun: boolean, context: CallContext) {
  try {
    if (!ALL_MEMBERS && (await isMemberElsewhere(id, organizationId, context))) return 'skipped';
    if (!dryRun) await endSessionsOf(id, context);
    return 'asked';
  } catch (error) {
    // Auth0's own refusal of this member.
    if (isFinal(error) && !REFUSALS.includes(error.code)) return 'failed';
    throw error;
  }
}

/** The end that an error is; throws one that is waited for. Only age ends that, counted from the last page that was done. */
function failed(sessions: Sessions, error: unknown): Sessions {
  if (!(error instanceof Problem)) throw error;
  const { code, message, isTransient, upstream } = error;
  const end = { ...sessions, unpublished: true } as const;
  const refusal = { code: 'end_sessions_refused', message: `${message} (${upstream?.error_code ?? code})` };
  if (REFUSALS.includes(code)) return { ...end, status: 'refused', error: refusal };
  const isOverdue = addStageDuration(new Date(sessions.updated_at), 'GIVE_UP_AFTER').getTime() < Date.now();
  if ((isTransient && !isOverdue) || code === 'rate_limited') throw error;
  return { ...end, status: 'failed', error: { code, message } };
}

/** Writes `sessions` upon the record, also when something else of it has changed meanwhile. */
async function save(record: Offboarding, sessions: Sessions): Promise<void> {
  try {
    await put({ ...record, sessions: { ...sessions, updated_at: new Date().toISOString() } });
  } catch (error) {
    const current = error instanceof RecordChanged ? error.current : undefined;
    if (!current || current.sessions?.updated_at !== record.sessions?.updated_at) throw error;
    await save(current, sessions);
  }
}

async function publishEnd(record: Offboarding, sessions: Sessions, log: Log): Promise<void> {
  if (!sessions.unpublished) return;
  const { members, asked, skipped, failed, error } = sessions;
  const counts = { members, asked, skipped, failed };
  const detail = { ...outcomeDetail(record, []), error, ...counts };
  await publishOutcome('sessions_ended', detail, log);
  if (error) log.metrics('sessions_not_ended', { SessionsNotEnded: 1 }, { error, ...counts }, undefined, 'ERROR');
  await save(record, { ...sessions, unpublished: undefined });
}
