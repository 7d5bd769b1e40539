import * as v from 'valibot';
import { auth0Tenant, required } from '../environment.ts';
import { ConnectionId, OrganizationId } from '../ids.ts';
import { lenient, parseAs } from '../json.ts';
import { PRIMING_MS } from '../priming.ts';
import { asProblem, ignoreUnknown, Problem } from '../problem.ts';
import { call } from './api-call.ts';
import { type CallContext, noteUnknownOutcome } from './call-context.ts';
import { openConnection } from './http-agents.ts';
import { createTokenSource } from './management-token.ts';
import { listAll, pageOf } from './pages.ts';
import { CONNECTION_SCOPES, ORGANIZATION_NAME_SCOPE } from './scopes.ts';

// The calls of organizations and their connections that this service makes ("Organizations", Auth0 Management API reference).

/** An organization has ten connections at most; a listing that goes on for longer than this is not one. */
const MAX_PAGES = 4;

/** An organization's connection with its settings, as Auth0 has it; members beyond these are kept as they are. */
const OrganizationConnection = v.looseObject({
  connection_id: ConnectionId,
  /** Undefined where Auth0 does not say, also when it was asked for this one. */
  is_enabled: lenient(v.boolean()),
  connection: lenient(v.looseObject({ name: lenient(v.string()), strategy: lenient(v.string()) })),
});
export type OrganizationConnection = v.InferOutput<typeof OrganizationConnection>;
const Page = pageOf('connections', OrganizationConnection);

/** The management client's token, for all calls but those that end sessions. */
export const tokens = createTokenSource(required('MANAGEMENT_TOKEN_SECRET_ID'));

/**
 * What the first call needs, done before there is one: the token is read, and the connection to Auth0 opened. No token is minted and
 * no rotation requested; Auth0 is sent nothing. For `prime`.
 */
export const primeCalls = (): Promise<unknown> =>
  Promise.allSettled([tokens.get(Date.now() + PRIMING_MS), openConnection(auth0Tenant().origin)]);

/** The path of an organization in the Management API; throws where the id is none. */
export const pathOf = (organizationId: string) => `/api/v2/organizations/${v.parse(OrganizationId, organizationId)}`;

/** Reads of connections, and calls that change one. */
const READ = { tokens, method: 'GET', bucket: 'connections_read', scope: CONNECTION_SCOPES.GET } as const;
const WRITE = { tokens, bucket: 'connections_write', unknown: 'unknown_connection' } as const;

const pathOfConnection = (organizationId: string, connectionId: string) =>
  `${pathOf(organizationId)}/connections/${v.parse(ConnectionId, connectionId)}`;

/** Asks for a page of an organization's connections; throws `unknown_organization` when Auth0 does not know it. */
function getPage(organizationId: string, query: string, context: CallContext) {
  const path = `${pathOf(organizationId)}/connections?include_totals=true&${query}`;
  const read = (_: number, body: unknown) => parseAs(Page, body);
  return call({ ...READ, unknown: 'unknown_organization', path, read }, context);
}

/** The connection of this id, which Auth0 may leave out of its response; no other's. */
const connectionOf = (id: string) =>
  v.looseObject({ ...OrganizationConnection.entries, connection_id: v.optional(v.literal(id), id) });

/** The connection as it is now; throws `unknown_connection` when the organization has none of this id, or is none. */
export function get(organizationId: string, connectionId: string, context: CallContext) {
  const path = pathOfConnection(organizationId, connectionId);
  const read = (_: number, body: unknown) => parseAs(connectionOf(connectionId), body);
  return call({ ...READ, unknown: 'unknown_connection', path, read }, context);
}

async function update(
  isEnabled: boolean,
  organizationId: string,
  connectionId: string,
  context: CallContext,
  level?: string,
) {
  // A response that says otherwise means that it was not done; one that does not say leaves it open.
  const notOtherwise = v.pipe(
    connectionOf(connectionId),
    v.check(({ is_enabled }) => is_enabled !== !isEnabled),
  );
  const path = pathOfConnection(organizationId, connectionId);
  const read = (_: number, updated: unknown) => parseAs(notOtherwise, updated);
  const request = { ...WRITE, method: 'PATCH', scope: CONNECTION_SCOPES.PATCH, path, read } as const;
  const patch = (organization_access_level?: string) =>
    call({ ...request, body: { is_enabled: isEnabled, organization_access_level } }, context);
  const answered = await patch(level).catch((problem: unknown) => {
    if (level === undefined || !(problem instanceof Problem && problem.code === 'rejected_by_auth0')) throw problem;
    // A tenant without the feature does not take the member. What is to be enabled or disabled is not less so.
    context.log.warn('access_level_not_taken', { connection_id: connectionId, level, upstream: problem.upstream });
    return problem.mayBeDone ? patch().catch(rethrowAsMayBeDone) : patch();
  });
  if (answered.is_enabled !== undefined) return answered;
  return confirm(context, `the connection is ${isEnabled ? 'enabled' : 'disabled'}`, async () => {
    const found = await get(organizationId, connectionId, context);
    return found.is_enabled === isEnabled && found;
  });
}

/** For `catch`: fails as it did, of a write that may have been carried out. */
const rethrowAsMayBeDone = (error: unknown): never => {
  throw asProblem(error).asMayBeDone();
};

/**
 * Has Auth0 confirm a write whose answer does not say that it was done, and returns what `isDone` found. Where that is nothing, or
 * fails, the outcome is unknown: throws `auth0_unavailable`, or what was thrown.
 */
export async function confirm<T>(context: CallContext, what: string, isDone: () => Promise<T | false>): Promise<T> {
  const found = await isDone().catch((error) => {
    noteUnknownOutcome(context);
    return rethrowAsMayBeDone(error);
  });
  if (found !== false) return found;
  noteUnknownOutcome(context);
  throw new Problem('auth0_unavailable', `Auth0 does not say that ${what}`, { mayBeDone: true });
}

/**
 * Disables a connection of an organization; its settings stay, but for its access level where `level` is given: what the
 * customer's own administrators may do with it. A tenant that does not take a level has the connection disabled without it, and
 * the log tells. Returns the connection as Auth0 has it.
 */
export const disable = update.bind(undefined, false);

/** Enables a connection again, and gives it back its access `level` as `disable` takes it; only to cancel this service's own disabling. */
export const enable = update.bind(undefined, true);

/** The status of a removal, whatever its body says; undefined where that is not JSON. */
export const statusOfJson = (status: number, body: unknown) => (body === undefined ? undefined : status);

/** Removes a connection from an organization. Auth0 answers alike when it was gone already. */
export async function remove(organizationId: string, connectionId: string, context: CallContext): Promise<void> {
  const path = pathOfConnection(organizationId, connectionId);
  const request = { ...WRITE, method: 'DELETE', scope: CONNECTION_SCOPES.DELETE, path, read: statusOfJson } as const;
  if ((await call(request, context)) === 204) return;
  await confirm(context, 'the connection is removed', async () => {
    const found = await get(organizationId, connectionId, context).catch(ignoreUnknown);
    return found === undefined;
  });
}

/**
 * All connections of an organization with their settings, and never a part of them. A connection that does not say whether it is
 * enabled is asked for itself. Throws `unknown_organization`, and as every call.
 */
export async function list(organizationId: string, context: CallContext): Promise<OrganizationConnection[]> {
  const page = (query: string) => getPage(organizationId, query, context);
  const listed = await listAll(page, ({ connection_id }) => connection_id, MAX_PAGES);
  const found = [];
  for (const one of listed) {
    const isKnown = one.is_enabled !== undefined;
    found.push(isKnown ? one : await get(organizationId, one.connection_id, context).catch(ignoreUnknown));
  }
  return found.filter((one) => one !== undefined);
}

/**
 * For `catch` where a caller is answered: throws what was thrown, and `unknown_organization` in place of `unknown_connection`
 * where Auth0 does not know the organization either. A mistyped id is no ended access, and Auth0's words are no code.
 */
export const explainUnknown =
  (organizationId: string, context: CallContext) =>
  async (error: unknown): Promise<never> => {
    if (error instanceof Problem && error.code === 'unknown_connection')
      await getPage(organizationId, 'page=0&per_page=1', context);
    throw error;
  };

const Named = v.object({ display_name: lenient(v.string()), name: lenient(v.string()) });

/**
 * The name that people know an organization by. Null where there is none, where the token lacks `read:organizations`, and after
 * any other failure: a name is never worth failing for.
 */
export async function getOrganizationName(organizationId: string, context: CallContext): Promise<string | null> {
  const read = (_: number, body: unknown) => parseAs(Named, body);
  const about = { method: 'GET', bucket: 'whole', scope: ORGANIZATION_NAME_SCOPE, isOptional: true } as const;
  const request = { ...about, tokens, path: pathOf(organizationId), unknown: 'unknown_organization', read } as const;
  const found = await call(request, { ...context, maxAttempts: 1 }).catch(() => undefined);
  return found?.display_name || found?.name || null;
}
