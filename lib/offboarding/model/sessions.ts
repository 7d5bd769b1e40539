import { iso } from './stage.ts';

export interface SessionCounts {
  members: number;
  revocations_requested: number;
  skipped: number;
  failed: number;
}

/** How far the ending of the members' sessions has come: a cursor and counts, and no list of people. */
export interface Sessions extends SessionCounts {
  status: 'due' | 'ending' | 'ended' | 'failed' | 'refused';
  cursor?: string | undefined;
  /** The place within the page at which the next delivery goes on, and how often Auth0 failed for that member. */
  position?: number | undefined;
  tries?: number | undefined;
  /** The page that the place is of: what tells it from another list, and the counts before it. */
  page?: ({ of: number } & SessionCounts) | undefined;
  error?: { code: string; message: string } | undefined;
  /** When the last message was sent that says that they are due, and when the last page was done. */
  sent_at?: string | undefined;
  updated_at: string;
}

/** Sessions of which none is ended yet; `at` in Unix ms. */
export const noSessions = (at: number): Sessions => ({
  ...{ status: 'due', members: 0, revocations_requested: 0, skipped: 0, failed: 0 },
  updated_at: iso(at),
});

/** Whether members are left whose sessions are to be ended. */
export const areMembersLeft = (sessions: Sessions | undefined): boolean =>
  sessions === undefined || sessions.status === 'due' || sessions.status === 'ending';
