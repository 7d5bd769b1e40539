// After a deploy: does the stage answer? Requests a dry run, which changes nothing, and asks for what is pending. Exits 0 only if both
// answers are what they should be, 1 if one is not, 2 if nothing was asked.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Operator } from './offboard/credentials.ts';
import { Failure, Refusal } from './offboard/ending.ts';
import { networkFaultOf, useCompanyNetwork } from './offboard/network.ts';
import { plain, reasonOf } from './offboard/terminal.ts';

const HELP = `npm run smoke -- --stage STAGE --organization ORGANIZATION
npm run smoke -- --url URL --organization ORGANIZATION

Asks a stage for a dry run of an organization that exists for this check alone, and for what is pending there. It changes nothing.

  --stage         dev, staging or prod; the address is the stack's output ReversibleApiUrl
  --url           the address of the API in place of a stage
  --organization  the organization's id
  --region, --profile   as the AWS CLI has them

In place of the options: STAGE or API_URL, and SMOKE_ORGANIZATION. An option goes before a variable.`;
/** How long a stage may take to get the management token that was just requested, milliseconds. */
const TOKEN_WAIT_MS = 60_000;
const ANSWER_WITHIN_MS = 35_000;
const STRING = { type: 'string' } as const;
const OPTIONS = { stage: STRING, url: STRING, organization: STRING, region: STRING, profile: STRING };

interface Answer {
  status: number;
  text: string;
}
type Ask = (method: string, more?: { headers?: Record<string, string>; body?: string }) => Promise<Answer>;

await main().catch((error: unknown) => {
  if (!(error instanceof Refusal || error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof Refusal ? 2 : 1;
});

async function main(): Promise<void> {
  const { help, organization, ...place } = given();
  if (help) return console.log(HELP);
  if (!/^org_[A-Za-z0-9]+$/.test(organization))
    throw new Refusal('Say which organization: --organization, or SMOKE_ORGANIZATION, is the id of one of the tenant.');
  await useCompanyNetwork();
  // AWS's SDK takes a while to load: it is loaded when all that was typed is right.
  const { operator } = await import('./offboard/credentials.ts');
  const who = await operator(place);
  const base = (place.url ?? (await apiUrl(place.stage, who))).replace(/\/+$/, '');
  const address = `${base}/organizations/${organization}/offboarding`;
  console.log(`asking ${address}`);
  const { signedFetchAs } = await import('./signed-fetch.ts');
  const send = signedFetchAs(who.client.credentials, who.region);
  await check(place.stage, address, async (method, more = {}) => {
    const init = { method, ...more, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) };
    const response = await send(address, init).catch((error: unknown) => {
      throw new Failure(`${base} was not reached: ${networkFaultOf(error) ?? reasonOf(error)}.`);
    });
    return { status: response.status, text: plain(await response.text()).trim() };
  });
}

/** The options, and where there are none the variables. Throws a `Refusal` where a stage and an address are both given. */
function given() {
  const parsed = (() => {
    try {
      return parseArgs({ options: { ...OPTIONS, help: { type: 'boolean', short: 'h' } } }).values;
    } catch (error) {
      throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${HELP}`);
    }
  })();
  const { STAGE, API_URL, SMOKE_ORGANIZATION = '' } = process.env;
  const hasPlace = parsed.stage !== undefined || parsed.url !== undefined;
  const { stage, url } = hasPlace ? parsed : { stage: STAGE, url: API_URL };
  if (!parsed.help && Boolean(stage) === Boolean(url))
    throw new Refusal(
      stage
        ? `A stage (${stage}) and an address (${url}) are both given, and may not be the same: give one.`
        : `Say where: --stage or --url.\n\n${HELP}`,
    );
  const { profile } = parsed;
  // Requests are signed for the region that the address names.
  const region = parsed.region ?? /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com/.exec(url ?? '')?.[1];
  return {
    help: parsed.help === true,
    organization: parsed.organization ?? SMOKE_ORGANIZATION,
    ...(stage && { stage }),
    ...(url && { url }),
    ...(region && { region }),
    ...(profile && { profile }),
  };
}

async function check(stage: string | undefined, address: string, ask: Ask): Promise<void> {
  const body = JSON.stringify({ action: 'disable', dry_run: true, reason: `smoke check of ${stage ?? address}` });
  const dryRun = await ask('POST', { headers: { 'content-type': 'application/json' }, body });
  console.log(`dry run ${dryRun.status} ${dryRun.text}`);
  let pending = await ask('GET');
  for (const end = Date.now() + TOKEN_WAIT_MS; lacksToken(pending) && Date.now() < end; pending = await ask('GET'))
    await sleep(5000);
  console.log(`pending ${pending.status} ${pending.text}`);
  if (lacksToken(pending)) {
    const secret = `org-connections/${stage ?? 'STAGE'}`;
    throw new Failure(
      `The stage has no management token. After a first deploy: store the client's credentials in ${secret}/management-client, rotate ${secret}/management-token, and run this again.`,
    );
  }
  if (pending.status === 404)
    throw new Failure('The tenant has no such organization: create it, for this check alone.');
  if (dryRun.status === 403 || pending.status === 403)
    throw new Failure(
      `Whoever runs this may not ask at ${address}: see the deploy role's SmokeOrganization in infra/account/stage-access.yml.`,
    );
  if (dryRun.status !== 202 || pending.status !== 200) throw new Failure('The stage does not answer as it should.');
  console.log('The stage answers as it should.');
}

function lacksToken({ status, text }: Answer): boolean {
  return status === 503 && text.includes('management_token_unavailable');
}

/** The address that takes only what can be undone, which is all that the deploy role may ask for. */
async function apiUrl(stage: string | undefined, { client, account, region }: Operator): Promise<string> {
  const StackName = `org-connections-${stage}`;
  const { CloudFormationClient, DescribeStacksCommand } = await import('@aws-sdk/client-cloudformation');
  const { Stacks } = await new CloudFormationClient(client)
    .send(new DescribeStacksCommand({ StackName }))
    .catch((error: unknown) => {
      throw new Refusal(`The stack ${StackName} was not found in ${region}, account ${account}: ${reasonOf(error)}.`);
    });
  const url = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === 'ReversibleApiUrl')?.OutputValue;
  if (!url) throw new Refusal(`The stack ${StackName} has no output ReversibleApiUrl: deploy it.`);
  return url;
}
