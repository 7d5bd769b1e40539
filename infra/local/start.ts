// `npm start`: the whole service on this machine.
import { giveClientGrants } from './demo-grants.ts';
import { DEAD_LETTERS, startEnvironment } from './environment.ts';
import { startFront } from './front.ts';
import { freePort, startGateway } from './gateway.ts';
import { createSignatureCheck } from './signatures.ts';
import { createThrottleCheck } from './throttles.ts';

const port = Number(process.env.PORT ?? 3000);
const ACME = 'org_bCE84ZIRjtX58FeO';
const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
const [OKTA, GOOGLE, DATABASE] = ['con_PmFe8KxCsPJvZRrj', 'con_Yt4Lw9QeRb7UiXc3', 'con_Hg6Jk2MnVs8DfZp1'];

const show = process.argv.includes('--logs') ? console.log : () => {};
const [tenantPort, awsPort] = [await freePort(4010), await freePort(4566)];
const local = await startEnvironment({ onLog: show, plan: 'enterprise', awsPort, tenantPort }).catch(stop);
const { tenant, aws } = local;
tenant.setOrganizations({
  [ACME]: [
    { connection_id: OKTA, connection: { name: 'acme-okta', strategy: 'okta' } },
    { connection_id: GOOGLE, connection: { name: 'acme-google', strategy: 'google-apps' } },
    {
      connection_id: DATABASE,
      connection: { name: 'acme-database', strategy: 'auth0' },
      is_signup_enabled: false,
      // The customer may change it by itself.
      organization_access_level: 'limited',
    },
  ],
  [GLOBEX]: [
    { connection_id: 'con_Wd3Ef5GhTy7UjKl9', connection: { name: 'globex-entra', strategy: 'waad' } },
    { connection_id: 'con_Ax1Sc2VfBg3NhMj4', connection: { name: 'globex-saml', strategy: 'samlp' } },
  ],
});
tenant.nameOrganization(ACME, { name: 'acme', display_name: 'Acme Corporation' });
tenant.nameOrganization(GLOBEX, { name: 'globex', display_name: 'Globex' });
giveClientGrants(tenant, ACME, 'acme');
giveClientGrants(tenant, GLOBEX, 'globex');
tenant.addMembers(ACME, ['maria', 'ann']);
tenant.addMembers(GLOBEX, ['ann']);
const checks = process.argv.includes('--check-signatures');
const credentials = [{ accessKeyId: 'local', secretAccessKey: 'local' }];
const frontChecks = [
  ...(checks ? [createSignatureCheck(credentials)] : []),
  ...(process.argv.includes('--throttle') ? [createThrottleCheck()] : []),
];
const hasFront = frontChecks.length > 0;
const gateway = await startGateway(hasFront ? await freePort() : port, local.environment, local.onLog).catch(stop);
const front = hasFront
  ? await startFront({ port, target: gateway.url, checks: frontChecks, onRefused: console.log }).catch(stop)
  : gateway;
const { url } = front;
aws.terminal.setApi('org-connections-local', url);

aws.onEvent(({ 'detail-type': type, detail }) => {
  const connections = ((detail.connections ?? []) as { name: string; connection_id: string; outcome: string }[])
    .map(({ name, connection_id, outcome }) => `${name ?? connection_id} ${outcome}`)
    .join(', ');
  if (detail.organization_id)
    console.log(`[bus] ${type}  ${detail.organization_id}  ${detail.removal_due_at ?? ''}  ${connections}`);
});

const json = "-H 'content-type: application/json'";
const post = (path: string, body: object) => `-X POST ${url}${path} ${json} -d '${JSON.stringify(body)}'`;
const control = (name: string, ...given: unknown[]) =>
  `curl -s -X POST ${tenant.url}/_tenant/${name} -d '${JSON.stringify(given)}'`;
const put = (DetailType: string, detail: object) => {
  const entry = {
    EventBusName: 'org-connections-local',
    Source: 'billing',
    DetailType,
    Detail: JSON.stringify(detail),
  };
  return `aws events put-events --entries '${JSON.stringify([entry])}'`;
};
const why = { requested_by: 'billing', reason: 'contract ended' };
console.log(`
org-connections is up: ${url}   (stand-ins: Auth0 ${tenant.url}, AWS ${aws.url})
${checks ? '\nSignatures are checked, of the access key "local" with the secret "local": sign what is below (curl --user local:local --aws-sigv4 aws:amz:us-east-1:execute-api).\n' : ''}
Demo organizations
  ${ACME}  acme     okta, google, database; members maria, ann
  ${GLOBEX}  globex   entra, saml; member ann

Disable a connection, then look at it as Auth0 has it:
  curl -i -X PATCH ${url}/organizations/${ACME}/connections/${OKTA} ${json} -d '{"is_enabled":false}'
  curl -s ${url}/organizations/${ACME}/offboarding

Remove it:
  curl -i -X DELETE ${url}/organizations/${ACME}/connections/${OKTA}

Offboard the other organization: disabled now, removed in a minute; see what is pending, or call it off:
  curl -i ${post(`/organizations/${GLOBEX}/offboarding`, { action: 'disable_then_remove', grace_period: 'PT1M', reason: 'contract ended' })}
  curl -s ${url}/organizations/${GLOBEX}/offboarding
  curl -i -X DELETE ${url}/organizations/${GLOBEX}/offboarding

Many at once, before all else ("urgent"), a view of them, and all of them called off (npm run offboard -- --help is the command for people):
  BATCH=$(curl -s ${post('/offboardings', { organization_ids: [ACME, GLOBEX], action: 'disable_then_remove', urgent: true, reason: 'the reseller has gone' })} | sed 's/.*"batch_id":"\\([^"]*\\).*/\\1/')
  curl -s "${url}/offboardings?batch_id=$BATCH"
  curl -s -X DELETE "${url}/offboardings?batch_id=$BATCH&reason=a+mistake"

End the members' sessions, too; of maria nothing is left afterwards, while ann is a member of globex as well and keeps hers:
  curl -s ${post(`/organizations/${ACME}/offboarding`, { action: 'disable', end_sessions: true, on_reenable: 'disable_again', reason: 'contract ended' })}
  ${control('user', 'maria')}
  ${control('user', 'ann')}

Enable a connection behind the service's back, as the next terraform apply might, or as the customer itself (who may not any more, but can add another), and see it noticed:
  ${control('enableConnection', ACME, GOOGLE)}
  ${control('customerEnables', ACME, DATABASE)}
  ${control('customerAdds', ACME, 'con_Nw3Xy4Za5Bc6De7F')}

Ask by event, and call it off (any AWS SDK or the AWS CLI, with AWS_ENDPOINT_URL=${aws.url}):
  ${put('organization.offboarding.requested', { organization_id: GLOBEX, action: 'disable', ...why })}
  ${put('organization.offboarding.cancellation_requested', { organization_id: GLOBEX, requested_by: 'billing', reason: 'renewed' })}

Make the next nine calls of Auth0 fail:
  ${control('addFaults', { status: 503, times: 9 })}

Play the incidents of RUNBOOK.md ("Game day"): its commands work as they stand in a terminal that has
  export STAGE=local ORG=${ACME} CON=${OKTA} API_URL=${url} TENANT=${tenant.url} AWS_ENDPOINT_URL=${aws.url} \\
    AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local ACCOUNT=000000000000

Outcome events appear below; "npm start -- --logs" shows the functions' logs too. Dead letters: ${DEAD_LETTERS}. Stop with Ctrl-C.
`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    if (front !== gateway) await front.close();
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
