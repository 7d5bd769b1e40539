// npm run doctor -- --stage S: what a stage lacks of its account, before a deploy and after it. It only looks, with the permissions of
// infra/account/stage-access.yml's doctor policy, and as whoever the AWS CLI is logged in as. Exits 0 when all was looked at and nothing is
// missing, 1 when something is, 2 when nothing was looked at.
import { parseArgs } from 'node:util';
import { Refusal } from '../offboard/ending.ts';
import { useCompanyNetwork } from '../offboard/network.ts';

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
  // AWS's SDK takes a while to load: it is loaded when all that was typed is right.
  const { lookAtStage } = await import('./stage.ts');
  process.exitCode = (await lookAtStage({ ...who, stage, organization, archive })) ? 0 : 1;
}

function given() {
  try {
    return parseArgs({ options: { ...OPTIONS, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${HELP}`);
  }
}
