// The machines of a demo customer: applications with a client grant, which need no connection.
import type { Auth0Tenant } from './auth0-tenant.ts';

/** Gives an organization two client grants, named for the customer. */
export function giveClientGrants(tenant: Auth0Tenant, organizationId: string, name: string): void {
  const audience = (api: string) => `https://api.travel0.com/${api}`;
  tenant.setClientGrants(organizationId, [
    { id: `cgr_${name}Orders`, client_id: `${name}-orders-sync`, audience: audience('orders'), scope: ['read:orders'] },
    { id: `cgr_${name}Invoices`, client_id: `${name}-invoices`, audience: audience('invoices'), scope: [] },
  ]);
}
