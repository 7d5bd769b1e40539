// What a good engineer writes with the usual parts: the Auth0 SDK with its own token, the AWS SDK as it comes, middy, Powertools.
import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import { ManagementClient } from 'auth0';

const logger = new Logger({ serviceName: 'conventional' });
const metrics = new Metrics({ namespace: 'conventional', serviceName: 'conventional' });
const secrets = new SecretsManagerClient({});
const origin = process.env.AUTH0_DOMAIN ?? '';
let client: Promise<ManagementClient> | undefined;

async function connect() {
  const secret = await secrets.send(new GetSecretValueCommand({ SecretId: process.env.MANAGEMENT_CLIENT_SECRET_ID }));
  const { client_id, client_secret } = JSON.parse(secret.SecretString ?? '{}');
  return new ManagementClient({
    domain: new URL(origin).host,
    audience: `${origin}/api/v2/`,
    clientId: client_id,
    clientSecret: client_secret,
    // The SDK speaks https alone; here its requests go unchanged over a plain socket.
    fetch: ((url: string, init: RequestInit) => fetch(url.replace('https:', 'http:'), init)) as typeof fetch,
  });
}

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
async function change(event: any) {
  client ??= connect();
  const { organizations } = await client;
  const { organization_id, connection_id } = event.pathParameters;
  logger.info('change', { organization_id, connection_id });
  metrics.addMetric('Requests', MetricUnit.Count, 1);
  if (event.requestContext.http.method === 'DELETE') {
    await organizations.connections.delete(organization_id, connection_id);
    return { statusCode: 204 };
  }
  const connection = await organizations.connections.update(organization_id, connection_id, event.body);
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(connection) };
}

export const handler = middy()
  .use(injectLambdaContext(logger))
  .use(logMetrics(metrics))
  .use(httpJsonBodyParser({ disableContentTypeError: true }))
  .handler(change);
