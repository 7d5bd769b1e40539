import * as v from 'valibot';
import { ClientGrantId } from '../ids.ts';
import { lenient, parseAs } from '../json.ts';
import { Problem } from '../problem.ts';
import { type ApiRequest, call } from './api-call.ts';
import type { CallContext } from './call-context.ts';
import { confirm, pathOf, tokens } from './management-api.ts';
import { listAll, pageOf } from './pages.ts';
import { CLIENT_GRANT_SCOPES, REQUIRED_SCOPES } from './scopes.ts';

// The client grants of an organization ("Organizations", Auth0 Management API reference): a machine gets tokens with its `org_id` by
// them, without any connection.

/** An organization has 100 client grants at most, 1,000 in a private cloud. */
const MAX_PAGES = 25;

/** A client grant as Auth0 lists it for an organization; members beyond these are kept as they are. */
const ClientGrant = v.looseObject({
  id: ClientGrantId,
  client_id: v.string(),
  audience: v.string(),
  scope: v.fallback(v.array(v.string()), []),
  allow_any_organization: lenient(v.boolean()),
});
export type ClientGrant = v.InferOutput<typeof ClientGrant>;
const Page = pageOf('client_grants', ClientGrant);

type Request<T> = Pick<ApiRequest<T>, 'method' | 'read' | 'body' | 'isOptional' | 'unknown'>;

function callGrants<T>(organizationId: string, rest: string, request: Request<T>, context: CallContext) {
  const bucket = request.method === 'GET' ? 'client_grants_read' : 'client_grants_write';
  const scope = CLIENT_GRANT_SCOPES[request.method as keyof typeof CLIENT_GRANT_SCOPES];
  const path = `${pathOf(organizationId)}/client-grants${rest}`;
  return call({ ...request, tokens, bucket, scope, path }, context);
}

/**
 * The client grants of an organization, and never a part of them; without those that allow any organization, which are no
 * organization's own. Throws `management_token_scope_missing` without a call where the token lacks the scope,
 * `unknown_organization`, and as every call.
 */
export async function listClientGrants(organizationId: string, context: CallContext): Promise<ClientGrant[]> {
  const read = (_: number, body: unknown) => parseAs(Page, body);
  const isOptional = !REQUIRED_SCOPES.includes(CLIENT_GRANT_SCOPES.GET);
  const request = { method: 'GET', unknown: 'unknown_organization', isOptional, read } as const;
  const getPage = (query: string) => callGrants(organizationId, `?include_totals=true&${query}`, request, context);
  const listed = await listAll(getPage, ({ id }) => id, MAX_PAGES);
  return listed.filter(({ allow_any_organization }) => !allow_any_organization);
}

async function hasGrant(organizationId: string, grantId: string, context: CallContext): Promise<boolean> {
  const grants = await listClientGrants(organizationId, context);
  return grants.some(({ id }) => id === grantId);
}

/**
 * Gives a client grant to an organization; done also where it has the grant already. Throws `not_found` where Auth0 has no such
 * grant or organization, `conflict` where it refuses the grant, and as every call.
 */
export async function addClientGrant(organizationId: string, grantId: string, context: CallContext): Promise<void> {
  const body = { grant_id: v.parse(ClientGrantId, grantId) };
  const Added = v.object({ id: v.optional(v.literal(grantId)) });
  const read = (_: number, added: unknown) => parseAs(Added, added);
  try {
    await callGrants(organizationId, '', { method: 'POST', unknown: 'not_found', read, body }, context);
  } catch (error) {
    // Auth0 answers 409 also where an earlier attempt, or somebody else, has added it.
    const isConflict = error instanceof Problem && error.code === 'conflict';
    if (!isConflict || !(await hasGrant(organizationId, grantId, context).catch(() => false))) throw error;
  }
}

/** Takes a client grant from an organization; done also where the organization or the grant is gone. Throws as every call. */
export async function removeClientGrant(organizationId: string, grantId: string, context: CallContext): Promise<void> {
  const read = (status: number, body: unknown) => (body === undefined ? undefined : status);
  const request = { method: 'DELETE', unknown: 'not_found', read } as const;
  const rest = `/${v.parse(ClientGrantId, grantId)}`;
  const status = await callGrants(organizationId, rest, request, context).catch(ignoreNotFound);
  if (status === undefined || status === 204) return;
  const isGone = async () => !(await hasGrant(organizationId, grantId, context));
  await confirm(context, 'the client grant is removed', isGone);
}

/** For `catch`: what is gone has been removed. */
function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof Problem && error.code === 'not_found')) throw error;
}
