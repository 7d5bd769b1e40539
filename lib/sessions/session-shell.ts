import { createCallContext } from '../auth0/call-context.ts';
import type { Log } from '../log.ts';
import type { Performer } from '../offboarding/store/shell.ts';
import { endSessionsOf, isMemberElsewhere, membersFrom } from './members.ts';
import { createSharePacer } from './pace.ts';

const SHARE = Number(process.env.SESSION_SHARE || 0.2);
if (!(SHARE > 0 && SHARE <= 1)) throw new Error('Environment variable SESSION_SHARE is not a part of 1');
/** Whether members of other organizations lose their sessions, too. */
export const ALL_MEMBERS = process.env.SESSION_MEMBERS === 'all';

const pacer = createSharePacer(SHARE);

/** Performs the effects about an organization's members, within one unit of work. */
export function sessionEffects(deadline: number, log: Log) {
  // Paths name people: they are not logged.
  const quiet = { ...log, debug: () => undefined };
  const context = createCallContext({ deadline, log: quiet, pacer, maxAttempts: 2 });
  return {
    listMembers: ({ organization_id, cursor }) => membersFrom(organization_id, cursor, context),
    isMemberElsewhere: ({ user_id, organization_id }) => isMemberElsewhere(user_id, organization_id, context),
    endUserSessions: ({ user_id }) => endSessionsOf(user_id, context),
  } satisfies Performer;
}
