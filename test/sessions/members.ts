// Members of an organization whose sessions are to be ended, as Auth0 lists them.
import type { OpenRequest } from '../../lib/offboarding/model/organization.ts';
import type { Sessions } from '../../lib/offboarding/model/sessions.ts';
import { type EndSessionsInput, endSessions } from '../../lib/sessions/end-sessions.ts';
import { ago, found, HOUR, MINUTE, NOW, ORG, organization, request, STAGE } from '../offboarding/items.ts';
import { World } from '../offboarding/play.ts';

export const sessions = (changes: Partial<Sessions> = {}): Sessions => ({
  ...{ status: 'due', members: 0, revocations_requested: 0, skipped: 0, failed: 0, updated_at: ago(HOUR) },
  ...changes,
});
export const due = (changes: Partial<OpenRequest> = {}, of: object = {}) =>
  request('A', { status: 'completed', watch: 'on', sessions: sessions(), ...changes }, { end_sessions: true, ...of });
/** An organization whose members Auth0 lists in these pages; one whose name begins with `guest` is a member elsewhere, too. */
export function worldOf(pages: string[][], one: OpenRequest = due()): World {
  const world = new World(organization({ requests: [one] }));
  world.answers.listMembers = ({ cursor = '0' }) => {
    const place = Number(cursor);
    return { ids: pages[place] ?? [], next: place + 1 < pages.length ? String(place + 1) : undefined };
  };
  world.answers.isMemberElsewhere = ({ user_id }) => user_id.startsWith('guest');
  return world;
}
export const end = (world: World, changes: Partial<EndSessionsInput> = {}) =>
  world.run(
    endSessions(
      {
        ...{ organization_id: ORG, offboarding_id: 'A', nonce: 'n', deadline: NOW + MINUTE },
        ...{ allMembers: false, stage: STAGE, ...changes },
      },
      world.now,
    ),
  );
export const ended = (world: World) => world.all('endUserSessions').map(({ user_id }) => user_id);
export const now = (world: World) => found(world.item, 'A').sessions;
