// Who runs the command: credentials, profile and region as the AWS CLI has them.
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import input from '@inquirer/input';
import { Refusal } from './ending.ts';
import { reasonOf } from './terminal.ts';

export interface Operator {
  arn: string;
  account: string;
  region: string;
  /** For the clients of the AWS SDK, and to sign requests with. */
  client: { region: string; credentials: ReturnType<typeof fromNodeProviderChain> };
}

/** Asks AWS who the credentials are of. Throws a `Refusal` that says which profile was tried, and what to do. */
export async function operator(options: { profile?: string; region?: string }): Promise<Operator> {
  const profile = options.profile ?? process.env.AWS_PROFILE;
  const named = profile ? `the profile ${profile}` : 'the environment or the default profile';
  const given = { ...(profile && { profile }), ...(options.region && { region: options.region }) };
  const credentials = fromNodeProviderChain({
    ...(profile && { profile }),
    ...(options.region && { clientConfig: { region: options.region } }),
    mfaCodeProvider: async (serial) => {
      if (!process.stdin.isTTY) throw new Error(`${serial} asks for a code, and nobody can be asked here`);
      return (await input({ message: `Code of ${serial}:` })).trim();
    },
  });
  const sts = new STSClient({ ...given, credentials });
  const region = await sts.config.region().catch(() => {
    throw new Refusal(`No region is set for ${named}: say --region, or set AWS_REGION.`);
  });
  const { Arn = '', Account = '' } = await sts.send(new GetCallerIdentityCommand({})).catch((error: unknown) => {
    const sso = `aws sso login${profile ? ` --profile ${profile}` : ''}`;
    throw new Refusal(
      `No credentials that AWS takes in ${named}: ${reasonOf(error)}. Log in (${sso}), or say another --profile.`,
    );
  });
  return { arn: Arn, account: Account, region, client: { region, credentials } };
}
