import * as v from 'valibot';
import { required } from '../environment.ts';
import { ConnectionId, OrganizationId } from '../ids.ts';
import { lenient, parseAs } from '../json.ts';
import { Problem } from '../problem.ts';
import { type ApiRequest, call } from './api-call.ts';
import type { Calls } from './calls.ts';
import { createTokenSource, SCOPES } from './management-token.ts';

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

/** A page of organization connections: with its total, with what to ask for next, or bare. */
const Page = v.pipe(
  v.unknown(),
  v.transform((page) => (Array.isArray(page) ? { connections: page } : page)),
  v.looseObject({
    connections: v.pipe(v.array(OrganizationConnection), v.maxLength(1000)),
    total: lenient(v.pipe(v.number(), v.integer(), v.minValue(0))),
    next: lenient(v.pipe(v.string(), v.minLength(1), v.maxLength(1000))),
  }),
);

// The calls of organization connections that this service makes ("Organizations", Auth0 Management API reference).

const tokens = createTokenSource(required('MANAGEMENT_TOKEN_SECRET_ID'));

/** What a call is about: all connections of an organization, by a query, or one of them. */
type Target = { organizationId: string; query: string } | { organizationId: string; connectionId: string };

function ask<T>(method: keyof typeof SCOPES, target: Target, calls: Calls, read: ApiRequest<T>['read'], body?: object) {
  const rest =
    'query' in target ? `?include_totals=true&${target.query}` : `/${v.parse(ConnectionId, target.connectionId)}`;
  const path = `/api/v2/organizations/${v.parse(OrganizationId, target.organizationId)}/connections${rest}`;
  const unknown = 'query' in target ? 'unknown_organization' : 'unknown_connection';
  return call({ tokens, method, path, scope: SCOPES[method], unknown, read, body }, calls);
}

/** Asks for a page of an organization's connections; throws `unknown_organization` when Auth0 does not know it. */
const getPage = (organizationId: string, query: string, calls: Calls) =>
  ask('GET', { organizationId, query }, calls, (_, body) => parseAs(Page, body));

/** The connection of this id, which Auth0 may leave out of its response; no other's. */
const connectionOf = (id: string) =>
  v.looseObject({ ...OrganizationConnection.entries, connection_id: v.optional(v.literal(id), id) });

/** The connection as it is now; throws `unknown_connection` when the organization has none of this id, or is none. */
export const get = (organizationId: string, connectionId: string, calls: Calls): Promise<OrganizationConnection> =>
  ask('GET', { organizationId, connectionId }, calls, (_, body) => parseAs(connectionOf(connectionId), body));

async function update(enabled: boolean, organizationId: string, connectionId: string, calls: Calls, level?: string) {
  // A response that says otherwise means that it was not done; one that does not say leaves it open.
  const notOtherwise = v.pipe(
    connectionOf(connectionId),
    v.check(({ is_enabled }) => is_enabled !== !enabled),
  );
  const patch = (organization_access_level?: string) => {
    const body = { is_enabled: enabled, organization_access_level };
    return ask('PATCH', { organizationId, connectionId }, calls, (_, updated) => parseAs(notOtherwise, updated), body);
  };
  const answered = await patch(level).catch((problem: unknown) => {
    if (level === undefined || !(problem instanceof Problem && problem.code === 'rejected_by_auth0')) throw problem;
    // A tenant without the feature does not take the member. What is to be enabled or disabled is not less so.
    calls.log.warn('access_level_not_taken', { connection_id: connectionId, level, upstream: problem.upstream });
    return problem.mayBeDone ? patch().catch(afterWrite) : patch();
  });
  if (answered.is_enabled !== undefined) return answered;
  const found = await get(organizationId, connectionId, calls).catch(afterWrite);
  if (found.is_enabled === enabled) return found;
  throw notSaid(`the connection is ${enabled ? 'enabled' : 'disabled'}`);
}

/** Of a write that was answered, and nobody says that it is done. */
const notSaid = (what: string) =>
  new Problem('auth0_unavailable', `Auth0 does not say that ${what}`, { mayBeDone: true });
/** For `catch`: fails as it did, of a write that may have been carried out. */
const afterWrite = (error: unknown): never => {
  throw error instanceof Problem ? error.asMayBeDone() : error;
};

/**
 * Disables a connection of an organization; its settings stay, but for its access level where `level` is given: what the
 * customer's own administrators may do with it. A tenant that does not take a level has the connection disabled without it, and
 * the log tells. Returns the connection as Auth0 has it.
 */
export const disable = update.bind(undefined, false);

/** Enables a connection again, and gives it back its access `level` as `disable` takes it; only for the cancelling of this service's own disabling. */
export const enable = update.bind(undefined, true);

/** Removes a connection from an organization. Auth0 answers alike when it was gone already. */
export async function remove(organizationId: string, connectionId: string, calls: Calls): Promise<void> {
  const target = { organizationId, connectionId };
  const status = await ask('DELETE', target, calls, (status, body) => (body === undefined ? undefined : status));
  if (status !== 204 && (await get(organizationId, connectionId, calls).catch(unlessUnknown).catch(afterWrite)))
    throw notSaid('the connection is removed');
}

/**
 * All connections of an organization with their settings, and never a part of them. It has all when there are as many as `total`
 * says; where it does not say, when Auth0 has no more to give. One that does not say whether it is enabled is asked for itself.
 */
export async function list(organizationId: string, calls: Calls): Promise<OrganizationConnection[]> {
  const all = new Map<string, OrganizationConnection>();
  let next: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = next === undefined ? `page=${page}&per_page=50` : `from=${encodeURIComponent(next)}&take=50`;
    const found = await getPage(organizationId, query, calls);
    const before = all.size;
    for (const connection of found.connections) all.set(connection.connection_id, connection);
    // After the last of linked pages, or when a numbered one brings nothing new.
    const isEnd = found.next === undefined && (next !== undefined || all.size === before);
    // An empty list is taken for one only where Auth0 says that there is none.
    const isWhole = found.total === undefined ? isEnd && all.size > 0 : all.size >= found.total;
    if (isWhole) return withStates(organizationId, all.values(), calls);
    if (isEnd) break;
    next = found.next;
  }
  throw new Problem('auth0_unavailable', 'Auth0 does not list all connections of the organization');
}

async function withStates(organizationId: string, listed: Iterable<OrganizationConnection>, calls: Calls) {
  const now = (id: string) => get(organizationId, id, calls).catch(unlessUnknown);
  const known = [];
  for (const one of listed) known.push(one.is_enabled === undefined ? await now(one.connection_id) : one);
  return known.filter((one) => one !== undefined);
}

/** For `catch`: what Auth0 does not have is undefined, and no failure. */
export function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof Problem && /^unknown_(connection|organization)$/.test(error.code))) throw error;
}

/**
 * For `catch` where a caller is answered: throws what was thrown, and `unknown_organization` in place of `unknown_connection`
 * where Auth0 does not know the organization either. A mistyped id is no ended access, and Auth0's words are no code.
 */
export const whichIsUnknown =
  (organizationId: string, calls: Calls) =>
  async (error: unknown): Promise<never> => {
    if (error instanceof Problem && error.code === 'unknown_connection')
      await getPage(organizationId, 'page=0&per_page=1', calls);
    throw error;
  };
