// Client grants of the stand-in tenant's organizations: applications that get tokens with an organization's `org_id` without any
// user or connection (Management API, "Associate a client grant with an organization").
import { error, parse, type Reply } from './reply.ts';

export interface ClientGrant {
  id: string;
  client_id: string;
  audience: string;
  scope: string[];
  organization_usage: 'allow' | 'require' | 'deny';
  allow_any_organization: boolean;
}

/** A change of an organization's client grants by the Management API: only where there was one. */
export interface GrantEffect {
  organizationId: string;
  grantId: string;
  to: 'added' | 'removed';
}

const MOST_PER_PAGE = 100;

export function createClientGrants() {
  const grants = new Map<string, ClientGrant>();
  const organizations = new Map<string, Set<string>>();
  const effects: GrantEffect[] = [];

  const idsOf = (organizationId: string) => {
    const ids = organizations.get(organizationId) ?? new Set<string>();
    organizations.set(organizationId, ids);
    return ids;
  };
  const grantsOf = (organizationId: string) =>
    [...idsOf(organizationId)].flatMap((id) => grants.get(id) ?? []).map((grant) => ({ ...grant }));

  function list(organizationId: string, searchParams: URLSearchParams): Reply {
    const isAsked = (name: 'client_id' | 'audience', grant: ClientGrant) =>
      (searchParams.get(name) ?? grant[name]) === grant[name];
    const all = grantsOf(organizationId).filter((grant) => isAsked('client_id', grant) && isAsked('audience', grant));
    const [page, limit] = [Number(searchParams.get('page') ?? 0), Number(searchParams.get('per_page') ?? 50)];
    if (limit > MOST_PER_PAGE)
      return error(
        400,
        "Query validation error: 'Value is more than maximum 100' on property per_page",
        'invalid_query_string',
      );
    const shown = all.slice(page * limit, (page + 1) * limit);
    const totals = { start: page * limit, limit, total: all.length };
    const isWithTotals = searchParams.get('include_totals') === 'true';
    return { status: 200, body: isWithTotals ? { client_grants: shown, ...totals } : shown };
  }

  function add(organizationId: string, body: string): Reply {
    const grantId = parse(body)?.grant_id;
    if (typeof grantId !== 'string')
      return error(400, "Payload validation error: 'Missing required property: grant_id'", 'invalid_body');
    const grant = grants.get(grantId);
    if (!grant) return error(404, 'No client grant found by that id');
    if (idsOf(organizationId).has(grantId))
      return error(409, 'The client grant is associated with this organization already');
    idsOf(organizationId).add(grantId);
    effects.push({ organizationId, grantId, to: 'added' });
    return { status: 201, body: { ...grant } };
  }

  function remove(organizationId: string, grantId: string): Reply {
    if (idsOf(organizationId).delete(grantId)) effects.push({ organizationId, grantId, to: 'removed' });
    return { status: 204 };
  }

  return {
    control: {
      /**
       * Makes client grants of the tenant, and these alone an organization's; an id is needed, the rest has defaults. A grant
       * that allows any organization is the tenant's alone.
       */
      setClientGrants(organizationId: string, wanted: (Partial<ClientGrant> & { id: string })[]) {
        const made = wanted.map(grantOf);
        for (const grant of made) grants.set(grant.id, grant);
        const own = made.filter(({ allow_any_organization }) => !allow_any_organization);
        organizations.set(organizationId, new Set(own.map(({ id }) => id)));
      },
      /** Somebody else's tool gives an organization a client grant of the tenant. False where there is no such grant. */
      addClientGrant(organizationId: string, grantId: string): boolean {
        if (grants.has(grantId)) idsOf(organizationId).add(grantId);
        return grants.has(grantId);
      },
      /** Deletes the grant of the tenant, and with it every organization's. */
      deleteClientGrant: (grantId: string) => grants.delete(grantId),
      /** An organization's client grants, as an administrator sees them. */
      clientGrants: grantsOf,
      /** What the Management API has changed, in order. */
      grantEffects: () => effects,
    },

    /** A call of `/organizations/{organizationId}/client-grants[/{grantId}]`. */
    answer(
      method: string,
      searchParams: URLSearchParams,
      organizationId: string,
      grantId: string | undefined,
      body: string,
    ): Reply {
      if (method === 'GET') return list(organizationId, searchParams);
      return method === 'POST' ? add(organizationId, body) : remove(organizationId, grantId as string);
    },
  };
}

function grantOf(given: Partial<ClientGrant> & { id: string }): ClientGrant {
  return {
    client_id: `client-of-${given.id}`,
    audience: 'https://api.example.com/',
    scope: ['read:orders'],
    organization_usage: 'require',
    allow_any_organization: false,
    ...given,
  };
}
