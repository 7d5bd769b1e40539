// The customers of the stand-in tenant behind `npm start`, and what a visitor sees of them.
import type { Auth0Tenant } from '../auth0-tenant.ts';

export const ACME = 'org_bCE84ZIRjtX58FeO';
export const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
export const [OKTA, GOOGLE, DATABASE] = [
  'con_PmFe8KxCsPJvZRrj',
  'con_Yt4Lw9QeRb7UiXc3',
  'con_Hg6Jk2MnVs8DfZp1',
] as const;

const NAMES: Record<string, string> = { [ACME]: 'Acme', [GLOBEX]: 'Globex' };

/** Puts the demo customers into the tenant as they are at the start; whatever else is there stays. */
export function setDemoTenant(tenant: Auth0Tenant): void {
  tenant.setOrganizations({
    [ACME]: [
      { connection_id: OKTA, connection: { name: 'acme-okta', strategy: 'okta' } },
      { connection_id: GOOGLE, connection: { name: 'acme-google', strategy: 'google-apps' } },
      {
        connection_id: DATABASE,
        connection: { name: 'acme-database', strategy: 'auth0' },
        is_signup_enabled: false,
        // The customer's own administrators may enable and disable it.
        organization_access_level: 'limited',
      },
    ],
    [GLOBEX]: [
      { connection_id: 'con_Wd3Ef5GhTy7UjKl9', connection: { name: 'globex-entra', strategy: 'waad' } },
      { connection_id: 'con_Ax1Sc2VfBg3NhMj4', connection: { name: 'globex-saml', strategy: 'samlp' } },
    ],
  });
  tenant.forgetMembers();
  tenant.addMembers(ACME, ['maria', 'ann']);
  tenant.addMembers(GLOBEX, ['ann']);
}

/** The tenant's organizations as Auth0 has them now. */
export function viewTenant(tenant: Auth0Tenant) {
  return Object.entries(tenant.state().organizations).map(([id, connections]) => ({
    id,
    name: NAMES[id] ?? id,
    connections,
    client_grants: tenant.clientGrants(id),
    members: tenant.members(id).map((member) => ({ id: member, ...tenant.user(member) })),
  }));
}
