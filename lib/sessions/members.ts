import * as v from 'valibot';
import { type ApiRequest, call } from '../auth0/api-call.ts';
import type { CallContext } from '../auth0/call-context.ts';
import { createTokenSource } from '../auth0/management-token.ts';
import { pageOf } from '../auth0/pages.ts';
import { required } from '../environment.ts';
import { OrganizationId } from '../ids.ts';
import { parseAs } from '../json.ts';
import { ignoreUnknown } from '../problem.ts';

// The calls about an organization's members and what they hold ("Organizations", "Users", Auth0 Management API reference), with
// the token of a client of its own, which may do nothing else.

const tokens = createTokenSource(required('SESSION_TOKEN_SECRET_ID'));

/** A page is what is done again after a kill, and has to fit into a delivery at the slowest limit; Auth0 allows for 100. */
const PAGE = 50;

// Dots alone would be a step in a path.
const Members = pageOf('members', v.object({ user_id: v.pipe(v.string(), v.maxLength(1000), v.regex(/[^.]/)) }));
const Organizations = pageOf('organizations', v.object({ id: v.string() }));

/** What Auth0 shows by numbered pages; beyond, only its own cursors lead ("Pagination", Management API). */
const MAX_NUMBERED = 1000;
/** A cursor of our own: a numbered page, where Auth0 has given none. One of Auth0's has no blank. */
const NUMBERED = /^page (\d+)$/;

/** A page of the members' ids, and what to ask for the next one with. Throws `unknown_organization`, as every problem of Auth0's. */
export async function membersFrom(organizationId: string, cursor: string | undefined, context: CallContext) {
  const [, number] = NUMBERED.exec(cursor ?? '') ?? [];
  const linked = `take=${PAGE}${cursor === undefined ? '' : `&from=${encodeURIComponent(cursor)}`}`;
  const query = number === undefined ? linked : `page=${number}&per_page=${PAGE}`;
  const read = (status: number, body: unknown) => {
    const { items, next, total } = (status === 200 && parseAs(Members, body)) || {};
    // None comes twice.
    if (!items || (next !== undefined && next === cursor)) return undefined;
    const ids = items.map(({ user_id }) => user_id);
    if (next !== undefined) return { ids, next };
    // Never a part of them: where Auth0 says neither how many there are nor what comes next, a full page is one.
    const seen = Number(number ?? 0) * PAGE + ids.length;
    const isFull = ids.length === PAGE && (Array.isArray(body) || number !== undefined);
    const isLinked = cursor !== undefined && number === undefined;
    if (isLinked ? !isFull : total === undefined ? !isFull : total <= seen) return { ids, next: undefined };
    const canGoOn = !isLinked && ids.length === PAGE && seen < MAX_NUMBERED;
    return canGoOn ? { ids, next: `page ${seen / PAGE}` } : undefined;
  };
  const path = `/api/v2/organizations/${v.parse(OrganizationId, organizationId)}/members?${query}&fields=user_id`;
  const request = { method: 'GET', bucket: 'members', path, scope: 'read:organization_members', read } as const;
  return call({ ...request, tokens, unknown: 'unknown_organization' }, context);
}

type Request<T> = Pick<ApiRequest<T>, 'method' | 'bucket' | 'scope' | 'read'>;

function ofUser<T>(userId: string, what: string, request: Request<T>, context: CallContext): Promise<T | undefined> {
  const path = `/api/v2/users/${encodeURIComponent(userId)}/${what}`;
  // Who is gone is a member of nothing, and has nothing left to end.
  return call({ ...request, tokens, path, unknown: 'not_found' }, context).catch(ignoreUnknown);
}

/** Whether a user is a member of another organization as well. */
export async function isMemberElsewhere(
  userId: string,
  organizationId: string,
  context: CallContext,
): Promise<boolean> {
  const read = (status: number, body: unknown) => (status === 200 ? parseAs(Organizations, body) : undefined);
  const request = { method: 'GET', bucket: 'members', scope: 'read:organizations', read } as const;
  // Of two, one is another.
  const found = await ofUser(userId, 'organizations?page=0&per_page=2', request, context);
  return found?.items.some(({ id }) => id !== organizationId) ?? false;
}

/**
 * Asks Auth0 to end a user's sessions, and its refresh tokens, which outlive them. It answers 202 and does so later; access
 * tokens live to their end.
 */
export async function endSessionsOf(userId: string, context: CallContext): Promise<void> {
  const read = (status: number) => (status === 202 || status === 204 ? status : undefined);
  const request = { method: 'DELETE', bucket: 'whole', read } as const;
  await ofUser(userId, 'sessions', { ...request, scope: 'delete:sessions' }, context);
  await ofUser(userId, 'refresh-tokens', { ...request, scope: 'delete:refresh_tokens' }, context);
}
