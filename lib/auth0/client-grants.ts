import * as v from 'valibot';
import { ClientGrantId } from '../ids.ts';
import { lenient, parseAs } from '../json.ts';
import { ignoreUnknown, Problem } from '../problem.ts';
import { call } from './api-call.ts';
import type { CallContext } from './call-context.ts';
import { confirm, pathOf, statusOfJson, tokens } from './management-api.ts';
import { listAll, pageOf } from './pages.ts';
import { CLIENT_GRANT_SCOPES, MANAGEMENT_SCOPES } from './scopes.ts';

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

const WRITE = { tokens, bucket: 'client_grants_write', unknown: 'not_found' } as const;
const pathOfGrants = (organizationId: string) => `${pathOf(organizationId)}/client-grants`;

/**
 * The client grants of an organization, and never a part of them; without those that allow any organization, which are no
 * organization's own. Throws `management_token_scope_missing` without a call where the token lacks the scope,
 * `unknown_organization`, and as every call.
 */
export async function listClientGrants(organizationId: string, context: CallContext): Promise<ClientGrant[]> {
  const read = (_: number, body: unknown) => parseAs(Page, body);
  const scope = CLIENT_GRANT_SCOPES.GET;
  const about = { tokens, method: 'GET', bucket: 'client_grants_read', unknown: 'unknown_organization' } as const;
  const request = { ...about, scope, isOptional: !MANAGEMENT_SCOPES.required.includes(scope), read };
  const getPage = (query: string) =>
    call({ ...request, path: `${pathOfGrants(organizationId)}?include_totals=true&${query}` }, context);
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
  const path = pathOfGrants(organizationId);
  try {
    await call({ ...WRITE, method: 'POST', scope: CLIENT_GRANT_SCOPES.POST, path, read, body }, context);
  } catch (error) {
    // Auth0 answers 409 also where an earlier attempt, or somebody else, has added it.
    const isConflict = error instanceof Problem && error.code === 'conflict';
    if (!isConflict || !(await hasGrant(organizationId, grantId, context).catch(() => false))) throw error;
  }
}

/** Takes a client grant from an organization; done also where the organization or the grant is gone. Throws as every call. */
export async function removeClientGrant(organizationId: string, grantId: string, context: CallContext): Promise<void> {
  const path = `${pathOfGrants(organizationId)}/${v.parse(ClientGrantId, grantId)}`;
  const request = { ...WRITE, method: 'DELETE', scope: CLIENT_GRANT_SCOPES.DELETE, path, read: statusOfJson } as const;
  const status = await call(request, context).catch(ignoreUnknown);
  if (status === undefined || status === 204) return;
  const isGone = async () => !(await hasGrant(organizationId, grantId, context));
  await confirm(context, 'the client grant is removed', isGone);
}
