// A caller in TypeScript, whole: types from the description (`npm run generate:client`), requests signed as whoever runs it.
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import createClient from 'openapi-fetch';
import { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import type { paths } from './openapi.d.ts';

const [baseUrl = '', organization_id = ''] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, fetch: signedFetchAs(fromNodeProviderChain()) });
const { data, error, response } = await client.POST('/organizations/{organization_id}/offboarding', {
  params: { path: { organization_id }, header: { 'Idempotency-Key': 'contract-4711' } },
  body: { action: 'disable_then_remove', grace_period: 'P30D', reason: 'contract ended' },
});
if (error) throw new Error(`${response.status} ${'code' in error ? error.code : error.message}`);
console.log(response.status, data.offboarding_id);
