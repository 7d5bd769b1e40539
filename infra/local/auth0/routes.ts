// The paths of the Management API that the stand-in tenant plays: the scope that a call needs, the bucket that it counts against,
// and what answers it.
import type { BucketKind } from './buckets.ts';
import type { createClientGrants } from './client-grants.ts';
import type { createConnections } from './connections.ts';
import { error, type Reply } from './reply.ts';
import type { createUsers } from './users.ts';

interface Resources {
  connections: ReturnType<typeof createConnections>;
  clientGrants: ReturnType<typeof createClientGrants>;
  users: ReturnType<typeof createUsers>;
}

interface Route {
  scope: string;
  bucket: BucketKind;
  run: () => Reply;
}

interface Request {
  method: string;
  searchParams: URLSearchParams;
  body: string;
  /** The organization or the user. */
  id: string;
  /** The last part of the path, behind the kind of thing. */
  inner: string | undefined;
}

const VERBS: Record<string, string> = { GET: 'read', PATCH: 'update', DELETE: 'delete', POST: 'create' };

export function createRoutes({ connections, clientGrants, users }: Resources) {
  function ofOrganization(id: string, answer: () => Reply): Reply {
    if (!/^org_[A-Za-z0-9]{16}$/.test(id))
      return error(400, "Path validation error: 'String does not match pattern' on property id", 'invalid_uri');
    return connections.has(id) ? answer() : error(404, 'No organization found by that id or name');
  }

  /** What is read and changed of an organization: a list, and its members by id. */
  function changeable(
    request: Request,
    methods: string[],
    names: { scope: string; read: BucketKind; write: BucketKind },
    answer: (request: Request) => Reply,
  ): Route | undefined {
    const { method, id, inner } = request;
    const needsInner = method === 'PATCH' || method === 'DELETE';
    if (!methods.includes(method) || (needsInner && !inner)) return undefined;
    return {
      scope: `${VERBS[method]}:${names.scope}`,
      bucket: method === 'GET' ? names.read : names.write,
      run: () => ofOrganization(id, () => answer(request)),
    };
  }

  const organizationParts: Record<string, (request: Request) => Route | undefined> = {
    connections: (request) =>
      changeable(
        request,
        ['GET', 'POST', 'PATCH', 'DELETE'],
        { scope: 'organization_connections', read: 'read', write: 'write' },
        ({ method, searchParams, id, inner, body }) => connections.answer(method, searchParams, id, inner, body),
      ),
    'client-grants': (request) =>
      request.method === 'GET' && request.inner
        ? undefined
        : changeable(
            request,
            ['GET', 'POST', 'DELETE'],
            { scope: 'organization_client_grants', read: 'grantReads', write: 'grantWrites' },
            ({ method, searchParams, id, inner, body }) => clientGrants.answer(method, searchParams, id, inner, body),
          ),
    members: ({ method, searchParams, id, inner }) =>
      method !== 'GET' || inner
        ? undefined
        : {
            scope: 'read:organization_members',
            bucket: 'members',
            run: () => ofOrganization(id, () => users.membersOf(id, searchParams)),
          },
  };

  function ofUser(part: string, { method, searchParams, id, inner }: Request): Route | undefined {
    if (inner) return undefined;
    if (part === 'organizations' && method === 'GET')
      return { scope: 'read:organizations', bucket: 'memberships', run: () => users.organizationsOf(id, searchParams) };
    if ((part === 'sessions' || part === 'refresh-tokens') && method === 'DELETE') {
      const scope = part === 'sessions' ? 'delete:sessions' : 'delete:refresh_tokens';
      return { scope, bucket: 'whole', run: () => users.end(id, part) };
    }
    return undefined;
  }

  /** The route of a call; undefined where it is none that is played. */
  return function routeOf(method: string, { pathname, searchParams }: URL, body: string): Route | undefined {
    const [, kind, encoded = '', part, last] =
      pathname.match(/^\/api\/v2\/(organizations|users)(?:\/([^/]+)(?:\/([\w-]+)(?:\/([^/]+))?)?)?$/) ?? [];
    const [id, inner] = [decodeURIComponent(encoded), last && decodeURIComponent(last)];
    const request = { method, searchParams, body, id, inner };
    if (kind === 'organizations' && part) return organizationParts[part]?.(request);
    if (kind === 'users' && part) return ofUser(part, request);
    if (kind !== 'organizations' || method !== 'GET') return undefined;
    const run = id
      ? () => ofOrganization(id, () => connections.organization(id))
      : () => connections.organizations(searchParams);
    return { scope: 'read:organizations', bucket: 'whole', run };
  };
}
