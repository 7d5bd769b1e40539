import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import * as v from 'valibot';
import { backoff, sleep } from './deadline.ts';
import { type Answer, ExchangeError, exchangeOrError } from './http-client.ts';
import { parseJson } from './json.ts';
import { hide } from './log.ts';
import { AccessToken } from './management-token.ts';
import { readRateLimit } from './rate-limit.ts';

/** The value of the secret `org-connections/{stage}/management-client`: the client's id and its secret, or its private key. */
const ClientCredentials = v.pipe(
  v.object({
    client_id: v.pipe(v.string(), v.nonEmpty()),
    client_secret: v.optional(v.pipe(v.string(), v.nonEmpty())),
    private_key: v.optional(v.pipe(v.string(), v.startsWith('-----BEGIN'))),
  }),
  v.check(({ client_secret, private_key }) => Boolean(client_secret ?? private_key)),
);
type ClientCredentials = v.InferOutput<typeof ClientCredentials>;

const TokenResponse = v.object({
  access_token: AccessToken,
  expires_in: v.pipe(v.number(), v.minValue(1), v.maxValue(30 * 86_400)),
  scope: v.optional(v.string(), ''),
});

/** Why there is no token: `wrong_credentials`, `grant_not_allowed`, `audience_not_granted`, `quota_exceeded`, `unreachable`. */
export class ClientCredentialsError extends Error {
  readonly reason: string;
  readonly retryAfter: number | undefined;

  constructor(reason: string, message: string, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(`${reason}: ${message}`, { cause: options.cause });
    this.name = 'ClientCredentialsError';
    this.reason = reason;
    this.retryAfter = options.retryAfter;
  }
}

/** The client secret's text as credentials; throws `ClientCredentialsError` that quotes nothing of it. */
export function parseClientCredentials(text: string | undefined): ClientCredentials {
  const json = parseJson(text);
  if (json === undefined) throw new ClientCredentialsError('wrong_credentials', 'the client secret is not JSON');
  const parsed = v.safeParse(ClientCredentials, json);
  if (!parsed.success) {
    throw new ClientCredentialsError(
      'wrong_credentials',
      'the client secret needs client_id, and client_secret or private_key',
    );
  }
  hide(parsed.output.client_secret ?? '');
  return parsed.output;
}

/**
 * Asks Auth0 for a Management API token by client credentials (RFC 6749, 4.4). A client with a private key proves itself by
 * a signed assertion (RFC 7523; Auth0: "Private Key JWT"), any other by its secret.
 * Returns the token, when it expires (Unix time in milliseconds) and its scope; throws `ClientCredentialsError`.
 */
export async function requestToken(origin: URL, audience: string, credentials: ClientCredentials, deadline: number) {
  for (let tries = 1; ; tries++) {
    const asked = Date.now();
    const answer = await exchangeOrError({
      method: 'POST',
      origin,
      path: '/oauth/token',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ grant_type: 'client_credentials', audience, ...authentication(credentials, audience) }),
      timeout: Math.min(10_000, deadline - asked),
    });
    const body = answer instanceof ExchangeError ? undefined : parseJson(answer.body);
    if (!(answer instanceof ExchangeError) && answer.status === 200 && v.is(TokenResponse, body)) {
      const { access_token, expires_in, scope } = v.parse(TokenResponse, body);
      hide(access_token);
      return { value: access_token, expiresAt: asked + expires_in * 1000, scope };
    }
    const error = refusal(answer, body);
    const pause = backoff(tries, 500, 5000);
    // A refusal stays one, and a quota is not gained by asking more often.
    if (error.reason !== 'unreachable' || tries >= 3 || Date.now() + pause >= deadline) throw error;
    await sleep(pause);
  }
}

function authentication({ client_id, client_secret, private_key }: ClientCredentials, audience: string) {
  const key = private_key ?? (client_secret?.startsWith('-----BEGIN') ? client_secret : undefined);
  if (!key) return { client_id, client_secret };
  const now = Math.floor(Date.now() / 1000);
  // The assertion is for the tenant itself: the audience's origin, which is canonical also behind a custom domain.
  const claims = {
    iss: client_id,
    sub: client_id,
    aud: `${new URL(audience).origin}/`,
    iat: now,
    exp: now + 60,
    jti: randomUUID(),
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const unsigned = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('RSA-SHA256', Buffer.from(unsigned), privateKey(key)).toString('base64url');
  return {
    client_id,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${unsigned}.${signature}`,
  };
}

function privateKey(pem: string) {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The parser's message may quote its input.
  }
  throw new ClientCredentialsError('wrong_credentials', 'the private key is not an RSA key in PEM');
}

/** OAuth's errors as Auth0 uses them, told apart without quoting their descriptions: those repeat what was sent. */
function refusal(answer: Answer | ExchangeError, body: unknown): ClientCredentialsError {
  if (answer instanceof ExchangeError)
    return new ClientCredentialsError('unreachable', 'Auth0 gave no answer', { cause: answer });
  const { status, headers } = answer;
  const name = v.is(v.looseObject({ error: v.string() }), body) ? body.error : undefined;
  if (status === 429) {
    const { retryAfter, reset } = readRateLimit(headers);
    const wait = retryAfter ?? reset;
    return new ClientCredentialsError('quota_exceeded', 'the quota of tokens is used up', {
      retryAfter: wait === undefined ? undefined : Math.ceil(wait / 1000),
    });
  }
  if (status === 403 && name === 'access_denied') {
    return new ClientCredentialsError('audience_not_granted', 'the application has no grant for the Management API');
  }
  if (name === 'unauthorized_client') {
    return new ClientCredentialsError('grant_not_allowed', 'the application may not use client credentials');
  }
  if (status === 401 || status === 403)
    return new ClientCredentialsError('wrong_credentials', 'Auth0 does not know the client by these credentials');
  return new ClientCredentialsError('unreachable', `Auth0 answered ${status}, not as it documents`);
}
