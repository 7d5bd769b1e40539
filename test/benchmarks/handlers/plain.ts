// The AWS SDK's client and fetch, and nothing else at all: no validation, no log, no metrics, no retries.
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

const secrets = new SecretsManagerClient({});
let token: Promise<string> | undefined;

async function read(): Promise<string> {
  const secret = await secrets.send(new GetSecretValueCommand({ SecretId: process.env.MANAGEMENT_TOKEN_SECRET_ID }));
  return JSON.parse(secret.SecretString ?? '{}').access_token;
}

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
export async function handler(event: any) {
  token ??= read();
  const { organization_id, connection_id } = event.pathParameters;
  const answer = await fetch(
    `${process.env.AUTH0_DOMAIN}/api/v2/organizations/${organization_id}/connections/${connection_id}`,
    {
      method: event.requestContext.http.method,
      headers: { authorization: `Bearer ${await token}`, 'content-type': 'application/json' },
      body: event.body,
    },
  );
  return { statusCode: answer.status, body: await answer.text() };
}
