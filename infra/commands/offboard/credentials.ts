// The operator of the command: credentials, profile and region as the AWS CLI has them.
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import input from '@inquirer/input';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { FetchHttpHandler } from '@smithy/fetch-http-handler';
import { Refusal } from './ending.ts';
import { networkAdviceFor, networkFaultOf } from './network.ts';
import { quoted, reasonOf } from './terminal.ts';

export interface Operator {
  arn: string;
  account: string;
  region: string;
  /** What to do when the session has ended: "log in again (aws sso login --profile x)". */
  advice: string;
  /** For the clients of the AWS SDK, and to sign requests with. */
  client: {
    region: string;
    credentials: ReturnType<typeof fromNodeProviderChain>;
    requestHandler: FetchHttpHandler;
  };
}

/**
 * AWS's SDK fetches as all else here does, through the company's network. It names the length of a body, which `fetch` does
 * itself; and its credential providers keep only the message of an error, so the cause is thrown, which `fetch` has inside.
 */
const fetchForSdk: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  request.headers.delete('content-length');
  return fetch(request).catch((error: unknown) => {
    let cause = error;
    while (Object(cause).cause) cause = Object(cause).cause;
    throw cause;
  });
};

/** Asks AWS who the credentials are of. Throws a `Refusal` that says which profile was tried, and what to do. */
export async function operator(options: { profile?: string; region?: string }): Promise<Operator> {
  const profile = options.profile ?? process.env.AWS_PROFILE;
  const named = profile ? `the profile ${profile}` : 'the environment or the default profile';
  const requestHandler = new FetchHttpHandler({ customFetch: fetchForSdk });
  const credentials = fromNodeProviderChain({
    ...(profile && { profile }),
    // Without a region: it would be taken for the region of the single sign-on, too.
    clientConfig: { requestHandler },
    mfaCodeProvider: async (serial) => {
      if (!process.stdin.isTTY) throw new Error(`${serial} asks for a code, and nobody can be asked here`);
      return (await input({ message: `Code of ${serial}:` })).trim();
    },
  });
  const given = { ...(profile && { profile }), ...regionOf(options.region) };
  const sts = new STSClient({ ...given, credentials, requestHandler });
  const region = await sts.config.region().catch(() => {
    throw new Refusal(`No region is set for ${named}: say --region, or set AWS_REGION.`);
  });
  const advice = await adviceFor(profile);
  const { Arn = '', Account = '' } = await sts.send(new GetCallerIdentityCommand({})).catch((error: unknown) => {
    const fault = networkFaultOf(error);
    if (fault) throw new Refusal(`AWS was not reached: ${fault}. ${networkAdviceFor(error)} Nothing was started.`);
    throw new Refusal(
      `No credentials that AWS takes in ${named}: ${reasonOf(error)}. Please ${advice}, or say another --profile.`,
    );
  });
  return { arn: Arn, account: Account, region, advice, client: { region, credentials, requestHandler } };
}

/** The AWS CLI's second name for it, which the SDK does not read, too. */
function regionOf(region: string | undefined): { region?: string } {
  const found = region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  return found ? { region: found } : {};
}

/** How to log in, by what the configuration says of the profile. */
async function adviceFor(profile: string | undefined): Promise<string> {
  const name = profile ?? 'default';
  const profiles = await loadSharedConfigFiles()
    .then(({ configFile, credentialsFile }) => ({ ...credentialsFile, ...configFile }))
    .catch(() => ({}) as Record<string, Record<string, string | undefined>>);
  const option = profile ? ` --profile ${quoted(profile)}` : '';
  if (!profile && process.env.AWS_ACCESS_KEY_ID)
    return 'renew the keys in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN';
  const seen = new Set<string>();
  for (let one = name; !seen.has(one); ) {
    seen.add(one);
    const { sso_session, sso_start_url, login_session, source_profile } = profiles[one] ?? {};
    const of = one === name ? option : ` --profile ${quoted(one)}`;
    if (sso_session || sso_start_url) return `log in (aws sso login${of})`;
    if (login_session) return `log in (aws login${of})`;
    if (!source_profile) break;
    one = source_profile;
  }
  return profiles[name]
    ? `renew the keys of the profile ${name}`
    : `log in (aws sso login${option}, or aws login${option})`;
}
