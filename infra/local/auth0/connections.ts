// Organization connections of the stand-in tenant.
import { error, parse, type Reply } from './reply.ts';

export interface OrganizationConnection {
  connection_id: string;
  is_enabled: boolean;
  assign_membership_on_login: boolean;
  show_as_button: boolean;
  is_signup_enabled?: boolean;
  organization_access_level: string;
  connection: { name: string; strategy: string };
}

/** A change of a connection: only where there was one. */
export interface Effect {
  organizationId: string;
  connectionId: string;
  to: 'enabled' | 'disabled' | 'removed';
}

interface OrganizationName {
  name: string;
  display_name: string;
}

export interface TenantState {
  organizations: Record<string, OrganizationConnection[]>;
}

/** An organization's connections may be another one's, too: what is told of is a connection of an organization. */
type Listener = (organizationId: string, connectionId: string) => void;

/** What the customer's own administrators may do at each level (My Organization API). */
const LEVELS = ['none', 'readonly', 'limited', 'full'];
const SETTINGS = ['is_enabled', 'show_as_button', 'assign_membership_on_login', 'is_signup_enabled'];
const invalid = (what: string, name: string) =>
  error(400, `Payload validation error: '${what}' on property ${name}`, 'invalid_body');

export function createConnections() {
  const organizations = new Map<string, Map<string, OrganizationConnection>>();
  const names = new Map<string, OrganizationName>();
  const effects: Effect[] = [];
  const streams: Listener[] = [];
  let takesLevel = true;

  const described = (id: string) => ({ id, ...(names.get(id) ?? { name: id.toLowerCase(), display_name: id }) });

  function put(organizationId: string, connectionId: string, changes: Partial<OrganizationConnection>) {
    const all = organizations.get(organizationId) ?? new Map<string, OrganizationConnection>();
    organizations.set(organizationId, all);
    const before = all.get(connectionId) ?? connectionOf({ connection_id: connectionId });
    all.set(connectionId, { ...before, ...changes });
    for (const listener of streams) listener(organizationId, connectionId);
  }

  function list(all: Map<string, OrganizationConnection>, searchParams: URLSearchParams): Reply {
    const enabled = searchParams.get('is_enabled');
    const [page, size] = [Number(searchParams.get('page') ?? 0), Number(searchParams.get('per_page') ?? 50)];
    const fitting = [...all.values()].filter(({ is_enabled }) => enabled === null || String(is_enabled) === enabled);
    const shown = fitting.slice(page * size, (page + 1) * size);
    const totals = { start: page * size, limit: size, total: fitting.length };
    return {
      status: 200,
      body: searchParams.get('include_totals') === 'true' ? { connections: shown, ...totals } : shown,
    };
  }

  function add(all: Map<string, OrganizationConnection>, settings: Record<string, unknown> | undefined): Reply {
    if (typeof settings?.connection_id !== 'string') return invalid('Missing required property', 'connection_id');
    if (all.has(settings.connection_id)) return error(409, 'The connection is enabled for this organization already');
    const created = connectionOf(settings as { connection_id: string });
    all.set(created.connection_id, created);
    return { status: 201, body: created };
  }

  function update(
    organizationId: string,
    found: OrganizationConnection | undefined,
    settings: Record<string, unknown> | undefined,
  ): Reply {
    const known = takesLevel ? [...SETTINGS, 'organization_access_level'] : SETTINGS;
    const unknown = Object.keys(settings ?? {}).find((name) => !known.includes(name));
    if (!settings || unknown || typeof (settings.is_enabled ?? true) !== 'boolean')
      return invalid('Additional properties not allowed', String(unknown));
    if (!LEVELS.includes(String(settings.organization_access_level ?? 'none')))
      return invalid('No enum match', 'organization_access_level');
    if (!found) return error(404, 'No connection found by that id for the organization', 'inexistent_connection');
    if (typeof settings.is_enabled === 'boolean' && settings.is_enabled !== found.is_enabled) {
      const to = settings.is_enabled ? 'enabled' : 'disabled';
      effects.push({ organizationId, connectionId: found.connection_id, to });
    }
    return { status: 200, body: Object.assign(found, settings) };
  }

  return {
    /** Event Stream: `listener` gets what somebody else has enabled. */
    stream(listener: Listener) {
      streams.push(listener);
    },

    control: {
      /** Adds or replaces organizations; a connection needs an id, the rest has defaults. */
      setOrganizations(wanted: Record<string, (Partial<OrganizationConnection> & { connection_id: string })[]>) {
        for (const [id, connections] of Object.entries(wanted))
          organizations.set(id, new Map(connections.map((one) => [one.connection_id, connectionOf(one)])));
      },
      /** Somebody else's tool enables a connection, or adds it again; the tenant's Event Stream tells of it. */
      enableConnection(organizationId: string, connectionId: string) {
        put(organizationId, connectionId, { is_enabled: true });
      },
      /**
       * The customer's own administrator enables a connection in the My Organization API, which its level must allow, or adds
       * one of its own, at the level `full`. False where that is not allowed.
       */
      customerEnables(organizationId: string, connectionId: string): boolean {
        const found = organizations.get(organizationId)?.get(connectionId);
        if (!found || !['limited', 'full'].includes(found.organization_access_level)) return false;
        put(organizationId, connectionId, { is_enabled: true });
        return true;
      },
      customerAdds(organizationId: string, connectionId: string) {
        put(organizationId, connectionId, { organization_access_level: 'full' });
      },
      /** Whether PATCH takes `organization_access_level`; without it the member is refused with 400. */
      setAccessLevelTaken(taken: boolean) {
        takesLevel = taken;
      },
      /** Names an organization; without that its id stands for its name. */
      nameOrganization: (id: string, name: OrganizationName) => void names.set(id, name),
      deleteOrganization: (id: string) => organizations.delete(id),
      /** The tenant as an administrator sees it. */
      state: (): TenantState => ({
        organizations: Object.fromEntries([...organizations].map(([id, all]) => [id, [...all.values()]])),
      }),
      /** What the Management API has changed, in order. */
      effects: () => effects,
    },

    /** The tenant's organizations, by checkpoint pagination. */
    organizations(searchParams: URLSearchParams): Reply {
      const [from, take] = [Number(searchParams.get('from') ?? 0), Number(searchParams.get('take') ?? 50)];
      const all = [...organizations.keys()];
      const shown = all.slice(from, from + take).map(described);
      return {
        status: 200,
        body: { organizations: shown, ...(from + take < all.length && { next: String(from + take) }) },
      };
    },

    /** A call of `/organizations/{organizationId}`. */
    organization: (id: string): Reply => ({ status: 200, body: described(id) }),

    has: (organizationId: string) => organizations.has(organizationId),

    /** A call of `/organizations/{organizationId}/connections[/{connectionId}]`. */
    answer(
      method: string,
      searchParams: URLSearchParams,
      organizationId: string,
      connectionId: string | undefined,
      body: string,
    ): Reply {
      const all = organizations.get(organizationId);
      if (!all) return error(404, 'No organization found by that id or name');
      const found = all.get(connectionId ?? '');
      if (method === 'GET' && connectionId === undefined) return list(all, searchParams);
      if (method === 'GET')
        return found ? { status: 200, body: found } : error(404, 'No connection found', 'inexistent_connection');
      if (method === 'POST') return add(all, parse(body));
      if (method === 'PATCH') return update(organizationId, found, parse(body));
      if (found) effects.push({ organizationId, connectionId: found.connection_id, to: 'removed' });
      all.delete(connectionId as string);
      return { status: 204 };
    },
  };
}

function connectionOf(given: Partial<OrganizationConnection> & { connection_id: string }): OrganizationConnection {
  return {
    assign_membership_on_login: false,
    show_as_button: true,
    is_enabled: true,
    organization_access_level: 'none',
    connection: { name: given.connection_id.toLowerCase().replace('_', '-'), strategy: 'okta' },
    ...given,
  };
}
