// Who runs a command of ours, and where, as the AWS command line has it: profile, SSO, the environment, a role of the machine.
import { STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';

export interface SignedIn {
  region: string;
  credentials: ReturnType<typeof fromNodeProviderChain>;
}

/** Region and credentials of whoever runs this. Throws where no region is set; credentials are asked for on their first use. */
export async function signedIn(): Promise<SignedIn> {
  // The command line's second name for it, which the SDK does not read.
  const named = process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  const region = named ?? (await new STSClient({}).config.region());
  return { region, credentials: fromNodeProviderChain({ clientConfig: { region } }) };
}
