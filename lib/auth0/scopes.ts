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

/** The scopes of the management client: its token is of no use without those that are required, and good for everything else without one that is wanted. */
export const MANAGEMENT_SCOPES = {
  required: [
    ...Object.values<string>(CONNECTION_SCOPES),
    ...(endsMachineAccess ? Object.values<string>(CLIENT_GRANT_SCOPES) : []),
  ],
  wanted: endsMachineAccess ? [] : [CLIENT_GRANT_SCOPES.GET],
  known: [ORGANIZATION_NAME_SCOPE],
};

/** The scopes of the second client, whose token ends sessions. */
export const SESSION_SCOPES = [
  'read:organization_members',
  'read:organizations',
  'delete:sessions',
  'delete:refresh_tokens',
];
