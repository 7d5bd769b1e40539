import { partition } from '@aws-sdk/core/client';

/** The services that are called at an endpoint of their region, each with its name in `AWS_ENDPOINT_URL_…`. */
const VARIABLES = {
  dynamodb: 'DYNAMODB',
  events: 'EVENTBRIDGE',
  scheduler: 'SCHEDULER',
  secretsmanager: 'SECRETS_MANAGER',
};
export type RegionalService = keyof typeof VARIABLES;

const isTrue = (name: string) => process.env[name]?.toLowerCase() === 'true';

/** The region that Lambda names. */
export function region(): string {
  const { AWS_REGION = process.env.AWS_DEFAULT_REGION } = process.env;
  if (!AWS_REGION) throw new Error('Environment variable AWS_REGION is missing');
  return AWS_REGION;
}

/** The origin at which a service is called, in each partition, also FIPS and dual-stack: as the SDK's endpoint rules have it. */
export function endpointOf(service: RegionalService): string {
  const configured = process.env[`AWS_ENDPOINT_URL_${VARIABLES[service]}`] || process.env.AWS_ENDPOINT_URL;
  if (configured) return configured;
  const { name, dnsSuffix, dualStackDnsSuffix } = partition(region());
  // Where it has such at all, the usual hosts of Secrets Manager are dual-stack.
  const areDualStack = service === 'secretsmanager' && /^aws(-us-gov|-cn)?$/.test(name);
  const dualStack = isTrue('AWS_USE_DUALSTACK_ENDPOINT') && !areDualStack;
  // In GovCloud all hosts of these are FIPS, under their usual names.
  const isFips = name === 'aws-us-gov' && (service === 'events' || (service === 'dynamodb' && !dualStack));
  const fips = isTrue('AWS_USE_FIPS_ENDPOINT') && !isFips ? '-fips' : '';
  return `https://${service}${fips}.${region()}.${dualStack ? dualStackDnsSuffix : dnsSuffix}`;
}
