// Commands that a visitor may paste into a terminal beside the page.
import { ACME, GLOBEX, GOOGLE, OKTA } from './demo-tenant.ts';

interface Api {
  url: string;
  /** Whether it wants signatures. */
  signed: boolean;
}
interface Places extends Api {
  tenantUrl: string;
  awsUrl: string;
}
export interface Commands {
  title: string;
  lines: string[];
}

const SIGNED = '--user local:local --aws-sigv4 aws:amz:us-east-1:execute-api';
const WHY = { requested_by: 'billing', reason: 'contract ended' };

/** `curl` for the API, signed where that is wanted. */
function apiCalls({ url, signed }: Api) {
  const curl = signed ? `curl ${SIGNED}` : 'curl';
  return {
    plain: (path: string, method = 'GET') => `${curl} -s ${method === 'GET' ? '' : `-X ${method} `}'${url}${path}'`,
    json: (path: string, body: object, method = 'POST') =>
      `${curl} -s -X ${method} '${url}${path}' -H 'content-type: application/json' -d '${JSON.stringify(body)}'`,
  };
}

/** The three that the terminal shows: disable a connection, offboard an organization, cancel that. */
export function firstRequests(api: Api): Commands[] {
  const { plain, json } = apiCalls(api);
  const disable = { action: 'disable_then_remove', grace_period: 'PT1M', reason: 'contract ended' };
  return [
    {
      title: 'Disable a connection',
      lines: [json(`/organizations/${ACME}/connections/${OKTA}`, { is_enabled: false }, 'PATCH')],
    },
    {
      title: 'Offboard an organization: disabled now, removed in a minute',
      lines: [json(`/organizations/${GLOBEX}/offboarding`, disable)],
    },
    { title: 'Cancel that', lines: [plain(`/organizations/${GLOBEX}/offboarding`, 'DELETE')] },
  ];
}

const putEvents = (DetailType: string, detail: object) => {
  const entry = {
    EventBusName: 'org-connections-local',
    Source: 'billing',
    DetailType,
    Detail: JSON.stringify(detail),
  };
  return `aws events put-events --entries '${JSON.stringify([entry])}'`;
};

/** What only a terminal can do: an operator's variables, events, batches, and the stand-ins' own controls. */
export function terminalCommands(places: Places): Commands[] {
  const { plain, json } = apiCalls(places);
  const control = (name: string, ...given: unknown[]) =>
    `curl -s -X POST ${places.tenantUrl}/_tenant/${name} -d '${JSON.stringify(given)}'`;
  const aws = `AWS_ENDPOINT_URL=${places.awsUrl} AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local`;
  const names = `STAGE=local ACCOUNT=000000000000 ORG=${ACME} CON=${OKTA} TENANT=${places.tenantUrl} API_URL=${places.url}`;
  const batch = { organization_ids: [ACME, GLOBEX], action: 'disable_then_remove', reason: 'the reseller has gone' };
  const requested = { organization_id: GLOBEX, action: 'disable', ...WHY };
  const sessions = { action: 'disable', end_sessions: true, on_reenable: 'disable_again', reason: 'contract ended' };
  return [
    { title: 'Set up this terminal for the commands below and for the runbook', lines: [`export ${names} ${aws}`] },
    {
      title: 'Offboard many at once, look at them, cancel all',
      lines: [
        `BATCH=$(${json('/offboardings', batch)} | sed 's/.*"batch_id":"\\([^"]*\\).*/\\1/')`,
        plain('/offboardings?batch_id=').replace(/'([^']*)'$/, '"$1$BATCH"'),
        plain('/offboardings?batch_id=', 'DELETE').replace(/'([^']*)'$/, '"$1$BATCH&reason=a+mistake"'),
      ],
    },
    {
      title: "End the members' sessions, too; ann is a member of the other organization as well and keeps hers",
      lines: [json(`/organizations/${ACME}/offboarding`, sessions), control('user', 'maria'), control('user', 'ann')],
    },
    {
      title: 'Enable a connection as another tool would',
      lines: [control('enableConnection', ACME, GOOGLE)],
    },
    {
      title: 'Offboard by event, and cancel by event',
      lines: [
        putEvents('organization.offboarding.requested', requested),
        putEvents('organization.offboarding.cancellation_requested', {
          organization_id: GLOBEX,
          requested_by: 'billing',
          reason: 'renewed',
        }),
      ],
    },
    { title: 'Have the next nine calls of Auth0 fail', lines: [control('addFaults', { status: 503, times: 9 })] },
  ];
}
