// Where the doctor looks, and the commands that it names.
import type { Operator } from '../offboard/credentials.ts';
import type { Findings } from './findings.ts';

/** A stage in an account and a region, as whoever runs the doctor sees it. */
export interface Place {
  stage: string;
  /** The service's own stack. */
  stack: string;
  /** What an administrator of the account deploys for the stage. */
  accountStack: string;
  publishersStack: string;
  account: string;
  region: string;
  partition: string;
  client: Operator['client'];
  findings: Findings;
}

export const deployStage = ({ stage }: Place) =>
  `npm run package -- --stage ${stage} && bash infra/build/deploy.sh ${stage}`;

export const deployAccountStack = ({ stage, region, accountStack }: Place) =>
  `aws cloudformation deploy --region ${region} --stack-name ${accountStack} --template-file infra/account/stage-access.yml --capabilities CAPABILITY_NAMED_IAM --parameter-overrides Stage=${stage}`;
