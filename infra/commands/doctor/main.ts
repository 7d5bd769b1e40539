// npm run doctor -- --stage S: what a stage lacks of its account, before a deploy and after it. It only looks, with the permissions of
// infra/account/stage-access.yml's doctor policy, and as whoever the AWS CLI is logged in as. Exits 0 when all was looked at and nothing is
// missing, 1 when something is, 2 when nothing was looked at.
import { parseArgs } from 'node:util';
import { operator } from '../offboard/credentials.ts';
import { Refusal } from '../offboard/ending.ts';
import { useCompanyNetwork } from '../offboard/network.ts';
import { lookAtAlarms, lookAtConcurrency, lookAtDeployRole } from './account.ts';
import { compareWithArchive } from './archive.ts';
import { createFindings } from './findings.ts';
import { lookAtNotifications } from './notifications.ts';
import type { Place } from './place.ts';
import { lookAtPolicies } from './policies.ts';
import { lookAtResources, lookAtTable, lookAtWorker } from './resources.ts';
import { lookAtSecrets } from './secrets.ts';
import { apiOf, lookAtRemainingAccess } from './service.ts';
import { lookAtStacks, type Stack } from './stacks.ts';

const HELP = `npm run doctor -- --stage dev | staging | prod

Says what a stage lacks, before a deploy and after it: a line for each finding, with what to do. It changes nothing.

  --organization ORG   has the stage's API asked about this organization, too: whether Auth0 takes the token now, and whether
                       the service sees the remaining access
  --archive QUEUE      after a restore: compares the table with the events that a replay has put into this queue, and with Auth0
  --region, --profile  as the AWS CLI has them`;
const STAGES = ['local', 'dev', 'staging', 'prod'];
const STRING = { type: 'string' } as const;
const OPTIONS = { stage: STRING, organization: STRING, archive: STRING, region: STRING, profile: STRING };

await main().catch((error: unknown) => {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 2;
});

async function main(): Promise<void> {
  const { help, stage, organization, archive, ...who } = given();
  if (help) return console.log(HELP);
  if (stage === undefined || !STAGES.includes(stage))
    throw new Refusal(`Say which stage: npm run doctor -- --stage dev | staging | prod`);
  if (stage === 'local' && !process.env.AWS_ENDPOINT_URL)
    throw new Refusal(
      'The stage local is on this machine (npm start) and lacks nothing of an account: ask about dev, staging or prod.',
    );
  if (organization !== undefined && !/^org_[A-Za-z0-9]+$/.test(organization))
    throw new Refusal('The --organization is no id (org_ and letters and digits).');
  await useCompanyNetwork();
  const place = await placeOf(stage, who);
  await lookAtConcurrency(place);
  await lookAtAlarms(place);
  await lookAtDeployRole(place);
  const { service, account, all } = await lookAtStacks(place);
  if (service) await lookAtService(place, service, { organization, archive });
  if (service || account) await lookAtPolicies(place, all);
  process.exitCode = place.findings.end() ? 0 : 1;
}

function given() {
  try {
    return parseArgs({ options: { ...OPTIONS, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${HELP}`);
  }
}

async function placeOf(stage: string, options: { region?: string; profile?: string }): Promise<Place> {
  const { arn, account, region, client } = await operator(options);
  const findings = createFindings(`org-connections-${stage}-doctor-${region}`);
  findings.ok('credentials', `${arn} in ${region}`);
  return {
    ...{ stage, account, region, client, findings },
    partition: arn.split(':')[1] || 'aws',
    stack: `org-connections-${stage}`,
    accountStack: `org-connections-account-${stage}`,
    publishersStack: `org-connections-publishers-${stage}`,
  };
}

async function lookAtService(
  place: Place,
  service: Stack,
  { organization, archive }: { organization: string | undefined; archive: string | undefined },
): Promise<void> {
  await lookAtTable(place, service);
  await lookAtResources(place, service);
  await lookAtWorker(place);
  const variables = Object.values(service.template.Resources)
    .filter(({ Type }) => Type === 'AWS::Lambda::Function')
    .map(({ Properties }) => Properties.Environment?.Variables ?? {});
  await lookAtSecrets(place, {
    endsMachineAccess: variables.some(({ MACHINE_ACCESS }) => String(MACHINE_ACCESS) === 'true'),
    endsSessions: variables.some(({ SESSION_QUEUE_URL }) => SESSION_QUEUE_URL !== undefined),
  });
  await lookAtNotifications(place, service);
  const get = apiOf(place, service);
  if (get && organization) await lookAtRemainingAccess(place, get, organization);
  if (get && archive) await compareWithArchive(place, get, archive);
}
