// The limit: no dependency at all, Node's own modules, loaded as the functions load them, and a hand-made signature.
import { callAws, send } from './signed.ts';

let token: Promise<string> | undefined;

async function read(): Promise<string> {
  const input = { SecretId: process.env.MANAGEMENT_TOKEN_SECRET_ID };
  const { SecretString } = await callAws('secretsmanager', 'secretsmanager.GetSecretValue', '1.1', input);
  return JSON.parse(SecretString).access_token;
}

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
export async function handler(event: any) {
  token ??= read();
  const { organization_id, connection_id } = event.pathParameters;
  const address = `${process.env.AUTH0_DOMAIN}/api/v2/organizations/${organization_id}/connections/${connection_id}`;
  const headers = { authorization: `Bearer ${await token}`, 'content-type': 'application/json' };
  const { status, text } = await send(address, event.requestContext.http.method, headers, event.body);
  return { statusCode: status, body: text };
}
