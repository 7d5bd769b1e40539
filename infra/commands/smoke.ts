// After a deploy: does the stage answer? Asks for a dry run, which changes nothing, and for what is pending. STAGE and
// SMOKE_ORGANIZATION, an organization that exists for this alone, say where; region and credentials are the AWS command line's.
// Exits 0 only if both answers are what they should be.
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { signedFetchAs } from './signed-fetch.ts';
import { signedIn } from './signed-in.ts';

/** A token that was just asked for is there within seconds. */
const WAIT_MS = 60_000;

const { STAGE = '', SMOKE_ORGANIZATION = '' } = process.env;
if (!/^org_\w+$/.test(SMOKE_ORGANIZATION)) fail('SMOKE_ORGANIZATION is to be the id of an organization of the tenant');

const { region, credentials } = await signedIn().catch((error: Error) => fail(error.message));
const send = signedFetchAs(credentials, region);
const address = `${process.env.API_URL ?? (await apiUrl())}/organizations/${SMOKE_ORGANIZATION}/offboarding`;

const body = JSON.stringify({ action: 'disable', dry_run: true, reason: `smoke check of ${STAGE}` });
const dryRun = await ask('POST', { headers: { 'content-type': 'application/json' }, body });
console.log(`dry run ${dryRun.status} ${dryRun.text}`);
let pending = await ask('GET');
for (const end = Date.now() + WAIT_MS; withoutToken(pending) && Date.now() < end; pending = await ask('GET'))
  await sleep(5000);
console.log(`pending ${pending.status} ${pending.text}`);
if (withoutToken(pending))
  fail(
    `The stage has no management token. After a first deploy: store the client's credentials in org-connections/${STAGE}/management-client, rotate org-connections/${STAGE}/management-token, and run this again`,
  );
if (pending.status === 404)
  fail(`The tenant has no organization ${SMOKE_ORGANIZATION}: create it, for this check alone`);
if (dryRun.status === 403 || pending.status === 403)
  fail(
    `Whoever runs this may not ask about ${SMOKE_ORGANIZATION} at ${address}: the deploy role's SmokeOrganization (infra/account/stage.yml)`,
  );
process.exitCode = dryRun.status === 202 && pending.status === 200 ? 0 : 1;

async function ask(method: string, more: { headers?: Record<string, string>; body?: string } = {}) {
  const response = await send(address, { method, ...more });
  return { status: response.status, text: (await response.text()).trim() };
}

function withoutToken({ status, text }: { status: number; text: string }) {
  return status === 503 && text.includes('management_token_unavailable');
}

/** Where only what can be undone is taken, which is all that the deploy role may ask for. */
async function apiUrl(): Promise<string> {
  const client = new CloudFormationClient({ region, credentials });
  const { Stacks } = await client
    .send(new DescribeStacksCommand({ StackName: `org-connections-${STAGE}` }))
    .catch((error: Error) => fail(`The stack org-connections-${STAGE} in ${region}: ${error.message}`));
  const url = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === 'ReversibleApiUrl')?.OutputValue;
  return url ?? fail(`The stack org-connections-${STAGE} has no output ReversibleApiUrl: deploy it`);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
