// `npm run demo`: the main job once, on free ports; exits 0 only if Auth0's end state is what was asked for.

import { isDeepStrictEqual } from 'node:util';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { giveClientGrants } from './demo-grants.ts';
import { startEnvironment } from './environment.ts';
import { freePort, startGateway } from './gateway.ts';

const ACME = 'org_bCE84ZIRjtX58FeO';
const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
const INITECH = 'org_Zm7pL3kJhGfD9sQw';
const RESELLER = ['org_aA1bB2cC3dD4eE5f', 'org_gG6hH7iI8jJ9kK0l', 'org_mM1nN2oO3pP4qQ5r'];
const [OKTA, GOOGLE, ENTRA, SAML, PING, LDAP] = [
  'con_PmFe8KxCsPJvZRrj',
  'con_Yt4Lw9QeRb7UiXc3',
  'con_Wd3Ef5GhTy7UjKl9',
  'con_Ax1Sc2VfBg3NhMj4',
  'con_Tr6Yu8IoPl5KjHg2',
  'con_Nb4Vc3XzAs2DfGh7',
] as const;

const local = await startEnvironment({ plan: 'enterprise' });
const { tenant, aws } = local;
const gateway = await startGateway(await freePort(), local.environment, local.onLog);
const named = (connection_id: string, name: string, strategy: string) => ({
  connection_id,
  connection: { name, strategy },
});
tenant.setOrganizations({
  [ACME]: [named(OKTA, 'acme-okta', 'okta'), named(GOOGLE, 'acme-google', 'google-apps')],
  [GLOBEX]: [named(ENTRA, 'globex-entra', 'waad'), named(SAML, 'globex-saml', 'samlp')],
  ...Object.fromEntries(
    RESELLER.map((id, i) => [id, [named('con_Rs7Tu8Vw9Xy0Za1B', `customer-${i + 1}-okta`, 'okta')]]),
  ),
  [INITECH]: [named(PING, 'initech-ping', 'pingfederate'), named(LDAP, 'initech-ldap', 'ad')],
});

for (const [id, name] of [
  [ACME, 'acme'],
  [GLOBEX, 'globex'],
  [INITECH, 'initech'],
] as const)
  giveClientGrants(tenant, id, name);

// Bob works for two customers: what he has open may be for the other one.
tenant.addMembers(GLOBEX, ['auth0|ann', 'auth0|bob']);
tenant.addMembers(INITECH, ['auth0|bob']);

/** Each connection that Auth0 has, and whether it is enabled. */
const inAuth0 = () =>
  Object.fromEntries(
    Object.values(tenant.state().organizations)
      .flat()
      .map(({ connection, is_enabled }) => [connection.name, is_enabled ? 'enabled' : 'disabled']),
  );
const show = (title: string) => {
  const lines = Object.entries(inAuth0()).map(([name, state]) => `    ${name.padEnd(16)} ${state}`);
  console.log(`\n${title}\n${lines.join('\n')}`);
};

async function call(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(gateway.url + path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  console.log(`\n> ${method} ${path} ${body ? JSON.stringify(body) : ''}\n< ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** Puts a request on the bus with the AWS SDK, as a billing service would, and waits for its outcome. */
async function offboard(detail: object, outcome: string): Promise<void> {
  const client = new EventBridgeClient({
    endpoint: aws.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const entry = {
    EventBusName: 'org-connections-local',
    Source: 'billing',
    DetailType: 'organization.offboarding.requested',
  };
  const sent = await client.send(new PutEventsCommand({ Entries: [{ ...entry, Detail: JSON.stringify(detail) }] }));
  const id = sent.Entries?.[0]?.EventId;
  console.log(`\n> organization.offboarding.requested ${JSON.stringify(detail)}`);
  const published = await local.event(
    ({ 'detail-type': type, detail }) => type === `organization.offboarding.${outcome}` && detail.offboarding_id === id,
  );
  const connections = published.detail.connections as { name: string; outcome: string }[];
  const due = published.detail.removal_due_at ? `, removal due at ${published.detail.removal_due_at}` : '';
  console.log(
    `< ${published['detail-type']}: ${connections.map(({ name, outcome }) => `${name} ${outcome}`).join(', ')}${due}`,
  );
}

try {
  show('Before, in Auth0');
  await call('PATCH', `/organizations/${ACME}/connections/${OKTA}`, { is_enabled: false });
  await call('DELETE', `/organizations/${ACME}/connections/${GOOGLE}`);
  await offboard(
    {
      organization_id: GLOBEX,
      action: 'remove',
      end_sessions: true,
      requested_by: 'billing-service',
      reason: 'contract ended',
    },
    'completed',
  );
  const { detail: ended } = await local.event(
    (event) => event['detail-type'] === 'organization.offboarding.sessions_ended',
  );
  console.log(
    `< organization.offboarding.sessions_ended: ${ended.members} members, ${ended.revocations_requested} requested, ${ended.skipped} skipped`,
  );
  await offboard(
    {
      organization_id: INITECH,
      action: 'disable_then_remove',
      grace_period: 'P30D',
      connection_ids: [PING],
      requested_by: 'billing-service',
      reason: 'contract ended',
    },
    'scheduled',
  );
  show('With one offboarding in its grace period');
  const cancelled = (await call('DELETE', `/organizations/${INITECH}/offboarding`)) as {
    connections: { name: string; outcome: string }[];
  };
  console.log(`  ${cancelled.connections.map(({ name, outcome }) => `${name} ${outcome}`).join(', ')}`);

  const order = { action: 'disable', reason: 'the reseller has gone', on_reenable: 'disable_again' };
  const { batch_id } = (await call('POST', '/offboardings', { organization_ids: RESELLER, ...order })) as {
    batch_id: string;
  };
  for (const organization_id of RESELLER)
    await local.event(
      ({ detail }) =>
        detail.batch_id === batch_id && detail.organization_id === organization_id && Boolean(detail.connections),
    );
  const list = (await call('GET', `/offboardings?batch_id=${batch_id}`)) as { counts: Record<string, number> };
  console.log(
    `  ${Object.entries(list.counts)
      .flatMap(([status, count]) => (count ? `${count} ${status}` : []))
      .join(', ')}`,
  );

  console.log(`\n> somebody's tool enables customer-1-okta again`);
  tenant.enableConnection(RESELLER[0] as string, 'con_Rs7Tu8Vw9Xy0Za1B');
  const drifted = await local.event((event) => event['detail-type'] === 'organization.offboarding.drifted');
  const [noticed] = drifted.detail.connections as { name: string; outcome: string }[];
  console.log(`< ${drifted['detail-type']}: ${noticed?.name} ${noticed?.outcome}`);
  show('After, in Auth0');
  const customers = Object.fromEntries(RESELLER.map((_, i) => [`customer-${i + 1}-okta`, 'disabled']));
  const wanted = { 'acme-okta': 'disabled', ...customers, 'initech-ping': 'enabled', 'initech-ldap': 'enabled' };
  const sessions = Object.fromEntries(['ann', 'bob'].map((name) => [name, tenant.user(`auth0|${name}`)?.sessions]));
  for (const [name, open] of Object.entries(sessions)) console.log(`    ${name.padEnd(16)} ${open} sessions`);
  const kept = { ann: 0, bob: 1 };
  const right = isDeepStrictEqual([inAuth0(), sessions], [wanted, kept]);
  console.log(right ? '\nAuth0 is as it should be.' : `\nWRONG: wanted ${JSON.stringify([wanted, kept])}`);
  process.exitCode = right ? 0 : 1;
} finally {
  await gateway.close();
  await local.close();
}
