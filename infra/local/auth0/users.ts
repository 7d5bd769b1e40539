// The users of the stand-in tenant: the organizations that they are members of, their sessions and refresh tokens.
import { error, type Reply } from './reply.ts';

interface User {
  organizations: Set<string>;
  sessions: number;
  refresh_tokens: number;
}
/** What a user may be asked to lose, by the last part of the path. */
const LOSSES = { sessions: 'sessions', 'refresh-tokens': 'refresh_tokens' } as const;

export function createUsers(maySessions: () => boolean) {
  const users = new Map<string, User>();
  const members = new Map<string, string[]>();
  let delay = 0;

  /** A page of `all`: by checkpoint where it is asked for so (`take`, `from`), else by number. */
  function pageOf<T>(name: string, all: T[], searchParams: URLSearchParams): Reply {
    const number = (key: string, otherwise: number) => Number(searchParams.get(key) ?? otherwise);
    if (searchParams.has('take')) {
      const start = searchParams.has('from') ? Number(Buffer.from(searchParams.get('from') ?? '', 'base64url')) : 0;
      const end = start + Math.min(100, number('take', 50));
      const next = end < all.length && Buffer.from(String(end)).toString('base64url');
      return { status: 200, body: { [name]: all.slice(start, end), ...(next && { next }) } };
    }
    const [page, limit] = [number('page', 0), Math.min(100, number('per_page', 50))];
    // Auth0 shows no more than the first thousand this way.
    const shown = all.slice(0, 1000).slice(page * limit, (page + 1) * limit);
    const totals = { start: page * limit, limit, total: all.length };
    return { status: 200, body: searchParams.get('include_totals') === 'true' ? { [name]: shown, ...totals } : shown };
  }

  return {
    control: {
      /** Makes users, each with a session and a refresh token, members of an organization; others stay. */
      addMembers(organizationId: string, userIds: string[]) {
        const all = members.get(organizationId) ?? [];
        members.set(organizationId, all);
        for (const id of userIds) {
          const user = users.get(id) ?? { organizations: new Set(), sessions: 1, refresh_tokens: 1 };
          users.set(id, user);
          user.organizations.add(organizationId);
          all.push(id);
        }
      },
      /** The members of an organization, as an administrator sees them. */
      members: (organizationId: string) => [...(members.get(organizationId) ?? [])],
      /** Who is gone is still listed as a member for a while: that list is eventually consistent. */
      deleteUser: (id: string) => users.delete(id),
      forgetMembers() {
        users.clear();
        members.clear();
      },
      /** How many sessions and refresh tokens a user has; undefined where there is no such user. */
      user(id: string) {
        const found = users.get(id);
        return found && { sessions: found.sessions, refresh_tokens: found.refresh_tokens };
      },
      /** How much later than its 202 a deletion takes effect, milliseconds. */
      setDeletionDelay(ms: number) {
        delay = ms;
      },
    },

    /** A call of `/organizations/{organizationId}/members`. */
    membersOf(organizationId: string, searchParams: URLSearchParams): Reply {
      const all = (members.get(organizationId) ?? []).map((user_id) => ({ user_id }));
      return pageOf('members', all, searchParams);
    },

    /** A call of `/users/{userId}/organizations`. */
    organizationsOf(userId: string, searchParams: URLSearchParams): Reply {
      const user = users.get(userId);
      if (!user) return error(404, 'The user does not exist.', 'inexistent_user');
      const all = [...user.organizations].map((id) => ({ id, name: id.toLowerCase().replace('_', '-') }));
      return pageOf('organizations', all, searchParams);
    },

    /** A call of DELETE `/users/{userId}/{what}`. */
    end(userId: string, what: keyof typeof LOSSES): Reply {
      if (!maySessions())
        return error(403, 'Please upgrade your subscription to use this feature.', 'insufficient_entitlement');
      const user = users.get(userId);
      if (!user) return error(404, 'The user does not exist.', 'inexistent_user');
      const take = () => {
        user[LOSSES[what]] = 0;
      };
      if (delay > 0) setTimeout(take, delay).unref();
      else take();
      return { status: 202 };
    },
  };
}
