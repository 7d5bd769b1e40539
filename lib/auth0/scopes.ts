// The scopes of this service's clients (Management API reference).

/** The scope that each kind of call of organization connections needs. */
export const CONNECTION_SCOPES = {
  GET: 'read:organization_connections',
  PATCH: 'update:organization_connections',
  DELETE: 'delete:organization_connections',
} as const;

/** The scope that each kind of call of an organization's client grants needs. */
export const CLIENT_GRANT_SCOPES = {
  GET: 'read:organization_client_grants',
  POST: 'create:organization_client_grants',
  DELETE: 'delete:organization_client_grants',
} as const;

/** Names of organizations are shown where the token has this scope. */
export const ORGANIZATION_NAME_SCOPE = 'read:organizations';

/** Whether the stage ends the machine access of organizations (stage parameter `machineAccess`). */
const endsMachineAccess = process.env.MACHINE_ACCESS === 'true';

/** The scopes without which the management token is of no use. */
export const REQUIRED_SCOPES: string[] = [
  ...Object.values(CONNECTION_SCOPES),
  ...(endsMachineAccess ? Object.values(CLIENT_GRANT_SCOPES) : []),
];

/** The scopes that the management client is to have; a token that lacks one is good for everything else. */
export const WANTED_SCOPES: string[] = endsMachineAccess ? [] : [CLIENT_GRANT_SCOPES.GET];

/** The scopes of the second client, whose token ends sessions. */
export const SESSION_SCOPES = [
  'read:organization_members',
  'read:organizations',
  'delete:sessions',
  'delete:refresh_tokens',
];
