// `npm start`: the whole service on this machine.
import { DEAD_LETTERS, startEnvironment } from './environment.ts';
import { freePort, startGateway } from './gateway.ts';

const port = Number(process.env.PORT ?? 3000);
const ACME = 'org_bCE84ZIRjtX58FeO';
const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
const OKTA = 'con_PmFe8KxCsPJvZRrj';

const show = process.argv.includes('--logs') ? console.log : () => {};
const [tenantPort, awsPort] = [await freePort(4010), await freePort(4566)];
const local = await startEnvironment({ onLog: show, plan: 'enterprise', awsPort, tenantPort }).catch(stop);
const { tenant, aws } = local;
tenant.setOrganizations({
  [ACME]: [
    { connection_id: OKTA, connection: { name: 'acme-okta', strategy: 'okta' } },
    { connection_id: 'con_Yt4Lw9QeRb7UiXc3', connection: { name: 'acme-google', strategy: 'google-apps' } },
    {
      connection_id: 'con_Hg6Jk2MnVs8DfZp1',
      connection: { name: 'acme-database', strategy: 'auth0' },
      is_signup_enabled: false,
    },
  ],
  [GLOBEX]: [
    { connection_id: 'con_Wd3Ef5GhTy7UjKl9', connection: { name: 'globex-entra', strategy: 'waad' } },
    { connection_id: 'con_Ax1Sc2VfBg3NhMj4', connection: { name: 'globex-saml', strategy: 'samlp' } },
  ],
});
const gateway = await startGateway(port, local.environment, show).catch(stop);
const { url } = gateway;

aws.onEvent(({ 'detail-type': type, detail }) => {
  const connections = ((detail.connections ?? []) as { name: string; connection_id: string; outcome: string }[])
    .map(({ name, connection_id, outcome }) => `${name ?? connection_id} ${outcome}`)
    .join(', ');
  if (detail.organization_id)
    console.log(`[bus] ${type}  ${detail.organization_id}  ${detail.removal_due_at ?? ''}  ${connections}`);
});

const json = "-H 'content-type: application/json'";
console.log(`
org-connections is up: ${url}   (stand-ins: Auth0 ${tenant.url}, AWS ${aws.url})

Demo organizations
  ${ACME}  acme     okta, google, database
  ${GLOBEX}  globex   entra, saml

Disable a connection, then look at it as Auth0 has it:
  curl -i -X PATCH ${url}/organizations/${ACME}/connections/${OKTA} ${json} -d '{"is_enabled":false}'
  curl -s ${url}/organizations/${ACME}/offboarding

Remove it:
  curl -i -X DELETE ${url}/organizations/${ACME}/connections/${OKTA}

Offboard the other organization: disabled now, removed in a minute; see what is pending, or call it off:
  curl -i -X POST ${url}/organizations/${GLOBEX}/offboarding ${json} -d '{"action":"disable_then_remove","grace_period":"PT1M","reason":"contract ended"}'
  curl -s ${url}/organizations/${GLOBEX}/offboarding
  curl -i -X DELETE ${url}/organizations/${GLOBEX}/offboarding

Many at once, and a view of it all (npm run offboard -- --help is the command for people):
  curl -s -X POST ${url}/offboardings ${json} -d '{"organization_ids":["${ACME}","${GLOBEX}"],"action":"disable","on_reenable":"disable_again","reason":"the reseller has gone"}'
  curl -s '${url}/offboardings?organization_id=${ACME}'

Enable a connection behind the service's back, as the next terraform apply might, and see it noticed:
  curl -s -X POST ${tenant.url}/_tenant/enableConnection -d '["${ACME}","con_Yt4Lw9QeRb7UiXc3"]'

The same as the offboarding above by event (any AWS SDK or the AWS CLI, with AWS_ENDPOINT_URL=${aws.url}):
  aws events put-events --entries '[{"EventBusName":"org-connections-local","Source":"billing","DetailType":"organization.offboarding.requested","Detail":"{\\"organization_id\\":\\"${GLOBEX}\\",\\"action\\":\\"disable\\",\\"requested_by\\":\\"billing\\",\\"reason\\":\\"contract ended\\"}"}]'

Make the next nine calls of Auth0 fail:
  curl -s -X POST ${tenant.url}/_tenant/addFaults -d '[{"status":503,"times":9}]'

Outcome events appear below; "npm start -- --logs" shows the functions' logs too. Dead letters: ${DEAD_LETTERS}. Stop with Ctrl-C.
`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await gateway.close();
    await local.close();
    console.log('Stopped.');
    process.exit(0);
  });
}

function stop(error: Error): never {
  console.error(error.message);
  process.exit(1);
}
