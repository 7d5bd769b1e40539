// Requests an offboarding from TypeScript and prints its id.
//
//   npm install aws4fetch openapi-fetch @aws-sdk/credential-providers
//   npx openapi-typescript openapi.yml --default-non-nullable=false -o openapi.d.ts     (types; Node runs the file without them)
//   API_URL=… AWS_REGION=… node client.ts org_… contract-4711                           (signs as whoever runs it)
import { setTimeout as sleep } from 'node:timers/promises';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { AwsClient } from 'aws4fetch';
import createClient from 'openapi-fetch';
import type { paths } from './openapi.d.ts';

const { API_URL: baseUrl = '', AWS_REGION: region = '' } = process.env;
const [organization_id = '', key = ''] = process.argv.slice(2);
const credentials = fromNodeProviderChain();
const client = createClient<paths>({
  baseUrl,
  headers: { accept: 'application/json, application/problem+json' },
  async fetch(request: Request) {
    return new AwsClient({ ...(await credentials()), region, service: 'execute-api', retries: 0 }).fetch(request);
  },
});

// Two answers are temporary: 429 and 503. With the key, a repetition is the same offboarding.
for (let attempt = 1; ; attempt++) {
  const { data, error, response } = await client.POST('/organizations/{organization_id}/offboarding', {
    params: { path: { organization_id }, header: { 'Idempotency-Key': key } },
    body: { action: 'disable_then_remove', grace_period: 'P30D', requested_by: 'billing', reason: 'contract ended' },
  });
  if (data) {
    console.log(response.status, data.offboarding_id);
    break;
  }
  // API Gateway's own answers have no code.
  const code = 'code' in error ? error.code : error.message;
  if (attempt === 3 || (response.status !== 429 && response.status !== 503))
    throw new Error(`${response.status} ${code}`);
  await sleep(1000 * Number(response.headers.get('retry-after') ?? 5));
}
